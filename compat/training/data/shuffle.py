"""The order that `tf.data` gives for the same seed, so that datasets from directories give Keras's batches.

A buffer is filled from the items; each item that leaves it is drawn at random and replaced by the
next. The draws are Philox's (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3",
doi:10.1145/2063384.2063405), with a fresh pair of seeds for each iteration.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from compat.state import settings

_WORD = 0xFFFFFFFF
_WITHOUT_GLOBAL_SEED = 87654321  # what TensorFlow takes for the global seed that nobody set


class Shuffle:
    """A shuffle with a buffer, in another order at each iteration.

    Args:
        size: items in the buffer.
        seed: an integer.
    """

    def __init__(self, size: int, seed: int):
        glob = _WITHOUT_GLOBAL_SEED if settings.values["shuffle_seed"] is None else settings.values["shuffle_seed"]
        self.size = max(1, int(size))
        self._seeds = _numbers(glob, (2**31 - 1) if (glob, seed) == (0, 0) else seed)

    def __call__(self, items: Iterable[Any]) -> Iterator[Any]:
        """The items in a new order."""
        return _shuffled(iter(items), self.size, _numbers(next(self._seeds), next(self._seeds)))


def _shuffled(items: Iterator[Any], size: int, numbers: Iterator[int]) -> Iterator[Any]:
    ring: list[Any] = [None] * size  # a ring: what is from `start` to `end` waits
    start = end = 0
    more = True
    while True:
        while more and end - start < size:
            try:
                ring[end % size] = next(items)
                end += 1
            except StopIteration:
                more = False
        if end == start:
            return
        place = (start + next(numbers) % (end - start)) % size
        item, ring[place] = ring[place], ring[start % size]
        start += 1
        yield item


def _numbers(key: int, counter: int) -> Iterator[int]:
    """The 32-bit numbers of Philox 4x32-10 for a 64-bit key and the upper 64 bits of the counter."""
    low = 0
    while True:
        yield from _block([low & _WORD, low >> 32, counter & _WORD, counter >> 32 & _WORD], key & _WORD, key >> 32)
        low += 1


def _block(c: list[int], k0: int, k1: int) -> list[int]:
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [b >> 32 ^ c[1] ^ k0, b & _WORD, a >> 32 ^ c[3] ^ k1, a & _WORD]
        k0, k1 = k0 + 0x9E3779B9 & _WORD, k1 + 0xBB67AE85 & _WORD
    return c
