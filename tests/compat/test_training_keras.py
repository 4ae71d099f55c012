"""Training against Keras on JAX: metrics and losses by output, callbacks of a call, curves, memory, interrupts."""

from __future__ import annotations

import gc
import os
import resource
import signal
import threading

import numpy as np
import pytest

import compat

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras")
BOTH = (keras, compat)


def _data(rows=40, width=4):
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, width)).astype("float32"), rng.normal(size=(rows, 1)).astype("float32")


def _heads(api, kind):
    api.utils.set_random_seed(3)
    x = api.Input((4,))
    a = api.layers.Dense(1, name="reg")(x)
    b = api.layers.Dense(3, activation="softmax", name="cls")(x)
    return api.Model(x, {"list": [a, b], "dict": {"r": a, "c": b}, "one": a}[kind])


CASES = {
    "lists": ("list", {"loss": ["mse", "sparse_categorical_crossentropy"], "metrics": [["mae"], ["accuracy"]]}),
    "weights": ("list", {"loss": ["mse", "sparse_categorical_crossentropy"], "loss_weights": [0.5, 2.0]}),
    "no loss for one": ("list", {"loss": ["mse", None], "metrics": [["mae"], ["accuracy"]]}),
    "dicts": (
        "dict",
        {
            "loss": {"r": "mse", "c": "sparse_categorical_crossentropy"},
            "metrics": {"r": ["mae", "mse"], "c": "accuracy"},
            "weighted_metrics": {"c": ["accuracy"]},
        },
    ),
    "list of weights, dict of losses": (
        "dict",
        {"loss": {"r": "mse", "c": "sparse_categorical_crossentropy"}, "loss_weights": [1.0, 0.3]},
    ),
    "names twice": ("one", {"loss": "mse", "metrics": ["mae", "mae"], "weighted_metrics": ["mae"]}),
    "late state": ("one", {"loss": "mse", "metrics": ["r2_score"]}),
}


@pytest.mark.parametrize("case", CASES)
def test_losses_and_metrics_by_output(case):
    kind, compiled = CASES[case]
    x, y = _data()
    labels = (x[:, 0] > 0).astype("int32") + (x[:, 1] > 0)
    targets = {"list": [y, labels], "dict": {"r": y, "c": labels}, "one": y}[kind]
    found = []
    for api in BOTH:
        model = _heads(api, kind)
        model.compile("sgd", **compiled)
        history = model.fit(x, targets, epochs=2, batch_size=16, validation_split=0.2, verbose=0).history
        found.append((history, model.evaluate(x, targets, verbose=0), model.metrics_names))
    (ours, listed, names), (theirs, expected, wanted) = found[1], found[0]
    assert sorted(ours) == sorted(theirs)
    assert names == wanted
    for name, values in theirs.items():
        np.testing.assert_allclose(ours[name], values, rtol=1e-4, atol=1e-5, err_msg=name)
    np.testing.assert_allclose(listed, expected, rtol=1e-4, atol=1e-5)


def test_on_batch_metrics_are_those_of_the_batch():
    x, y = _data()
    found = []
    for api in BOTH:
        model = _heads(api, "one")
        model.compile("sgd", "mse", metrics=["mae"])
        found.append(
            [
                *model.train_on_batch(x[:20], y[:20]),
                *model.train_on_batch(x[20:], y[20:]),
                *model.test_on_batch(x, y),
                *model.train_on_batch(x, y, return_dict=True).values(),
            ]
        )
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5)


def test_training_that_is_said_counts_as_in_keras():
    found = []
    for api in BOTH:
        seen = []

        class Tells(api.layers.Layer):
            def call(self, x, training=None, seen=seen):
                seen.append(training)
                return x

        x = api.Input((2,))
        told = api.Model(x, Tells()(x, training=False))
        seen.clear()
        for training in (None, True, False):
            told(np.ones((1, 2)), training=training)
        outer = api.Model(x, told(x, training=False))
        seen.clear()
        outer(np.ones((1, 2)), training=True)
        found.append(seen)
    assert found[0] == found[1]


