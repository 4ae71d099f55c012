"""What has no row: functions that are no ops, patterns of axes, and the errors of the numeric families."""

from __future__ import annotations

import numpy as np
import pytest

from kfun import ops
from kfun.ops._kinds import backend, kind_named
from tests.conftest import BACKENDS, GRAPHS

EAGER = [b for b in BACKENDS if b not in GRAPHS]
X = np.arange(2 * 6 * 4, dtype="float32").reshape(2, 6, 4)


@pytest.mark.parametrize("target", EAGER)
class TestFacts:
    def test_of_arrays(self, target):
        with backend(target):
            x = ops.convert_to_tensor(X)
            assert ops.ndim(x) == 3
            assert ops.size(x) == 48
            assert ops.dtype(x) == "float32"
            assert ops.dtype(ops.cast(x, "bfloat16")) == "bfloat16"
            assert ops.is_tensor(x)
            np.testing.assert_array_equal(ops.convert_to_numpy(ops.get_item(x, (slice(None), 1))), X[:, 1])

    def test_of_numbers_and_lists(self, target):
        with backend(target):
            assert (ops.ndim([[1, 2]]), ops.size([[1, 2]]), ops.dtype([[1, 2]])) == (2, 2, "int32")
            assert (ops.ndim(2.0), ops.size(2.0), ops.dtype(2.0)) == (0, 1, "float32")
            assert not ops.is_tensor([1.0])
            assert ops.is_tensor(X) == (target == "numpy")


@pytest.mark.parametrize("graph", GRAPHS)
def test_sizes_of_graphs_multiply(graph):
    evaluate = kind_named(graph).transforms["evaluate"]
    assert evaluate(lambda x: (ops.size(x), ops.ndim(x)), X, shapes=[(None, 6, None)]) == (48, 3)
    assert evaluate(ops.is_tensor, X) == 1


PATTERNS = {
    "a b c -> c a b": ({}, lambda x: x.transpose(2, 0, 1)),
    "a b c -> a b c": ({}, lambda x: x),
    "a b c -> (a b) c": ({}, lambda x: x.reshape(12, 4)),
    "a b c -> b (a c)": ({}, lambda x: x.transpose(1, 0, 2).reshape(6, 8)),
    "a (h p) c -> a h (p c)": ({"p": 2}, lambda x: x.reshape(2, 3, 8)),
    "a (h p) (w q) -> (a h w) p q": (
        {"h": 3, "w": 2},
        lambda x: x.reshape(2, 3, 2, 2, 2).transpose(0, 1, 3, 2, 4).reshape(12, 2, 2),
    ),
    "a b c -> a 1 b c ()": ({}, lambda x: x[:, None, :, :, None]),
    "... c -> c ...": ({}, lambda x: np.moveaxis(x, -1, 0)),
    "a ... -> (a ...)": ({}, np.ravel),
    "a b c->(a b c)": ({}, np.ravel),
}


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("target", EAGER)
def test_rearrange(target, pattern):
    sizes, reference = PATTERNS[pattern]
    with backend(target):
        y = ops.rearrange(ops.convert_to_tensor(X), pattern, **sizes)
        np.testing.assert_array_equal(ops.convert_to_numpy(y), reference(X))


@pytest.mark.parametrize("graph", GRAPHS)
def test_rearrange_with_open_sizes(graph):
    evaluate = kind_named(graph).transforms["evaluate"]
    for pattern, (sizes, reference) in PATTERNS.items():
        y = evaluate(lambda x, p=pattern, s=sizes: ops.rearrange(x, p, **s), X, shapes=[(None, None, None)])
        np.testing.assert_array_equal(y, reference(X))


