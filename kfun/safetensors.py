"""Files of arrays in the safetensors layout: a JSON header and plain bytes.

Arrays are written and read one at a time. The library's own NumPy interface collects everything before it writes
and knows no bfloat16 (https://github.com/huggingface/safetensors).
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np

from kfun import dtypes, ops

TEXT_LIMIT = 100 << 20  # bytes of a header or the index
_CONTAINERS = 1 << 21
_DTYPES = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16, "I64": np.int64,
    "I32": np.int32, "I16": np.int16, "I8": np.int8, "U64": np.uint64, "U32": np.uint32, "U16": np.uint16,
    "U8": np.uint8, "BOOL": np.bool_, "C64": np.complex64, "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2,
}  # fmt: skip
_CODES = {np.dtype(v).name: k for k, v in _DTYPES.items()}
_RESERVED = "__metadata__"  # of a safetensors header, where it is no array's name


def dtype_name(dtype: Any) -> str:
    """The name of a dtype of any framework, of those too that no file has."""
    try:
        return dtypes.name(dtype)
    except ValueError:
        return str(dtype)


def entry(name: str, leaf: Any) -> tuple[str, tuple[int, ...], int]:
    """`(code of the dtype, shape, bytes)` of a leaf, without moving it.

    Raises:
        ValueError: if no file can have it.
    """
    if name == _RESERVED:
        raise ValueError(f"checkpoint: a safetensors file has no array of the name {name!r}: rename the leaf")
    leaf = leaf if hasattr(leaf, "dtype") and hasattr(leaf, "shape") else np.asarray(leaf)
    dtype = dtype_name(leaf.dtype)
    if dtype not in _CODES:
        raise ValueError(
            f"checkpoint: {name!r} has dtype {dtype}, which cannot be written; expected one of {', '.join(_CODES)}: "
            "cast it, or put text into `metadata`"
        )
    shape = tuple(int(s) for s in leaf.shape)
    return _CODES[dtype], shape, math.prod(shape) * np.dtype(_DTYPES[_CODES[dtype]]).itemsize


def write(path: str, entries: dict, leaves: dict[str, Any]) -> None:
    """Writes a file of the leaves that `entries` names, each with its `entry`."""
    said: dict[str, Any] = {}
    start = 0
    for name, (code, shape, nbytes) in entries.items():
        said[name] = {"dtype": code, "shape": list(shape), "data_offsets": [start, start + nbytes]}
        start += nbytes
    text = json.dumps(said).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in entries:
            file.write(_bytes(leaves[name], entries[name][0]).data)


def _bytes(leaf: Any, code: str) -> np.ndarray:
    """What the file has of a leaf. NumPy's arrays and numbers pass no framework, which may narrow them to 32 bits."""
    weak = isinstance(leaf, (np.ndarray, np.generic)) or not hasattr(leaf, "dtype")
    array = np.asarray(leaf if weak else ops.convert_to_numpy(leaf), _DTYPES[code])
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def arrays(file: Any, path: str) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays of a safetensors file, which show its bytes, after all was checked."""
    entries, start = header(file, path)
    data = np.memmap(file, np.uint8, "r", offset=start) if any(e[4] for e in entries) else np.zeros(0, np.uint8)
    for name, dtype, shape, first, last in entries:
        yield name, data[first:last].view(dtype).reshape(shape)


def header(file: Any, path: str) -> tuple[list[tuple[str, np.dtype, tuple, int, int]], int]:
    """`(name, dtype, shape, first byte, end)` of each array of a file, checked, and where their bytes start.

    Raises:
        ValueError: if the file is cut off or damaged.
    """
    size = os.fstat(file.fileno()).st_size
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(size - 8, TEXT_LIMIT):
        raise ValueError(f"{path!r} is cut off or damaged: its header has {length:,} bytes, the file {size:,}")
    said = parsed(file.read(length), path)
    said.pop(_RESERVED, None)
    start, end, checked = 8 + length, 0, []
    for name, found in sorted(said.items(), key=lambda item: str(item[1])):
        checked.append((name, *_checked(path, name, found)))
    for name, _, _, first, last in sorted(checked, key=lambda c: c[3:]):
        if first != end:
            raise ValueError(f"{path!r}: the bytes of {name!r} overlap others or leave a gap: it is damaged")
        end = last
    if start + end != size:
        raise ValueError(f"{path!r} has {size - start:,} bytes of arrays, and says {end:,}: it is cut off or damaged")
    return checked, start


def _checked(path: str, name: str, found: Any) -> tuple[np.dtype, tuple, int, int]:
    try:
        dtype, shape = np.dtype(_DTYPES[found["dtype"]]), tuple(found["shape"])
        first, last = found["data_offsets"]
        numbers = (*shape, first, last)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path!r}: the entry of {name!r} is damaged ({error!r})") from error
    if not all(type(n) is int and n >= 0 for n in numbers) or last - first != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{path!r}: the entry of {name!r} contradicts itself: {found!r:.120}")
    return dtype, shape, first, last


def parsed(content: bytes, where: str) -> dict[str, Any]:
    """The JSON object that a header or a description is.

    Raises:
        ValueError: if it is none, or so large that reading it would cost the memory of the machine.
    """
    if len(content) > TEXT_LIMIT:
        raise ValueError(f"{where!r} is larger than {TEXT_LIMIT:,} bytes, which is refused")
    if content.count(b"{") + content.count(b"[") > _CONTAINERS:  # each costs twenty times the bytes that say it
        raise ValueError(f"{where!r} has more than {_CONTAINERS:,} lists and dicts, which is refused")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"{where!r} cannot be read ({error}): it is damaged") from error
    if not isinstance(found, dict):
        raise ValueError(f"{where!r} holds no object: it is damaged")
    return found
