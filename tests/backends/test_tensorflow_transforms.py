"""Control flow and transformations on the TensorFlow adapter are those of JAX."""

from __future__ import annotations

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tensorflow as tf

import kfun
from kfun import ops, random
from tests.backends import cases, function_cases
from tests.backends.function_cases import INPUT, PARAMS, Point, control, net, net_loss, net_value
from tests.backends.tensorflow_tools import close, normals, quick, scalar, tensor


def test_control_flow_is_that_of_jax():
    wanted = list(control(jnp.asarray))
    close(list(control(tensor)), wanted)
    close(tf.function(lambda: list(control(tensor)), autograph=False)(), wanted)


@pytest.mark.parametrize(
    ("reverse", "unroll", "compiled"), [(False, 1, False), (True, 4, False), (False, 4, True), (True, 1, True)]
)
def test_long_scans(reverse, unroll, compiled):
    xs, start = normals([(43, 3), (3,)])

    def run(xs, start):
        def body(carry, x):
            carry = ops.tanh(ops.add(carry, x))
            return carry, {"y": ops.multiply(carry, 2.0), "n": ops.greater(carry, 0)}

        return ops.scan(body, start, xs, reverse=reverse, unroll=unroll)

    def both(xs, start):
        return run(xs, start), kfun.grad(scalar(lambda *a: jax.tree.leaves(run(*a))[::2]), (0, 1))(xs, start)

    wanted = both(jnp.asarray(xs), jnp.asarray(start))
    close(tf.function(both, autograph=False, jit_compile=compiled)(tensor(xs), tensor(start)), wanted, 1e-4)


def test_a_long_scan_is_one_loop_and_a_short_one_none():
    def nodes(n, unroll=1):
        run = tf.function(lambda xs: ops.scan(lambda c, x: (c + x, c * x), xs[0], xs, unroll=unroll), autograph=False)
        graph = run.get_concrete_function(tf.TensorSpec([n, 3])).graph
        return collections.Counter(op.type for op in graph.get_operations())

    assert nodes(8)["Mul"] == 8
    assert nodes(40, unroll=True)["Mul"] == 40
    assert "StatelessWhile" in nodes(100) or "While" in nodes(100)
    assert "StatelessWhile" in nodes(None) or "While" in nodes(None)


def test_gradients_of_loops():
    def power(x):
        return ops.fori_loop(0, 3, lambda i, v: ops.multiply(v, x), x)

    x = np.float32(1.5)
    close(kfun.grad(power)(tensor(x)), np.float32(4 * 1.5**3))
    for compiled in (False, True):
        graph = tf.function(kfun.grad(kfun.grad(power)), autograph=False, jit_compile=compiled)
        close(graph(tensor(x)), np.float32(12 * 1.5**2))


TRANSFORMED = function_cases.TRANSFORMED | {
    "grad of one array given twice": lambda p, x: kfun.grad(lambda a, b: ops.sum(a * b * b), (0, -1))(x, x),
    "grad of a gather": lambda p, x: kfun.grad(lambda x: ops.sum(ops.square(ops.take(x, [0, 0], 0))))(x),
    "jvp of grad": lambda p, x: kfun.jvp(lambda x: kfun.grad(net_value, 1)(p, x), (x,), (x,)),
    "grad of jvp": lambda p, x: kfun.grad(lambda x: ops.sum(kfun.jvp(lambda x: net(p, x), (x,), (x,))[1]))(x),
    "jacrev of several": kfun.jacrev(lambda p, x: Point(net(p, x), None), (0, 1)),
    "vmap of vmap": lambda p, x: kfun.vmap(lambda a: kfun.vmap(lambda b: ops.sum(a * b))(x))(x),
    "vmap of a convolution": lambda p, x: kfun.vmap(lambda k: ops.conv(x[None], k, padding="same"))(
        p["w"][:, None, :, None]
    ),
    "vmap of a scan": lambda p, x: kfun.vmap(lambda r: ops.scan(lambda c, v: (c * v, c), r[0], r))(x),
    "jit": kfun.jit(net_loss),
    "jit of grad": kfun.jit(kfun.value_and_grad(net_loss, has_aux=True)),
    "grad of jit": kfun.grad(kfun.jit(net_value)),
    "jit of vmap": kfun.jit(kfun.vmap(net, (None, 0))),
    "checkpoint in jit": lambda p, x: kfun.jit(kfun.grad(lambda p: ops.sum(kfun.checkpoint(lambda x: net(p, x))(x))))(
        p
    ),
    "attention's hessian": lambda p, x: kfun.hessian(
        lambda x: ops.sum(ops.square(ops.dot_product_attention(*(x[None, :, None, :],) * 3)))
    )(x),
}


SLOW = ("attention's hessian", "hessian of several", "jvp of grad", "jacrev of several")


@pytest.mark.parametrize("name", quick(TRANSFORMED, TRANSFORMED.keys() - SLOW))
def test_transformations_are_those_of_jax(name):
    call = TRANSFORMED[name]
    wanted = call(jax.tree.map(jnp.asarray, PARAMS), jnp.asarray(INPUT))
    close(call(jax.tree.map(tensor, PARAMS), tensor(INPUT)), wanted, 1e-4)


def test_jit_traces_once_for_each_form():
    traces = []

    @kfun.jit
    def double(tree, by):
        traces.append(1)
        return {"out": ops.multiply(tree["x"], by), "none": None}

    for value in (1.0, 2.0):
        double({"x": value * tf.ones(3)}, tf.constant(value))
    assert len(traces) == 1
    assert double({"x": tf.ones(4)}, 2)["out"].numpy().tolist() == [2.0] * 4
    assert len(traces) == 2

    fixed = kfun.jit(lambda x, n, *, mode: (traces.append(1), ops.repeat(x, n) if mode == "r" else x)[1], 1, "mode")
    assert fixed(tf.ones(2), 3, mode="r").shape == (6,)
    assert fixed(tf.ones(2), 3, mode="n").shape == (2,)
    assert fixed(tf.ones(2), 3, mode="n").shape == (2,)
    assert len(traces) == 4


def test_checkpoint_runs_again():
    runs = []

    def layer(x):
        runs.append(tf.executing_eagerly())
        return ops.tanh(x)

    gradient = kfun.grad(lambda x: ops.sum(kfun.checkpoint(layer)(x)))(tf.ones(2))
    assert runs.count(True) == 2
    np.testing.assert_allclose(gradient, 1 - np.tanh([1.0, 1.0]) ** 2, 1e-6)


def test_a_training_step_is_that_of_jax():
    """One step of an MLP with dropout, compiled: dispatch, keys, gradients and an update over a tree."""

    def loss(params, key, x):
        h = ops.relu(net(params, x))
        kept = random.bernoulli(random.fold_in(key, 1), 0.5, ops.shape(h))
        h = ops.layer_normalization(ops.where(kept, ops.divide(h, 0.5), 0.0))
        return ops.sum(ops.square(ops.softmax(h)))

    def step(params, key, x):
        value, gradients = kfun.value_and_grad(loss)(params, key, x)
        return value, jax.tree.map(lambda p, g: ops.subtract(p, ops.multiply(g, 0.1)), params, gradients)

    wanted = jax.jit(step)(jax.tree.map(jnp.asarray, PARAMS), jnp.asarray(cases.KEY), jnp.asarray(INPUT))
    values = jax.tree.map(tensor, PARAMS), tensor(cases.KEY), tensor(INPUT)
    close(kfun.jit(step)(*values), wanted, 1e-4)
    close(tf.function(step, jit_compile=True, autograph=False)(*values), wanted, 1e-4)
