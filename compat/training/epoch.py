"""Runs one epoch of a step over a feed, and calls the callbacks of batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from compat.training.batch_callbacks import BatchCalls
from compat.training.run_ahead import taken_at_once
from compat.variables import variable_views
from kfun import ops
from kfun.training import TrainState, epoch
from kfun.training.epoch import Dispatch, singly


def run_epoch(
    model: Any, step: Any, state: Any, feed: Any, calls: Any, mode: str = "train", first: int = 0
) -> dict[str, float] | None:
    """Runs an epoch over a feed.

    Args:
        model: which may be told to stop by `stop_training` or `stop_evaluating`.
        step: what runs for each batch.
        state: a `Live` or `Inner`, which holds the values.
        feed: the batches that are left.
        calls: a `CallbackList`.
        mode: `"train"` or `"test"`.
        first: the number of the first batch.

    Returns:
        The logs as numbers, None if a feed that begins in the middle of an epoch has no batch left.
    """
    batches = BatchCalls(model, calls, mode, feed.coming, first)
    single = model._op_by_op or not state.owned
    size = 1 if single else model.steps_per_execution if batches.each else step.steps_per_dispatch
    begin = getattr(feed, "begin", None)
    if begin is not None and not begin(size):
        return None

    def on_group(count: int, rows: int, logs: dict, new: Any) -> Any:
        looks, state.state = state.looks, new
        batches.after(first + count, logs, lambda: calls.lazy(logs))
        looked = state.looks != looks
        state.seen = state.seen or (looked and size == 1)
        written = state.take()
        return state.state if looked and written is None else written

    if not state.owned:  # there is one batch, and the step may not take the memory of the values
        how = singly(step.once_beside)
    elif model._op_by_op:
        how = _op_by_op(step)
    else:
        how = step.ahead.dispatches(state, feed.steps)  # a program of one step is faster than a loop of one
    batches.begin()
    logs = _run_held(step, state, feed, size, how if size == 1 else None, on_group)
    batches.close(lambda: calls.lazy(logs))
    state.take()  # what a callback wrote after the last batch is in the state already
    return to_numbers(logs)


def _run_held(
    step: Any, state: Any, feed: Any, size: int, dispatch: Dispatch | None, on_group: Callable | None = None
) -> dict:
    """Runs a step over a feed from the state that a `Live` or `Inner` holds, and sees to it that it holds the last one.

    Ctrl-C may come after a step took the memory of the old values and before anybody saw the new ones.
    """
    keep: list[Any] = []
    size = taken_at_once(feed) if size == 1 else size
    how = {"steps_per_dispatch": size, "on_group": on_group, "keep": keep, "dispatch": dispatch}
    try:
        new, logs = epoch(step, state.state, feed, **how)
    except BaseException:
        if keep and state.later is None:
            state.state = TrainState(*keep[-1][0])
        raise
    if on_group is None:
        state.state = new
    return logs


def _op_by_op(step: Any) -> Dispatch:
    """Op by op."""
    return singly(lambda state, batch: step.run(state, jax.tree.map(ops.convert_to_tensor, batch)))


def to_numbers(logs: dict) -> dict[str, Any]:
    """Logs read from the device, by name as in Keras: floats, arrays where a metric has several values."""
    fetched = jax.device_get(logs)
    return {k: float(fetched[k]) if np.ndim(fetched[k]) == 0 else np.asarray(fetched[k]) for k in sorted(logs)}


def batch_alone(step: Any, feed: Any) -> dict[str, Any]:
    """One step on the one batch of a feed, with the metrics at their beginning; gives its logs as numbers."""
    groups = step.groups()
    op_by_op = step.model._op_by_op
    if op_by_op or any(group and group[0].is_view for group in groups):
        with variable_views.Live(groups) as state:
            state.state = step.reset(state.state)
            return to_numbers(_run_held(step, state, feed, 1, _op_by_op(step) if op_by_op else singly(step.once)))
    new, logs = step.alone(TrainState(*map(variable_views.values_of, groups)), feed.inner.data)
    for group, values in zip(groups, new, strict=True):
        for variable, value in zip(group, values, strict=True):
            variable.put(value)
    return to_numbers(logs)


def run_prediction(model: Any, step: Any, feed: Any, calls: Any) -> Any:
    """The outputs over a feed, joined along the batch axis, as NumPy arrays."""
    batches = BatchCalls(model, calls, "predict", feed.steps)
    parts: list[Any] = []

    def shown() -> dict:
        return {"outputs": _joined(parts[batches.first :])}

    def on_group(done: int, rows: int, outputs: Any, new: Any) -> None:
        parts.append(outputs)
        batches.after(done, {}, shown)

    before = step.values()
    batches.begin()
    after, _ = epoch(step, before, feed, steps_per_dispatch=1, on_group=on_group, dispatch=singly(step.once))
    batches.close(shown)
    step.keep(before, after)
    return _joined(parts)


def _joined(parts: list[Any]) -> Any:
    """Outputs of several batches as one, as NumPy arrays of their own."""
    parts = [jax.tree.map(np.asarray, p) for p in parts]
    return jax.tree.map(lambda *xs: np.concatenate(xs), *parts)


class Inner:
    """The evaluation inside a fit: its state is part of the fit's.

    Args:
        outer: the fit's values.
    """

    owned, seen, later = True, True, None  # what runs ahead of its callbacks cannot be taken back here

    def __init__(self, outer: variable_views.Live):
        self.outer = outer

    @property
    def state(self) -> TrainState:
        return self.outer.state._replace(optimizer=[])

    @state.setter
    def state(self, new: TrainState) -> None:
        self.outer.state = new._replace(optimizer=self.outer.state.optimizer)

    @property
    def looks(self) -> int:
        """How often a variable was read or written."""
        return self.outer.looks

    def take(self) -> Any:
        """The state if a callback wrote to it since the last call, else None."""
        return None if self.outer.take() is None else self.state
