"""Helpers of the tests of OpenVINO: graph inputs, traced models, what the compiled graph has."""

from __future__ import annotations

import collections
import functools

import jax
import pytest

from kfun.ops._kinds import backend
from tests.backends import graph_suites

pytest.importorskip("openvino")

from kfun.backends import openvino as adapter  # isort: skip
from kfun.backends.openvino import Value  # isort: skip

import openvino as ov
from openvino import opset16 as o


def graph_input(shape, dtype="float32"):
    return Value(o.parameter(ov.PartialShape([-1 if s is None else s for s in shape]), adapter.native(dtype)))


agree = functools.partial(graph_suites.agree, adapter)


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
