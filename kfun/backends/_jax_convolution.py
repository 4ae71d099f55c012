"""Convolution on JAX.

On a CPU, XLA runs a convolution by a matrix-product library only where it is stated channels
last with the kernel as `[K..., C, F]`. It rewrites other layouts to that one outside of loops
alone, so that JAX's own gradients, which state other layouts, are computed by plain loops
inside `scan`: tens of times slower. Here the convolution, its gradient by the input and its
gradient by the kernel are one primitive in three roles, each stated in the good layout. All
three are bilinear and the gradient of each is the other two, so derivatives of every order,
forward or backward, alone or in loops, are again such convolutions.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from kfun.backends._jax_pooling import average_pool as average_pool
from kfun.backends._jax_pooling import max_pool as max_pool
from kfun.backends._windows import each, same_padding, transpose_padding

_HALF = (jnp.bfloat16, jnp.float16)


def conv(inputs, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1):
    n = inputs.ndim - 2
    inputs, kernel = _same_type(inputs, kernel)
    strides, dilation = each(strides, n), each(dilation_rate, n)
    groups = inputs.shape[1 if data_format == "channels_first" else -1] // kernel.shape[-2]
    if not _restated(inputs, kernel):
        return lax.conv_general_dilated(
            inputs,
            kernel,
            strides,
            padding.upper(),
            rhs_dilation=dilation,
            dimension_numbers=_layout(n, data_format),
            feature_group_count=groups,
        )
    x = _last(inputs, data_format)
    size, window = x.shape[1:-1], kernel.shape[:-2]
    extent = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    if padding == "same":
        out = tuple(-(-i // s) for i, s in zip(size, strides, strict=True))
        low = tuple(same_padding(*axis)[0] for axis in zip(size, window, strides, dilation, strict=True))
    else:
        out = tuple(max((i - e) // s + 1, 0) for i, e, s in zip(size, extent, strides, strict=True))
        low = (0,) * n
    sweep = Sweep(size, window, out, strides, dilation, low, groups)
    return _first(_bind("forward", sweep, x, kernel), data_format)


def depthwise_conv(inputs, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1):
    *window, channels, multiplier = kernel.shape
    kernel = kernel.reshape(*window, 1, channels * multiplier)
    return conv(inputs, kernel, strides, padding, data_format, dilation_rate)


def conv_transpose(inputs, kernel, strides=1, padding="valid", output_padding=None, data_format=None, dilation_rate=1):
    n = inputs.ndim - 2
    inputs, kernel = _same_type(inputs, kernel)
    strides, dilation = each(strides, n), each(dilation_rate, n)
    extra = each(output_padding, n) if output_padding is not None else (None,) * n
    pads = [
        transpose_padding(k, s, d, padding, p)
        for k, s, d, p in zip(kernel.shape, strides, dilation, extra, strict=False)
    ]
    if not _restated(inputs, kernel):
        return lax.conv_transpose(
            inputs, kernel, strides, pads, dilation, dimension_numbers=_layout(n, data_format), transpose_kernel=True
        )
    x = _last(inputs, data_format)
    out, window = x.shape[1:-1], kernel.shape[:-2]
    reach = [(k - 1) * d for k, d in zip(window, dilation, strict=True)]
    size = tuple((o - 1) * s + 1 + sum(p) - r for o, s, p, r in zip(out, strides, pads, reach, strict=True))
    low = tuple(r - p[0] for r, p in zip(reach, pads, strict=True))
    sweep = Sweep(size, window, out, strides, dilation, low, 1)
    return _first(_bind("input", sweep, x, kernel), data_format)


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


def _restated(x, kernel):
    """Whether the primitive takes over: floats on a CPU, of known sizes, not split by hand over devices."""
    sizes = (*x.shape, *kernel.shape)
    mesh = jax.sharding.get_abstract_mesh()
    return (
        jax.default_backend() == "cpu"
        and jnp.issubdtype(x.dtype, jnp.floating)
        and all(isinstance(d, int) and d > 0 for d in sizes)
        and all(t == jax.sharding.AxisType.Auto for t in mesh.axis_types)
    )


class Sweep(NamedTuple):
    """How a kernel moves over an image: all but `groups` are tuples with an int per spatial axis.

    Attributes:
        size: of the input.
        window: of the kernel.
        out: of the output.
        strides: steps of the kernel.
        dilation: steps within the kernel.
        low: zeros before the input; those after it follow, and are cut off if negative.
        groups: into which the channels are split.
    """

    size: tuple
    window: tuple
    out: tuple
    strides: tuple
    dilation: tuple
    low: tuple
    groups: int

    @property
    def reach(self):
        return tuple((k - 1) * d for k, d in zip(self.window, self.dilation, strict=True))

    @property
    def high(self):
        axes = zip(self.out, self.strides, self.reach, self.size, self.low, strict=True)
        return tuple((o - 1) * s + r + 1 - i - p for o, s, r, i, p in axes)

    @property
    def pointwise(self):
        return set(self.window) == {1} and self.groups == 1 and not any(self.low) and max(self.high) <= 0


def _convolve(x, kernel, strides, pads, groups, input_dilation=None, dilation=None):
    return lax.conv_general_dilated(
        x,
        kernel,
        strides,
        pads,
        lhs_dilation=input_dilation,
        rhs_dilation=dilation,
        dimension_numbers=_layout(x.ndim - 2, None),
        feature_group_count=groups,
    )


def _padding(x, sweep):
    """The input without what no window sees, and the zeros that go around it."""
    pads = list(zip(sweep.low, sweep.high, strict=True))
    if min(map(min, pads)) < 0:
        cut = [(min(a, 0), min(b, 0), 0) for a, b in pads]
        x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *cut, (0, 0, 0)])
        pads = [(max(a, 0), max(b, 0)) for a, b in pads]
    return x, pads


def _widest(sweep):
    return max(range(len(sweep.out)), key=sweep.out.__getitem__)


def _forward(x, kernel, sweep):
    """`[B, D..., C]` and `[K..., C / groups, F]` to `[B, D'..., F]`."""
    if sweep.pointwise:
        return _seen(x, sweep) @ kernel.reshape(kernel.shape[-2:])
    x, pads = _padding(x, sweep)
    wide = not any(map(any, pads))
    if wide:
        # XLA gives a convolution without padding to another library, 2 to 3 times slower on large ones.
        axis = _widest(sweep)
        pads[axis] = (0, sweep.strides[axis])
    y = _convolve(x, kernel, sweep.strides, pads, sweep.groups, dilation=sweep.dilation)
    return lax.slice_in_dim(y, 0, sweep.out[axis], 1, axis + 1) if wide else y


def _seen(x, sweep):
    """The places that a kernel of size one reads."""
    ends = [(o - 1) * s + 1 for o, s in zip(sweep.out, sweep.strides, strict=True)]
    return lax.slice(x, (0,) * x.ndim, (x.shape[0], *ends, x.shape[-1]), (1, *sweep.strides, 1))


def _input(cotangent, kernel, sweep):
    """`[B, D'..., F]` and `[K..., C / groups, F]` to `[B, D..., C]`: the gradient by the input."""
    zero = jnp.zeros((), cotangent.dtype)
    if sweep.pointwise:
        x = cotangent @ kernel.reshape(kernel.shape[-2:]).T
        pads = [(0, -h, s - 1) for h, s in zip(sweep.high, sweep.strides, strict=True)]
        return lax.pad(x, zero, [(0, 0, 0), *pads, (0, 0, 0)])
    n, (*window, channels, features) = len(sweep.window), kernel.shape
    turned = lax.rev(kernel, range(n)).reshape(*window, channels, sweep.groups, features // sweep.groups)
    turned = jnp.moveaxis(turned, n, -1).swapaxes(n, n + 1)  # [K..., F / groups, groups, C / groups]
    turned = turned.reshape(*window, features // sweep.groups, channels * sweep.groups)
    pads = [(r - a, r - b) for r, a, b in zip(sweep.reach, sweep.low, sweep.high, strict=True)]
    ones = (1,) * n
    return _convolve(cotangent, turned, ones, pads, sweep.groups, sweep.strides, sweep.dilation)


def _kernel(x, cotangent, sweep):
    """`[B, D..., C]` and `[B, D'..., F]` to `[K..., C / groups, F]`: the gradient by the kernel."""
    n, groups = len(sweep.window), sweep.groups
    if sweep.pointwise:
        x, axes = _seen(x, sweep), tuple(range(n + 1))
        return lax.dot_general(x, cotangent, ((axes, axes), ((), ()))).reshape((1,) * n + (x.shape[-1], -1))
    x, pads = _padding(x, sweep)
    if not any(map(any, pads)):  # as in _forward, but with a zero in the cotangent for each in the padding
        axis = _widest(sweep)
        pads[axis] = (0, sweep.strides[axis])
        wider = [(0, i == axis + 1, 0) for i in range(n + 2)]
        cotangent = lax.pad(cotangent, jnp.zeros((), x.dtype), wider)
    batch, *size, channels = x.shape
    x = x.reshape(batch, *size, groups, channels // groups)
    x = jnp.moveaxis(jnp.moveaxis(x, -1, 0), 1, -1).reshape(channels // groups, *size, groups * batch)
    cotangent = jnp.moveaxis(cotangent, 0, -2)  # [D'..., B, F]
    gradient = _convolve(x, cotangent, sweep.dilation, pads, groups, dilation=sweep.strides)
    return jnp.moveaxis(gradient, 0, -2)  # [C / groups, K..., F] -> [K..., C / groups, F]


_ROLES = {"forward": _forward, "input": _input, "kernel": _kernel}


def _on_cpu(a, b, *, role, sweep):
    if a.dtype in _HALF:
        return _ROLES[role](a.astype(jnp.float32), b.astype(jnp.float32), sweep).astype(a.dtype)
    return _ROLES[role](a, b, sweep)


def _elsewhere(a, b, *, role, sweep):
    """The same by XLA's own gradients, for programs that are exported to other platforms."""

    def f(x, kernel):
        pads = list(zip(sweep.low, sweep.high, strict=True))
        return _convolve(x, kernel, sweep.strides, pads, sweep.groups, dilation=sweep.dilation)

    if role == "forward":
        return f(a, b)
    out = _abstract(a, b, role=role, sweep=sweep)
    like = jax.ShapeDtypeStruct(out.shape, out.dtype)
    if role == "input":
        return jax.linear_transpose(lambda x: f(x, b), like)(a)[0]
    return jax.linear_transpose(lambda kernel: f(a, kernel), like)(b)[0]


