"""One call of an op with seeded arrays, and the comparison of an adapter's rule with that of JAX."""

from __future__ import annotations

import functools
import zlib
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np

from kfun.ops._dispatch import OPS

DTYPES = ("bool", "int32", "uint8", "float16", "bfloat16", "float32")
TOLERANCE = {"float16": 4e-3, "bfloat16": 3e-2, "float32": 1e-5}


@dataclass(frozen=True)
class X:
    """An array argument: its shape, its range, and its dtype if that is not the one of the sweep."""

    shape: tuple = (3, 4)
    low: float = -2.0
    high: float = 2.0
    dtype: str | None = None


def integers(shape, high, low=0):
    return X(shape, low, high, "int32")


@dataclass(eq=False)
class Case:
    op: str
    args: tuple
    kwargs: dict = field(default_factory=dict)
    dtypes: tuple = DTYPES
    gradient: bool = True

    def __str__(self):
        extra = ",".join(f"{k}={v}" for k, v in self.kwargs.items())
        return f"{self.op}-{extra}-{zlib.crc32(repr(self.args).encode()) % 10000}"


def make(x: X, dtype: str, seed: int) -> np.ndarray:
    """Seeded data without ties, of the range of `x`."""
    draw = np.random.default_rng(seed)
    name = x.dtype or dtype
    kind = np.dtype(getattr(ml_dtypes, name, name))
    if name == "bool":
        return draw.random(x.shape) < 0.5
    if "int" in name:
        low = max(int(x.low), 0) if name.startswith("u") else int(x.low)
        return draw.integers(low, max(int(x.high), low + 1) if x.dtype else int(x.high) + 4, x.shape).astype(kind)
    return (x.low + (x.high - x.low) * draw.random(x.shape)).astype(kind)


def arguments(case: Case, dtype: str, convert) -> list:
    seed = zlib.crc32(f"{case.op}{dtype}".encode())

    def built(value, i):
        if isinstance(value, X):
            return convert(make(value, dtype, seed + i))
        if isinstance(value, (list, tuple)) and any(isinstance(v, X) for v in value):
            return type(value)(built(v, 100 + 10 * i + j) for j, v in enumerate(value))
        return value

    return [built(value, i) for i, value in enumerate(case.args)]


@functools.cache  # for the adapters in turn
def expected(case: Case, dtype: str) -> list[np.ndarray] | None:
    """What JAX's rule gives, flat; None where JAX refuses the type."""
    try:
        out = OPS[case.op].public(*arguments(case, dtype, jnp.asarray), **case.kwargs)
    except (TypeError, ValueError):
        if dtype == "float32":
            raise
        return None
    return [np.asarray(leaf) for leaf in jax.tree.leaves(out)]


def check_same(actual: list[np.ndarray], wanted: list[np.ndarray], label: str) -> None:
    assert len(actual) == len(wanted), label
    for a, w in zip(actual, wanted, strict=True):
        assert a.dtype == w.dtype, f"{label}: dtype {a.dtype}, JAX has {w.dtype}"
        assert a.shape == w.shape, f"{label}: shape {a.shape}, JAX has {w.shape}"
        tolerance = TOLERANCE.get(w.dtype.name)
        if tolerance is None:
            np.testing.assert_array_equal(a, w, label)
        else:
            a, w = a.astype(np.float64), w.astype(np.float64)
            np.testing.assert_allclose(a, w, tolerance, tolerance * max(1e-6, _scale(w)), err_msg=label)


def _scale(w):
    finite = np.abs(w[np.isfinite(w)])
    return float(finite.max()) if finite.size else 1.0


def weights(shape, i=0):
    """Fixed weights that make a scalar of an output, so that its gradient sees every element."""
    return np.cos(np.arange(1, 1 + int(np.prod(shape))) * 0.7 + i).astype(np.float32).reshape(shape)


def expected_gradients(case: Case) -> list[np.ndarray] | None:
    """Of the weighted sum of the outputs, for every float32 array argument; None if there is none."""
    args = arguments(case, "float32", jnp.asarray)
    places = [i for i, a in enumerate(args) if getattr(a, "dtype", None) == jnp.float32]
    outputs = jax.tree.leaves(jax.eval_shape(lambda *a: _call(case, args, places, a), *[args[i] for i in places]))
    if not places or not any(o.dtype == jnp.float32 for o in outputs):
        return None

    def total(*given):
        leaves = jax.tree.leaves(_call(case, args, places, given))
        return sum(jnp.sum(o * weights(o.shape, i)) for i, o in enumerate(leaves) if o.dtype == jnp.float32)

    found = jax.grad(total, tuple(range(len(places))))(*[args[i] for i in places])
    return [np.asarray(g) for g in found]


def _call(case, args, places, given):
    merged = list(args)
    for i, a in zip(places, given, strict=True):
        merged[i] = a
    return OPS[case.op].public(*merged, **case.kwargs)
