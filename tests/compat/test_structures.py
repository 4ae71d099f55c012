"""Outputs, targets, losses, weights and metrics in nested lists, tuples and dicts, against Keras."""

import os

os.environ["KERAS_BACKEND"] = "jax"

from collections import namedtuple

import keras
import numpy as np
import pytest

import compat

R = np.random.default_rng(0)
X = R.normal(size=(8, 3)).astype("float32")
Y = [R.normal(size=(8, 1)).astype("float32") for _ in range(4)]
Pair = namedtuple("Pair", "first second")


def model(api, structure, cls=None):
    """A model whose outputs, Dense layers named `o0` to `o3`, are in the structure of a function of four arrays."""
    api.utils.set_random_seed(1)
    inputs = api.Input((3,))
    outputs = [api.layers.Dense(1, name=f"o{i}")(inputs) for i in range(4)]
    return (cls or api.Model)(inputs, structure(*outputs))


def both(structure, compiled, targets=None, weight=None, cls=lambda api: None):
    """The histories of Keras and ours over two epochs."""
    found = []
    for api in (keras, compat):
        made = model(api, structure, cls(api))
        made.compile("sgd", **compiled(api))
        given = (targets or structure)(*Y)
        history = made.fit(X, given, sample_weight=weight, batch_size=4, epochs=2, shuffle=False, verbose=0).history
        evaluated = made.evaluate(X, given, batch_size=3, verbose=0, return_dict=True)
        found.append((history, evaluated))
    return found


def same(theirs, ours):
    for a, b in zip(theirs, ours, strict=True):
        assert sorted(a) == sorted(b)
        for name in a:
            np.testing.assert_allclose(b[name], a[name], 1e-5, 1e-6, err_msg=name)


def whole(y_true, y_pred):
    """A loss of a part with arrays in it."""
    if isinstance(y_pred, dict):
        return sum(whole(y_true[k], y_pred[k]) for k in y_pred)
    if isinstance(y_pred, (list, tuple)):
        return sum(whole(t, p) for t, p in zip(y_true, y_pred))  # noqa: B905
    return (y_true - y_pred) ** 2


def tree(a, b, c, d):
    return {"x": (a, b), "y": {"u": c, "v": d}}


def flat(a, b, c, d):
    return [a, b, c, d]


def keyed(a, b, c, d):
    return {"p": a, "q": b, "r": c, "s": d}


def single(a, *rest):
    return a


def pair(a, b, c, d):
    return Pair(a, b)


CASES = {
    "one for all": (tree, {"loss": "mse"}),
    "like the outputs": (tree, {"loss": {"x": ("mse", "mae"), "y": {"u": "mse", "v": "mae"}}}),
    "some": (tree, {"loss": {"x": (None, "mae"), "y": {"v": "mae"}}}),
    "of parts": (tree, {"loss": {"x": whole, "y": {"u": "mse", "v": "mse"}}}),
    "several": (tree, {"loss": {"x": ["mse", "mae"], "y": [whole, {"u": "mae"}]}}),
    "weights": (tree, {"loss": {"x": ("mse", "mae"), "y": {"u": "mse", "v": "mae"}},
                       "loss_weights": {"x": (1.0, 2.0), "y": {"u": 0.5, "v": 3.0}}}),
    "metrics": (tree, {"loss": "mse", "metrics": {"x": ("mae", ["mse", "mae"]), "y": {"u": "mae", "v": ["mse"]}}}),
    "lists in a dict": (keyed, {"loss": {"p": ["mse"], "q": ["mse", "mae"], "r": "mae", "s": "mse"}}),
    "lists by name": (flat, {"loss": {"o0": ["mse"], "o1": ["mae"], "o2": "mae", "o3": "mse"}}),
    "a tuple for a list": (flat, {"loss": ("mse", "mae", "mse", "mae")}),
    "whole and parts": (flat, {"loss": (whole, ["mse", "mae", "mse", None])}),
    "named tuple": (pair, {"loss": [whole, Pair("mse", "mae")]}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_losses_of_structures(name):
    structure, compiled = CASES[name]
    same(*both(structure, lambda api: compiled))


@pytest.mark.parametrize("loss", [["mse", "mae"], {"o0": ["mse", "mae"]}])
def test_of_several_losses_of_one_output_the_first_counts(loss):
    with pytest.warns(UserWarning, match="one output and 2 losses"):
        theirs, ours = both(single, lambda api: {"loss": loss})
    for a, b in zip(theirs, ours, strict=True):
        np.testing.assert_allclose(b["loss"], a["loss"], 1e-5)
        assert list(b) == ["loss"]


def test_targets_in_other_containers():
    loss = {"x": ("mse", "mae"), "y": {"u": "mse", "v": "mae"}}
    same(*both(tree, lambda api: {"loss": loss}, lambda a, b, c, d: {"x": [a, b], "y": {"u": c, "v": d}}))


def test_weights_of_one_loss_for_all():
    """As in flat outputs: each array has its own. (Keras refuses them.)"""
    weights = {"x": (1.0, 2.0), "y": {"u": 0.5, "v": 3.0}}
    found = []
    for loss in ("mse", {"x": ("mse", "mse"), "y": {"u": "mse", "v": "mse"}}):
        made = model(compat, tree)
        made.compile("sgd", loss, loss_weights=weights)
        found.append(made.evaluate(X, tree(*Y), verbose=0, return_dict=True))
    same([found[1]], [found[0]])


def test_weights_of_samples():
    weight = R.uniform(size=8).astype("float32")
    same(
        *both(
            tree,
            lambda api: {"loss": "mse", "weighted_metrics": {"x": ("mae", None), "y": {"u": "mse", "v": None}}},
            weight=weight,
        )
    )


def test_a_loss_that_splits_the_output():
    def split(api):
        class Split(api.Model):
            def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
                return super().compute_loss(x, y, [y_pred, y_pred * 2], sample_weight, training)

        return Split

    compiled = {"loss": ["mse", "mae"]}
    same(*both(single, lambda api: compiled, lambda a, b, c, d: (a, b), cls=split))


@pytest.mark.parametrize(
    ("compiled", "message"),
    [
        ({"loss": {"x": ("mse", "mae", "mse")}}, "'2'|2"),
        ({"loss": {"x": ("mse", "mae"), "z": "mse"}}, "'z'"),
        ({"loss": {"x": {"u": "mse"}}}, "x, of type tuple, no dict"),
        ({"loss": {"x": whole}, "loss_weights": [1.0, 2.0]}, "1 losses; received 2"),
        ({"loss": "mse", "metrics": {"x": ["mae"] * 3}}, "structure of the outputs"),
    ],
)
def test_what_does_not_match_is_refused(compiled, message):
    made = model(compat, tree)
    made.compile("sgd", **compiled)
    with pytest.raises(ValueError, match=message):
        made.fit(X, tree(*Y), verbose=0)


def test_targets_that_are_missing_are_refused():
    made = model(compat, tree)
    made.compile("sgd", "mse")
    with pytest.raises(ValueError, match="y has 3 parts"):
        made.fit(X, {"x": (Y[0], Y[1]), "y": {"u": Y[2]}}, verbose=0)