def _abstract(a, b, *, role, sweep):
    if role == "forward":
        shape = (a.shape[0], *sweep.out, b.shape[-1])
    elif role == "input":
        shape = (a.shape[0], *sweep.size, b.shape[-2] * sweep.groups)
    else:
        shape = (*sweep.window, a.shape[-1] // sweep.groups, b.shape[-1])
    return jax.core.ShapedArray(shape, a.dtype)


# Which axis a role's operands and result share: 0 the batch, -2 and -1 channels and features.
# First operand batched alone, second alone, both (the batch then multiplies the groups).
_MERGED = {
    "forward": ((0, None, 0), (None, -1, -1), (-1, -1, -1)),
    "input": ((0, None, 0), (None, -2, -1), (-1, -1, -1)),
    "kernel": ((-1, None, -2), (None, -1, -1), (-1, -1, -1)),
}


def _batch(operands, axes, *, role, sweep):
    """A batch of convolutions is one convolution, with more images, channels, features or groups."""
    (a, b), (i, j) = operands, axes
    count = a.shape[i] if i is not None else b.shape[j]
    merge = _MERGED[role][1 if i is None else 0 if j is None else 2]
    if sweep.groups > 1 and 0 not in merge:
        merge = _MERGED[role][2]
    if merge == _MERGED[role][2]:
        a, i = (jnp.broadcast_to(a, (count, *a.shape)), 0) if i is None else (a, i)
        b, j = (jnp.broadcast_to(b, (count, *b.shape)), 0) if j is None else (b, j)
        sweep = sweep._replace(groups=sweep.groups * count)
    out = _bind(role, sweep, _merge(a, i, merge[0]), _merge(b, j, merge[1]))
    axis = merge[2] % out.ndim
    return out.reshape(*out.shape[:axis], count, -1, *out.shape[axis + 1 :]), axis


def _merge(x, axis, into):
    if axis is None:
        return x
    x = jnp.moveaxis(x, axis, into % (x.ndim - 1))
    into %= x.ndim - 1
    return x.reshape(*x.shape[:into], -1, *x.shape[into + 2 :])


_convolution = Primitive("kfun_convolution")
_convolution.def_impl(jax.jit(_on_cpu, static_argnames=("role", "sweep")))
_convolution.def_abstract_eval(_abstract)
mlir.register_lowering(_convolution, mlir.lower_fun(_elsewhere, multiple_results=False))
mlir.register_lowering(_convolution, mlir.lower_fun(_on_cpu, multiple_results=False), platform="cpu")
batching.primitive_batchers[_convolution] = _batch


def _bind(role, sweep, a, b):
    return _convolution.bind(a, b, role=role, sweep=sweep)


def _transpose_first(g, a, b, *, role, sweep):
    if role == "forward":
        return _bind("input", sweep, g, b)
    return _bind("forward", sweep, g, b) if role == "input" else _bind("input", sweep, b, g)


def _transpose_second(g, a, b, *, role, sweep):
    if role == "forward":
        return _bind("kernel", sweep, a, g)
    return _bind("kernel", sweep, g, a) if role == "input" else _bind("forward", sweep, a, g)


ad.defbilinear(_convolution, _transpose_first, _transpose_second)
