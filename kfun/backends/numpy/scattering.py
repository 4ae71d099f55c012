"""Scattering on NumPy."""

from __future__ import annotations

import numpy as np

from kfun.backends.numpy.arrays import HALF, cast, quiet

_UFUNCS = {"add": np.add, "max": np.maximum, "min": np.minimum, "mul": np.multiply}


def scatter_update(inputs, indices, updates, reduction=None):
    if reduction not in (None, *_UFUNCS):
        raise ValueError(f"ops.scatter_update: expected reduction None, add, max, min or mul; received {reduction!r}")
    places = tuple(np.moveaxis(indices, -1, 0))
    updates = cast(updates, inputs.dtype)
    out = np.array(inputs, np.float32 if inputs.dtype in HALF else inputs.dtype)
    if reduction is None:
        out[places] = updates
    else:
        _UFUNCS[reduction].at(out, places, updates.astype(out.dtype))
    return out.astype(inputs.dtype)


RULES = {
    "scatter_update": quiet(scatter_update),
}
