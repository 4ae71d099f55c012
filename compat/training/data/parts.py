"""The parts of a batch: `x`, `y`, `sample_weight`."""

from __future__ import annotations

from typing import Any

import jax

from compat.training.data.class_weight import ClassWeight
from kfun import ops


def unpack(batch: Any) -> tuple[Any, Any, Any]:
    """`(x, y, sample_weight)` of a batch; what is missing is None.

    Raises:
        ValueError: if the batch is a tuple or list of more than three parts, or of none.
    """
    if isinstance(batch, list):
        batch = tuple(batch)
    if not isinstance(batch, tuple):
        return batch, None, None
    if not 1 <= len(batch) <= 3:
        raise ValueError(f"a batch is x, (x, y) or (x, y, sample_weight); received {len(batch)} parts")
    return (*batch, None, None)[:3]


def pack(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """A batch in the form that steps are given: `x` alone if it is one array or a dict, else a tuple of what is given.

    A list or tuple of inputs is wrapped, since its items would be taken for `x`, `y` and `sample_weight`.
    """
    if sample_weight is not None:
        return x, y, sample_weight
    if y is not None:
        return x, y
    return (x,) if isinstance(x, (list, tuple)) else x


def with_class_weight(parts: tuple, class_weight: ClassWeight | None) -> tuple:
    """The batch parts with the weight of each target's class as its sample weight.

    Raises:
        ValueError: if there are sample weights already, y is not one array, or a target tells no one class.
    """
    x, y, weight = parts
    if class_weight is None:
        return parts
    if weight is not None:
        raise ValueError("class_weight and sample_weight exclude each other; multiply them into sample_weight")
    if y is None or isinstance(y, (dict, list, tuple)):
        raise ValueError("class_weight needs one target array `y`; for several outputs pass sample_weight")
    return x, y, class_weight.of(y)


def converted(parts: tuple) -> tuple:
    """Parts as tensors."""
    return jax.tree.map(ops.convert_to_tensor, parts)
