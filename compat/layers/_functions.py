"""Layers that merge several inputs, as functions."""

from __future__ import annotations

from typing import Any

from compat.layers._generated import Add, Average, Concatenate, Dot, Maximum, Minimum, Multiply, Subtract


def _function(cls: type, name: str) -> Any:
    def merge(inputs: Any, **kwargs: Any) -> Any:
        return cls(**kwargs)(inputs)

    merge.__name__ = merge.__qualname__ = name
    merge.__doc__ = f"`{cls.__name__}(**kwargs)(inputs)`."
    return merge


add, average = _function(Add, "add"), _function(Average, "average")
maximum, minimum = _function(Maximum, "maximum"), _function(Minimum, "minimum")
multiply, subtract = _function(Multiply, "multiply"), _function(Subtract, "subtract")


def concatenate(inputs: Any, axis: int = -1, **kwargs: Any) -> Any:
    """`Concatenate(axis, **kwargs)(inputs)`."""
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs: Any, axes: Any = -1, **kwargs: Any) -> Any:
    """`Dot(axes, **kwargs)(inputs)`."""
    return Dot(axes=axes, **kwargs)(inputs)
