"""Batches packed and unpacked, for training steps that users write."""

from __future__ import annotations

from typing import Any

from compat.training.data import pack, unpack


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """`(x, y, sample_weight)` of a batch; what is missing is None.

    Raises:
        ValueError: if the batch is a tuple or list of more than three parts, or of none.
    """
    return unpack(data)


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """A batch: `x` alone if it is one array or a dict, else a tuple; weights only beside `y`, as in Keras."""
    return pack(x) if y is None else pack(x, y, sample_weight)
