"""Arrays and lists out of old pickles, without running what a pickle can ask for.

A pickle calls what it names and sets the state of what it got. So it gets nothing of NumPy, whose own `__setstate__`
trusts its argument, but stand-ins that note what they are given; arrays are made of these when all is read.
"""

from __future__ import annotations

import io
import math
import pickle
import re
from typing import Any

import numpy as np

from compat.datasets._opcodes import UnsafePickleError, check
from compat.saving.npz import read_npz

_LARGEST = 1 << 28  # bytes of a pickle: the images of CIFAR-100 take 155 million
_DTYPE = re.compile(r"[<>=|]?(?:[biufc]\d{1,2}|b1|[SU]\d{1,6}|O\d?|\?)")


def load(file: Any, encoding: str = "ASCII", label: str = "the file") -> Any:
    """The data of a pickle: numbers, texts, lists, dicts, and NumPy's arrays in these.

    Args:
        file: has `read(size)`.
        encoding: of the texts of Python 2, `"bytes"` for none.
        label: how errors call the file.

    Raises:
        UnsafePickleError: (a ValueError and `pickle.UnpicklingError`) if it asks for anything else, or is damaged.
    """
    content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise UnsafePickleError(f"{label} holds a pickle of more than {_LARGEST:,} bytes, which is refused")
    check(content, label)
    try:
        return _real(_Unpickler(content, encoding).load())
    except UnsafePickleError as error:
        raise UnsafePickleError(f"{label}: {error}") from error
    except Exception as error:  # the unpickler has one of its own for each way in which a pickle can be wrong
        raise UnsafePickleError(
            f"{label} holds a pickle that cannot be read ({error!s:.200}): it is damaged"
        ) from error


class _Unpickler(pickle.Unpickler):
    def __init__(self, content: bytes, encoding: str):
        super().__init__(io.BytesIO(content), encoding=encoding)
        self._left = len(content)  # bytes and elements that calls may make: a true file holds all of them

    def find_class(self, module: str, name: str) -> Any:
        made = _KNOWN.get((module, name))
        if made is None:
            raise UnsafePickleError(f"a dataset holds arrays and lists, but this file asks for {module}.{name}"[:300])
        return made(self)

    def take(self, count: int) -> None:
        """Counts what a call makes."""
        self._left -= count
        if self._left < 0:
            raise UnsafePickleError("the pickle makes more of its content than it holds, which is refused")


class _Named:
    """Stands for a function or class that a pickle names; it cannot be changed by one."""

    __slots__ = ("_reader",)

    def __init__(self, reader: _Unpickler):
        self._reader = reader

    def __setstate__(self, state: Any) -> None:
        raise UnsafePickleError("the pickle sets the state of a function, which is refused")

    def __call__(self, *args: Any) -> Any:
        raise UnsafePickleError(f"the pickle calls {type(self).__name__.strip('_')}, which is refused")


class _Class(_Named):
    """`numpy.ndarray`, which is named as an argument only."""

    __slots__ = ()


class _Encode(_Named):
    """`_codecs.encode`: bytes, as they are in pickles that Python 2 can read."""

    __slots__ = ()

    def __call__(self, text: Any, encoding: Any = None) -> bytes:
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise UnsafePickleError(f"expected bytes written as latin1; received {type(text).__name__}")
        self._reader.take(len(text))
        return text.encode("latin1")


class _MakeDtype(_Named):
    """`numpy.dtype`."""

    __slots__ = ()

    def __call__(self, name: Any, *options: Any) -> _Dtype:
        name = name.decode("latin1") if isinstance(name, bytes) else name if isinstance(name, str) else "no text"
        if not _DTYPE.fullmatch(name):
            raise UnsafePickleError(f"expected a dtype of numbers, texts or objects; received {name:.40}")
        return _Dtype(np.dtype(name))


class _MakeArray(_Named):
    """`_reconstruct`, which makes an array that gets its state afterwards."""

    __slots__ = ()

    def __call__(self, kind: Any, shape: Any, code: Any) -> _Array:
        if not isinstance(kind, _Class):
            raise UnsafePickleError("expected an array of the class numpy.ndarray")
        return _Array(self._reader)


class _MakeScalar(_Named):
    """`scalar`: a number of NumPy's."""

    __slots__ = ()

    def __call__(self, dtype: Any, content: Any) -> Any:
        return _numbers((), dtype, _bytes(content), False)[()]


