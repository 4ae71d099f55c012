"""`in_order`: a function of many items, several of them under way in an executor."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from typing import Any


def in_order(executor: Executor, function: Callable[[Any], Any], items: Iterable[Any], ahead: int) -> Iterator[Any]:
    """Yields `function(item)` in the order of the items; shuts the executor down at the end.

    Args:
        executor: of threads or processes.
        function: what is run.
        items: its arguments; may be endless.
        ahead: how many items are under way or wait.
    """
    items, waiting = iter(items), collections.deque()
    try:
        for item in itertools.islice(items, max(1, ahead)):
            waiting.append(executor.submit(function, item))
        while waiting:
            yield waiting.popleft().result()
            for item in itertools.islice(items, 1):
                waiting.append(executor.submit(function, item))
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
