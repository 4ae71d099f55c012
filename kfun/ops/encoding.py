"""Class numbers as vectors of zeros and ones."""

from __future__ import annotations

from kfun.ops._dispatch import Array, DType, primitive


@primitive
def one_hot(x: Array, num_classes: int, axis=-1, dtype: DType = None) -> Array:
    """A new axis that is 1 at the index `x` and 0 elsewhere; all 0 for an index out of range."""
