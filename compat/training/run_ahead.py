"""Steps that run ahead of the callbacks of batches, while these only look at the logs.

A dispatch costs more than a small model's step. So fast steps run several at once, and the
callbacks are called one after another with the logs of their batches. If one looks at a variable,
or writes to it, the steps that it should not have seen yet are taken back: the state after its
batch is computed again from the one before, which is kept, and the steps run one by one from there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from compat.variables import variable_views
from kfun.training import ArrayFeed
from kfun.training.epoch import STEPS_PER_DISPATCH, Dispatch, at, kept, singly
from kfun.training.feed import Group

LARGEST = 64 * 2**20  # bytes of a state of which a second one may be kept
BURST = 0.02  # seconds that callbacks may be called later than their batches end
_LOOKS = 32  # batches after which the time of a step is known
_COMPILE = 0.4  # seconds that compiling another program is thought to take


class Ahead:
    """When to run ahead, and the program that does.

    Args:
        step: has `run(state, batch) -> (state, logs)`, pure.
    """

    def __init__(self, step: Any):
        self.step = step
        self.program: Any = None
        self.refused = False
        self.spent, self.done = 0.0, -2  # seconds in single steps, and their number but for two that may compile

    def note(self, seconds: float) -> None:
        """Takes note of the time from one batch to the next."""
        self.done += 1
        if self.done > 0:
            self.spent += seconds

    def size(self, state: Any, batches: Any, left: int | None) -> int:
        """How many steps to run at once; 1 while single ones are to be run.

        Args:
            state: a `Live`, or another holder of a state; one that somebody looks at cannot be taken back.
            batches: the next ones, with a leading axis.
            left: how many steps the epoch has left, None if unknown.
        """
        if self.refused or self.done < _LOOKS or state.seen:
            return 1
        each = self.spent / self.done
        if self.program is None:
            if self.spent + each * (left or 0) < _COMPILE:
                return 1
            self.program = jax.jit(self._run)
            self.refused = not self._may_run_twice(state.state, batches)
        return 1 if self.refused else max(1, int(BURST / max(each, 1e-6)))

    def _may_run_twice(self, state: Any, batches: Any) -> bool:
        """Whether the state is small, and nothing but values comes from a step."""
        small = sum(leaf.nbytes for leaf in jax.tree.leaves(state)) <= LARGEST
        return small and not self.program.trace(state, batches, 0, 1).jaxpr.effects

    def _run(self, state: Any, batches: Any, first: Any, count: Any) -> tuple[Any, Any]:
        """`count` steps from the batch `first` on; the state, and the logs of each with a leading axis."""
        size = jax.tree.leaves(batches)[0].shape[0]
        kinds = jax.eval_shape(lambda s, b: self.step.run(s, at(b, 0))[1], state, batches)
        logs = jax.tree.map(lambda kind: jnp.zeros((size, *kind.shape), kind.dtype), kinds)

        def body(i: Any, carry: Any) -> Any:
            state, logs = carry
            state, new = self.step.run(state, at(batches, first + i))
            return state, jax.tree.map(lambda every, one: every.at[i].set(one), logs, new)

        return jax.lax.fori_loop(0, count, body, (state, logs))

    def dispatches(self, holder: Any, left: int | None) -> Dispatch:
        """How `kfun.training.epoch` runs an epoch: in single steps, or several at once when that has been found to pay.

        Args:
            holder: holds the state, and says whether somebody looks at it.
            left: how many steps the epoch has, None if unknown.
        """
        one = singly(self.step.once)
        began: float | None = None  # the last single step

        def dispatch(state: Any, group: Group, first: int, keep: list) -> Iterator[tuple[Any, dict, int]]:
            nonlocal began, left
            now = time.perf_counter()
            if began is not None:
                self.note(now - began)
            size = min(self.size(holder, group.batches, left), group.count - first)
            began = now if size == 1 else None
            for made in one(state, group, first, keep) if size == 1 else self._several(state, group, first, size, keep):
                left = None if left is None else left - 1
                yield made

        return dispatch

    def _several(self, state: Any, group: Group, first: int, size: int, keep: list) -> Iterator[tuple[Any, dict, int]]:
        """Runs steps and yields after each; the state between two is one that is computed when it is looked at."""
        final, logs = kept(self.program, keep, state, group.batches, first, size)
        fetched = jax.device_get(logs)
        for i in range(size):
            later = variable_views.Later(lambda n=i + 1: self.program(state, group.batches, first, n)[0])
            yield (final if i == size - 1 else later), {name: values[i] for name, values in fetched.items()}, 1


def taken_at_once(feed: Any) -> int:
    """How many batches to take from a feed for single steps: several of arrays, unless the next epoch goes on there."""
    inner = getattr(feed, "inner", None)
    return STEPS_PER_DISPATCH if isinstance(inner, ArrayFeed) and not inner.resumes else 1
