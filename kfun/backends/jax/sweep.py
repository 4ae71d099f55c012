"""The convolution primitive on JAX: three bilinear roles, each in the layout that XLA's CPU library takes.

On a CPU, XLA runs a convolution by a matrix-product library only where it is stated channels
last with the kernel as `[K..., C, F]`. It rewrites other layouts to that one outside of loops
alone, so that JAX's own gradients, which state other layouts, are computed by plain loops
inside `scan`: tens of times slower. Here the convolution, its gradient by the input and its
gradient by the kernel are one primitive in three roles, each stated in the good layout. All
three are bilinear and the gradient of each is the other two, so derivatives of every order,
forward or backward, alone or in loops, are again such convolutions. `bench/convolution.py`
measures the alternatives.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

_HALF = (jnp.bfloat16, jnp.float16)
# One program with more shifted products, or more groups in turn, than this would compile for too long.
_TAPS, _GROUPS = 64, 8
_SUMMED = 128  # products in an output, from which on a convolution is worth padding


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
        return set(self.window) == {1} and not any(self.low) and max(self.high) <= 0


def _convolve(x, kernel, strides, pads, groups, input_dilation=None, dilation=None):
    spatial = "DHW"[5 - x.ndim :]
    return lax.conv_general_dilated(
        x,
        kernel,
        strides,
        pads,
        lhs_dilation=input_dilation,
        rhs_dilation=dilation,
        dimension_numbers=(f"N{spatial}C", f"{spatial}IO", f"N{spatial}C"),
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


def _widen(pads, sweep):
    """Pads one axis, which is returned, of a convolution without padding; else returns None.

    XLA gives a convolution without padding to another library, up to 3 times slower on large ones.
    """
    if any(map(any, pads)):
        return None
    axis = max(range(len(pads)), key=sweep.out.__getitem__)
    pads[axis] = (0, sweep.strides[axis])
    return axis


def _forward(x, kernel, sweep):
    """`[B, D..., C]` and `[K..., C / groups, F]` to `[B, D'..., F]`."""
    if sweep.pointwise and sweep.groups == 1:
        return _seen(x, sweep) @ kernel.reshape(kernel.shape[-2:])
    x, pads = _padding(x, sweep)
    # The column more and the copy without it pay where an output is the sum of many products.
    wide = _widen(pads, sweep) if math.prod(kernel.shape[:-1]) >= _SUMMED else None
    y = _convolve(x, kernel, sweep.strides, pads, sweep.groups, dilation=sweep.dilation)
    return y if wide is None else lax.slice_in_dim(y, 0, sweep.out[wide], 1, wide + 1)


def _seen(x, sweep):
    """The places that a kernel of size one reads."""
    ends = [(o - 1) * s + 1 for o, s in zip(sweep.out, sweep.strides, strict=True)]
    return lax.slice(x, (0,) * x.ndim, (x.shape[0], *ends, x.shape[-1]), (1, *sweep.strides, 1))


def _input(cotangent, kernel, sweep):
    """`[B, D'..., F]` and `[K..., C / groups, F]` to `[B, D..., C]`: the gradient by the input."""
    if sweep.pointwise and sweep.groups == 1:
        x = cotangent @ kernel.reshape(kernel.shape[-2:]).T
        pads = [(0, -h, s - 1) for h, s in zip(sweep.high, sweep.strides, strict=True)]
        return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *pads, (0, 0, 0)])
    n, (*window, channels, features) = len(sweep.window), kernel.shape
    turned = lax.rev(kernel, range(n)).reshape(*window, channels, sweep.groups, features // sweep.groups)
    turned = jnp.moveaxis(turned, n, -1).swapaxes(n, n + 1)  # [K..., F / groups, groups, C / groups]
    turned = turned.reshape(*window, features // sweep.groups, channels * sweep.groups)
    pads = [(r - a, r - b) for r, a, b in zip(sweep.reach, sweep.low, sweep.high, strict=True)]
    return _convolve(cotangent, turned, (1,) * n, pads, sweep.groups, sweep.strides, sweep.dilation)


def _kernel(x, cotangent, sweep):
    """`[B, D..., C]` and `[B, D'..., F]` to `[K..., C / groups, F]`: the gradient by the kernel."""
    n, groups = len(sweep.window), sweep.groups
    if sweep.pointwise and groups == 1:
        axes = tuple(range(n + 1))
        product = lax.dot_general(_seen(x, sweep), cotangent, ((axes, axes), ((), ())))
        return product.reshape((1,) * n + product.shape)
    x, pads = _padding(x, sweep)
    wide = _widen(pads, sweep)
    if wide is not None:  # a zero in the cotangent for the column that the padding adds
        more = [(0, int(i == wide + 1), 0) for i in range(n + 2)]
        cotangent = lax.pad(cotangent, jnp.zeros((), x.dtype), more)
    batch, *size, channels = x.shape
    x = x.reshape(batch, *size, groups, channels // groups)
    x = jnp.moveaxis(jnp.moveaxis(x, -1, 0), 1, -1).reshape(channels // groups, *size, groups * batch)
    cotangent = jnp.moveaxis(cotangent, 0, -2)  # [D'..., B, F]
    gradient = _convolve(x, cotangent, sweep.dilation, pads, groups, dilation=sweep.strides)
    return jnp.moveaxis(gradient, 0, -2)  # [C / groups, K..., F] -> [K..., C / groups, F]


def _shifted(x, kernel, sweep):
    """The forward role where each channel is a group: a sum of products with shifted images.

    XLA's library goes through such convolutions channel by channel, 20 times slower.
    """
    x, pads = _padding(x, sweep)
    x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *((a, b, 0) for a, b in pads), (0, 0, 0)])
    x = jnp.repeat(x, kernel.shape[-1] // x.shape[-1], axis=-1)
    total = jnp.zeros((), x.dtype)
    for tap in np.ndindex(*sweep.window):
        start = [t * d for t, d in zip(tap, sweep.dilation, strict=True)]
        end = [a + (o - 1) * s + 1 for a, o, s in zip(start, sweep.out, sweep.strides, strict=True)]
        part = lax.slice(x, (0, *start, 0), (x.shape[0], *end, x.shape[-1]), (1, *sweep.strides, 1))
        total = total + part * kernel[(*tap, 0)]
    return total


def _whole(x, kernel, sweep):
    pads = list(zip(sweep.low, sweep.high, strict=True))
    return _convolve(x, kernel, sweep.strides, pads, sweep.groups, dilation=sweep.dilation)


def _transposing(forward, a, b, role, sweep):
    """A role as `forward` or as JAX's own gradient of it."""
    if role == "forward":
        return forward(a, b, sweep)
    like = jax.ShapeDtypeStruct(_shape(a, b, role, sweep), a.dtype)
    if role == "input":
        return jax.linear_transpose(lambda x: forward(x, b, sweep), like)(a)[0]
    return jax.linear_transpose(lambda kernel: forward(a, kernel, sweep), like)(b)[0]


