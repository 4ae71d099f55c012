"""Float64 under JAX's 64-bit types: asked for by a policy, it holds from the first weight to the last step."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

SETUP = """
import jax, jax.numpy as jnp, numpy as np, kfun
from kfun import Policy, Spec, initializers, layers
WIDE = Policy(params="float64")
KEY = kfun.random.key(0)
x = jnp.asarray(np.random.default_rng(0).normal(size=(8, 3)))
def floats(tree):
    return {str(v.dtype) for v in jax.tree.leaves(tree) if jnp.issubdtype(v.dtype, jnp.floating)}
net = kfun.Sequential([layers.Dense(4, "tanh"), layers.BatchNormalization(), layers.Dropout(0.1), layers.Dense(1)])
"""

PROGRAMS = {
    "float32 unless asked": """
for given in (x, Spec((None, 3), "float64")):
    assert floats(net.init(KEY, given)) == {"float32"}
params, state = net.init(KEY, x)
assert floats(net.apply(params, state, x)[0]) == {"float64"}
assert floats(net.apply(params, state, x.astype("float32"))[0]) == {"float32"}
""",
    "by the net's policy": """
wide = net.replace(policy=WIDE)
params, state = wide.init(KEY, x)
assert floats((params, state)) == {"float64"}
for training in (False, True):
    outputs, new = wide.apply(params, state, x, key=KEY, training=training)
    assert floats((outputs, new)) == {"float64"}
assert wide.output_spec(Spec((None, 3), "float64")) == Spec((None, 1), "float64")
i = kfun.Input((3,))
for other in (kfun.Graph.of(i, layers.Dense(2)(i)), kfun.Stack(layers.Dense(3), 2), kfun.Ensemble(net, 2)):
    assert floats(other.replace(policy=WIDE).init(KEY, x)) == {"float64"}, other
""",
    "gradients to twelve digits": """
wide = net.replace(policy=WIDE)
params, state = wide.init(KEY, x)
def loss(params):
    return (wide.apply(params, state, x)[0] ** 2).sum()
gradient = jax.grad(loss)(params)
assert floats(gradient) == {"float64"}
moved = lambda h: loss(jax.tree.map(lambda p, g: p + h * g, params, gradient))
slope = sum(float((g * g).sum()) for g in jax.tree.leaves(gradient))
np.testing.assert_allclose((8 * (moved(1e-4) - moved(-1e-4)) - moved(2e-4) + moved(-2e-4)) / 12e-4, slope, 1e-10)
""",
    "compute alone": """
dense = layers.Dense(2, policy=Policy(compute="float64"))
params, state = dense.init(KEY, Spec((None, 3)))
assert floats(params) == {"float32"}
assert floats(dense.apply(params, state, x.astype("float32"))[0]) == {"float64"}
back = dense.replace(policy=Policy(compute="float64", output="float32"))
assert floats(back.apply(params, state, x)[0]) == {"float32"}
""",
    "initializers use all bits": """
for make in (initializers.GlorotUniform, initializers.HeNormal, initializers.TruncatedNormal, initializers.Orthogonal):
    drawn = np.asarray(make()(KEY, (6, 4), "float64"))
    assert drawn.dtype == "float64" and np.any(drawn != drawn.astype("float32")), make
for shape in ((6, 4), (4, 6)):
    q = np.asarray(initializers.Orthogonal()(KEY, shape, "float64"))
    np.testing.assert_allclose(q.T @ q if shape[0] > shape[1] else q @ q.T, np.eye(4), atol=1e-14)
""",
    "a step of training": """
step = kfun.training.make_train_step(net.replace(policy=WIDE), "mean_squared_error", "adam")
first = step.init(KEY, x)
params = jax.tree.map(np.array, first.params)
last, logs = step(first, (x, jnp.ones((8, 1))))
assert floats((last.params, last.state, last.optimizer["velocity"])) == {"float64"}
assert any(np.any(np.asarray(b - a)) for a, b in zip(jax.tree.leaves(params), jax.tree.leaves(last.params)))
""",
    "layers of several families": """
from tests.layers.catalogue import ROWS
for name in ("Dense", "Conv2D", "LSTM", "GRU", "LayerNormalization", "Embedding", "PReLU", "EinsumDense"):
    case = ROWS[name].cases[0]
    inputs, _ = case.drawn()
    inputs = [np.asarray(v, "float64") if v.dtype.kind == "f" else v for v in inputs]
    layer = case.of.kfun().replace(policy=WIDE)
    params, state = layer.init(KEY, *map(Spec.of, inputs))
    outputs = layer.apply(params, state, *map(jnp.asarray, inputs))
    assert floats((params, outputs)) == {"float64"}, name
""",
}


RUN = """
import json, sys, traceback
setup, programs = json.load(sys.stdin)
failed = {}
for name, program in programs.items():
    try:
        exec(setup + program, {})
    except Exception:
        failed[name] = traceback.format_exc()
print(json.dumps(failed))
"""


@pytest.fixture(scope="module")
def failed():
    """What failed of the programs, which run in one process of their own, as the types are chosen where it starts."""
    env = os.environ | {"JAX_ENABLE_X64": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    given = json.dumps([SETUP, PROGRAMS])
    done = subprocess.run([sys.executable, "-c", RUN], env=env, input=given, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", PROGRAMS)
def test_under_64_bits(failed, name):
    assert name not in failed, failed[name]
