"""Padded batches: how many of a batch's rows are real, for whoever takes a mean over them.

The last batch of an epoch is filled up with copies of its last row, so that it runs in the program of the
others. Inside `real` the losses, the metrics and the layers that pool rows leave the copies out.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from compat.state import masks
from kfun import ops
from kfun.training.feed import Padded

_current: contextvars.ContextVar[tuple[Any, Any] | None] = contextvars.ContextVar("compat_rows", default=None)


@contextlib.contextmanager
def real(batch: Any) -> Iterator[Any]:
    """Gives a batch without its count of real rows, which hold inside if it has one."""
    if not isinstance(batch, Padded):
        yield batch
        return
    size = jax.tree.leaves(batch.batch)[0].shape[0]
    token = _current.set((batch.rows, ops.less(ops.arange(size, dtype="int32"), batch.rows)))
    try:
        yield batch.batch
    finally:
        _current.reset(token)


def only_real(outputs: Any, batch: Any) -> Any:
    """The outputs of a batch without those of rows that are not real."""
    if not isinstance(batch, Padded):
        return outputs
    return jax.tree.map(lambda x: x if len(x) == batch.rows else np.asarray(x)[: batch.rows], outputs)


def count(x: Any) -> Any:
    """The number of real rows of `x`, float32."""
    now = _current.get()
    return ops.cast(ops.shape(x)[0] if now is None else now[0], "float32")


def mark(outputs: Any) -> None:
    """Gives outputs a mask of the real rows, with the mask that they have, for losses to see."""
    now = _current.get()
    if now is None:
        return
    for x in outputs:
        old = masks.get(x)
        masks.put(x, now[1] if old is None else ops.logical_and(old, _leading(now[1], old.ndim)))


def weighted(sample_weight: Any) -> Any:
    """Sample weights that are 0 for rows that are not real; as they are if all are."""
    now = _current.get()
    if now is None:
        return sample_weight
    if sample_weight is None:
        return ops.cast(now[1], "int32")  # metrics that count take no fractions
    return ops.multiply(sample_weight, ops.cast(_leading(now[1], sample_weight.ndim), sample_weight.dtype))


def mask_for(x: Any, mask: Any) -> Any:
    """A mask of the real rows for a layer that pools rows of `x`, with the mask that it was given."""
    now = _current.get()
    if now is None:
        return mask
    mine = ops.broadcast_to(_leading(now[1], len(x.shape) - 1), tuple(x.shape[:-1]))
    return mine if mask is None else ops.logical_and(ops.cast(mask, "bool"), mine)


def _leading(mask: Any, ndim: int) -> Any:
    return ops.reshape(mask, (-1,) + (1,) * (ndim - 1))
