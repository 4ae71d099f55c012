"""The process's limits of epochs and steps, `config.set_max_epochs` and `config.set_max_steps_per_epoch`."""

from __future__ import annotations

import warnings
from typing import Any

from compat.state import settings


def limited_epochs(epochs: int) -> int:
    """The number of epochs to train for, with a warning if it is lower than asked for."""
    if isinstance(epochs, bool) or not hasattr(epochs, "__index__"):
        raise TypeError(f"epochs: expected a whole number; received {epochs!r}")
    limit = settings.values["max_epochs"]
    if limit is None or epochs <= limit:
        return epochs
    warnings.warn(f"limiting epochs to {limit}, as config.set_max_epochs says", stacklevel=3)
    return limit


def limit_steps(feed: Any, execution: int = 1) -> Any:
    """Lets a feed end after the greatest number of steps, with a warning if it is lower than asked for.

    An epoch of a given number of steps takes whole executions of `execution` steps, as in Keras.
    """
    limit = settings.values["max_steps_per_epoch"]
    if getattr(feed.inner, "resumes", feed.inner.steps is not None):
        feed.inner.steps = -(-feed.inner.steps // execution) * execution
    if limit is None or (feed.steps is not None and feed.steps <= limit):
        return feed
    warnings.warn(f"limiting steps per epoch to {limit}, as config.set_max_steps_per_epoch says", stacklevel=4)
    feed.steps = feed.inner.steps = limit
    if hasattr(feed.inner, "resumes"):
        feed.inner.resumes = True
    return feed
