"""Going on with an epoch that was interrupted: what `fit` needs for it, and a feed without the batches done."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from compat.training.epoch import run_epoch


@dataclasses.dataclass
class Resume:
    """Where an interrupted training goes on; a callback leaves it on the model in `on_train_begin`.

    Attributes:
        epoch: the epoch to begin with.
        batch: how many of its batches are done.
        metrics: the values of the metrics' variables after them, None to begin them anew.
        logs: the logs after them.
        before: how many batches the pass over the data had given before this epoch.
        stopped: whether the training was told to stop before it was interrupted.
    """

    epoch: int
    batch: int = 0
    metrics: list[Any] | None = None
    logs: dict[str, Any] = dataclasses.field(default_factory=dict)
    before: int = 0
    stopped: bool = False

    def epochs(self, last: int) -> range:
        """The epochs that are left of those before `last`."""
        return range(self.epoch, self.epoch if self.stopped else last)

    def run(self, model: Any, step: Any, state: Any, feed: Any, calls: Any) -> dict[str, Any]:
        """Runs what is left of the epoch; gives its logs."""
        if not self.batch and not self.before:
            return run_epoch(model, step, state, feed, calls, "train")
        state.state = state.state._replace(metrics=self.metrics_of(state.state.metrics))
        logs = run_epoch(model, step, state, Rest(feed, self.batch, self.before), calls, "train", self.batch)
        return dict(self.logs) if logs is None else logs

    def metrics_of(self, fresh: list[Any]) -> list[Any]:
        """The metrics' values to go on with; `fresh` ones if those that were kept do not fit."""
        kept = self.metrics
        if kept is None or [np.shape(v) for v in kept] != [np.shape(v) for v in fresh]:
            return fresh
        return [jax.numpy.asarray(v, f.dtype) for v, f in zip(kept, fresh, strict=True)]


def take(model: Any) -> Resume | None:
    """What a callback left on the model, once."""
    return model.__dict__.pop("_kf_resume", None)


def leave(model: Any, resume: Resume) -> None:
    """Tells the running `fit` where to go on."""
    model.__dict__["_kf_resume"] = resume


def position(model: Any) -> int:
    """How many batches the pass over the data has given when an epoch begins: not 0 if passes span epochs."""
    feed = model.__dict__.get("_kf_feed", lambda: None)()
    inner = getattr(feed, "inner", None)
    next_batch = getattr(inner, "_next", 0)
    return next_batch if getattr(inner, "resumes", False) and next_batch < inner.whole else 0


class Rest:
    """A feed without its first batches.

    Args:
        feed: the whole.
        skip: how many batches are left out.
        before: how many batches its pass had given before this epoch.
    """

    def __init__(self, feed: Any, skip: int, before: int = 0):
        self.feed, self.skip = feed, skip
        self.steps = self.coming = feed.steps
        self._before = before
        self._size, self._groups = 0, iter(())

    def begin(self, size: int) -> bool:
        """Passes over the batches done; whether any are left."""
        self._move()
        self._size, self._groups = size, self._rest(size)
        first = next(self._groups, None)
        if first is not None:
            rest = self._groups
            self._groups = (g for part in ((first,), rest) for g in part)
        return first is not None

    def _move(self) -> None:
        """Lets a pass that spans epochs go on where this epoch began in it."""
        inner = self.feed.inner
        if self._before and hasattr(inner, "_order"):
            inner._order = None if inner.order is None else np.asarray(inner.order(inner.rows))
            inner._next = self._before

    def _rest(self, size: int) -> Iterator[Any]:
        left = self.skip
        for group in self.feed.groups(size):
            if group.count <= left:
                left -= group.count
                continue
            if left:  # the group keeps its length, so that it needs no compile of its own
                batches = jax.tree.map(lambda a, n=left: np.roll(np.asarray(a), -n, axis=0), group.batches)
                group = group._replace(count=group.count - left, batches=batches)
                left = 0
            yield group

    def groups(self, size: int) -> Iterator[Any]:
        """The groups that are left, of the size that `begin` was told."""
        return self._groups
