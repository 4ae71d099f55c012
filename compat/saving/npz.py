"""Arrays of `.npz` files of strangers: a header's shape counts for nothing until the bytes for it are there."""

from __future__ import annotations

import contextlib
import io
import math
import os
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from compat.saving.bounded import MEMORY, Budget, UnsafeArchiveError
from compat.saving.zips import STORED, Member, Zip

_MAGIC = b"\x93NUMPY"
_HEADER = 10_000  # bytes of a header's text, of which NumPy by itself reads no more either
_LONGEST_EMPTY = 1 << 24  # of a dimension of an array without elements


def read_npz(
    source: Any,
    names: Iterable[str] | None = None,
    limit: int = MEMORY,
    objects: Callable[[Any, str], Any] | None = None,
) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file by their names.

    Args:
        source: a path, or a seekable binary file.
        names: of the arrays that are read; all if None.
        limit: the most that is decompressed into memory, in bytes. What is stored has none but the file's size.
        objects: reads an array of Python objects from `(file, label)`; if None such an array is refused.

    Raises:
        UnsafeArchiveError: (a ValueError) if the file is damaged, lacks a name, holds objects, or expands too far.
        OSError: if there is no such file.
    """
    with contextlib.ExitStack() as stack:
        file = source if hasattr(source, "read") else stack.enter_context(open(source, "rb"))
        label = repr(os.fspath(source)) if not hasattr(source, "read") else "the file object"
        archive = Zip(file, label)
        members = {m.name.removesuffix(".npy"): m for m in archive if m.name.endswith(".npy")}
        wanted = list(members if names is None else names)
        if missing := [n for n in wanted if n not in members]:
            raise UnsafeArchiveError(f"{label} has no array {missing[0]!r}; it has {sorted(members)[:20]}")
        budget = Budget(label, archive.size, limit)
        return {n: _array(archive, members[n], budget, objects) for n in wanted}


def _array(archive: Zip, member: Member, budget: Budget, objects: Callable[[Any, str], Any] | None) -> np.ndarray:
    label = f"{archive.label}: the array {member.name[:80]!r}"
    with archive.open(member, budget) as file:
        shape, fortran, dtype, header = _header(file, label)
        if dtype.hasobject:
            if objects is None:
                raise UnsafeArchiveError(
                    f"{label} holds Python objects, which could run code: expected numbers. NumPy reads them with "
                    "allow_pickle=True, from files that one trusts"
                )
            return objects(file, label)
        count = math.prod(shape)
        size, held = count * dtype.itemsize, member.size - header
        if size != held or (count and not size) or (not count and max(shape) > _LONGEST_EMPTY):
            raise UnsafeArchiveError(
                f"{label} declares the shape {shape} of {dtype}, {size:,} bytes; it holds {held:,}"
            )
        if member.method != STORED and size > budget.left:
            budget.take(size)
        return _filled(file, np.empty(count, dtype), label).reshape(shape, order="F" if fortran else "C")


def _filled(file: Any, array: np.ndarray, label: str) -> np.ndarray:
    view = memoryview(array.view(np.uint8)) if array.size else memoryview(bytearray())
    while len(view):
        count = file.readinto(view[: 1 << 22])
        if not count:
            raise UnsafeArchiveError(f"{label} is cut off")
        view = view[count:]
    file.read(1)  # so that the checksum is looked at
    return array


def _header(file: Any, label: str) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """The shape, whether the order is Fortran's, the dtype, and how many bytes said so."""
    head = file.read(8)
    if len(head) < 8 or head[:6] != _MAGIC or head[6] not in (1, 2, 3) or head[7]:
        raise UnsafeArchiveError(f"{label} is no array that NumPy wrote: it is damaged")
    prefix = file.read(2 if head[6] == 1 else 4)
    length = int.from_bytes(prefix, "little")
    if length > _HEADER:
        raise UnsafeArchiveError(f"{label} has a header of {length:,} bytes; expected {_HEADER:,} at most")
    text = file.read(length)
    read = np.lib.format.read_array_header_1_0 if head[6] == 1 else np.lib.format.read_array_header_2_0
    if head[6] == 3 and not text.isascii():  # NumPy's public readers know the older versions, of the same form
        raise UnsafeArchiveError(f"{label} has fields with names that are no ASCII, which is refused")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of numbers as Python 2 wrote them
            shape, fortran, dtype = read(io.BytesIO(prefix + text))
    except Exception as error:  # NumPy gives the text to Python's parser and tokenizer, which have errors of their own
        raise UnsafeArchiveError(f"{label} has a header that cannot be read ({error!s:.200}): it is damaged") from error
    if any(n < 0 for n in shape) or len(shape) > 32:
        raise UnsafeArchiveError(f"{label} has a header with the shape {shape!s:.200}, which no array has")
    return shape, fortran, dtype, 8 + len(prefix) + len(text)
