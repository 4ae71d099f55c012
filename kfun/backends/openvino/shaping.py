"""Creation, shape and order on OpenVINO. Sizes may be ints and `Dim`s, mixed."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from openvino import opset16 as o

from kfun import dtypes
from kfun.backends.graphs.graph_rules import axes_of, check_reshape, known, pad_pairs
from kfun.backends.openvino.elementwise import elementwise
from kfun.backends.openvino.reasons import NO_DATA
from kfun.backends.openvino.value import (
    Dim,
    Value,
    as_value,
    cast,
    constant,
    first_of,
    integers,
    known_size,
    native,
    output_of,
    promoted,
    stored_axis,
)
from kfun.errors import UnsupportedOp


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


def reshape(x, newshape):
    x = as_value(x)
    sizes = size_list(newshape)
    if x.constant is not None and known(sizes):
        return constant(x.constant.reshape(sizes), x.dtype)
    unknown = [i for i, s in enumerate(sizes) if not isinstance(s, (int, np.integer))]
    if len(unknown) == 1 and all(i in unknown or s > 0 for i, s in enumerate(sizes)):
        sizes[unknown[0]] = -1  # the one size that is open follows from the others
    check_reshape(x.shape, sizes)
    return Value(o.reshape(x.output, integers(sizes), False))


def transpose(x, axes=None):
    x = as_value(x)
    order = axes_of(tuple(axes), x.ndim) if axes is not None else list(range(x.ndim))[::-1]
    if order == list(range(x.ndim)):
        return x
    if x.constant is not None:
        return constant(x.constant.transpose(order), x.dtype)
    if x.deferred:
        stored = [stored_axis(a, x.ndim) for a in order]
        first = stored == list(range(x.ndim))
        return Value(x.first if first else o.transpose(x.first, integers(stored)))
    return Value(o.transpose(x.output, integers(order)))


def expand_dims(x, axis):
    x = as_value(x)
    count = len(axis) if isinstance(axis, (list, tuple)) else 1
    axes = axes_of(axis if isinstance(axis, (list, tuple)) else [axis], x.ndim + count)
    if x.constant is not None:
        return constant(np.expand_dims(x.constant, tuple(axes)), x.dtype)
    return Value(o.unsqueeze(x.output, integers(axes)))


def squeeze(x, axis=None):
    """With `axis` None, axes whose size is only known at run time stay."""
    x = as_value(x)
    shape = x.shape
    axes = [i for i, s in enumerate(shape) if isinstance(s, int) and s == 1] if axis is None else axes_of(axis, x.ndim)
    for a in axes:
        if isinstance(shape[a], int) and shape[a] != 1:
            raise ValueError(f"ops.squeeze: axis {a} of shape {shape} is not 1")
    return Value(o.squeeze(x.output, integers(axes))) if axes else x


def broadcast_to(x, shape):
    return Value(o.broadcast(output_of(x), integers(size_list(shape))))


def concatenate(xs, axis=0):
    dtype = promoted(*xs)
    values = [as_value(x, dtype) for x in xs]
    rank = values[0].ndim
    (axis,) = axes_of([axis], rank)
    if any(x.deferred for x in values) and rank > 2:
        return Value(first=o.concat([first_of(x, rank) for x in values], stored_axis(axis, rank)))
    return Value(o.concat([x.output for x in values], axis))


def stack(x, axis=0):
    dtype = promoted(*x)
    values = [as_value(e, dtype) for e in x]
    (axis,) = axes_of([axis], values[0].ndim + 1)
    return Value(o.concat([o.unsqueeze(e.output, integers([axis])) for e in values], axis))


def split(x, indices_or_sections, axis=0):
    x = as_value(x)
    (axis,) = axes_of([axis], x.ndim)
    at = stored_axis(axis, x.ndim) if x.deferred else axis
    made = lambda part: Value(first=part) if x.deferred else Value(part)  # noqa: E731
    stored, size = (x.first if x.deferred else x.output), x.shape[axis]
    if isinstance(indices_or_sections, (int, np.integer, Dim)):
        n = known_size(indices_or_sections, "the number of parts of ops.split or ops.unstack")
        if n < 1 or (isinstance(size, int) and size % n):
            raise ValueError(f"ops.split: axis {axis} of {x!r} does not divide into {n} equal parts")
        return [made(part) for part in o.split(stored, integers(at), n).outputs()]
    cuts = [0, *size_list(indices_or_sections)]
    lengths = [after - before for before, after in itertools.pairwise(cuts)]
    return [made(part) for part in o.variadic_split(stored, integers(at), integers([*lengths, -1])).outputs()]


def pad(x, pad_width, mode="constant", constant_values=None):
    x = as_value(x)
    pairs = pad_pairs(pad_width, x.ndim)
    if mode not in ("constant", "reflect", "symmetric", "edge"):
        raise ValueError(f"ops.pad: expected mode 'constant', 'reflect', 'symmetric' or 'edge'; received {mode!r}")
    if x.dtype == "bool":
        return cast(pad(cast(x, "uint8"), pairs, mode, constant_values), "bool")
    fill = output_of(0 if constant_values is None else constant_values, x.dtype) if mode == "constant" else None
    if x.deferred:
        pairs = [pairs[0], pairs[-1], *pairs[1:-1]]
    before, after = (integers([p[i] for p in pairs]) for i in (0, 1))
    if x.deferred:
        return Value(first=o.pad(x.first, before, after, mode, fill))
    return Value(o.pad(x.output, before, after, mode, fill))


def tile(x, repeats):
    x = as_value(x)
    counts = size_list(repeats)
    counts = [1] * (x.ndim - len(counts)) + counts
    if len(counts) > x.ndim:
        x = expand_dims(x, list(range(len(counts) - x.ndim)))
    return Value(o.tile(x.output, integers(counts)))


def repeat(x, repeats, axis=None):
    x = as_value(x)
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    (axis,) = axes_of([axis], x.ndim)
    shape = list(x.shape)
    counts = [1] * (x.ndim + 1)
    counts[axis + 1] = repeats
    copies = Value(o.tile(expand_dims(x, axis + 1).output, integers(counts)))
    return reshape(copies, [*shape[:axis], shape[axis] * repeats, *shape[axis + 1 :]])


def flip(x, axis=None):
    x = as_value(x)
    axes = axes_of(axis, x.ndim)
    n = len(axes)
    ends = integers([np.iinfo(np.int32).min] * n)
    return Value(o.slice(x.output, integers([-1] * n), ends, integers([-1] * n), integers(axes))) if n else x


def roll(x, shift, axis=None):
    x = as_value(x)
    if axis is None:
        return reshape(roll(reshape(x, (-1,)), shift, 0), x.shape)
    axes = axes_of(axis, x.ndim)
    shifts = [shift] * len(axes) if isinstance(shift, (int, Dim)) else list(shift)
    return Value(o.roll(x.output, integers(shifts), integers(axes)))


def _triangle(keep: Any) -> Any:
    def rule(x, k=0):
        x = as_value(x)
        rows, columns = x.shape[-2:]
        row = expand_dims(arange(0, rows, 1, "int32"), 1)
        column = arange(0, columns, 1, "int32")
        kept = elementwise(lambda i, j: keep(o.subtract(j, i), constant(k, "int32").output), (row, column), "int32")
        return elementwise(o.select, (kept, x, 0), ("bool", x.dtype, x.dtype))

    return rule


RULES = {
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
    "reshape": reshape,
    "transpose": transpose,
    "expand_dims": expand_dims,
    "squeeze": squeeze,
    "broadcast_to": broadcast_to,
    "concatenate": concatenate,
    "stack": stack,
    "split": split,
    "pad": pad,
    "tile": tile,
    "repeat": repeat,
    "flip": flip,
    "roll": roll,
    "tril": _triangle(o.less_equal),
    "triu": _triangle(o.greater_equal),
}
