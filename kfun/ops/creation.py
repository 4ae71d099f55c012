"""Arrays made from nothing or like others, conversion and casts.

The default backend decides what `zeros` and the like make, unless a size is symbolic.
"""

from __future__ import annotations

from kfun.ops._dispatch import Array, DType, Scalar, derived, primitive


@primitive
def convert_to_tensor(x: Array, dtype: DType = None) -> Array:
    """An array of the kind that `x` belongs to, or of the default backend if `x` is weak.

    Python floats become float32 and integers int32; NumPy data keep their type as far as the
    backend has it.
    """


@primitive
def convert_to_numpy(x: Array):
    """`x` as a NumPy array on the host."""


@primitive
def cast(x: Array, dtype: DType) -> Array:
    """`x` in another type; no copy if it has that type already."""


@primitive
def shape(x: Array):
    """The shape as a tuple of ints; where a size is only known at run time, a symbolic dimension."""


@primitive
def zeros(shape, dtype: DType = "float32") -> Array:
    """Zeros."""


@primitive
def ones(shape, dtype: DType = "float32") -> Array:
    """Ones."""


@primitive
def full(shape, fill_value: Scalar, dtype: DType = None) -> Array:
    """`fill_value` everywhere."""


@primitive
def arange(start, stop=None, step=1, dtype: DType = None) -> Array:
    """`start, start + step, ...` up to but without `stop`; with one argument, from 0."""


@primitive
def eye(N, M=None, k: int = 0, dtype: DType = "float32") -> Array:
    """Ones on the `k`-th diagonal of an `(N, M)` matrix, zeros elsewhere."""


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
