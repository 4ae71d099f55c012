"""`epoch`: runs a step over a feed, many steps per dispatch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from kfun import abstract, ops, transforms
from kfun.spec import Spec

STEPS_PER_DISPATCH = 32


class StopEpoch(Exception):
    """Raised by `on_group` to end an epoch before its data do."""


def compiled_group(step: Any) -> Callable:
    """`(train_state, batches, count) -> (train_state, logs)`: `count` steps in one compiled loop.

    `batches` has a leading axis of at least `count`. The count is an argument of the compiled
    program, so that a short last group needs no compile. One program per step, kept on it.
    """
    made = getattr(step, "_compiled_group", None)
    if made is not None:
        return made

    def run(train_state: Any, batches: Any, count: Any) -> Any:
        def body(i: Any, state: Any) -> Any:
            return step.update(state, _at(batches, i))

        train_state = ops.fori_loop(0, count, body, train_state)
        return train_state, step.logs(train_state)

    def run_with_logs(train_state: Any, batches: Any, count: Any) -> Any:
        def body(i: Any, carry: Any) -> Any:
            return step.update_with_logs(carry[0], _at(batches, i))

        specs = jax.tree.map(Spec.of, (train_state, _at(batches, 0)))
        logs = abstract.evaluate(lambda s, b: step.update_with_logs(s, b)[1], *specs)
        logs = jax.tree.map(lambda s: ops.zeros(s.shape, s.dtype), logs, is_leaf=lambda s: isinstance(s, Spec))
        return ops.fori_loop(0, count, body, (train_state, logs))

    own_logs = getattr(step, "update_with_logs", None) is not None
    step._compiled_group = transforms.jit(run_with_logs if own_logs else run, donate_argnums=(0,))
    return step._compiled_group


def kept(run: Callable, keep: list, *args: Any) -> Any:
    """`run(*args)`, whose result is the one item of `keep` before Ctrl-C can interrupt.

    A compiled step takes the memory of the state that it is given. Python sees an interrupt when the call
    returns and before its result is stored, so the result is stored by the same call, in C.
    """
    native = getattr(run, "native", None)  # without a frame of Python between
    keep.extend(map(run if native is None else native(*args), *zip(args, strict=True)))
    del keep[:-1]
    return keep[-1]


def _at(batches: Any, i: Any) -> Any:
    return jax.tree.map(lambda x: ops.getitem(x, i), batches)


def epoch(
    step: Any,
    train_state: Any,
    feed: Any,
    *,
    steps_per_dispatch: int = STEPS_PER_DISPATCH,
    on_group: Callable[[int, int, dict, Any], Any] | None = None,
    keep: list | None = None,
) -> tuple[Any, dict]:
    """Runs a step over all batches of a feed.

    Dispatch is asynchronous: while the device runs a group, the host prepares the next. The logs
    stay on the device until somebody reads them.

    Args:
        step: has `update(train_state, batch)` and `logs(train_state)`, both pure; or
            `update_with_logs(train_state, batch)`, if every step makes logs of its own.
        train_state: donated; use the returned one afterwards.
        feed: an `ArrayFeed` or `StreamFeed`.
        steps_per_dispatch: how many steps run as one compiled loop.
        on_group: called after each dispatch with the number of steps done so far, the rows of a
            batch, the logs (on the device), and the train state. It may give another train state
            to go on with, or raise `StopEpoch`.
        keep: holds `(train_state, logs)` of the newest dispatch, whatever interrupts the epoch (see `kept`).

    Returns:
        `(train_state, logs)`.

    Raises:
        ValueError: if the feed gave no batch.
    """
    run = compiled_group(step)
    keep = [] if keep is None else keep
    done, logs = 0, None
    for group in feed.groups(steps_per_dispatch):
        train_state, logs = kept(run, keep, train_state, group.batches, group.count)
        done += group.count
        if on_group is not None:
            try:
                changed = on_group(done, group.rows, logs, train_state)
            except StopEpoch:
                break
            train_state = train_state if changed is None else changed
    if logs is None:
        raise ValueError("the data gave no batch: an epoch needs at least one example")
    return train_state, logs
