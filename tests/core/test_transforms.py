"""Function transformations composed in pairs, on each framework, against JAX's own."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kfun
from kfun import ops
from kfun.errors import UnsupportedOp
from kfun.ops._kinds import backend
from tests.conftest import BACKENDS

# Forward mode loads decompositions that PyTorch itself scripts.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*torch.jit.script.* is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning"),  # which its compiler looks at
]

FRAMEWORKS = [b for b in BACKENDS if b in ("jax", "torch", "tensorflow")]
X = np.float32([0.3, -0.7, 0.2])
W = np.float32([[0.3, -0.2, 0.9], [0.1, 0.5, -0.4]])


def scalar(t, f):
    return lambda x: t.sum(t.square(f(x)))


# Each makes of a function of a vector another one; `k` has kfun's transformations or JAX's, `t` the ops.
TRANSFORMS = {
    "grad": lambda k, t, f: k.grad(scalar(t, f)),
    "value_and_grad": lambda k, t, f: lambda x: k.value_and_grad(scalar(t, f))(x)[1],
    "vjp": lambda k, t, f: lambda x: k.vjp(f, x)[1](f(x))[0],
    "jvp": lambda k, t, f: lambda x: k.jvp(f, (x,), (x,))[1],
    "jacfwd": lambda k, t, f: k.jacfwd(f),
    "jacrev": lambda k, t, f: k.jacrev(f),
    "hessian": lambda k, t, f: k.hessian(scalar(t, f)),
    "vmap": lambda k, t, f: lambda x: k.vmap(f)(t.stack([x, 2 * x])),
    "jit": lambda k, t, f: k.jit(f),
    "checkpoint": lambda k, t, f: k.checkpoint(f),
}
PAIRS = list(itertools.product(TRANSFORMS, TRANSFORMS))
REFUSED = {("tensorflow", "jvp", "hessian")}
SECONDS = {"jit", "hessian", "jacfwd"}  # seconds of compilation, or of tracing


def composed(names, k, t):
    def f(x):
        return t.tanh(t.matmul(W if t is jnp else t.convert_to_tensor(W), x))

    for name in reversed(names):
        f = TRANSFORMS[name](k, t, f)
    return f


def check(framework, names):
    if (framework, *names) in REFUSED:
        with backend(framework), pytest.raises(UnsupportedOp, match="take jacrev or vjp of it"):
            composed(names, kfun, ops)(ops.convert_to_tensor(X))
        return
    expected = composed(names, jax, jnp)(jnp.asarray(X))
    with backend(framework):
        received = composed(names, kfun, ops)(ops.convert_to_tensor(X))
    np.testing.assert_allclose(ops.convert_to_numpy(received), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("names", [p for p in PAIRS if not SECONDS & set(p)], ids=" of ".join)
def test_pairs(framework, names):
    check(framework, names)


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("names", [p for p in PAIRS if SECONDS & set(p)], ids=" of ".join)
def test_pairs_that_take_seconds(framework, names):
    check(framework, names)
