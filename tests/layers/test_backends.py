"""The catalogue on other backends: the numbers of JAX, also in training; graphs with open sizes."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import kfun
from kfun import Spec, tree
from kfun.ops._kinds import kind_named
from kfun.testing_layers import check_layer_backends
from tests.conftest import BACKENDS, GRAPHS
from tests.layers.catalogue import ROWS

EAGER = [b for b in BACKENDS if b in ("numpy", "torch", "tensorflow")]
# One or two of each family; the slow sweep has all.
QUICK = (
    "Conv2D", "Conv1DTranspose", "AveragePooling2D", "BatchNormalization", "LayerNormalization", "Dropout",
    "Flatten", "UpSampling2D", "Concatenate", "Softmax", "LSTM", "Bidirectional", "MultiHeadAttention",
)  # fmt: skip


def same_as_jax(name, backend):
    case = ROWS[name].cases[0]
    inputs, call_args = case.drawn()
    with jax.disable_jit():
        check_layer_backends(case.of.kfun(), *inputs, call_args=call_args, training=case.modes(), backends=(backend,))


def graph_with_open_sizes(name, backend):
    """The layer built as a graph whose batch size, and number of steps, are known when it runs."""
    case = ROWS[name].cases[0]
    inputs, call_args = case.drawn()
    layer = case.of.kfun()
    params, state = layer.init(kfun.random.key(3), *map(Spec.of, inputs))
    expected = jax.tree.leaves(layer.apply(params, state, *inputs, **call_args)[0])
    params, state = tree.to_numpy((params, state))
    evaluate = kind_named(backend).transforms["evaluate"]
    for open_axes in ROWS[name].open_axes:
        shapes = [tuple(None if i < min(open_axes, x.ndim - 1) else s for i, s in enumerate(x.shape)) for x in inputs]
        received = evaluate(lambda *xs: layer.apply(params, state, *xs, **call_args)[0], *inputs, shapes=shapes)
        for a, b in zip(jax.tree.leaves(received), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backend", EAGER)
@pytest.mark.parametrize("name", QUICK)
def test_same_as_jax(name, backend):
    same_as_jax(name, backend)


@pytest.mark.slow
@pytest.mark.parametrize("backend", EAGER)
@pytest.mark.parametrize("name", [name for name in ROWS if name not in QUICK])
def test_every_layer_same_as_jax(name, backend):
    same_as_jax(name, backend)


@pytest.mark.parametrize("backend", GRAPHS)
@pytest.mark.parametrize("name", QUICK)
def test_graph_with_open_sizes(name, backend):
    graph_with_open_sizes(name, backend)


@pytest.mark.slow
@pytest.mark.parametrize("backend", GRAPHS)
@pytest.mark.parametrize("name", [name for name in ROWS if name not in QUICK])
def test_every_graph_with_open_sizes(name, backend):
    graph_with_open_sizes(name, backend)
