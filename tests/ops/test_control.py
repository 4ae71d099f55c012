"""What takes and gives functions: gradients of one's own, recomputation, vectorization; scans of open length."""

from __future__ import annotations

import numpy as np
import pytest

import kfun
from kfun import ops
from kfun.ops import _kinds
from tests.conftest import BACKENDS, GRAPHS

DIFFERENTIABLE = [b for b in BACKENDS if b in ("jax", "torch", "tensorflow")]
X = np.float32([0.5, -1.0, 2.0])


def arrays(backend, *values):
    with _kinds.backend(backend):
        return [ops.convert_to_tensor(v) for v in values]


def host(x):
    return np.asarray(ops.convert_to_numpy(x))


@ops.custom_gradient
def doubled(x):
    """The sine, with twice its gradient."""
    return ops.sin(x), lambda upstream: ops.multiply(upstream, ops.multiply(2.0, ops.cos(x)))


@ops.custom_gradient
def product(x, y):
    def grad(*args, upstream):
        first, second = args
        return ops.multiply(upstream, ops.multiply(second, 3.0)), ops.multiply(upstream, first)

    return ops.multiply(x, y), grad


@pytest.mark.parametrize("backend", DIFFERENTIABLE)
class TestCustomGradient:
    def test_first_and_second_derivative(self, backend):
        (x,) = arrays(backend, X)
        np.testing.assert_allclose(host(doubled(x)), np.sin(X), rtol=1e-5)
        first = kfun.grad(lambda x: ops.sum(doubled(x)))
        np.testing.assert_allclose(host(first(x)), 2 * np.cos(X), rtol=1e-5)
        second = kfun.grad(lambda x: ops.sum(first(x)))
        np.testing.assert_allclose(host(second(x)), -2 * np.sin(X), rtol=1e-5)

    def test_several_arguments_and_kerass_form_for_torch(self, backend):
        x, y = arrays(backend, X, X + 3)
        first, second = kfun.grad(lambda x, y: ops.sum(product(x, y)), (0, 1))(x, y)
        np.testing.assert_allclose(host(first), 3 * (X + 3), rtol=1e-6)
        np.testing.assert_allclose(host(second), X, rtol=1e-6)

    def test_trees(self, backend):
        x, y = arrays(backend, X, X + 3)

        @ops.custom_gradient
        def both(tree):
            out = {"sum": ops.add(tree["x"], tree["y"]), "x": tree["x"]}
            return out, lambda g: {"x": ops.multiply(g["sum"], 5.0), "y": g["x"]}

        found = kfun.grad(lambda t: ops.sum(both(t)["sum"]) + 2 * ops.sum(both(t)["x"]))({"x": x, "y": y})
        np.testing.assert_allclose(host(found["x"]), [5.0] * 3)
        np.testing.assert_allclose(host(found["y"]), [2.0] * 3)

    def test_under_vmap(self, backend):
        (x,) = arrays(backend, X)
        found = kfun.vmap(kfun.grad(doubled))(x)
        np.testing.assert_allclose(host(found), 2 * np.cos(X), rtol=1e-5)

    def test_checkpoint_is_an_op_too(self, backend):
        (x,) = arrays(backend, X)
        found = kfun.grad(lambda x: ops.sum(ops.checkpoint(ops.sin)(x)))(x)
        np.testing.assert_allclose(host(found), np.cos(X), rtol=1e-5)


@pytest.mark.parametrize("backend", ["numpy", *GRAPHS])
def test_without_gradients_the_value_is_left(backend):
    kind = _kinds.kind_named(backend)
    run = kind.transforms.get("evaluate", lambda f, *values: f(*values))
    with _kinds.backend(backend):
        np.testing.assert_allclose(run(doubled, X), np.sin(X), rtol=1e-5)
        np.testing.assert_allclose(run(ops.checkpoint(ops.sin), X), np.sin(X), rtol=1e-5)