def test_losses_are_those_of_the_last_call():
    for api in BOTH:

        class Adds(api.layers.Layer):
            def call(self, x, api=api):
                self.add_loss(api.ops.sum(x))
                return x

        layer = Adds()
        layer(np.ones(3, "float32"))
        layer(np.ones(3, "float32"))
        assert len(layer.losses) == 1
        model = api.Sequential([api.Input((2,)), layer, api.layers.Dense(1, activity_regularizer="l2")])
        model(np.ones((2, 2)))
        model(np.ones((2, 2)))
        assert len(model.losses) == 2
        layer(np.ones((1, 2), "float32"))
        assert len(model.losses) == 2


def test_a_schedule_is_not_overwritten_by_a_number():
    for api in BOTH:
        optimizer = api.optimizers.Adam(api.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9))
        with pytest.raises(TypeError):
            optimizer.learning_rate = 0.1


def test_paths_of_variables_inside_a_subclassed_model():
    found = []
    for api in BOTH:

        class Net(api.Model):
            def __init__(self, api=api):
                super().__init__(name="net")
                self.first = api.layers.Dense(2, name="first")
                self.rest = [api.Sequential([api.layers.Dense(3, name="inner")], name="seq")]

            def call(self, x):
                return self.rest[0](self.first(x))

        model = Net()
        model(np.ones((1, 4)))
        found.append([v.path for v in model.variables])
    assert found[0] == found[1]


def test_a_step_in_plain_style_reads_and_assigns_variables():
    import jax

    class Plain(compat.Model):
        def train_step(self, data):
            x, y = data
            others = [v.value for v in self.non_trainable_variables]

            def loss_of(values):
                y_pred, _ = self.stateless_call(values, others, x, training=True)
                return compat.ops.mean(compat.ops.square(y - y_pred))

            loss, grads = jax.value_and_grad(loss_of)([v.value for v in self.trainable_variables])
            self.optimizer.apply(grads, self.trainable_variables)
            return {"loss": loss}

        def test_step(self, data):
            x, y = data
            return {"mae": compat.ops.mean(compat.ops.abs(self(x, training=False) - y))}

    x, y = _data()
    compat.utils.set_random_seed(1)
    inputs = compat.Input((4,))
    model = Plain(inputs, compat.layers.Dense(1)(inputs))
    model.compile("sgd", "mse")
    plain = compat.models.clone_model(compat.Model(model.inputs, model.outputs))
    plain.set_weights(model.get_weights())
    plain.compile("sgd", "mse")
    ours = model.fit(x, y, epochs=3, batch_size=10, shuffle=False, verbose=0).history["loss"]
    plain.fit(x, y, epochs=3, batch_size=10, shuffle=False, verbose=0)
    assert ours[-1] < ours[0]
    np.testing.assert_allclose(model.get_weights()[0], plain.get_weights()[0], rtol=1e-5)
    expected = np.abs(plain.predict(x, verbose=0) - y).mean()
    np.testing.assert_allclose(model.evaluate(x, y, batch_size=40, verbose=0), expected, rtol=1e-5)


