"""What `init` saves: layers that are alike are planned once, and keys stay on the host. The weights are the same."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kfun
from kfun import Spec, initializers, layers, ops, random

KEY = random.key(3)


class Counting(kfun.Layer):
    """Doubles its input, and counts how often it is run."""

    units: int
    runs = []

    def weights(self, x):
        return {"scale": kfun.Weight((x.shape[-1],), initializers.get("ones"))}

    def forward(self, params, x):
        self.runs.append(tuple(x.shape))
        return ops.concatenate([x * params["scale"], x], -1)


@pytest.fixture(autouse=True)
def _no_runs():
    Counting.runs.clear()


def test_layers_that_are_alike_are_run_once():
    params, _ = kfun.Parallel((Counting(1), Counting(1), Counting(1))).init(KEY, Spec((5, 4)))
    assert Counting.runs == [(5, 4)]
    assert len(params) == 3
    Counting.runs.clear()
    kfun.Parallel((Counting(1),)).init(KEY, Spec((5, 4)))
    assert len(Counting.runs) == 1  # nothing is kept from one init to the next


@pytest.mark.parametrize("size", [5, None])
def test_those_on_other_forms_are_not(size):
    net = kfun.Sequential([Counting(1), Counting(1), Counting(2), Counting(2)])
    params, _ = net.init(KEY, Spec((size, 4)))
    assert [shape[-1] for shape in Counting.runs] == [4, 8, 16, 32]
    assert [p["scale"].shape for p in params.values()] == [(4,), (8,), (16,), (32,)]
    assert net.output_spec(Spec((size, 4))) == Spec((size, 64))


def test_call_arguments_tell_calls_apart():
    class Wide(kfun.Layer):
        def weights(self, x):
            return {}

        def apply(self, params, state, x, *, key=None, training=False, times=1):
            return ops.concatenate([x] * times, -1), state

    class Net(kfun.Block):
        wide: kfun.Layer

        def forward(self, f, x):
            return f.wide(x, times=1), f.wide(x, times=2), f.wide(x, times=True), f.wide(x, times=2)

    spec = Net(Wide()).output_spec(Spec((None, 3)))
    assert [s.shape[-1] for s in spec] == [3, 6, 3, 6]


def test_the_types_of_outputs_are_those_of_a_run():
    class Weak(kfun.Layer):
        """Gives a number that takes the type of what it meets, as Python's do."""

        def forward(self, params, x):
            return jnp.asarray(2.0) * jax.lax.full_like(x, 1) if x.dtype == "int32" else jnp.sum(x) * 0 + 1.0

    class Known(kfun.Layer):
        """Gives a number that is known while it is traced."""

        def forward(self, params, x):
            return np.float32(3), x

    class Net(kfun.Block):
        weak: kfun.Layer
        known: kfun.Layer

        def forward(self, f, x):
            f.known(x)
            size = int(f.known(x)[0])
            f.weak(x)
            return f.weak(x), ops.zeros((size,))

    outputs = Net(Weak(), Known()).output_spec(Spec((2, 3), "bfloat16"))
    assert outputs == (Spec((), "bfloat16"), Spec((3,), "float32"))


@pytest.mark.parametrize("around", ["vmap", "scan", "cond", "remat"])
def test_it_holds_inside_transformations(around):
    class Net(kfun.Block):
        inner: kfun.Layer

        def forward(self, f, x):
            x = f.inner(x)
            if around == "vmap":
                return f.vmap(lambda f, row: f.inner(f.inner(row[None]))[0])(x)
            if around == "scan":
                return f.scan(lambda f, carry, _: (f.inner(f.inner(carry)), None), x, length=3)[0]
            if around == "cond":
                return f.cond(True, lambda f: f.inner(x), lambda f: f.inner(f.inner(x)))
            return f.remat(lambda f, x: f.inner(f.inner(x)))(x)

    net = Net(layers.Dense(4))
    params, state = net.init(KEY, Spec((None, 4)))
    assert params["inner"]["kernel"].shape == (4, 4)
    assert net.output_spec(Spec((None, 4))) == Spec((None, 4))
    assert net.apply(params, state, jnp.ones((2, 4)))[0].shape == (2, 4)


def test_weights_are_those_of_each_key():
    names = ("glorot_uniform", "he_normal", "orthogonal", "zeros", "lecun_uniform")
    net = kfun.Sequential([layers.Dense(4, kernel_initializer=name) for name in names])
    params, _ = net.init(KEY, Spec((None, 4)))
    keys = ops.unstack(random.split(KEY, 2 * len(names)))
    for name, p, key in zip(names, params.values(), keys[::2], strict=True):
        assert isinstance(p["kernel"], jax.Array)
        np.testing.assert_array_equal(p["kernel"], initializers.get(name)(key, (4, 4)))


def test_initializers_with_a_call_of_their_own_are_given_the_key_as_it_is():
    seen = []

    class Own(initializers.Initializer):
        def __call__(self, key, shape, dtype="float32"):
            seen.append(type(key))
            return jax.random.normal(key, shape, dtype)

    def function(key, shape, dtype):
        seen.append(type(key))
        return jax.random.normal(key, shape, dtype)

    net = kfun.Sequential([layers.Dense(2, kernel_initializer=Own()), layers.Dense(2, kernel_initializer=function)])
    net.init(KEY, Spec((None, 2)))
    assert seen == [type(KEY)] * 2


def test_a_seed_of_the_initializer_is_its_key():
    made = initializers.RandomNormal(seed=5)
    params, _ = kfun.Sequential([layers.Dense(3, kernel_initializer=made)]).init(KEY, Spec((None, 2)))
    np.testing.assert_array_equal(params["dense"]["kernel"], made(random.key(99), (2, 3)))


class Noised(kfun.Layer):
    """Draws whether it trains or not."""

    def apply(self, params, state, x, *, key=None, training=False):
        return ops.add(x, random.normal(key, ops.shape(x))), state


@pytest.mark.parametrize("wrap", [lambda layer: layer, kfun.Residual, lambda layer: kfun.Stack(layer, 2)])
def test_layers_that_always_draw_are_planned(wrap):
    net = kfun.Sequential([layers.Dense(3), wrap(Noised()), layers.Dense(2)])
    params, state = net.init(random.key(0), Spec((None, 4)))
    assert params["dense_1"]["kernel"].shape == (3, 2)
    assert net.output_spec(Spec((None, 4))) == Spec((None, 2))
    first, second = (net.apply(params, state, ops.ones((5, 4)), key=random.key(n))[0] for n in (1, 2))
    assert not np.allclose(first, second)
