"""The layers of the catalogue as the tests of every exporter run them, with an open batch, against JAX."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from kfun import Spec, random
from tests.layers.catalogue import ROWS

QUICK = (
    "Conv2DTranspose",
    "MultiHeadAttention",
    "GroupNormalization",
    "ConvLSTM2D",
    "Bidirectional",
    "SeparableConv2D",
)
CASES = {case.id: case for row in ROWS.values() for case in row.cases}
FIRST = [ROWS[name].cases[0].id for name in QUICK if name in ROWS]


class Called:
    """A layer with the further arguments of a call."""

    def __init__(self, layer, arguments):
        self.layer, self.arguments = layer, arguments

    def apply(self, params, state, *inputs, training=False):
        return self.layer.apply(params, state, *inputs, training=training, **self.arguments)


def check(case, exporter):
    """`exporter`: a module with `trace` and `run`."""
    inputs, arguments = case.drawn()
    layer = case.of.kfun()
    params, state = layer.init(random.key(0), *[Spec(x.shape, x.dtype.name) for x in inputs])
    arrays = [a for a in jax.tree.leaves(arguments) if isinstance(a, np.ndarray)]
    known = case.known_batch or arrays  # masks and states have the batch's size
    specs = [Spec(x.shape if known else (None, *x.shape[1:]), x.dtype.name) for x in inputs]
    model = exporter.trace(Called(layer, arguments), params, state, *specs)
    received = exporter.run(model, *inputs)
    on_jax = jax.tree.map(lambda a: jnp.asarray(a) if isinstance(a, np.ndarray) else a, arguments)
    expected = jax.tree.leaves(layer.apply(params, state, *map(jnp.asarray, inputs), **on_jax)[0])
    for r, e in zip(received if isinstance(received, tuple) else (received,), expected, strict=True):
        assert r.dtype == e.dtype
        np.testing.assert_allclose(np.asarray(r, "float64"), np.asarray(e, "float64"), rtol=1e-5, atol=1e-5)
