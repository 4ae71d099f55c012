"""A model's steps as pure functions, in Keras's form, and what a class of the user's makes of them."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np
import pytest

import compat

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(24, 4)).astype("float32"), RNG.normal(size=(24, 1)).astype("float32")


def wider(api):
    """A class whose steps add to what the ordinary ones give, and whose metrics do too."""

    class Wider(api.Model):
        def compute_metrics(self, x, y, y_pred, sample_weight=None):
            return super().compute_metrics(x, y, y_pred, sample_weight) | {"largest": api.ops.max(y_pred)}

        def train_step(self, state, data):
            logs, state = super().train_step(state, data)
            return logs | {"twice": 2 * logs["loss"]}, state

        def test_step(self, state, data):
            logs, state = super().test_step(state, data)
            return logs | {"thrice": 3 * logs["loss"]}, state

    return Wider


def made(api, cls=None):
    inputs = api.Input((4,))
    model = (cls or api.Model)(inputs, api.layers.Dense(1)(api.layers.BatchNormalization()(inputs)))
    model.layers[-1].set_weights([np.linspace(-1, 1, 4, dtype="float32")[:, None], np.zeros(1, "float32")])
    model.compile("sgd", "mse", metrics=["mae"])
    return model


def test_steps_on_top_of_the_ordinary_ones():
    found = []
    for api in (keras, compat):
        model = made(api, wider(api))
        history = model.fit(X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0, validation_data=(X, Y)).history
        found.append((history, model.evaluate(X, Y, verbose=0, return_dict=True)))
    for theirs, ours in zip(*found, strict=True):
        assert sorted(ours) == sorted(theirs)
        for name in theirs:
            np.testing.assert_allclose(ours[name], theirs[name], 1e-5, 1e-6, err_msg=name)
    assert {"largest", "twice", "val_largest", "val_thrice"} <= set(found[1][0])


@pytest.mark.parametrize("eager", [False, True])
def test_the_functions_of_a_model(eager):
    """Each takes the state and an iterator, and gives what the method of its name would."""
    model, plain = made(compat), made(compat)
    model.run_eagerly = eager
    plain.train_on_batch(X, Y)
    model.optimizer.build(model.trainable_variables)
    model.test_on_batch(X, Y)  # makes the metrics
    model.reset_metrics()
    groups = [model.trainable_variables, model.non_trainable_variables, model.optimizer.variables]
    t, n, o, m = (tuple(v.numpy() for v in group) for group in (*groups, model.metrics_variables))
    logs, (t, n, o, m) = model.make_train_function()((t, n, o, m), iter([(X, Y)]))
    assert sorted(logs) == ["loss", "mae"]
    for ours, theirs in zip((*t, *n, *o), (*plain.trainable_variables, *plain.non_trainable_variables,
                                           *plain.optimizer.variables), strict=True):  # fmt: skip
        np.testing.assert_allclose(ours, theirs, 1e-5, 1e-6)
    fresh = [np.zeros_like(v) for v in m]
    logs, (t, n, _) = model.make_test_function()((t, n, fresh), iter([(X, Y)]))
    np.testing.assert_allclose(logs["loss"], plain.test_on_batch(X, Y)[0], 1e-5)
    outputs, state = model.make_predict_function()((t, n), iter([(X,)]))
    np.testing.assert_allclose(outputs, plain.predict(X, verbose=0), 1e-5, 1e-6)
    assert [len(group) for group in state] == [len(t), len(n)]