class _FromBuffer(_Named):
    """`_frombuffer`: an array as the fifth protocol has it."""

    __slots__ = ()

    def __call__(self, content: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
        return _numbers(shape, dtype, _bytes(content), order == "F")


class _Dtype:
    """A dtype of which a pickle may say nothing but the order of bytes."""

    __slots__ = ("value",)

    def __init__(self, value: np.dtype):
        self.value = value

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 8 or any(part is not None for part in state[2:5]):
            raise UnsafePickleError("expected a dtype without fields and parts")
        order = state[1].decode("latin1") if isinstance(state[1], bytes) else state[1]
        if order not in ("<", ">", "|", "="):
            raise UnsafePickleError("expected an order of bytes in the state of a dtype")
        self.value = self.value.newbyteorder(order)


class _Array:
    """An array, made of its state."""

    __slots__ = ("_reader", "value")

    def __init__(self, reader: _Unpickler):
        self._reader, self.value = reader, None

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise UnsafePickleError("expected the state of an array")
        _, shape, dtype, fortran, content = state
        if isinstance(dtype, _Dtype) and dtype.value == np.dtype("O"):
            self.value = self._objects(shape, bool(fortran), content)
        else:
            self.value = _numbers(shape, dtype, _bytes(content), bool(fortran))

    def _objects(self, shape: Any, fortran: bool, content: Any) -> np.ndarray:
        if not isinstance(content, list) or _count(shape) != len(content):
            raise UnsafePickleError("expected a list of as many objects as the array's shape says")
        self._reader.take(len(content))
        array = np.empty(len(content), object)
        for i, item in enumerate(content):
            array[i] = item
        return array.reshape(shape, order="F" if fortran else "C")


_KNOWN = {
    ("numpy", "ndarray"): _Class, ("numpy", "dtype"): _MakeDtype, ("_codecs", "encode"): _Encode,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _MakeArray for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _MakeScalar for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _FromBuffer for core in ("core", "_core")},
}  # fmt: skip


def _bytes(content: Any) -> bytes | bytearray:
    """An array's bytes, which Python 2 wrote as a text."""
    if isinstance(content, str):
        content = content.encode("latin1")
    if not isinstance(content, (bytes, bytearray)):
        raise UnsafePickleError(f"expected the bytes of an array; received {type(content).__name__}")
    return content


def _count(shape: Any) -> int:
    if not isinstance(shape, tuple) or len(shape) > 32 or any(type(n) is not int or n < 0 for n in shape):
        raise UnsafePickleError("expected the shape of an array")
    return math.prod(shape)


def _numbers(shape: Any, dtype: Any, content: bytes | bytearray, fortran: bool) -> np.ndarray:
    if not isinstance(dtype, _Dtype) or dtype.value.hasobject or not dtype.value.itemsize:
        raise UnsafePickleError("expected the dtype of an array of numbers")
    if _count(shape) * dtype.value.itemsize != len(content) or max((0, *shape)) > len(content):
        raise UnsafePickleError(f"expected the bytes of an array {shape} of {dtype.value}; received {len(content):,}")
    return np.frombuffer(content, dtype.value).reshape(shape, order="F" if fortran else "C")


def _real(value: Any) -> Any:
    """What was read, with arrays in place of their stand-ins, as deep as datasets have them."""
    if isinstance(value, dict):
        return {_array(k): _with_objects(v) for k, v in value.items()}
    return _with_objects(value)


def _with_objects(value: Any) -> Any:
    array = _array(value)
    if isinstance(value, _Array) and array.dtype == object:
        for place, item in np.ndenumerate(array):
            array[place] = _array(item)
    return array


def _array(value: Any) -> Any:
    if isinstance(value, _Array):
        if value.value is None:
            raise UnsafePickleError("an array in the pickle has no content")
        return value.value
    if isinstance(value, (_Named, _Dtype)):
        raise UnsafePickleError(f"expected arrays, lists and numbers; received {type(value).__name__.strip('_')}")
    return value


def load_npz(path: str, *names: str) -> list[np.ndarray]:
    """Arrays of an `.npz` file; those of objects are read as `load` does.

    Raises:
        UnsafeArchiveError, UnsafePickleError: (ValueErrors) if the file is damaged, or asks for anything else.
    """
    found = read_npz(path, names, objects=lambda file, label: np.asarray(load(file, label=label)))
    return [found[name] for name in names]
