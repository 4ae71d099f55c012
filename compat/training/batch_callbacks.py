"""When callbacks are called for batches, as in Keras: around every execution of `steps_per_execution` steps."""

from __future__ import annotations

from typing import Any


class BatchCalls:
    """Calls `on_{mode}_batch_begin` and `on_{mode}_batch_end` at their moments.

    An execution is `stride` batches; the last one may have fewer, and is named as if it had all. Without
    a known number of batches the next execution is begun before it is known that there is none.

    Args:
        calls: a `CallbackList`.
        mode: `"train"`, `"test"` or `"predict"`.
        stride: batches of an execution.
        total: batches in all, None if unknown.
        first: the batch to begin with.
    """

    def __init__(self, calls: Any, mode: str, stride: int, total: int | None, first: int = 0):
        self._begin, self._end = getattr(calls, f"on_{mode}_batch_begin"), getattr(calls, f"on_{mode}_batch_end")
        self.stride, self.total = stride, total
        self.first = first  # of the execution that is under way
        self.done = first

    def begin(self) -> None:
        """Before an execution, if there is one."""
        if self.total is None or self.first < self.total:
            self._begin(self.first)

    def after(self, done: int) -> bool:
        """Takes note that `done` batches are done; whether an execution ended with them."""
        self.done = done
        return done - self.first >= self.stride or done == self.total

    @property
    def open(self) -> bool:
        """Whether batches of an execution that has not ended are done."""
        return self.done > self.first

    def end(self, logs: dict) -> None:
        """After an execution."""
        last = self.first + self.stride - 1
        self.first += self.stride
        self._end(last, logs)