@pytest.mark.parametrize(
    ("pattern", "sizes", "message"),
    [
        ("a b c", {}, "before -> after"),
        ("a b -> b a", {}, "names 2 axes"),
        ("a b a -> b a", {}, "each axis once"),
        ("a b c -> a b", {}, "each axis once"),
        ("a (h p) c -> a h p c", {}, "all but one of h, p"),
        ("a (h p) c -> a h p c", {"p": 4}, "does not divide"),
        ("a (h p) c -> a h p c", {"p": 0}, "does not divide"),
        ("a b c -> c b a", {"b": 5}, "does not divide"),
        ("a b c -> c b a", {"q": 5}, "no axes named q"),
        ("a (b c -> a b c", {}, "not closed"),
        ("a ((b) c) -> a b c", {}, "unexpected"),
        ("a b 2 -> a b 2", {}, "unexpected '2'"),
    ],
)
def test_patterns_that_do_not_fit(pattern, sizes, message):
    with pytest.raises(ValueError, match=message):
        ops.rearrange(X, pattern, **sizes)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ops.array_split(X, 0), ValueError, "at least 1 part"),
        (lambda: ops.rot90(X, 1, (0, -3)), ValueError, "two different axes"),
        (lambda: ops.diag(X), ValueError, "1 or 2 axes"),
        (lambda: ops.vander(X), ValueError, "one axis"),
        (lambda: ops.meshgrid(X[0, 0], indexing="yx"), ValueError, "'xy' or 'ij'"),
        (lambda: ops.view_as_complex(X), ValueError, r"\(\.\.\., 2\)"),
        (lambda: ops.view_as_real(X), TypeError, "complex numbers"),
        (lambda: ops.ldexp(X, X), TypeError, "integers x2"),
        (lambda: ops.hamming(2.5), TypeError, "number of points"),
        (lambda: ops.kaiser(-1, 2.0), ValueError, "at least 0 points"),
        (lambda: ops.linspace(0, 1, 2.5), TypeError, "num as an int"),
        (lambda: ops.linspace(0, 1, -1), ValueError, "num of at least 0"),
        (lambda: ops.geomspace(-1, 1), ValueError, "one sign"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("target", EAGER)
def test_numbers_beside_arrays(target):
    """A Python number takes the backend of the array and never widens it."""
    with backend(target):
        half, whole = ops.ones((2,), "float16"), ops.ones((2,), "int32")
    for f in (ops.hypot, ops.fmod, ops.fmax, ops.fmin, ops.divide_no_nan, ops.heaviside, ops.logaddexp2):
        assert ops.dtype(f(half, 2.0)) == ops.dtype(f(2, half)) == "float16", f.__name__
    assert ops.dtype(ops.gcd(whole, 4)) == ops.dtype(ops.lcm(4, whole)) == ops.dtype(ops.fmod(whole, 4)) == "int32"
    assert ops.dtype(ops.ldexp(half, 2)) == "float16"
    assert ops.dtype(ops.logical_xor(True, half)) == "bool"
    assert ops.dtype(ops.linspace(half, 2, 3)) == "float16"
    assert ops.dtype(ops.polar(half, 1.0)) == "complex64"


@pytest.mark.parametrize("target", [b for b in EAGER if b != "numpy"])
def test_gradients_stay_finite(target):
    """At the origin of a length, at the top of sinc, beside a division by 0."""
    import kfun

    with backend(target):
        zero = ops.zeros((2,))
        for f in (
            lambda x: ops.hypot(x, zero),
            ops.sinc,
            lambda x: ops.divide_no_nan(ops.ones((2,)), x),
            lambda x: ops.vander(x)[:, 0],
            ops.sinh,
            ops.arcsinh,
            ops.erfc,
        ):
            gradient = kfun.grad(lambda x, f=f: ops.sum(f(x)))(zero)
            assert np.isfinite(ops.convert_to_numpy(gradient)).all()


@pytest.mark.parametrize("name", ["sinh", "arcsinh", "erfc"])
def test_bodies_have_the_gradient_at_zero(name):
    """`abs` and `sign` have none there on most backends, so the bodies must not pass through them."""
    import kfun
    from kfun.ops._dispatch import OPS

    body = OPS[name].body
    assert body is not None
    torch = pytest.importorskip("torch")
    gradient = kfun.grad(lambda x: ops.sum(body(x)))(torch.zeros(1))
    expected = {"sinh": 1.0, "arcsinh": 1.0, "erfc": -2 / np.sqrt(np.pi)}[name]
    np.testing.assert_allclose(gradient.numpy(), [expected], 1e-6)
