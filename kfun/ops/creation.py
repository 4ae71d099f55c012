"""Arrays made from nothing or like others, conversion and casts.

The default backend decides what `zeros` and the like make, unless a size is symbolic.
"""

from __future__ import annotations

import functools
import operator

import numpy as np

from kfun import dtypes
from kfun.ops._dispatch import Array, DType, Scalar, derived, primitive, spelled
from kfun.ops._kinds import Kind, current_backend, kind_of_type


@primitive(name="convert_to_tensor")
def _convert_to_tensor(x: Array, dtype: DType) -> Array:
    """An array of the kind that `x` belongs to."""


@spelled(_convert_to_tensor)
def convert_to_tensor(x: Array, dtype: DType = None, sparse: bool | None = None, ragged: bool | None = None) -> Array:
    """An array of the kind that `x` belongs to, or of the default backend if `x` is weak.

    Python floats become float32 and integers int32; NumPy data keep their type as far as the
    backend has it. A sparse array (JAX's BCOO) stays as it is unless `sparse` is False.

    Raises:
        ValueError: if `ragged` is True; pad ragged rows to one length and pass a mask.
    """
    if ragged:
        raise ValueError("ops.convert_to_tensor: ragged arrays are not supported; pad the rows to one length")
    if hasattr(x, "todense"):
        return _convert_to_tensor(x.todense(), dtype) if sparse is False else x
    return _convert_to_tensor(x, dtype)


@primitive(name="convert_to_numpy")
def _convert_to_numpy(x: Array):
    """`x` as a NumPy array on the host."""


@spelled(_convert_to_numpy)
def convert_to_numpy(x: Array):
    """`x` as a NumPy array on the host; one of NumPy's stays as it is, in 64 bits too."""
    return x if isinstance(x, np.ndarray) else _convert_to_numpy(x)


@primitive
def cast(x: Array, dtype: DType) -> Array:
    """`x` in another type; no copy if it has that type already."""


@primitive
def shape(x: Array):
    """The shape as a tuple of ints; where a size is only known at run time, a symbolic dimension."""


@primitive(name="zeros")
def _zeros(shape, dtype: DType) -> Array:
    """Zeros."""


@spelled(_zeros)
def zeros(shape, dtype: DType = None) -> Array:
    """Zeros, float32 by default."""
    return _zeros(shape, dtype or "float32")


@primitive(name="ones")
def _ones(shape, dtype: DType) -> Array:
    """Ones."""


@spelled(_ones)
def ones(shape, dtype: DType = None) -> Array:
    """Ones, float32 by default."""
    return _ones(shape, dtype or "float32")


@primitive
def full(shape, fill_value: Scalar, dtype: DType = None) -> Array:
    """`fill_value` everywhere."""


@primitive(name="arange")
def _arange(start, stop, step, dtype: DType) -> Array:
    """`start, start + step, ...` up to but without `stop`; with one argument, from 0."""


@spelled(_arange)
def arange(start, stop=None, step=None, dtype: DType = None) -> Array:
    """`start, start + step, ...` up to but without `stop`; with one argument, from 0."""
    return _arange(start, stop, 1 if step is None else step, dtype)


@primitive(name="eye")
def _eye(N, M, k: int, dtype: DType) -> Array:
    """Ones on the `k`-th diagonal of an `(N, M)` matrix, zeros elsewhere."""


@spelled(_eye)
def eye(N, M=None, k: int = 0, dtype: DType = None) -> Array:
    """Ones on the `k`-th diagonal of an `(N, M)` matrix, zeros elsewhere."""
    return _eye(N, M, k, dtype or "float32")


@primitive
def zeros_like(x: Array, dtype: DType = None) -> Array:
    """Zeros of the shape (and type) of `x`."""


@primitive
def ones_like(x: Array, dtype: DType = None) -> Array:
    """Ones of the shape (and type) of `x`."""


@primitive
def full_like(x: Array, fill_value: Scalar, dtype: DType = None) -> Array:
    """`fill_value` in the shape (and type) of `x`."""


@derived
def array(x: Array, dtype: DType = None) -> Array:
    """Same as `convert_to_tensor`."""
    return convert_to_tensor(x, dtype)


@derived
def copy(x: Array) -> Array:
    """The same numbers in memory of their own, where arrays can be written to (NumPy, Torch)."""
    return convert_to_tensor(x)


@derived
def empty(shape, dtype: DType = None) -> Array:
    """An array to be filled: zeros, because arrays here are never written to. float32 by default."""
    return zeros(shape, dtype or "float32")


@derived
def empty_like(x: Array, dtype: DType = None) -> Array:
    """An array of the shape (and type) of `x` to be filled: zeros."""
    return zeros_like(x, dtype)


@derived
def identity(n, dtype: DType = None) -> Array:
    """The `(n, n)` matrix of ones on the diagonal, float32 by default."""
    return eye(n, n, 0, dtype or "float32")


def dtype(x) -> str:
    """The canonical name of the type of an array, as `"float32"`; of what a number or a list would become."""
    return dtypes.name(x.dtype if hasattr(x, "dtype") else convert_to_tensor(x).dtype)


def ndim(x) -> int:
    """The number of axes."""
    return len(shape(x))


def size(x):
    """The number of elements, an int; symbolic where a size is known only at run time."""
    return functools.reduce(operator.mul, shape(x), 1)


def is_tensor(x) -> bool:
    """Whether `x` is an array of a framework or a graph; NumPy's are under `kfun.backend("numpy")`."""
    if isinstance(x, np.ndarray):
        return current_backend() == "numpy"
    return isinstance(kind_of_type(type(x)), Kind) and hasattr(x, "dtype")
