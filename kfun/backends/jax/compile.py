"""How the rules of JAX are compiled, and which numbers are known while it traces."""

from __future__ import annotations

import functools

import jax
import numpy as np
from jax.core import Tracer

# What needs the numbers (or takes Python integers beyond int32), costs nothing as it is, or is
# called with ever other settings.
_NOT_COMPILED = {
    "arange", "array", "bartlett", "bincount", "blackman", "cast", "cholesky", "convert_to_numpy", "convert_to_tensor",
    "copy", "geomspace", "getitem", "hamming", "hanning", "kaiser", "linspace", "logspace", "nonzero", "random_fold_in",
    "random_randint", "segment_max", "segment_min", "segment_prod", "segment_sum", "shape", "stop_gradient", "unique",
}  # fmt: skip
_DATA = ("Array", "Arrays", "Tree", "Scalar")


def prepare(op, rule, args):
    """Compiles a rule whole, for each setting of the arguments that are not data.

    One compiled call costs less than the several of most functions of `jax.numpy`, and a trace
    takes the finished jaxpr instead of running the function again.
    """
    if op.name in _NOT_COMPILED or "Callable" in map(op.role, range(len(args))):
        return rule
    static = tuple(i for i in range(len(args)) if op.role(i) not in _DATA)
    settings = [_frozen(args[i]) for i in static]
    if any(isinstance(leaf, (jax.Array, Tracer)) for leaf in jax.tree.leaves(settings)):
        return rule
    compiled = _compiled(rule, static)
    if all(frozen is args[i] for i, frozen in zip(static, settings, strict=True)):
        return compiled
    return lambda *args: compiled(*(_frozen(a) if i in static else a for i, a in enumerate(args)))


@functools.cache
def _compiled(rule, static):
    return jax.jit(rule, static_argnums=static, inline=True)


def _frozen(value):
    """Lists and NumPy arrays as tuples, which can be settings."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list) or (isinstance(value, tuple) and any(isinstance(v, (list, np.ndarray)) for v in value)):
        return tuple(map(_frozen, value))
    return value


def host(x):
    """The numbers of an array, or of a threefry key, as NumPy; None while it is traced."""
    if isinstance(x, Tracer):
        return None
    if isinstance(x, jax.Array) and jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
        with jax.ensure_compile_time_eval():  # a known key that a traced function closes over is still known
            return np.asarray(jax.random.key_data(x)) if "fry" in str(x.dtype) else None
    return np.asarray(x)
