"""Dtypes and sizes of TensorFlow tensors: casts, the promotion lattice, sizes known only at run time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from kfun import dtypes
from kfun.backends.common import promotion

NATIVE = {name: tf.dtypes.as_dtype(name) for name in dtypes.ALL}
_IN_LATTICE = {name: NATIVE[name] for name in (*dtypes.INTEGERS, *dtypes.FLOATS, *dtypes.COMPLEX, "bool")}
PAIRS = promotion.table(_IN_LATTICE)
FLOATING = promotion.table(_IN_LATTICE, floating=True)
# Arithmetic that has no logical meaning takes bools as integers.
COUNTING = {**PAIRS, (tf.bool, tf.bool): tf.int32}

SCALARS = (bool, int, float, complex)
HALF = frozenset({tf.float16, tf.bfloat16})
FLOAT8 = frozenset(NATIVE[name] for name in dtypes.FLOAT8)
UNSIGNED = frozenset({tf.uint8, tf.uint16, tf.uint32, tf.uint64})
# Where a kernel has only int32, int64 and floating types: what to compute in.
WIDER = {
    tf.bool: tf.int32,
    tf.int8: tf.int32,
    tf.int16: tf.int32,
    tf.uint8: tf.int32,
    tf.uint16: tf.int32,
    tf.uint32: tf.int64,
    tf.uint64: tf.int64,
}


def native(dtype: Any) -> tf.DType | None:
    """TensorFlow's dtype of a name or a dtype object; None stays None."""
    return None if dtype is None else NATIVE[dtypes.name(dtype)]


def cast_to(value: Any, dtype: tf.DType) -> tf.Tensor:
    """A tensor or Python scalar in another dtype; floats become integers towards zero."""
    if type(value) in SCALARS:
        # tf.constant converts no scalar from one category to a narrower one.
        if dtype == tf.bool:
            value = bool(value)
        elif dtype.is_integer or type(value) is bool:
            value = int(value)
        return tf.cast(float(value), dtype) if dtype in FLOAT8 else tf.constant(value, dtype)
    if value.dtype == dtype:
        return tf.convert_to_tensor(value)
    if dtype in FLOAT8 or value.dtype in FLOAT8:  # casts exist between floats only
        value = tf.cast(value, tf.float32)
    return tf.cast(value, dtype)


def promoting(fn: Callable, pairs: Mapping[tuple, tf.DType] = PAIRS) -> Callable:
    """A rule of two operands that calls `fn` with both in their promoted dtype.

    Differs from `promotion.promoting` in comparing dtypes by identity: a `tf.DType` equals the
    Python type that stands for it (`tf.bool == bool`), so a scalar would pass unconverted.
    """

    def rule(x1, x2):
        first, second = promotion.type_of(x1), promotion.type_of(x2)
        dtype = pairs.get((first, second))
        if dtype is None:
            raise TypeError(f"no implicit promotion between {first} and {second}: cast one with ops.cast")
        return fn(x1 if first is dtype else cast_to(x1, dtype), x2 if second is dtype else cast_to(x2, dtype))

    return rule


def with_bool(fn: Callable, logical: Callable) -> Callable:
    """A rule of two operands that calls `logical` where both are bools."""
    return promoting(lambda x1, x2: logical(x1, x2) if x1.dtype == tf.bool else fn(x1, x2))


def common(values: Any) -> list[tf.Tensor]:
    """Several tensors in the dtype that all promote to."""
    dtype = NATIVE[promotion.result_dtype(*values, dtype_of=lambda v: v.dtype.name)]
    return [cast_to(v, dtype) for v in values]


def as_floating(x: tf.Tensor) -> tf.Tensor:
    """`x`, an integer or bool as the float that results of `exp` or `mean` have."""
    dtype = FLOATING.get((x.dtype, x.dtype))
    if dtype is None:
        raise TypeError(f"expected a numeric array; received dtype {x.dtype.name}: cast it with ops.cast")
    return cast_to(x, dtype)


def as_bool(x: Any) -> tf.Tensor:
    """`x != 0`, of a tensor or a Python scalar."""
    if isinstance(x, (bool, int, float, complex)):
        return tf.constant(bool(x))
    return tf.convert_to_tensor(x) if x.dtype == tf.bool else tf.not_equal(x, tf.zeros((), x.dtype))


def floating(fn: Callable) -> Callable:
    """A rule of one array (and options) whose result is never an integer."""

    def rule(x, *args, **kwargs):
        return fn(as_floating(x), *args, **kwargs)

    return rule


def wide(fn: Callable) -> Callable:
    """A rule of one array that computes half precision in float32 and rounds once."""

    def rule(x, *args, **kwargs):
        if x.dtype in HALF:
            return tf.cast(fn(tf.cast(x, tf.float32), *args, **kwargs), x.dtype)
        return fn(x, *args, **kwargs)

    return rule


def rank(x: tf.Tensor) -> int:
    """The number of axes, which must be known.

    Raises:
        ValueError: if it is not.
    """
    found = x.shape.rank
    if found is None:
        raise ValueError("expected a tensor of known rank; received one of unknown rank: give it one with set_shape")
    return found


def size(x: tf.Tensor, axis: int) -> Any:
    """The size along one axis: an int, or a scalar int32 tensor if only known at run time."""
    known = x.shape[axis]
    return tf.shape(x)[axis] if known is None else known


def sizes(x: tf.Tensor) -> tuple:
    """The shape as a tuple of ints, with scalar int32 tensors for what is only known at run time."""
    rank(x)
    known = x.shape.as_list()
    if None not in known:
        return tuple(known)
    measured = tf.shape(x)
    return tuple(measured[i] if d is None else d for i, d in enumerate(known))


def to_shape(shape: Any) -> Any:
    """What TensorFlow's ops take as a shape: an int or a sequence of ints and scalar tensors, as one."""
    if isinstance(shape, tf.Tensor):
        return tf.reshape(tf.cast(shape, tf.int32), (-1,))
    if isinstance(shape, np.ndarray):
        shape = shape.tolist()
    if not isinstance(shape, (tuple, list)):
        return (int(shape),)
    if any(isinstance(d, (tf.Tensor, tf.Variable)) for d in shape):
        return tf.stack([tf.cast(d, tf.int32) for d in shape])
    return tuple(int(d) for d in shape)
