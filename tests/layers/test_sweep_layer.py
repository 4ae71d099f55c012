"""`sweep_layer` fails on layers that break what it checks, and says which layer and what."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from kfun import initializers, ops, random
from kfun.layer import Layer
from kfun.layers import Dense
from kfun.testing_layers import sweep_layer
from kfun.weights import Weight

X = np.linspace(-1.0, 1.0, 12, dtype="float32").reshape(4, 3)
CALLS = itertools.count()
ZEROS = initializers.Zeros()


class Counting(Layer):
    """Keeps a count in its state, rightly."""

    def weights(self, x):
        return {"count": Weight((), ZEROS, "int32", trainable=False)}

    def apply(self, params, state, x, *, key=None, training=False):
        return x, {"count": ops.add(state["count"], 1)}


class WidensState(Counting):
    """Its state turns from int to float."""

    def apply(self, params, state, x, *, key=None, training=False):
        return x, {"count": ops.add(state["count"], 1.0)}


class LosesState(Counting):
    """Its state loses an entry."""

    def apply(self, params, state, x, *, key=None, training=False):
        return x, {}


class ChangesState(Counting):
    """Writes into the state that it was given."""

    def apply(self, params, state, x, *, key=None, training=False):
        state["count"] = ops.add(state["count"], 1)
        return x, dict(state)


class Impure(Layer):
    """Its output depends on how often it was called."""

    def forward(self, params, x):
        return ops.add(x, float(next(CALLS)))


class IntegerParams(Layer):
    """Trains an integer."""

    def weights(self, x):
        return {"offset": Weight((), ZEROS, "int32")}

    def forward(self, params, x):
        return ops.add(x, params["offset"])


class InfiniteGradient(Layer):
    """The slope of the root at 0 is infinite."""

    def forward(self, params, x):
        return ops.sqrt(ops.multiply(x, 0.0))


class ForgetsUnderPickle(Layer):
    """A copy has another field."""

    size: int = 1

    def __setstate__(self, state):
        super().__setstate__({**state, "size": state["size"] + 1})


class ComparesByName(Layer):
    """Is equal to what is not the same."""

    def __eq__(self, other):
        return True

    __hash__ = Layer.__hash__


class DrawsAnew(Layer):
    """Initializes differently each time."""

    def weights(self, x):
        return {"scale": Weight((), initializers.Constant(float(next(CALLS))))}

    def forward(self, params, x):
        return ops.multiply(x, params["scale"])


class WrongSpec(Layer):
    """Announces another width than it gives."""

    def output_spec(self, *specs):
        return dataclasses.replace(specs[0], shape=(*specs[0].shape[:-1], 7))

    def forward(self, params, x):
        return x


WRONG = [
    (WidensState(), "state after apply"),
    (LosesState(), "state after apply"),
    (ChangesState(), "apply"),
    (Impure(), "apply"),
    (IntegerParams(), "params must be floating"),
    (InfiniteGradient(), "gradient"),
    (ForgetsUnderPickle(), "pickle"),
    (ComparesByName(), "equality"),
    (DrawsAnew(), "init for the same key"),
    (WrongSpec(), "output_spec"),
]


@pytest.mark.parametrize(("layer", "prop"), WRONG, ids=[type(layer).__name__ for layer, _ in WRONG])
def test_fails_on_a_wrong_layer(layer, prop):
    with pytest.raises(AssertionError, match=prop) as caught:
        sweep_layer(layer, X, backends=())
    assert type(layer).__name__ in str(caught.value)


def test_passes_on_right_layers():
    sweep_layer(Counting(), X, backends=())
    sweep_layer(Dense(2, "tanh"), X, backends=("numpy",))


def off_on_numpy(x):
    """Another number on NumPy than elsewhere."""
    return ops.add(ops.tanh(x), 1.0 if isinstance(x, np.ndarray) else 0.0)


def test_a_backend_that_disagrees_is_named():
    with pytest.raises(AssertionError, match="numpy"):
        sweep_layer(Dense(2, off_on_numpy), X, backends=("numpy",), json_round_trip=False)


class Noisy(Layer):
    """Draws in training, rightly."""

    def apply(self, params, state, x, *, key=None, training=False):
        return (ops.add(x, random.normal(key, ops.shape(x))) if training else x), state


def test_draws_in_training_are_checked_with_a_key():
    sweep_layer(Noisy(), X, backends=("numpy",))
