"""Output specs of the common ops in closed form, for symbolic tensors: microseconds instead of an abstract run.

A rule gets the op's parameters by position, a `Spec` for each symbolic tensor, and gives a `Spec`
or a list of them; None means that it does not know, so that an abstract run decides (and words
the error, if there is one).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from kfun import dtypes
from kfun.spec import Spec

_NARROW = {"float64": "float32", "int64": "int32", "uint64": "uint32", "complex128": "complex64"}


def _operand(x: Any) -> tuple[tuple, str] | None:
    """Shape and dtype of an operand; the dtype of a Python number is weak."""
    if isinstance(x, Spec):
        return x.shape, x.dtype
    weak = dtypes.weak(x)
    if weak is not None:
        return (), weak
    if isinstance(x, (np.ndarray, np.generic)):
        name = dtypes.name(x.dtype)
        return x.shape, _NARROW.get(name, name)
    return None


def _broadcast(*shapes: tuple) -> tuple | None:
    rank = max(map(len, shapes))
    out = []
    for sizes in zip(*((1,) * (rank - len(s)) + tuple(s) for s in shapes), strict=True):
        known = {n for n in sizes if n not in (None, 1)}
        if len(known) > 1:
            return None
        out.append(known.pop() if known else None if None in sizes else 1)
    return tuple(out)


def _elementwise(dtype_of: Callable[..., str], typed: slice = slice(None)) -> Callable:
    """A rule of operands that broadcast; `dtype_of` is given the dtypes of those in `typed`."""

    def rule(*operands: Any) -> Spec | None:
        parts = [_operand(x) for x in operands if x is not None]
        if None in parts:
            return None
        shape = _broadcast(*(p[0] for p in parts))  # type: ignore[index]
        return None if shape is None else Spec(shape, dtype_of(*(p[1] for p in parts[typed])))  # type: ignore[index]

    return rule


def _promoted(*names: str) -> str:
    return dtypes.settle(dtypes.promote(*names))


def _same(x: Any, *settings: Any) -> Spec | None:
    """An activation or the like: floating arrays keep shape and dtype."""
    plain = all(s is None or isinstance(s, (bool, int, float)) for s in settings)
    return x if plain and isinstance(x, Spec) and dtypes.is_float(x.dtype) else None


def _along(x: Any, axis: Any = -1) -> Spec | None:
    return _same(x) if isinstance(x, Spec) and _axes(axis, x.ndim) else None


def _axes(axis: Any, rank: int) -> tuple[int, ...] | None:
    given = (axis,) if isinstance(axis, int) else axis
    if not isinstance(given, (tuple, list)) or not all(type(a) is int and -rank <= a < rank for a in given):
        return None
    return tuple(a % rank for a in given)


def _reduction(dtype: str | None = None) -> Callable:
    def rule(x: Any, axis: Any = None, keepdims: bool = False) -> Spec | None:
        if not isinstance(x, Spec) or (dtype is None and not dtypes.is_float(x.dtype)):
            return None
        axes = tuple(range(x.ndim)) if axis is None else _axes(axis, x.ndim)
        if axes is None:
            return None
        kept = (1 if i in axes else n for i, n in enumerate(x.shape) if keepdims or i not in axes)
        return Spec(tuple(kept), dtype or x.dtype)

    return rule


def _cast(x: Any, dtype: Any) -> Spec | None:
    name = dtypes.name(dtype)
    return Spec(x.shape, _NARROW.get(name, name)) if isinstance(x, Spec) else None


def _like(x: Any, *rest: Any) -> Spec | None:
    dtype = rest[-1]
    return _cast(x, x.dtype if dtype is None else dtype) if isinstance(x, Spec) else None


def _reshape(x: Any, newshape: Any) -> Spec | None:
    sizes = (newshape,) if isinstance(newshape, int) else newshape
    if not isinstance(x, Spec) or not isinstance(sizes, (tuple, list)) or any(type(n) is not int for n in sizes):
        return None
    known = math.prod(n for n in x.shape if n is not None)
    if None not in x.shape:
        total, rest = known, math.prod(n for n in sizes if n != -1)
        if -1 in sizes:
            if rest == 0 or total % rest:
                return None
            sizes = tuple(total // rest if n == -1 else n for n in sizes)
        return Spec(tuple(sizes), x.dtype) if math.prod(sizes) == total else None
    divides = -1 in sizes and sizes.count(-1) == 1 and math.prod(n for n in sizes if n != -1)
    if not divides or known % divides:
        return None
    return Spec(tuple(None if n == -1 else n for n in sizes), x.dtype)


def _transpose(x: Any, axes: Any = None) -> Spec | None:
    if not isinstance(x, Spec):
        return None
    order = tuple(range(x.ndim))[::-1] if axes is None else _axes(axes, x.ndim)
    if order is None or sorted(order) != list(range(x.ndim)):
        return None
    return Spec(tuple(x.shape[i] for i in order), x.dtype)


def _expand_dims(x: Any, axis: Any) -> Spec | None:
    if not isinstance(x, Spec) or type(axis) is not int or not -x.ndim - 1 <= axis <= x.ndim:
        return None
    at = axis % (x.ndim + 1)
    return Spec((*x.shape[:at], 1, *x.shape[at:]), x.dtype)


def _squeeze(x: Any, axis: Any = None) -> Spec | None:
    axes = _axes(axis, x.ndim) if isinstance(x, Spec) else None
    if axes is None or any(x.shape[i] != 1 for i in axes):
        return None
    return Spec(tuple(n for i, n in enumerate(x.shape) if i not in axes), x.dtype)


def _concatenate(xs: Any, axis: int = 0) -> Spec | None:
    if not xs or not all(isinstance(x, Spec) and x.ndim == xs[0].ndim for x in xs):
        return None
    axes = _axes(axis, xs[0].ndim)
    if not axes:
        return None
    shape = []
    for i, sizes in enumerate(zip(*(x.shape for x in xs), strict=True)):
        known = {n for n in sizes if n is not None}
        if i == axes[0]:
            shape.append(None if None in sizes else sum(sizes))
        elif len(known) > 1:
            return None
        else:
            shape.append(known.pop() if known else None)
    return Spec(tuple(shape), _promoted(*(x.dtype for x in xs)))


def _stack(x: Any, axis: int = 0) -> Spec | None:
    wide = [_expand_dims(e, axis) for e in x]
    return _concatenate(wide, axis) if None not in wide else None


def _matmul(x1: Any, x2: Any) -> Spec | None:
    if not (isinstance(x1, Spec) and isinstance(x2, Spec)) or min(x1.ndim, x2.ndim) < 2:
        return None
    batch = _broadcast(x1.shape[:-2], x2.shape[:-2]) if max(x1.ndim, x2.ndim) > 2 else ()
    if batch is None or None in (x1.shape[-1], x2.shape[-2]) or x1.shape[-1] != x2.shape[-2]:
        return None
    return Spec((*batch, x1.shape[-2], x2.shape[-1]), _promoted(x1.dtype, x2.dtype))


def _getitem(x: Any, index: Any) -> Spec | None:
    """Integers, full and fixed slices, None and the ellipsis."""
    if not isinstance(x, Spec):
        return None
    items = list(index) if isinstance(index, tuple) else [index]
    if any(not (isinstance(i, slice) or i is None or i is Ellipsis or type(i) is int) for i in items):
        return None
    taken = sum(i is not None and i is not Ellipsis for i in items)
    if items.count(Ellipsis) > 1 or taken > x.ndim:
        return None
    at = items.index(Ellipsis) if Ellipsis in items else len(items)
    items[at : at + 1] = [slice(None)] * (x.ndim - taken)
    shape: list[int | None] = []
    sizes = iter(x.shape)
    for item in items:
        if item is None:
            shape.append(1)
            continue
        size = next(sizes)
        if isinstance(item, int):
            if size is not None and not -size <= item < size:
                return None
        elif item == slice(None):
            shape.append(size)
        elif size is None or any(type(p) is not int for p in (item.start, item.stop, item.step) if p is not None):
            return None
        else:
            shape.append(len(range(*item.indices(size))))
    return Spec(tuple(shape), x.dtype)


def _split(x: Any, indices_or_sections: Any, axis: int = 0) -> list | None:
    axes = _axes(axis, x.ndim) if isinstance(x, Spec) else None
    count = indices_or_sections
    if axes is None or type(count) is not int or count < 1:
        return None
    size = x.shape[axes[0]]
    if size is None or size % count:
        return None
    part = (*x.shape[: axes[0]], size // count, *x.shape[axes[0] + 1 :])
    return [Spec(part, x.dtype) for _ in range(count)]


def _one_hot(x: Any, num_classes: Any, axis: Any = -1, dtype: Any = None, sparse: bool = False) -> Spec | None:
    if not isinstance(x, Spec) or type(num_classes) is not int or axis != -1 or sparse:
        return None
    return Spec((*x.shape, num_classes), dtypes.name(dtype or "float32"))


def _broadcast_to(x: Any, shape: Any) -> Spec | None:
    if not isinstance(x, Spec) or not isinstance(shape, (tuple, list)) or any(type(n) is not int for n in shape):
        return None
    return Spec(tuple(shape), x.dtype) if _broadcast(x.shape, tuple(shape)) == tuple(shape) else None


# Ops whose results are as long as the values say: an abstract run has none, so that the size is left open.


def _nonzero(x: Any) -> tuple | None:
    return (Spec((None,), "int32"),) * x.ndim if isinstance(x, Spec) and x.ndim else None


def _segments(data: Any, ids: Any, num_segments: Any = None, sorted: bool = False) -> Spec | None:
    if num_segments is not None or not isinstance(data, Spec) or not isinstance(ids, Spec) or ids.ndim != 1:
        return None
    return Spec((None, *data.shape[1:]), data.dtype) if data.ndim and _agree(data.shape[0], ids.shape[0]) else None


def _bincount(x: Any, weights: Any = None, minlength: Any = 0, sparse: bool = False) -> Spec | None:
    if not isinstance(x, Spec) or x.ndim not in (1, 2) or sparse or not isinstance(weights, (Spec, type(None))):
        return None
    return Spec((*x.shape[:-1], None), "int32" if weights is None else weights.dtype)


def _unique(
    x: Any, sorted: bool, index: bool, inverse: bool, counts: bool, axis: Any = None, size: Any = None, fill: Any = None
) -> Any:
    axes = (0,) if axis is None else _axes(axis, x.ndim) if isinstance(x, Spec) else None
    if not isinstance(x, Spec) or size is not None or not axes:
        return None
    shape = (None,) if axis is None else (*x.shape[: axes[0]], None, *x.shape[axes[0] + 1 :])
    found = [Spec(shape, x.dtype)]
    places = x.shape if axis is None else (x.shape[axes[0]],)
    found += [Spec(s, "int32") for s, asked in (((None,), index), (places, inverse), ((None,), counts)) if asked]
    return found[0] if len(found) == 1 else tuple(found)


def _agree(one: int | None, other: int | None) -> bool:
    return None in (one, other) or one == other


_INEXACT = """exp exp2 expm1 log log1p log2 log10 sqrt rsqrt sin cos tan tanh sinh cosh arcsin arccos arctan arcsinh
    arccosh arctanh erf erfc sigmoid"""
_KEEPING = """abs negative sign square floor ceil relu relu6 silu softplus gelu elu selu celu leaky_relu softsign mish
    log_sigmoid hard_sigmoid hard_silu hard_tanh tanh_shrink reciprocal stop_gradient clip"""
_COMPARING = "equal not_equal less less_equal greater greater_equal logical_and logical_or logical_xor"

RULES: dict[str, Callable] = {
    **dict.fromkeys(_INEXACT.split(), _elementwise(dtypes.inexact)),
    **dict.fromkeys(_KEEPING.split(), _same),
    **dict.fromkeys(_COMPARING.split(), _elementwise(lambda *_: "bool")),
    **dict.fromkeys(["isnan", "isinf", "isfinite", "logical_not"], _elementwise(lambda *_: "bool")),
    **dict.fromkeys(["add", "subtract", "multiply", "maximum", "minimum"], _elementwise(_promoted)),
    **dict.fromkeys(["divide", "arctan2", "logaddexp"], _elementwise(dtypes.inexact)),
    **dict.fromkeys(["softmax", "log_softmax"], _along),
    "where": _elementwise(_promoted, slice(1, None)),
    **dict.fromkeys(["sum", "mean", "max", "min", "prod", "var", "std", "logsumexp"], _reduction()),
    **dict.fromkeys(["any", "all"], _reduction("bool")),
    "cast": _cast,
    "zeros_like": _like,
    "ones_like": _like,
    "full_like": _like,
    "reshape": _reshape,
    "transpose": _transpose,
    "expand_dims": _expand_dims,
    "squeeze": _squeeze,
    "concatenate": _concatenate,
    "stack": _stack,
    "split": _split,
    "matmul": _matmul,
    "getitem": _getitem,
    "one_hot": _one_hot,
    "broadcast_to": _broadcast_to,
}
SIZED_BY_VALUES: dict[str, Callable] = {
    "nonzero": _nonzero,
    "bincount": _bincount,
    "unique": _unique,
    **dict.fromkeys(["segment_sum", "segment_max", "segment_min", "segment_prod"], _segments),
}
