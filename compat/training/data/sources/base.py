"""`Source`: what all kinds of datasets look like to a feed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class Source:
    """Batches that can be iterated again and again, and hooks around an epoch.

    Attributes:
        steps: batches of one iteration; None if unknown.
        endless: whether an iteration is known never to end.
        ahead: how many batches may wait.
        kind: the name in messages.
    """

    steps: int | None = None
    endless = False
    ahead = 8
    kind = "an iterable of batches"

    def batches(self) -> Iterator[Any]:
        """A new iteration: `x`, `(x, y)` or `(x, y, sample_weight)` in arrays of any library."""
        raise TypeError(f"{type(self).__name__} defines batches()")

    def first(self) -> Any:
        """The first batch, to learn shapes from; None if there is none."""
        return next(iter(self.batches()), None)

    def begin_epoch(self) -> None:
        """Called before an epoch's first batch is fetched."""

    def end_epoch(self) -> None:
        """Called after an epoch's last batch was used, and when the iteration begins anew."""
