"""`Prefetch`: an iterator that a thread runs ahead."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

_END = object()


class Prefetch:
    """Takes items from an iterator in a thread, before they are asked for.

    An error of the iterator is raised where its item would have come. At most `limit` items are
    taken, so that what the iterator holds beyond them stays for another time.

    Args:
        iterator: where the items come from.
        ahead: how many items may wait.
        limit: how many items are taken; all if None.
    """

    def __init__(self, iterator: Iterator, ahead: int = 8, limit: int | None = None):
        self._items: queue.Queue = queue.Queue(maxsize=max(1, ahead))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(iterator, limit), daemon=True, name="kfun-feed")
        self._thread.start()

    def _work(self, iterator: Iterator, limit: int | None) -> None:
        taken = 0
        try:
            while not self._stop.is_set() and (limit is None or taken < limit):
                try:
                    item = next(iterator)
                except StopIteration:
                    break
                taken += 1
                self._put(None, item)
            self._put(None, _END)
        except BaseException as error:
            self._put(error, None)

    def _put(self, error: BaseException | None, item: Any) -> None:
        while not self._stop.is_set():
            try:
                return self._items.put((error, item), timeout=0.1)
            except queue.Full:
                continue

    def __iter__(self) -> Iterator[Any]:
        try:
            while True:
                error, item = self._items.get()
                if error is not None:
                    raise error
                if item is _END:
                    return
                yield item
        finally:
            self.close()

    def close(self) -> None:
        """Lets the thread end after the item that it is at."""
        self._stop.set()

    def join(self) -> None:
        """Waits until the thread has let go of the iterator."""
        self._thread.join()
