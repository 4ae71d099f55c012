"""Convolution on JAX: rules that state it as the primitive of `sweep` on a CPU, else as XLA's own."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from kfun.backends.common.windows import each, same_padding, transpose_padding
from kfun.backends.jax.pooling import average_pool as average_pool
from kfun.backends.jax.pooling import max_pool as max_pool
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
