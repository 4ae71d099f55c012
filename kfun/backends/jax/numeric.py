"""Special functions, bits, complex numbers and diagonals on JAX."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import lax

from kfun import dtypes
from kfun.backends.jax.arrays import of_floats
from kfun.ops._dispatch import OPS

_MATH = """tan arcsin arccos arctan sinh cosh arcsinh arccosh arctanh cbrt exp2 log2 log10 deg2rad rad2deg logaddexp2
    heaviside i0"""
_BITS = "bitwise_and bitwise_or bitwise_xor bitwise_not gcd lcm nextafter"


def complex_(real, imag):
    dtype = jnp.result_type(real, imag, jnp.float32)
    return lax.complex(*jnp.broadcast_arrays(jnp.asarray(real, dtype), jnp.asarray(imag, dtype)))


def moments(x, axes, keepdims=False, synchronized=False):
    if synchronized or x.dtype not in (jnp.float32, jnp.float64):
        return OPS["moments"].body(x, axes, keepdims, synchronized)
    return _moments(x, tuple(axes) if isinstance(axes, (list, tuple)) else (axes,), keepdims)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def _moments(x, axes, keepdims):
    return OPS["moments"].body(x, axes, keepdims)


@_moments.defjvp
def _moments_jvp(axes, keepdims, primals, tangents):
    """The variance does not change with the mean that it is taken around, so nothing is summed for that."""
    (x,), (dx,) = primals, tangents
    mean, variance = _moments(x, axes, True)
    moved = [jnp.mean(dx, axes, keepdims=keepdims), 2 * jnp.mean((x - mean) * dx, axes, keepdims=keepdims)]
    kept = (mean, variance) if keepdims else (jnp.squeeze(mean, axes), jnp.squeeze(variance, axes))
    return kept, tuple(moved)


RULES = {
    "moments": moments,
    **{name: getattr(jnp, name) for name in _MATH.split()},
    **{name: getattr(jnp, name) for name in _BITS.split()},
    **{name: getattr(jnp, name) for name in ("real", "imag", "conj", "isreal", "angle")},
    "bitwise_left_shift": jnp.left_shift,
    "bitwise_right_shift": jnp.right_shift,
    "erfc": of_floats(lax.erfc),
    "lgamma": of_floats(lax.lgamma),
    "digamma": of_floats(lax.digamma),
    "view": lambda x, dtype=None: x if dtype is None else x.view(dtypes.name(dtype)),
    "complex": complex_,
    "copy": jnp.copy,
    "diagonal": lambda x, offset=0, axis1=0, axis2=1: jnp.diagonal(x, offset, axis1, axis2),
    "diag": lambda x, k=0: jnp.diag(x, k) if x.ndim in (1, 2) else OPS["diag"].body(x, k),
}
