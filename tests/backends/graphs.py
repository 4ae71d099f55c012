"""Helpers of the tests of OpenVINO: graph inputs, traced models, the comparison with JAX."""

from __future__ import annotations

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kfun import dtypes
from kfun.ops._kinds import backend

pytest.importorskip("openvino")

from kfun.backends import openvino as adapter  # isort: skip
from kfun.backends.openvino import Value, evaluate  # isort: skip

import openvino as ov
from openvino import opset16 as o


def graph_input(shape, dtype="float32"):
    return Value(o.parameter(ov.PartialShape([-1 if s is None else s for s in shape]), adapter.native(dtype)))


def agree(f, *arrays, shapes=None, rtol=1e-5, atol=1e-6):
    """Compares a function's graph with JAX; returns the graph's results."""
    expected = jax.tree.leaves(jax.jit(f)(*map(jnp.asarray, arrays)))
    results = evaluate(f, *arrays, shapes=shapes)
    for r, e in zip(jax.tree.leaves(results), expected, strict=True):
        np.testing.assert_allclose(r, np.asarray(e), rtol, atol)
        assert not hasattr(r, "dtype") or dtypes.name(r.dtype) == dtypes.name(e.dtype)
    return results


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def model_of(f, *shapes):
    values = [graph_input(s) for s in shapes]
    with backend("openvino"), adapter.sharing():
        results = [v.output for v in jax.tree.leaves(f(*values))]
    return ov.Model([o.result(r) for r in results], [v.output.get_node() for v in values])


def runtime(f, *shapes):
    """How often each kind of node is in the compiled graph."""
    compiled = ov.Core().compile_model(model_of(f, *shapes), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return collections.Counter(
        str(n.get_rt_info()["layerType"].astype(str)) for n in compiled.get_runtime_model().get_ops()
    )
