"""`kfun.testing.check_layer` passes right layers, and fails on wrong ones with what to mend."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kfun
from kfun import Spec, initializers, layers, ops, random
from kfun.layer import Layer
from kfun.testing import check_layer
from kfun.weights import Weight

S = Spec((None, 3))
CALLS = itertools.count()
KEPT: list = []
ONES, ZEROS = initializers.Ones(), initializers.Zeros()


class Scale(Layer):
    """Right: one weight."""

    def weights(self, x):
        return {"scale": Weight((x.shape[-1],), ONES)}

    def forward(self, params, x):
        return ops.multiply(x, params["scale"])


class Noisy(Layer):
    """Right: draws in training from its key, and counts its steps."""

    def weights(self, x):
        return {"steps": Weight((), ZEROS, "int32", trainable=False)}

    def apply(self, params, state, x, *, key=None, training=False):
        _, (x,) = self.to_compute(params, (x,))
        if training:
            x = ops.add(x, random.normal(key, ops.shape(x), x.dtype))
        return self.to_output(x), {"steps": ops.add(state["steps"], 1)}


class WidensState(Noisy):
    def apply(self, params, state, x, *, key=None, training=False):
        return x, {"steps": ops.add(state["steps"], 1.0)}


class LosesState(Noisy):
    def apply(self, params, state, x, *, key=None, training=False):
        return x, {}


class ForgetsState(Noisy):
    def apply(self, params, state, x, *, key=None, training=False):
        return x


class WritesIntoState(Noisy):
    def apply(self, params, state, x, *, key=None, training=False):
        state["steps"] = ops.add(state["steps"], 1)
        return x, dict(state)


class Counts(Layer):
    def forward(self, params, x):
        return ops.add(x, float(next(CALLS)))


class BranchesOnValues(Layer):
    def forward(self, params, x):
        return x if float(ops.sum(x)) > 0 else ops.negative(x)


class ReadsTheBatch(Layer):
    def forward(self, params, x):
        return ops.convert_to_tensor(np.cumsum(np.asarray(x), 0)) if not isinstance(x, jax.core.Tracer) else x


class LooksAtTheBatch(Layer):
    """Gives under vmap what it does not give alone."""

    def forward(self, params, x):
        return ops.add(x, float("Batch" in type(x).__name__))


class WrongSpec(Scale):
    def output_spec(self, *specs):
        return Spec((*specs[0].shape[:-1], 7))


class FixedBatch(Scale):
    def output_spec(self, *specs):
        return Spec((3, 3))


class LosesTheOpenBatch(Scale):
    def output_spec(self, *specs):
        return Spec((specs[0].shape[0] or 3, *specs[0].shape[1:]))


class KeyOfItsOwn(Layer):
    def apply(self, params, state, x, *, key=None, training=False):
        return (random.dropout(random.key(0), x, 0.5) if training else x), state


class AlwaysDraws(Layer):
    def apply(self, params, state, x, *, key=None, training=False):
        return random.dropout(random.key(0) if key is None else key, x, 0.5), state


class DrawsInInferenceAlike(Layer):
    def apply(self, params, state, x, *, key=None, training=False):
        return random.dropout(random.key(0), x, 0.5), state


class NeedsAKeyAlways(Layer):
    def apply(self, params, state, x, *, key=None, training=False):
        noise = random.normal(ops.add(key, np.uint32(0)), ops.shape(x))
        return (ops.add(x, noise) if training else x), state


class InfiniteGradient(Scale):
    def forward(self, params, x):
        return ops.sqrt(ops.multiply(ops.abs(ops.multiply(x, params["scale"])), 0.0))


class UnusedWeight(Scale):
    def weights(self, x):
        return super().weights(x) | {"other": Weight((2,), ONES)}


class StopsTheGradient(Scale):
    def forward(self, params, x):
        return ops.multiply(x, ops.stop_gradient(params["scale"]))


class IntegerParams(Layer):
    def weights(self, x):
        return {"offset": Weight((), ZEROS, "int32")}


class DrawsAnew(Layer):
    def init(self, key, *specs):
        return {"scale": ops.full((), float(next(CALLS)))}, {}


class NoPair(Layer):
    def init(self, key, *specs):
        return {}


class NumpyParams(Layer):
    def init(self, key, *specs):
        return {"scale": np.ones(3, "float32")}, {}


class Leaks(Scale):
    def forward(self, params, x):
        KEPT.append(ops.add(x, 1.0))
        return super().forward(params, x)


class StaysWide(Scale):
    def apply(self, params, state, x, *, key=None, training=False):
        return ops.multiply(x, params["scale"]), state


class NarrowsState(Layer):
    def weights(self, x):
        return {"mean": Weight((3,), ZEROS, trainable=False)}

    def apply(self, params, state, x, *, key=None, training=False):
        _, (x,) = self.to_compute(params, (x,))
        return self.to_output(x), {"mean": ops.mean(x, 0)}


def unregistered(x):
    """A function without a registered name."""
    return x


class HoldsALambda(Layer):
    function: object = None

    def forward(self, params, x):
        return x


class ForgetsUnderPickle(Layer):
    size: int = 1

    def __setstate__(self, state):
        super().__setstate__({**state, "size": state["size"] + 1})


class ComparesByNothing(Layer):
    def __eq__(self, other):
        return True

    __hash__ = Layer.__hash__


class HashesById(Layer):
    def __hash__(self):
        return id(self)


WRONG = [
    (WidensState(), "the state in inference: expected", "cast to the type"),
    (LosesState(), "the state in inference: expected", "every entry of the state"),
    (ForgetsState(), r"expected \(outputs, state\)", "return outputs, state"),
    (WritesIntoState(), "arguments after apply in inference|steps", "make a new dict"),
    (Counts(), "outputs for the same key in inference", "no counters"),
    (BranchesOnValues(), "compiled apply in inference: raised", "where, cond"),
    (ReadsTheBatch(), "compiled apply in inference: expected the same numbers", "without NumPy on arrays"),
    (LooksAtTheBatch(), "apply under vmap in inference", "ops that know axes"),
    (WrongSpec(), "output_spec for a batch of 1", "leave it to Layer"),
    (FixedBatch(), "output_spec for a batch of 1", "leave it to Layer"),
    (LosesTheOpenBatch(), "output_spec of an unknown batch", "leave it to Layer"),
    (KeyOfItsOwn(), "training: random numbers are drawn, and they are the same", "the key that apply is given"),
    (AlwaysDraws(), "outputs in inference for another key", "only where `training` is True"),
    (DrawsInInferenceAlike(), "inference: random numbers are drawn", "only where `training` is True"),
    (NeedsAKeyAlways(), "inference: raised", "need no key"),
    (InfiniteGradient(), "the gradient in inference: expected finite numbers at 'scale'", "inside of ops.where"),
    (UnusedWeight(), r"the gradient: expected one for all params; \['other'\]", "use them in apply"),
    (StopsTheGradient(), r"the gradient: expected one for all params; \['scale'\]", "without stop_gradient"),
    (IntegerParams(), "init: expected params to be floating; received int32 at 'offset'", "trainable=False"),
    (DrawsAnew(), "init with the same key", "from the key"),
    (NoPair(), "init: expected a pair of dicts", "declare weights by `weights`"),
    (NumpyParams(), "init: expected arrays; received ndarray", "declare weights by `weights`"),
    (Leaks(), "tracers in inference: raised", "what apply returns"),
    (StaysWide(), "bfloat16: outputs: expected bfloat16; received float32", "to_compute"),
    (NarrowsState(), "bfloat16: the state: expected", "cast new state"),
    (HoldsALambda(lambda x: x), "pickling: raised", "annotated fields"),
    (HoldsALambda(unregistered), "JSON: raised", "register_function"),
    (ForgetsUnderPickle(), "pickling: expected an equal copy", "annotated fields"),
    (ComparesByNothing(), "equality: a layer of another name is equal", "leave __eq__"),
    (HashesById(), "pickling: expected (the copy to have the same hash|an equal copy)", "__hash__|fields"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("layer", "found", "mend"), WRONG, ids=[f"{type(w[0]).__name__}{i}" for i, w in enumerate(WRONG)]
)
def test_fails_on_a_wrong_layer(layer, found, mend):
    KEPT.clear()
    with pytest.raises(AssertionError, match=f"(?s)({found}).*Mend: .*({mend})") as caught:
        check_layer(layer, S)
    KEPT.clear()
    assert str(caught.value).startswith(repr(layer))


class Net(kfun.Block):
    """Right: layers in a block."""

    inner: Layer
    drop: Layer

    def forward(self, f, x):
        return f.drop(f.inner(x))


RIGHT = [
    (Scale(), (S,)), (Noisy(), (S,)), (layers.Dense(2, "tanh"), (jnp.ones((2, 5)),)),
    (Net(layers.Dense(2), layers.Dropout(0.5)), (S,)), (layers.BatchNormalization(), (S,)),
    (layers.Embedding(3, 2), (Spec((None, 4), "int32"),)), (layers.Add(), (S, S)),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "inputs"), RIGHT, ids=[type(r[0]).__name__ for r in RIGHT])
def test_passes_on_a_right_layer(layer, inputs):
    check_layer(layer, *inputs)


def test_what_can_be_left_out():
    check_layer(UnusedWeight(), S, without_gradient="other")
    check_layer(StaysWide(), S, low_precision=False)
    check_layer(WrongSpec(), S, batched=False)
    check_layer(KeyOfItsOwn(), S, training=(False,), low_precision=False)
    check_layer(HoldsALambda(unregistered), S, as_json=False, training=())
    check_layer(layers.Softmax(), S, call_args={"mask": jnp.asarray([True, False, True])})
    with pytest.raises(TypeError, match="expected a layer and its inputs"):
        check_layer(layers.Dense, S)


def test_it_is_found_where_it_is_looked_for():
    assert kfun.testing.check_layer is check_layer
    with pytest.raises(AttributeError, match="did you mean 'check_layer'"):
        kfun.testing.check_layr  # noqa: B018
