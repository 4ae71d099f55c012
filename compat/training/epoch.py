"""Runs one epoch of a step over a feed, and calls the callbacks of batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from compat.training.batch_callbacks import BatchCalls
from compat.training.run_ahead import one_by_one
from compat.variables import variable_views
from kfun import ops
from kfun.training import StopEpoch, epoch
from kfun.training.epoch import kept

_STOPS = {"train": "stop_training", "test": "stop_evaluating"}


def run_epoch(
    model: Any, step: Any, state: Any, feed: Any, calls: Any, mode: str, first: int = 0
) -> dict[str, float] | None:
    """Runs an epoch over a feed.

    Args:
        model: which may be told to stop by `stop_training` or `stop_evaluating`.
        step: what runs for each batch.
        state: a `live.Live` or `Inner`, which holds the values.
        feed: the batches that are left.
        calls: a `CallbackList`.
        mode: `"train"` or `"test"`.
        first: the number of the first batch.

    Returns:
        The logs as numbers, None if a feed that begins in the middle of an epoch has no batch left.
    """
    each = calls.wants_batches(mode)
    size = 1 if model._op_by_op else model.steps_per_execution if each else step.steps_per_dispatch
    batches = BatchCalls(calls, mode, model.steps_per_execution, feed.coming, first)
    begin = getattr(feed, "begin", None)
    if begin is not None and not begin(size):
        return None

    def on_group(count: int, rows: int, logs: dict, new: Any) -> Any:
        state.state = new
        ended = batches.after(first + count)
        if not each:
            calls.on_group(mode, first + count, logs)
        elif ended:
            batches.end(calls.lazy(logs))
        if getattr(model, _STOPS[mode], False):
            raise StopEpoch
        if each and ended:
            batches.begin()
        return state.take()

    if each:
        batches.begin()
    keep: list[Any] = []
    try:
        if size == 1:  # a program of one step is faster than a loop of one
            runs = (_eager(step), None) if model._op_by_op else (step.once, step.ahead)
            logs = one_by_one(*runs, state, feed, on_group, keep)
        else:
            _, logs = epoch(step, state.state, feed, steps_per_dispatch=size, on_group=on_group, keep=keep)
    except BaseException:  # Ctrl-C may come after a step took the old values and before the new ones were seen
        if keep and getattr(state, "later", None) is None:
            state.state = keep[-1][0]
        raise
    if each and batches.open and not getattr(model, _STOPS[mode], False):
        batches.end(calls.lazy(logs))
        batches.begin()
    state.take()  # what a callback wrote after the last batch is in the state already
    return to_numbers(logs)


def to_numbers(logs: dict) -> dict[str, Any]:
    """Logs read from the device, by name as in Keras: floats, arrays where a metric has several values."""
    fetched = jax.device_get(logs)
    return {k: float(fetched[k]) if np.ndim(fetched[k]) == 0 else np.asarray(fetched[k]) for k in sorted(logs)}


def _eager(step: Any) -> Callable:
    """A step that runs op by op."""
    return lambda state, batch: step.run(state, jax.tree.map(ops.convert_to_tensor, batch))


def batch_alone(step: Any, groups: list[list[Any]], feed: Any, op_by_op: bool) -> dict[str, Any]:
    """One step on one batch with the metrics at their beginning; gives its logs as numbers.

    Args:
        step: what runs.
        groups: the variables in the order of the step's state.
        feed: of the batch.
        op_by_op: whether nothing is compiled.
    """
    if op_by_op or any(group and group[0].is_view for group in groups):
        with variable_views.Live(*groups) as state:
            return to_numbers(_step_by_hand(step, state, feed.batch(), op_by_op))
    new, logs = step.alone([variable_views.values_of(group) for group in groups], feed.inner.data)
    for group, values in zip(groups, new, strict=True):
        for variable, value in zip(group, values, strict=True):
            variable.put(value)
    return to_numbers(logs)


def _step_by_hand(step: Any, state: Any, batch: Any, op_by_op: bool) -> dict:
    keep: list[Any] = []
    state.state = step.reset(state.state)
    try:
        state.state, logs = kept(step.run if op_by_op else step.once, keep, state.state, batch)
    except BaseException:
        if keep:
            state.state = keep[-1][0]
        raise
    return logs


class Inner:
    """The evaluation inside a fit: its state, `[trainable, non_trainable, metrics]`, is part of the fit's.

    Args:
        outer: the fit's values.
        metrics: the metrics' values to begin with.
    """

    def __init__(self, outer: variable_views.Live, metrics: list[Any]):
        self.outer = outer
        t, n, o, _ = outer.state
        outer.state = [t, n, o, metrics]

    @property
    def state(self) -> Any:
        t, n, _, m = self.outer.state
        return [t, n, m]

    @state.setter
    def state(self, new: Any) -> None:
        t, n, m = new
        self.outer.state = [t, n, self.outer.state[2], m]

    @property
    def looks(self) -> int:
        """How often a variable was read or written."""
        return self.outer.looks

    def take(self) -> Any:
        """The state if a callback wrote to it since the last call, else None."""
        return None if self.outer.take() is None else self.state