class TestVectorize:
    def test_against_numpy(self, backend):
        a, b = np.arange(24, dtype="float32").reshape(2, 1, 4, 3), np.arange(15, dtype="float32").reshape(5, 3)

        def both(a, b):
            product = ops.vectorize(lambda m, v: (ops.matmul(m, v), ops.sum(m)), signature="(m,n),(n)->(m),()")
            return product(a, b)

        kind = _kinds.kind_named(backend)
        if backend in GRAPHS:
            first, second = kind.transforms["evaluate"](both, a, b, shapes=[(None, 1, 4, 3), (5, 3)])
        else:
            first, second = map(host, both(*arrays(backend, a, b)))
        expected = np.vectorize(lambda m, v: (m @ v, m.sum()), signature="(m,n),(n)->(m),()")(a, b)
        np.testing.assert_allclose(first, expected[0], rtol=1e-5)
        np.testing.assert_allclose(second, expected[1], rtol=1e-5)

    def test_scalars_excluded_and_keywords(self):
        shifted = ops.vectorize(lambda x, axis, *, by: ops.add(ops.multiply(x, axis), by), excluded={1})
        np.testing.assert_allclose(host(shifted(X, 3, by=1.0)), 3 * X + 1, rtol=1e-6)
        assert host(ops.vectorize(ops.add)(np.float32([[1], [2]]), X)).shape == (2, 3)
        np.testing.assert_allclose(host(ops.vectorize(ops.exp)(0.0)), 1.0)

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda: ops.vectorize(3), "expected a function"),
            (lambda: ops.vectorize(ops.add, signature="(m,n->(m)"), "expected a signature"),
            (lambda: ops.vectorize(ops.add, signature="(m),(m)->(m)")(X), "expected 2 arrays"),
            (lambda: ops.vectorize(ops.add, signature="(m),(m)->(m)")(X, X[:2]), "m of .* is 3"),
            (lambda: ops.vectorize(ops.sum, signature="(m)->(m)")(X), r"has axes \('m',\)"),
            (lambda: ops.vectorize(ops.add)(X, X[:2]), "do not broadcast"),
        ],
    )
    def test_misuse_says_what_was_received(self, call, message):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("graph", GRAPHS)
def test_an_associative_scan_of_open_length_goes_step_by_step(graph):
    run = _kinds.kind_named(graph).transforms["evaluate"]
    x = np.arange(10, dtype="float32").reshape(2, 5)
    for reverse in (False, True):
        found = run(lambda x, r=reverse: ops.associative_scan(ops.add, x, r, -1), x, shapes=[(None, None)])
        expected = np.cumsum(x[:, ::-1], 1)[:, ::-1] if reverse else np.cumsum(x, 1)
        np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("graph", GRAPHS)
def test_branches_of_a_switch_use_the_graph_around_them(graph):
    run = _kinds.kind_named(graph).transforms["evaluate"]

    def chosen(i, x):
        y = ops.exp(x)
        return ops.switch(i, [lambda: ops.add(x, y), lambda: ops.multiply(x, y), lambda: ops.subtract(x, y)])

    for i, expected in enumerate((X + np.exp(X), X * np.exp(X), X - np.exp(X))):
        np.testing.assert_allclose(run(chosen, np.int32(i), X, shapes=[(), (None,)]), expected, rtol=1e-5)


def test_misuse_says_what_was_received():
    with pytest.raises(ValueError, match="at least one branch"):
        ops.switch(0, [])
    with pytest.raises(ValueError, match="one length"), _kinds.backend("numpy"):
        ops.associative_scan(ops.add, (np.ones(3), np.ones(4)))
    with pytest.raises(ValueError, match="synchronized"):
        ops.moments(X, [0], synchronized=True)
    with pytest.raises(ValueError, match="flash_attention=True"):
        ops.dot_product_attention(*[np.ones((1, 2, 2, 4), "float32")] * 3, flash_attention=True)
    with pytest.raises(ValueError, match="no multiple"):
        ops.dot_product_attention(np.ones((1, 2, 3, 4)), np.ones((1, 2, 2, 4)), np.ones((1, 2, 2, 4)))
    with pytest.raises(ValueError, match="does not fit"):
        ops.unfold(np.ones((1, 1, 2, 2), "float32"), 3)
    with pytest.raises(ValueError, match="beam width"):
        ops.ctc_decode(np.ones((1, 2, 3), "float32"), [2], "beam_search", 2, 3)