def test_stateful_layers_go_on_in_predict():
    """As with TensorFlow; Keras on JAX loses the states of compiled calls."""
    x = np.random.default_rng(0).normal(size=(2, 3, 2)).astype("float32")
    lstm = compat.layers.LSTM(3, stateful=True)
    model = compat.Sequential([compat.Input(batch_shape=(2, 3, 2)), lstm])
    first, second = (model.predict(x, batch_size=2, verbose=0) for _ in range(2))
    lstm.reset_state()
    np.testing.assert_allclose(first, lstm(x), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(second, lstm(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("callbacks", [False, True], ids=["fused", "batches"])
def test_an_interrupt_leaves_usable_weights(callbacks, request):
    x, y = _data(2000)
    model = _heads(compat, "one")
    model.compile("adam", "mse")
    model.fit(x, y, batch_size=8, epochs=1, verbose=0)
    watch = [compat.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)] if callbacks else []
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # workers of parallel tests ignore it
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, handler))
    for wait in (0.05, 0.11, 0.17):
        timer = threading.Timer(wait, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            model.fit(x, y, batch_size=8, epochs=10_000, verbose=0, callbacks=watch)
        timer.join()
        assert np.isfinite(model.get_weights()[0]).all()
    before = int(model.optimizer.iterations.numpy())
    model.fit(x[:80], y[:80], batch_size=8, verbose=0)
    assert int(model.optimizer.iterations.numpy()) == before + 10


def _five(api, kind):
    layers = api.layers
    if kind == "mlp":
        return api.Sequential([api.Input((12,)), layers.Dense(16, "relu"), layers.Dropout(0.3), layers.Dense(1)])
    if kind == "cnn":
        return api.Sequential(
            [
                api.Input((8, 8, 2)), layers.Conv2D(6, 3, use_bias=False), layers.BatchNormalization(), layers.ReLU(),
                layers.MaxPooling2D(), layers.Flatten(), layers.Dense(1),
            ]
        )  # fmt: skip
    if kind == "lstm":
        return api.Sequential([api.Input((6, 3)), layers.LSTM(8, dropout=0.1), layers.Dense(1)])
    x = api.Input((6,), dtype="int32") if kind == "transformer" else api.Input((12,))
    if kind == "transformer":
        h = layers.Embedding(20, 8)(x)
        h = layers.LayerNormalization()(h + layers.MultiHeadAttention(2, 4, dropout=0.1)(h, h))
        return api.Model(x, layers.Dense(1)(layers.GlobalAveragePooling1D()(h)))
    h = layers.Dense(12, "swish", kernel_regularizer="l2")(x)
    h = layers.Add()([x, layers.Dense(12)(h)])
    return api.Model(x, layers.Dense(1)(layers.GroupNormalization(3)(h)))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mlp", "cnn", "lstm", "transformer", "residual"])
def test_curves_are_those_of_keras(kind):
    """From the same weights and batches, over three epochs."""
    rng = np.random.default_rng(1)
    shape = {"cnn": (8, 8, 2), "lstm": (6, 3)}.get(kind, (12,))
    x = rng.integers(0, 20, (150, 6)) if kind == "transformer" else rng.normal(size=(150, *shape)).astype("float32")
    y = rng.normal(size=(150, 1)).astype("float32")
    curves, weights = [], None
    for api in BOTH:
        api.utils.set_random_seed(2)
        model = _five(api, kind)
        weights = model.get_weights() if weights is None else weights
        model.set_weights(weights)
        model.compile(api.optimizers.Adam(0.01), "mse", metrics=["mae"])
        history = model.fit(x, y, epochs=3, batch_size=32, validation_data=(x[:40], y[:40]), verbose=0).history
        curves.append(history)
    assert sorted(curves[0]) == sorted(curves[1])
    for name, values in curves[0].items():
        np.testing.assert_allclose(curves[1][name], values, rtol=1e-4, atol=1e-4, err_msg=name)


@pytest.mark.slow
def test_memory_does_not_grow():
    """1,000 predictions and 100 fits, compiled anew every tenth time."""
    x, y = _data(64)
    model = _heads(compat, "one")
    model.compile("adam", "mse")

    def work(predictions, fits):
        for i in range(predictions):
            model.predict(x[: 1 + i % 3], verbose=0)
        for _ in range(fits):
            model.fit(x, y, batch_size=16, epochs=1, verbose=0)
        gc.collect()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    first = work(100, 20)
    import jax

    arrays = len(jax.live_arrays())
    last = work(1000, 100)
    assert last - first < 20  # MiB
    assert len(jax.live_arrays()) <= arrays + 5
