"""Convolution, pooling, normalization, attention, one-hot.

Shapes: B batch, D... spatial axes, C channels in, F filters out, K... kernel sizes; with
`data_format="channels_last"` (the default) arrays are `[B, D..., C]`, else `[B, C, D...]`.
T query positions, S key positions, N heads, K key/value heads, H head size.
"""

from __future__ import annotations

from kfun import dtypes
from kfun.ops import activation as a
from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops import linalg as l
from kfun.ops import reduction as r
from kfun.ops import shaping as s
from kfun.ops._dispatch import Array, DType, derived, primitive


@primitive
def conv(inputs: Array, kernel: Array, strides=1, padding="valid", data_format=None, dilation_rate=1) -> Array:
    """Convolution over 1 to 3 spatial axes (cross-correlation, as in every framework).

    Args:
        inputs: `[B, D..., C]`.
        kernel: `[K..., C / groups, F]`; the number of groups follows from its size.
        strides: an int or one per spatial axis.
        padding: `"valid"` or `"same"`.
        data_format: `"channels_last"` (None) or `"channels_first"`.
        dilation_rate: an int or one per spatial axis.

    Returns:
        `[B, D'..., F]`.
    """


@primitive
def depthwise_conv(
    inputs: Array, kernel: Array, strides=1, padding="valid", data_format=None, dilation_rate=1
) -> Array:
    """Convolves each channel alone: kernel `[K..., C, M]`, output channels `C * M`."""


@primitive
def conv_transpose(
    inputs: Array, kernel: Array, strides=1, padding="valid", output_padding=None, data_format=None, dilation_rate=1
) -> Array:
    """The gradient of `conv` with respect to its input, as an op: kernel `[K..., F, C]`.

    Output sizes are Keras's: `"same"` gives `size * stride`, `"valid"`
    `size * stride + max(kernel - stride, 0)`, unless `output_padding` is given.
    """


@primitive
def max_pool(inputs: Array, pool_size, strides=None, padding="valid", data_format=None) -> Array:
    """Maximum over windows; `strides` defaults to `pool_size`."""


@primitive
def average_pool(inputs: Array, pool_size, strides=None, padding="valid", data_format=None) -> Array:
    """Mean over windows; padded places do not count. `strides` defaults to `pool_size`."""


@primitive
def resize_images(images: Array, size, interpolation: str = "bilinear", data_format=None) -> Array:
    """Resizes `[B, D, D, C]` images to `size`: `"nearest"` or `"bilinear"` (half-pixel centres, no antialias)."""


@primitive
def one_hot(x: Array, num_classes: int, axis=-1, dtype: DType = None) -> Array:
    """A new axis that is 1 at the index `x` and 0 elsewhere; all 0 for an index out of range."""


@derived
def moments(x: Array, axes, keepdims: bool = False) -> tuple:
    """Mean and population variance over `axes`, in two passes and at least float32."""
    wide = _widen(x)
    mean = r.mean(wide, axes, True)
    centred = e.subtract(wide, mean)
    variance = r.mean(e.multiply(centred, centred), axes, keepdims)
    mean = mean if keepdims else s.squeeze(mean, axes)
    return c.cast(mean, dtype_of(x)), c.cast(variance, dtype_of(x))


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
def layer_normalization(x: Array, gamma: Array = None, beta: Array = None, axis=-1, epsilon: float = 1e-3) -> Array:
    """Zero mean and unit variance over `axis`, then `* gamma + beta` (arXiv:1607.06450).

    Written with a division by the square root, which OpenVINO fuses to one operation.
    """
    axes = tuple(axis) if isinstance(axis, (list, tuple)) else (axis,)
    wide = _widen(x)
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
def rms_normalization(x: Array, scale: Array = 1, axis=-1, epsilon: float | None = None) -> Array:
    """`x / sqrt(mean(x^2) + epsilon) * scale` over `axis` (arXiv:1910.07467)."""
    wide = _widen(x)
    mean = r.mean(e.multiply(wide, wide), axis, True)
    out = e.divide(wide, e.sqrt(e.add(mean, 1e-6 if epsilon is None else epsilon)))
    return c.cast(e.multiply(out, scale), dtype_of(x))


@derived
def dot_product_attention(
    query: Array,
    key: Array,
    value: Array,
    bias: Array = None,
    mask: Array = None,
    scale: float | None = None,
    is_causal: bool = False,
) -> Array:
    """`softmax(query key^T * scale + bias) value` (Vaswani et al. 2017, arXiv:1706.03762).

    Args:
        query: `[B, T, N, H]`.
        key: `[B, S, K, H]`, where K divides N (grouped queries if smaller).
        value: `[B, S, K, H]`.
        bias: added to the logits, broadcast to `[B, N, T, S]`.
        mask: bool, broadcast to `[B, N, T, S]`; False hides a position.
        scale: of the logits, `1 / sqrt(H)` by default.
        is_causal: whether a position sees only those up to its own.

    Returns:
        `[B, T, N, H]`. The softmax is taken in at least float32.
    """
    *_, heads, size = c.shape(query)
    groups = heads // c.shape(key)[2]
    if groups > 1:
        key, value = s.repeat(key, groups, 2), s.repeat(value, groups, 2)
    scale = size**-0.5 if scale is None else scale
    logits = _widen(l.einsum("btnh,bsnh->bnts", e.multiply(query, scale), key))
    if bias is not None:
        logits = e.add(logits, bias)
    if is_causal:
        seen = s.tril(c.ones_like(logits, "bool"))
        mask = seen if mask is None else e.logical_and(mask, seen)
    if mask is not None:
        logits = e.where(mask, logits, -0.7 * 3.4e38)
    weights = c.cast(a.softmax(logits, -1), dtype_of(value))
    return l.einsum("bnts,bsnh->btnh", weights, value)


def dtype_of(x) -> str:
    """The canonical dtype name of an array of any kind."""
    return dtypes.name(x.dtype)


def _widen(x):
    return c.cast(x, "float32") if dtype_of(x) in ("float16", "bfloat16") else x
