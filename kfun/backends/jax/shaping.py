"""Shape, order and indexing on JAX."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from kfun.backends.common.axes import settled
from kfun.backends.jax.arrays import refuse_lost_bits
from kfun.backends.jax.explicit import take


def split(x, indices_or_sections, axis=0):
    if not isinstance(indices_or_sections, int):
        indices_or_sections = tuple(indices_or_sections)
    elif indices_or_sections == 0 or x.shape[axis] % indices_or_sections:
        raise ValueError(
            f"ops.split: axis {axis} of shape {x.shape} does not divide into {indices_or_sections} equal parts"
        )
    return list(jnp.split(x, indices_or_sections, axis))


def take_along_axis(x, indices, axis=None):
    return jnp.take_along_axis(x, indices, axis)


def pad(x, pad_width, mode="constant", constant_values=None):
    if mode != "constant" and constant_values is not None:
        raise ValueError(f"ops.pad: `constant_values` belong to the mode 'constant'; received mode {mode!r}")
    extra = {} if mode != "constant" else {"constant_values": 0 if constant_values is None else constant_values}
    return jnp.pad(x, pad_width, mode, **extra)


def top_k(x, k, sorted=True):
    return tuple(lax.top_k(x, k))


def slice_(inputs, start_indices, shape):
    if any(isinstance(n, int) and n < 0 for n in shape):  # -1: all the rest
        shape = [
            size - start if n == -1 else n for n, size, start in zip(shape, inputs.shape, start_indices, strict=True)
        ]
    return lax.dynamic_slice(inputs, _starts(start_indices), shape)


def slice_update(inputs, start_indices, updates):
    return lax.dynamic_update_slice(inputs, updates, _starts(start_indices))


def _starts(indices):
    """Starts of one type, which JAX asks for."""
    return [jnp.asarray(i, jnp.int32) for i in indices]


def segment_sum(data, segment_ids, num_segments=None, sorted=False):
    return jax.ops.segment_sum(data, segment_ids, num_segments, indices_are_sorted=sorted)


def getitem(x, key):
    for part in key if type(key) is tuple else (key,):
        refuse_lost_bits(part)
    return x[key]


RULES = {
    "reshape": lambda x, newshape: jnp.reshape(x, newshape),
    "transpose": lambda x, axes=None: jnp.transpose(x, axes),
    "expand_dims": lambda x, axis: jnp.expand_dims(x, settled(axis)),
    "squeeze": lambda x, axis=None: jnp.squeeze(x, settled(axis)),
    "broadcast_to": lambda x, shape: jnp.broadcast_to(x, shape),
    "concatenate": lambda xs, axis=0: jnp.concatenate(xs, axis),
    "stack": lambda x, axis=0: jnp.stack(x, axis),
    "split": split,
    "getitem": getitem,
    "take": take,
    "take_along_axis": take_along_axis,
    "pad": pad,
    "tile": lambda x, repeats: jnp.tile(x, repeats),
    "repeat": lambda x, repeats, axis=None: jnp.repeat(
        x, np.asarray(repeats) if isinstance(repeats, (list, tuple)) else repeats, axis
    ),
    "flip": lambda x, axis=None: jnp.flip(x, settled(axis)),
    "roll": lambda x, shift, axis=None: jnp.roll(x, shift, settled(axis)),
    "sort": lambda x, axis=-1: jnp.sort(x, axis),
    "argsort": lambda x, axis=-1: jnp.argsort(x, axis).astype("int32"),
    "top_k": top_k,
    "searchsorted": lambda sorted_sequence, values, side="left": jnp.searchsorted(sorted_sequence, values, side).astype(
        "int32"
    ),
    "slice": slice_,
    "slice_update": slice_update,
    "segment_sum": segment_sum,
    "tril": lambda x, k=0: jnp.tril(x, k),
    "triu": lambda x, k=0: jnp.triu(x, k),
}
