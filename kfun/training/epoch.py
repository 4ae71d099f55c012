"""`epoch`: runs a step over a feed, many steps per dispatch."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax

from kfun import abstract, ops
from kfun.spec import Spec
from kfun.training.feed import Group
from kfun.training.step import Step, TrainState

STEPS_PER_DISPATCH = 32

# `(train_state, group, first, keep)` runs some of a group's batches from the one of number `first` on; it yields
# `(train_state, logs, count)` for each moment at which somebody may look, `count` batches after the one before.
Dispatch = Callable[[Any, Group, int, list], Iterable[tuple[Any, Any, int]]]


class StopEpoch(Exception):
    """Raised by `on_group` to end an epoch before its data do."""


def compiled_group(step: Any) -> Callable:
    """`(train_state, batches, count) -> (values, logs)`: `count` steps in one compiled loop.

    `batches` has a leading axis of at least `count`. The count is an argument of the compiled
    program, so that a short last group needs no compile. One program per step, kept on it.
    """
    made = getattr(step, "_compiled_group", None)
    if made is None:
        made = step._compiled_group = step.jit(functools.partial(_run_group, step), donate_argnums=step.donated)
    return made


def _run_group(step: Step, train_state: Any, batches: Any, count: Any) -> tuple[tuple, Any]:
    if not step.own_logs:
        train_state = ops.fori_loop(0, count, lambda i, state: step.update(state, at(batches, i)), train_state)
        return tuple(train_state), step.logs(train_state)
    specs = jax.tree.map(Spec.of, (train_state, at(batches, 0)))
    logs = abstract.evaluate(lambda state, batch: step.run(state, batch)[1], *specs)
    logs = jax.tree.map(lambda s: ops.zeros(s.shape, s.dtype), logs, is_leaf=lambda s: isinstance(s, Spec))
    train_state, logs = ops.fori_loop(
        0, count, lambda i, carry: step.run(carry[0], at(batches, i)), (train_state, logs)
    )
    return tuple(train_state), logs


def kept(run: Callable, keep: list, *args: Any) -> tuple[TrainState, Any]:
    """`run(*args)`, whose result is the one item of `keep` before Ctrl-C can interrupt.

    A compiled step takes the memory of the state that it is given. Python sees an interrupt when it enters a
    function: when the call has returned and before its result is stored, or when a class such as `TrainState` is
    made of the result. So the result is stored by the same call, in C, and its state is a plain tuple until then.
    """
    native = getattr(run, "native", None)  # without a frame of Python between
    keep.extend(map(run if native is None else native(*args), *zip(args, strict=True)))
    del keep[:-1]
    values, logs = keep[-1]
    return TrainState(*values), logs


def at(batches: Any, i: Any) -> Any:
    """One of the batches that are stacked along a leading axis."""
    return jax.tree.map(lambda x: ops.getitem(x, i), batches)


def grouped(step: Any) -> Dispatch:
    """Runs a group as one compiled loop."""
    run = compiled_group(step)

    def dispatch(train_state: Any, group: Group, first: int, keep: list) -> Iterator[tuple[Any, Any, int]]:
        yield *kept(run, keep, train_state, group.batches, group.count), group.count

    return dispatch


def singly(run: Callable) -> Dispatch:
    """Runs `run(train_state, batch) -> (train_state, logs)` on one batch of a group."""

    def dispatch(train_state: Any, group: Group, first: int, keep: list) -> Iterator[tuple[Any, Any, int]]:
        batch = jax.tree.map(lambda x: x[first], group.batches)
        yield *kept(run, keep, train_state, batch), 1

    return dispatch


def epoch(
    step: Any,
    train_state: Any,
    feed: Any,
    *,
    steps_per_dispatch: int = STEPS_PER_DISPATCH,
    on_group: Callable[[int, int, Any, Any], Any] | None = None,
    keep: list | None = None,
    dispatch: Dispatch | None = None,
) -> tuple[Any, Any]:
    """Runs a step over all batches of a feed.

    Dispatch is asynchronous: while the device runs a group, the host prepares the next. The logs
    stay on the device until somebody reads them.

    Args:
        step: a `Step`.
        train_state: donated if `step.donate`; use the returned one afterwards.
        feed: an `ArrayFeed` or `StreamFeed`.
        steps_per_dispatch: how many steps run as one compiled loop.
        on_group: called after each dispatch with the number of steps done so far, the rows of a
            batch, the logs (on the device), and the train state, which the next dispatch donates:
            copy what you keep. It may give another train state to go on with, or raise `StopEpoch`.
        keep: holds `(values, logs)` of the newest dispatch, the values of its `TrainState`, whatever interrupts the
            epoch (see `kept`).
        dispatch: how batches run, in place of the compiled loop of the step.

    Returns:
        `(train_state, logs)`.

    Raises:
        ValueError: if the feed gave no batch.
    """
    dispatch = grouped(step) if dispatch is None else dispatch
    keep = [] if keep is None else keep
    done, logs = 0, None
    for group in feed.groups(steps_per_dispatch):
        end = done + group.count
        while done < end:
            made = dispatch(train_state, group, group.count - (end - done), keep)
            for train_state, logs, count in made:
                done += count
                try:
                    changed = None if on_group is None else on_group(done, group.rows, logs, train_state)
                except StopEpoch:
                    return train_state, logs
                if changed is not None:  # what was run on from the state before does not count
                    train_state = changed
                    break
    if logs is None:
        raise ValueError("the data gave no batch: an epoch needs at least one example")
    return train_state, logs
