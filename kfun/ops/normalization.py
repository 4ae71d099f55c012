"""Normalizations. Variances are two-pass; half precision is computed in float32."""

from __future__ import annotations

from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops import linalg as l
from kfun.ops import reduction as r
from kfun.ops import shaping as s
from kfun.ops._dispatch import Array, derived
from kfun.ops._precision import dtype_of, narrowed, widened

EPSILON = 1e-7  # Keras's backend.epsilon()


_HALF_RANGE = 65504.0  # of float16, also for bfloat16: Keras's


@derived
def moments(x: Array, axes, keepdims: bool = False, synchronized: bool = False) -> tuple:
    """Mean and population variance over `axes`, in two passes and at least float32.

    Args:
        x: floating; results in half precision are kept finite.
        axes: an int or several.
        keepdims: whether the axes stay, with size 1.
        synchronized: must be False. The moments are those of the whole of `x`, of all devices where
            it is sharded over them under `kfun.jit`.

    Raises:
        ValueError: if `synchronized`.
    """
    if synchronized:
        raise ValueError(
            "ops.moments: expected synchronized=False; received True. A sharded array gives the moments of all its "
            "shards already; between processes of their own, average the means and mean squares"
        )
    wide = widened(x)
    mean = r.mean(wide, axes, True)
    centred = e.subtract(wide, mean)
    variance = r.mean(e.multiply(centred, centred), axes, keepdims)
    mean = mean if keepdims else s.squeeze(mean, axes)
    if dtype_of(x) in ("float16", "bfloat16"):
        mean, variance = (e.clip(m, -_HALF_RANGE, _HALF_RANGE) for m in (mean, variance))
    return narrowed(mean, x), narrowed(variance, x)


@derived
def batch_normalization(
    x: Array, mean: Array, variance: Array, axis, offset: Array = None, scale: Array = None, epsilon: float = 1e-3
) -> Array:
    """`(x - mean) / sqrt(variance + epsilon) * scale + offset`; the others are 1-d along `axis`."""
    shape = [1] * len(c.shape(x))
    shape[axis] = c.shape(mean)[0]
    inverse = e.rsqrt(e.add(s.reshape(variance, shape), epsilon))
    if scale is not None:
        inverse = e.multiply(inverse, s.reshape(scale, shape))
    shift = e.negative(e.multiply(s.reshape(mean, shape), inverse))
    if offset is not None:
        shift = e.add(shift, s.reshape(offset, shape))
    return c.cast(e.add(e.multiply(x, inverse), shift), dtype_of(x))


@derived
def layer_normalization(
    x: Array, gamma: Array = None, beta: Array = None, axis=-1, epsilon: float | None = None
) -> Array:
    """Zero mean and unit variance over `axis`, then `* gamma + beta` (arXiv:1607.06450).

    Written with a division by the square root, which OpenVINO fuses to one operation.

    Args:
        x: floating.
        gamma, beta: of the sizes of `x` along `axis`.
        axis: an int or several.
        epsilon: added to the variance, 1e-7 by default.
    """
    epsilon = EPSILON if epsilon is None else epsilon
    axes = tuple(axis) if isinstance(axis, (list, tuple)) else (axis,)
    wide = widened(x)
    centred = e.subtract(wide, r.mean(wide, axes, True))
    out = e.divide(centred, e.sqrt(e.add(r.mean(e.multiply(centred, centred), axes, True), epsilon)))
    sizes, ndim = c.shape(x), len(c.shape(x))
    shape = [sizes[i] if i in {k % ndim for k in axes} else 1 for i in range(ndim)]
    if gamma is not None:
        out = e.multiply(out, s.reshape(c.cast(gamma, dtype_of(out)), shape))
    if beta is not None:
        out = e.add(out, s.reshape(c.cast(beta, dtype_of(out)), shape))
    return c.cast(out, dtype_of(x))


@derived
def rms_normalization(x: Array, scale: Array = None, axis=-1, epsilon: float | None = None) -> Array:
    """`x / sqrt(mean(x^2) + epsilon) * scale` over `axis` (arXiv:1910.07467); `epsilon` is 1e-7 by default."""
    wide = widened(x)
    mean = r.mean(e.multiply(wide, wide), axis, True)
    out = e.divide(wide, e.sqrt(e.add(mean, EPSILON if epsilon is None else epsilon)))
    return c.cast(out if scale is None else e.multiply(out, scale), dtype_of(x))


@derived
def normalize(x: Array, axis=-1, order: int = 2, epsilon: float | None = None) -> Array:
    """`x` divided by its norm along `axis`, the norm not below `epsilon` (1e-12)."""
    epsilon = 1e-12 if epsilon is None else epsilon
    if order == 2:
        total = r.sum(e.square(x), axis, True)
        return e.multiply(x, e.rsqrt(e.maximum(total, epsilon * epsilon)))
    return e.divide(x, e.maximum(l.norm(x, order, axis, True), epsilon))
