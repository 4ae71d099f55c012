"""What the tests of the TensorFlow adapter share."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from kfun import ops
from kfun.backends.tensorflow import KIND


def tensor(x):
    """The tensor of an array."""
    return KIND.convert(x)


def close(actual, wanted, tolerance=1e-5):
    """Asserts that two trees have arrays of the same types, shapes and, within the tolerance, numbers."""
    for a, w in zip(jax.tree.leaves(actual), jax.tree.leaves(wanted), strict=True):
        a, w = np.asarray(a), np.asarray(w)
        assert (a.dtype, a.shape) == (w.dtype, w.shape)
        np.testing.assert_allclose(a, w, tolerance, tolerance)


def quick(names, often):
    """The names as parameters; those that are not among `often` are slow."""
    return [name if name in often else pytest.param(name, marks=pytest.mark.slow) for name in names]


def kernel(*shape):
    """Normal numbers, the same each time."""
    return np.random.default_rng(5).normal(size=shape).astype(np.float32)


def normals(shapes):
    """Arrays of normal numbers, of a seed each."""
    return [np.random.default_rng(i).normal(size=s).astype(np.float32) for i, s in enumerate(shapes)]


def scalar(call):
    """A loss of all that a call gives."""

    def loss(*args):
        return sum(ops.sum(ops.multiply(y, y)) for y in jax.tree.leaves(call(*args)))

    return loss
