"""Images resized on the host, one at a time and of any size, without compiling anything.

H, W are the old height and width, C channels.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from kfun.ops._resampling import KERNELS, filter_weights


def _gaussian(lib: Any, x: Any) -> Any:
    """A normal density with a deviation of 1/2, cut at three deviations."""
    return lib.where(x < 1.5, lib.exp(-2.0 * x * x), 0)


def _mitchell(lib: Any, x: Any) -> Any:
    """The cubic with B = C = 1/3 (Mitchell and Netravali 1988, doi:10.1145/54852.378514)."""
    near = (7 * x - 12) * x * x / 6 + 16 / 18
    far = ((-7 / 18 * x + 2) * x - 10 / 3) * x + 16 / 9
    return lib.where(x < 1, near, lib.where(x < 2, far, 0))


_KERNELS = {
    **{name: KERNELS[name] for name in ("bilinear", "bicubic", "lanczos3", "lanczos5")},
    "gaussian": _gaussian, "mitchellcubic": _mitchell,
}  # fmt: skip
METHODS = ("nearest", "area", *_KERNELS)


def resize_image(image: np.ndarray, size: tuple[int, int], method: str = "bilinear") -> np.ndarray:
    """An image `[H, W, C]` at another size, float32; half-pixel centres, no antialiasing except for `"area"`.

    Args:
        image: numbers of any type.
        size: `(height, width)`.
        method: one of `METHODS`.

    Raises:
        ValueError: if the method is none of them.
    """
    if method not in METHODS:
        raise ValueError(f"interpolation: expected one of {', '.join(METHODS)}; received {method!r}")
    out = np.asarray(image)
    for axis, new in enumerate(size):
        old = out.shape[axis]
        if old == new:
            continue
        if method == "nearest":
            out = np.take(out, (2 * np.arange(new) + 1) * old // (2 * new), axis)
        else:
            out = np.moveaxis(np.tensordot(_weights(old, new, method), out.astype("float32"), (0, axis)), 0, axis)
    return out.astype("float32")


@functools.lru_cache(maxsize=256)
def _weights(old: int, new: int, method: str) -> np.ndarray:
    """`[old, new]`: how much each old pixel counts in each new one."""
    if method == "area":
        edges = np.arange(new + 1) * (old / new)
        pixel = np.arange(old)[:, None]
        covered = np.minimum(edges[None, 1:], pixel + 1) - np.maximum(edges[None, :-1], pixel)
        return (np.maximum(covered, 0) * (new / old)).astype("float32")
    source, target = np.arange(old, dtype="float64")[:, None], np.arange(new, dtype="float64")[None]
    return filter_weights(np, _KERNELS[method], source, target, old / new, 0.0, False)[0].astype("float32")
