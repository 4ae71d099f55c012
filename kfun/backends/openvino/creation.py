"""Creation, conversion and casts on OpenVINO. Sizes may be ints and `Dim`s, mixed."""

from __future__ import annotations

from typing import Any

import numpy as np
from openvino import opset16 as o

from kfun import dtypes
from kfun.backends.graphs.graph_rules import known
from kfun.backends.openvino.promotion import truth
from kfun.backends.openvino.reasons import NO_DATA
from kfun.backends.openvino.value import Dim, Value, as_value, cast, constant, integers, native, output_of, promoted
from kfun.errors import UnsupportedOp


def cast_rule(x, dtype):
    name = dtypes.name(dtype)
    return truth(x) if name == "bool" else cast(as_value(x), name)


def convert_to_tensor(x, dtype=None):
    return as_value(x, dtype)


def convert_to_numpy(x):
    value = as_value(x)
    if value.constant is None:
        raise UnsupportedOp("convert_to_numpy", "openvino", NO_DATA)
    return value.constant


def _type_name(dtype: Any) -> str:
    return native(dtype).get_type_name()


def size_list(shape: Any) -> list:
    """The sizes of a shape one by one; an int is a shape of one axis."""
    return [shape] if isinstance(shape, (int, np.integer, Dim)) else list(shape)


def full(shape, fill_value, dtype=None):
    fill = as_value(fill_value, dtype)
    sizes = size_list(shape)
    if fill.constant is not None and known(sizes):
        return constant(np.broadcast_to(fill.constant, sizes), fill.dtype)
    return Value(o.broadcast(fill.output, integers(sizes)))


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
    made = o.range(*[output_of(v, name) for v in (start, stop, step)], _type_name(name))
    return Value(made)


def eye(N, M=None, k=0, dtype="float32"):
    M = N if M is None else M
    if known((N, M)):
        return constant(np.eye(N, M, k), dtype)
    return Value(o.eye(integers(N), integers(M), integers(k), _type_name(dtype)))


RULES = {
    "cast": cast_rule,
    "convert_to_tensor": convert_to_tensor,
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
