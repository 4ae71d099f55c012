"""Creation, conversion and casts on ONNX. Sizes may be ints and `Dim`s, mixed."""

from __future__ import annotations

import numpy as np

from kfun import dtypes
from kfun.backends.graphs.graph_rules import known
from kfun.backends.onnx.reasons import NO_DATA
from kfun.backends.onnx.sizes import expanded, size_list
from kfun.backends.onnx.value import Dim, as_value, cast, constant, emit, integers, promoted
from kfun.errors import UnsupportedOp


def convert_to_numpy(x):
    value = as_value(x)
    if value.constant is None:
        raise UnsupportedOp("convert_to_numpy", "onnx", NO_DATA)
    return value.constant


def full(shape, fill_value, dtype=None):
    fill = as_value(fill_value, dtype)
    sizes = size_list(shape)
    if fill.constant is not None and known(sizes):
        return constant(np.broadcast_to(fill.constant, sizes), fill.dtype)
    return expanded(fill, sizes)


def zeros(shape, dtype="float32"):
    return full(shape, 0, dtype or "float32")


def ones(shape, dtype="float32"):
    return full(shape, 1, dtype or "float32")


def full_like(x, fill_value, dtype=None):
    x = as_value(x)
    return full(x.shape, fill_value, dtype or x.dtype)


def arange(start, stop=None, step=1, dtype=None):
    start, stop = (0, start) if stop is None else (start, stop)
    name = dtypes.name(dtype) if dtype else promoted(start, stop, step)
    if all(isinstance(v, (int, float, np.generic)) for v in (start, stop, step)):
        return constant(np.arange(start, stop, step), name)
    length = [stop] if isinstance(stop, Dim) and type(start) is type(step) is int and (start, step) == (0, 1) else None
    return emit("Range", *[as_value(v, name) for v in (start, stop, step)], shape=length)


def eye(N, M=None, k=0, dtype="float32"):
    M = N if M is None else M
    if known((N, M)):
        return constant(np.eye(N, M, k), dtype)
    rows = emit("Add", arange(0, N, 1, "int64"), as_value(k, "int64"))
    return cast(emit("Equal", emit("Unsqueeze", rows, integers([1])), arange(0, M, 1, "int64")), dtype)


RULES = {
    "cast": lambda x, dtype: cast(as_value(x), dtype),
    "convert_to_tensor": as_value,
    "convert_to_numpy": convert_to_numpy,
    "shape": lambda x: as_value(x).shape,
    "zeros": zeros,
    "ones": ones,
    "full": full,
    "arange": arange,
    "eye": eye,
    "zeros_like": lambda x, dtype=None: full_like(x, 0, dtype),
    "ones_like": lambda x, dtype=None: full_like(x, 1, dtype),
    "full_like": full_like,
}
