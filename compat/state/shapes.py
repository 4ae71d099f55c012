"""Shapes of the arguments of a call, and symbolic tensors of given shapes."""

from __future__ import annotations

from typing import Any

from kfun.graph import SymbolicTensor, replace
from kfun.spec import Spec


def is_data(value: Any) -> bool:
    """Whether a call argument is an array, or holds some."""
    if isinstance(value, (list, tuple)):
        return any(is_data(v) for v in value)
    if isinstance(value, dict):
        return any(is_data(v) for v in value.values())
    return hasattr(value, "shape") and hasattr(value, "dtype")


def shapes_of(value: Any) -> Any:
    """The shapes of arrays in lists and dicts."""
    if isinstance(value, dict):
        return {k: shapes_of(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [shapes_of(v) for v in value]
    return Spec.of(value).shape if value is not None else None


def tuples(shape: Any) -> Any:
    """Shapes read from JSON: lists of sizes become tuples, lists of shapes stay lists."""
    if isinstance(shape, dict):
        return {k: tuples(v) for k, v in shape.items()}
    if isinstance(shape, (list, tuple)):
        return tuple(shape) if _are_sizes(shape) else [tuples(s) for s in shape]
    return shape


_SIZES = frozenset((int, type(None)))


def _are_sizes(items: Any) -> bool:
    return _SIZES.issuperset(map(type, items)) or all(s is None or isinstance(s, int) for s in items)


def replace_shapes(shapes: Any, dtype: str) -> Any:
    """Symbolic tensors for a shape, or a list or dict of shapes."""
    if isinstance(shapes, dict):
        return {k: replace_shapes(v, dtype) for k, v in shapes.items()}
    if isinstance(shapes, (list, tuple)) and _are_sizes(shapes):
        return SymbolicTensor(Spec(tuple(shapes), dtype))
    return type(shapes)(replace_shapes(s, dtype) for s in shapes)


def specs_of_shapes(shapes: Any, dtype: str) -> Any:
    """The specs for a shape, or a list or dict of shapes."""
    return replace(replace_shapes(shapes, dtype), lambda t: t.spec, SymbolicTensor)
