"""Convolution and pooling on JAX.

On a CPU, convolutions are stated as the primitive of `sweep`, and pooling as strided slices, whose gradient
is far cheaper than that of XLA's windows; elsewhere both are XLA's own.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from kfun.backends.common.windows import depthwise, each, grouped, same_padding, transpose_padding
from kfun.backends.jax.sweep import Sweep, sweep_bind


def conv(inputs, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1):
    n = inputs.ndim - 2
    inputs, kernel = _same_type(inputs, kernel)
    strides, dilation = each(strides, n), each(dilation_rate, n)
    channels = inputs.shape[1 if data_format == "channels_first" else -1]
    groups = channels // kernel.shape[-2]
    if _restatable(inputs, kernel):
        x = _last(inputs, data_format)
        sweep = _sweep(x.shape[1:-1], kernel.shape[:-2], strides, dilation, padding, groups)
        if min(sweep.out) > 0 and channels == groups * kernel.shape[-2] and kernel.shape[-1] % groups == 0:
            return _first(sweep_bind("forward", sweep, x, kernel), data_format)
    return lax.conv_general_dilated(
        inputs,
        kernel,
        strides,
        padding.upper(),
        rhs_dilation=dilation,
        dimension_numbers=_layout(n, data_format),
        feature_group_count=groups,
    )


def _sweep(size, window, strides, dilation, padding, groups):
    extent = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    if padding == "same":
        out = tuple(-(-i // s) for i, s in zip(size, strides, strict=True))
        low = tuple(same_padding(*axis)[0] for axis in zip(size, window, strides, dilation, strict=True))
    else:
        out = tuple((i - e) // s + 1 for i, e, s in zip(size, extent, strides, strict=True))
        low = (0,) * len(size)
    return Sweep(size, window, out, strides, dilation, low, groups)


def conv_transpose(inputs, kernel, strides=1, padding="valid", output_padding=None, data_format=None, dilation_rate=1):
    n = inputs.ndim - 2
    inputs, kernel = _same_type(inputs, kernel)
    strides, dilation = each(strides, n), each(dilation_rate, n)
    extra = each(output_padding, n) if output_padding is not None else (None,) * n
    pads = [
        transpose_padding(k, s, d, padding, p)
        for k, s, d, p in zip(kernel.shape, strides, dilation, extra, strict=False)
    ]
    if _restatable(inputs, kernel):
        x = _last(inputs, data_format)
        out, window = x.shape[1:-1], kernel.shape[:-2]
        reach = [(k - 1) * d for k, d in zip(window, dilation, strict=True)]
        size = tuple((o - 1) * s + 1 + sum(p) - r for o, s, p, r in zip(out, strides, pads, reach, strict=True))
        low = tuple(r - p[0] for r, p in zip(reach, pads, strict=True))
        if min(size) > 0 and x.shape[-1] == kernel.shape[-1]:
            return _first(
                sweep_bind("input", Sweep(size, window, out, strides, dilation, low, 1), x, kernel), data_format
            )
    return lax.conv_transpose(
        inputs, kernel, strides, pads, dilation, dimension_numbers=_layout(n, data_format), transpose_kernel=True
    )


def _layout(n, data_format):
    spatial = "DHW"[3 - n :]
    io = f"NC{spatial}" if data_format == "channels_first" else f"N{spatial}C"
    return io, f"{spatial}IO", io


def _same_type(x, kernel):
    out = jnp.result_type(x, kernel)
    return x.astype(out), kernel.astype(out)


def _last(x, data_format):
    return jnp.moveaxis(x, 1, -1) if data_format == "channels_first" else x


def _first(x, data_format):
    return jnp.moveaxis(x, -1, 1) if data_format == "channels_first" else x


def _restatable(x, kernel):
    """Whether the primitive may take over: floats on a CPU, of known sizes, not split by hand over devices."""
    meshes = jax.sharding.get_abstract_mesh(), jax.typeof(x).sharding.mesh, jax.typeof(kernel).sharding.mesh
    return (
        jax.default_backend() == "cpu"
        and jnp.issubdtype(x.dtype, jnp.floating)
        and all(isinstance(d, int) and d > 0 for d in (*x.shape, *kernel.shape))
        and x.ndim == kernel.ndim
        and all(t == jax.sharding.AxisType.Auto for mesh in meshes for t in mesh.axis_types)
    )


_HALF = (jnp.bfloat16, jnp.float16)
_SLICES = 16  # a wider window is XLA's to pool: a program of so many slices compiles for seconds


def max_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    low = -jnp.inf if jnp.issubdtype(inputs.dtype, jnp.floating) else jnp.iinfo(inputs.dtype).min
    low = np.array(low, inputs.dtype)
    return _pool(inputs, pool_size, strides, padding, data_format, low, lax.max, _larger)


def average_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    kept = inputs.dtype
    if kept in _HALF:
        inputs = inputs.astype(jnp.float32)
    zero = np.zeros((), inputs.dtype)
    total = _pool(inputs, pool_size, strides, padding, data_format, zero, lax.add, lax.add)
    if padding == "valid":
        return (total / np.prod(each(pool_size, inputs.ndim - 2))).astype(kept)
    ones = jnp.ones((1, *inputs.shape[1:]), inputs.dtype)
    return (total / _pool(ones, pool_size, strides, padding, data_format, zero, lax.add, lax.add)).astype(kept)


@jax.custom_jvp
def _larger(best, x):
    """The maximum whose gradient goes to `best` alone in a tie, as Keras's does; a NaN stays.

    `lax.max` by itself would share the gradient among equals, which ReLU makes common.
    """
    return lax.max(best, x)


@_larger.defjvp
def _larger_jvp(primals, tangents):
    best, x = primals
    new = (x > best) | (x != x)
    return jnp.where(new, x, best), jnp.where(new, tangents[1], tangents[0])


def _pool(x, pool_size, strides, padding, data_format, start, reduce, combine):
    n = x.ndim - 2
    pool = each(pool_size, n)
    step = each(pool_size if strides is None else strides, n)
    first = 2 if data_format == "channels_first" else 1
    sliced = max(pool) <= _SLICES and all(isinstance(d, int) for d in x.shape[first : first + n])
    if not sliced or jax.default_backend() != "cpu":
        around = ((1, 1), ()) if data_format == "channels_first" else ((1,), (1,))
        window, stride = (around[0] + sizes + around[1] for sizes in (pool, step))
        return lax.reduce_window(x, start, reduce, window, stride, padding.upper())
    # From the last axis to the first: among equal maxima of a window the first in row order wins.
    for axis in reversed(range(n)):
        x = _along(x, first + axis, pool[axis], step[axis], padding, start, combine)
    return x


def _along(x, axis, window, step, padding, start, combine):
    """Pools one axis by combining `window` strided slices of it."""
    if padding == "same":
        before, after = same_padding(x.shape[axis], window, step)
        if before or after:
            x = lax.pad(x, start, [(before, after, 0) if i == axis else (0, 0, 0) for i in range(x.ndim)])
    count = max((x.shape[axis] - window) // step + 1, 0)
    last = max((count - 1) * step + 1, 0)
    parts = [lax.slice_in_dim(x, i, i + last, step, axis) for i in range(window if count else 0)]
    if not parts:
        return lax.slice_in_dim(x, 0, 0, 1, axis)
    out = parts[0]
    for part in parts[1:]:
        out = combine(out, part)
    return out


RULES = {
    "conv": conv,
    "depthwise_conv": depthwise(conv, grouped),
    "conv_transpose": conv_transpose,
    "max_pool": max_pool,
    "average_pool": average_pool,
}
