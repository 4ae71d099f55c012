"""When callbacks are called for batches, as in Keras: around every execution of `steps_per_execution` steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kfun.training import StopEpoch

_STOPS = {"train": "stop_training", "test": "stop_evaluating", "predict": "stop_predicting"}


class BatchCalls:
    """Calls `on_{mode}_batch_begin` and `on_{mode}_batch_end` at their moments, if a callback needs every batch.

    An execution is `steps_per_execution` batches; the last one may have fewer, and is named as if it had all.
    Without a known number of batches the next execution is begun before it is known that there is none.

    Args:
        model: which may be told to stop.
        calls: a `CallbackList`.
        mode: `"train"`, `"test"` or `"predict"`.
        total: batches in all, None if unknown.
        first: the batch to begin with.
    """

    def __init__(self, model: Any, calls: Any, mode: str, total: int | None, first: int = 0):
        self.model, self.calls, self.mode, self.total = model, calls, mode, total
        self.each = calls.wants_batches(mode)
        self.stride = model.steps_per_execution
        self.first = self.done = first  # of the execution that is under way; of what comes

    @property
    def stopped(self) -> bool:
        """Whether the model was told to stop."""
        return getattr(self.model, _STOPS[self.mode], False)

    def begin(self) -> None:
        """Before an execution, if there is one."""
        if self.each and (self.total is None or self.first < self.total):
            getattr(self.calls, f"on_{self.mode}_batch_begin")(self.first)

    def after(self, done: int, logs: dict, shown: Callable[[], dict]) -> None:
        """Takes note that `done` batches are done.

        Args:
            done: how many.
            logs: for callbacks that need not see every batch.
            shown: gives the logs of an execution.

        Raises:
            StopEpoch: if the model is told to stop.
        """
        self.done = done
        ended = done - self.first >= self.stride or done == self.total
        if not self.each:
            self.calls.on_group(self.mode, done, logs)
        elif ended:
            self._end(shown())
        if self.stopped:
            raise StopEpoch
        if ended:
            self.begin()

    def close(self, shown: Callable[[], dict]) -> None:
        """After the last batch: ends an execution that has fewer than the others."""
        if self.each and self.done > self.first and not self.stopped:
            self._end(shown())
            if self.mode != "predict":
                self.begin()

    def _end(self, logs: dict) -> None:
        last = self.first + self.stride - 1
        self.first += self.stride
        getattr(self.calls, f"on_{self.mode}_batch_end")(last, logs)
