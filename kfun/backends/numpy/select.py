"""Selection and scattering in plain NumPy."""

from __future__ import annotations

import numpy as np

from kfun.backends.numpy.elementwise import HALF, cast, native, quiet

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


def cumprod(x, axis=None, dtype=None):
    out = x.dtype if dtype is None else native(dtype)
    out = np.dtype(np.int32) if out.kind == "b" else out
    return np.cumprod(x, axis, np.float32 if out in HALF else out).astype(out)


def nonzero(x):
    return tuple(i.astype(np.int32) for i in np.nonzero(x))


RULES = {"scatter_update": quiet(scatter_update), "cumprod": quiet(cumprod), "nonzero": nonzero}