_ROLES = {"forward": _forward, "input": _input, "kernel": _kernel}


def _on_cpu(a, b, *, role, sweep):
    if a.dtype in _HALF:
        return _on_cpu(a.astype(jnp.float32), b.astype(jnp.float32), role=role, sweep=sweep).astype(a.dtype)
    run, groups = _ROLES[role], sweep.groups
    if groups == 1:
        return run(a, b, sweep)
    channels = a.shape[-1] // groups if role == "kernel" else b.shape[-2]
    if channels == 1 and math.prod(sweep.window) <= _TAPS:
        return _transposing(_shifted, a, b, role, sweep)
    if groups > _GROUPS:
        return run(a, b, sweep)
    # The library goes through groups one after another too, each with half the speed of its own call.
    pairs = zip(_groups(a, groups), _groups(b, groups), strict=True)
    return jnp.concatenate([run(x, y, sweep._replace(groups=1)) for x, y in pairs], axis=-1)


def _groups(x, groups):
    return jnp.split(x, groups, axis=-1)


def _elsewhere(a, b, *, role, sweep):
    """XLA's own gradients, for programs that are exported from a CPU to other platforms."""
    return _transposing(_whole, a, b, role, sweep)


def _shape(a, b, role, sweep):
    if role == "forward":
        return (a.shape[0], *sweep.out, b.shape[-1])
    if role == "input":
        return (a.shape[0], *sweep.size, b.shape[-2] * sweep.groups)
    return (*sweep.window, a.shape[-1] // sweep.groups, b.shape[-1])


# The axis that takes in a batch, in the first operand, the second and the result (0 images, -2
# channels of the kernel, -1 channels or features): the first batched alone, the second, both.
_MERGED = {
    "forward": ((0, None, 0), (None, -1, -1)),
    "input": ((0, None, 0), (None, -2, -1)),
    "kernel": ((-1, None, -2), (None, -1, -1)),
}
_AS_GROUPS = (-1, -1, -1)


def _batch(operands, axes, *, role, sweep):
    """A batch of convolutions is one with more images, channels or features, or with more groups."""
    (a, b), (i, j) = operands, axes
    count = a.shape[i] if i is not None else b.shape[j]
    merge = _AS_GROUPS if None not in axes else _MERGED[role][i is None]
    if sweep.groups > 1 and 0 not in merge:
        merge = _AS_GROUPS
    if merge is _AS_GROUPS:
        a, i = (jnp.broadcast_to(a, (count, *a.shape)), 0) if i is None else (a, i)
        b, j = (jnp.broadcast_to(b, (count, *b.shape)), 0) if j is None else (b, j)
        sweep = sweep._replace(groups=sweep.groups * count)
    out = sweep_bind(role, sweep, _merge(a, i, merge[0]), _merge(b, j, merge[1]))
    axis = merge[2] % out.ndim
    return out.reshape(*out.shape[:axis], count, -1, *out.shape[axis + 1 :]), axis


def _merge(x, axis, into):
    if axis is None:
        return x
    into %= x.ndim - 1
    x = jnp.moveaxis(x, axis, into)
    return x.reshape(*x.shape[:into], -1, *x.shape[into + 2 :])


def _gradient_first(g, a, b, *, role, sweep):
    if role == "forward":
        return sweep_bind("input", sweep, g, b)
    return sweep_bind("forward", sweep, g, b) if role == "input" else sweep_bind("input", sweep, b, g)


def _gradient_second(g, a, b, *, role, sweep):
    if role == "forward":
        return sweep_bind("kernel", sweep, a, g)
    return sweep_bind("kernel", sweep, g, a) if role == "input" else sweep_bind("forward", sweep, a, g)


_convolution = Primitive("kfun_convolution")
_convolution.def_impl(jax.jit(_on_cpu, static_argnames=("role", "sweep")))
_convolution.def_abstract_eval(lambda a, b, *, role, sweep: jax.core.ShapedArray(_shape(a, b, role, sweep), a.dtype))
ad.defbilinear(_convolution, _gradient_first, _gradient_second)
batching.primitive_batchers[_convolution] = _batch
mlir.register_lowering(_convolution, mlir.lower_fun(_elsewhere, multiple_results=False))
mlir.register_lowering(_convolution, mlir.lower_fun(_on_cpu, multiple_results=False), platform="cpu")


def sweep_bind(role, sweep, a, b):
    """Runs a role of the primitive.

    Args:
        role: `"forward"` takes the input `[B, size..., C]` and the kernel
            `[window..., C / groups, F]` to the output `[B, out..., F]`; `"input"` takes an output
            and the kernel to an input; `"kernel"` takes an input and an output to a kernel.
    """
    return _convolution.bind(a, b, role=role, sweep=sweep)
