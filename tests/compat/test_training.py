"""Training in compat: user layers and steps, callbacks, data, and what bad input is told."""

from __future__ import annotations

import subprocess
import sys

import jax
import numpy as np
import pytest

import compat as keras
from compat import layers, ops


def _xy(n=64):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 5)).astype("float32")
    return x, (x.sum(1) > 0).astype("int32")


def _model(**kwargs):
    model = keras.Sequential([keras.Input((5,)), layers.Dense(8, activation="relu"), layers.Dense(2)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), **kwargs)
    return model


class Scale(keras.Layer):
    """A user layer with `build` and `add_weight`."""

    def __init__(self, start=1.0, **kwargs):
        super().__init__(**kwargs)
        self.start = start

    def build(self, input_shape):
        self.scale = self.add_weight((input_shape[-1],), "ones", name="scale")
        self.calls = self.add_weight((), "zeros", trainable=False, name="calls")

    def call(self, x, training=None):
        if training:
            self.calls.assign_add(1.0)
        self.add_loss(1e-3 * ops.sum(ops.square(self.scale)))
        return x * self.scale * self.start


def test_user_layer_trains_and_keeps_state():
    x, y = _xy()
    model = keras.Sequential([Scale(2.0), layers.Dense(2)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = model.fit(x, y, batch_size=16, epochs=3, verbose=0).history["loss"]
    scale = model.layers[0]
    assert history[-1] < history[0]
    assert float(scale.calls.numpy()) == 12
    assert not np.allclose(scale.scale.numpy(), 1)
    assert scale.get_config()["start"] == 2.0


class Subclassed(keras.Model):
    """A user model whose layers are attributes, one of them in a list."""

    def __init__(self):
        super().__init__()
        self.blocks = [layers.Dense(8, activation="relu"), layers.Dropout(0.3)]
        self.head = layers.Dense(2)

    def call(self, x, training=None):
        for block in self.blocks:
            x = block(x, training=training) if isinstance(block, layers.Dropout) else block(x)
        return self.head(x)


def test_subclassed_model():
    x, y = _xy()
    model = Subclassed()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    model.fit(x, y, epochs=2, verbose=0)
    assert len(model.weights) == 4
    assert model.predict(x, verbose=0).shape == (64, 2)
    np.testing.assert_array_equal(model.predict(x, verbose=0), model.predict(x, verbose=0))


class Custom(keras.Model):
    """A model with a training step of its own, in Keras's style for JAX."""

    def train_step(self, state, data):
        trainable, other, optimizer, metrics = state
        x, y = data
        gradient = jax.value_and_grad(self.compute_loss_and_updates, has_aux=True)
        (loss, (_, y_pred, other, metrics)), grads = gradient(trainable, other, metrics, x, y, None, training=True)
        trainable, optimizer = self.optimizer.stateless_apply(optimizer, grads, trainable)
        return {"my_loss": loss, "largest": ops.max(y_pred)}, (trainable, other, optimizer, metrics)


def test_custom_train_step():
    x, y = _xy()
    inputs = keras.Input((5,))
    model = Custom(inputs, layers.Dense(2)(inputs))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = model.fit(x, y, epochs=3, shuffle=False, verbose=0).history
    assert sorted(history) == ["largest", "my_loss"]
    assert history["my_loss"][-1] < history["my_loss"][0]


def test_batch_callbacks_see_every_batch_and_fused_steps_agree():
    x, y = _xy()
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append((batch, logs["loss"], float(self.model.optimizer.iterations.numpy())))

    fused, single = _model(), _model()
    single.set_weights(fused.get_weights())
    a = fused.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0).history["loss"]
    b = single.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0, callbacks=[Watch()]).history["loss"]
    np.testing.assert_allclose(a, b, rtol=1e-6)
    assert [s[0] for s in seen] == [0, 1, 2, 3] * 2
    assert [s[2] for s in seen] == list(range(1, 9))


def test_callbacks(tmp_path):
    x, y = _xy()
    model = _model(metrics=["accuracy"])
    rates = []
    history = model.fit(
        x,
        y,
        epochs=6,
        validation_split=0.25,
        verbose=0,
        callbacks=[
            keras.callbacks.EarlyStopping(patience=50, restore_best_weights=True),
            keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.01 * 0.5**epoch),
            keras.callbacks.CSVLogger(tmp_path / "log.csv"),
            keras.callbacks.ModelCheckpoint(str(tmp_path / "{epoch:02d}.keras"), save_best_only=True),
            keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: rates.append(logs["learning_rate"])),
        ],
    ).history
    np.testing.assert_allclose(rates, [0.01 * 0.5**e for e in range(6)], rtol=1e-6)
    best = int(np.argmin(history["val_loss"]))
    assert model.evaluate(x[48:], y[48:], verbose=0)[0] == pytest.approx(history["val_loss"][best], rel=1e-5)
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 7
    saved = keras.models.load_model(tmp_path / f"{best + 1:02d}.keras")
    np.testing.assert_allclose(saved.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-6)


def test_early_stopping_and_plateau():
    x, y = _xy()
    model = _model()
    model.compile(keras.optimizers.SGD(0.0), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    plateau = keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=1.0)
    stop = keras.callbacks.EarlyStopping("loss", patience=2, min_delta=0.1)
    assert len(model.fit(x, y, epochs=9, verbose=0, callbacks=[stop]).history["loss"]) == 3
    model.compile(keras.optimizers.SGD(0.5), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, epochs=3, verbose=0, callbacks=[plateau])
    assert float(model.optimizer.learning_rate.numpy()) == pytest.approx(0.125)


def test_nan_loss_warns_and_terminates():
    x, y = _xy()
    x[0, 0] = np.nan
    model = _model()
    with pytest.warns(UserWarning, match="epoch 1: the loss is nan"):
        history = model.fit(x, y, epochs=4, verbose=0, callbacks=[keras.callbacks.TerminateOnNaN()]).history
    assert len(history["loss"]) == 1


def test_streams_give_the_numbers_of_arrays():
    x, y = _xy()
    one, other = _model(), _model()
    other.set_weights(one.get_weights())
    batches = [(x[i : i + 16], y[i : i + 16]) for i in range(0, 64, 16)]

    def forever():
        while True:
            yield from batches

    a = one.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0).history["loss"]
    b = other.fit(forever(), steps_per_epoch=4, epochs=2, verbose=0).history["loss"]
    np.testing.assert_allclose(a, b, rtol=1e-5)


def test_functional_gives_the_pure_function():
    x, _ = _xy()
    model = keras.Sequential([keras.Input((5,)), layers.Dense(4), layers.BatchNormalization(), layers.Dense(2)])
    net, params, state = model.functional()
    np.testing.assert_allclose(net.apply(params, state, x)[0], model.predict(x, verbose=0), rtol=1e-6)
    new = jax.jit(lambda p, s: net.apply(p, s, x, training=True)[1])(params, state)
    assert any(not np.allclose(new[k], state[k]) for k in state)
    grads = jax.vmap(jax.grad(lambda p, xi: net.apply(p, state, xi[None])[0].sum()), (None, 0))(params, x)
    assert all(g.shape == (64, *params[k].shape) for k, g in grads.items())


def _bad_loss():
    model = keras.Sequential([keras.Input((5,)), layers.Dense(3, activation="softmax")])
    model.compile("adam", "categorical_crossentropy")
    model.fit(np.ones((6, 5)), np.zeros(6, "int32"), verbose=0)


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (
            lambda: _model().fit(np.ones((8, 4)), np.zeros(8), verbose=0),
            r"expected input with 5 features.*received shape \(None, 4\)",
        ),
        (lambda: _model().fit(np.ones((8, 5)), np.zeros(7), verbose=0), "differ in length.*x: 8.*y: 7"),
        (lambda: _model().fit(np.ones((0, 5)), np.zeros(0), verbose=0), "no rows"),
        (lambda: _model().compile("adam", "mean_square_error"), "did you mean 'mean_squared_error'"),
        (
            lambda: _model().fit(np.ones((8, 5)), np.full(8, 2), verbose=0),
            "label 2, but the predictions have 2 classes",
        ),
        (lambda: _model().fit(np.ones((8, 5)), np.full(8, -1), verbose=0), r"label -1.*ignore_class=-1"),
        (lambda: _model().evaluate(np.ones((8, 5)), np.full(8, 9), verbose=0), "label 9.*give the last layer 10 units"),
        (lambda: _model().train_on_batch(np.ones((8, 5)), np.full(8, 2)), "label 2"),
        (lambda: _model().fit(iter([(np.ones((8, 5)), np.full(8, 2))]), verbose=0), "label 2"),
        (lambda: _model().compile("adan", "mse"), "did you mean 'adam'"),
        (lambda: _model().compile("adam", "mse", metrics=["acuracy"]), "did you mean"),
        (lambda: layers.Dense(4, activation="relo"), "did you mean 'relu'"),
        (lambda: keras.Sequential([layers.Dense(2)]).fit(np.ones((4, 2)), np.ones((4, 2))), "call model.compile"),
        (lambda: layers.Dense(units=-3), "positive"),
        (_bad_loss, "sparse_categorical_crossentropy"),
    ],
)
def test_bad_input_is_told_what_to_do(attempt, message):
    with pytest.raises((ValueError, TypeError), match=message):
        attempt()


def test_labels_that_do_not_count_may_be_anything():
    x, y = _xy()
    y[:4] = -1
    _model().fit(x, y, sample_weight=np.r_[np.zeros(4), np.ones(60)], verbose=0)
    model = _model()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1))
    assert np.isfinite(model.fit(x, y, verbose=0).history["loss"][0])
    tokens = np.array([[1, 2, 0], [3, 0, 0]])
    model = keras.Sequential([layers.Embedding(4, 3, mask_zero=True), layers.Dense(2, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    assert np.isfinite(model.fit(tokens, np.where(tokens, 1, -1), verbose=0).history["loss"][0])


def test_unknown_names_tell_the_nearest():
    with pytest.raises(TypeError, match="did you mean 'activation'"):
        layers.Dense(4, activaton="relu")
    with pytest.raises(AttributeError, match="did you mean 'Dense'"):
        layers.Densee  # noqa: B018
    with pytest.raises(AttributeError, match="did you mean 'EarlyStopping'"):
        keras.callbacks.EarlyStoping  # noqa: B018
    assert not hasattr(layers, "__wrapped__")


def test_script_runs_unmodified(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import keras\nfrom keras import layers\nimport numpy as np\n"
        "m = keras.Sequential([keras.Input((3,)), layers.Dense(2)])\n"
        "m.compile('sgd', 'mse')\nm.fit(np.ones((8, 3)), np.ones((8, 2)), verbose=0)\n"
        "print(keras.__name__, len(m.weights))\n"
    )
    done = subprocess.run([sys.executable, "-m", "compat", str(script)], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["compat", "2"], done.stderr


def test_export_to_openvino_gives_the_same_answers(tmp_path):
    # Not `openvino` itself: imported by hand, it forks a process to send statistics, which JAX warns of.
    openvino = pytest.importorskip("kfun.export.openvino", reason="the export needs the extra openvino")

    x, _ = _xy()
    model = keras.Sequential(
        [keras.Input((5,)), layers.Dense(8, activation="gelu"), layers.Dense(2, activation="softmax")]
    )
    model.export(tmp_path / "m.xml", format="openvino", verbose=False)
    np.testing.assert_allclose(
        openvino.Compiled(tmp_path / "m.xml")(x), model.predict(x, verbose=0), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("validated", [False, True])
def test_fits_of_a_single_step_are_those_of_one_fit_and_leave_old_values_whole(validated):
    x = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    held = {"validation_data": (x, x[:, :1])} if validated else {}
    histories, weights = [], []
    for single in (True, False):
        keras.utils.set_random_seed(0)
        layers = [keras.layers.Dense(4), keras.layers.BatchNormalization(), keras.layers.Dense(1)]
        model = keras.Sequential([keras.Input((3,)), *layers])
        model.compile("adam", "mse", metrics=["mae"])
        before = [(v.value, v.numpy()) for v in model.variables]
        runs = [{"epochs": 1}] * 3 if single else [{"epochs": 3}]
        logs = [model.fit(x, x[:, :1], verbose=0, shuffle=False, **run, **held).history for run in runs]
        histories.append({name: [value for log in logs for value in log[name]] for name in logs[0]})
        weights.append(model.get_weights())
        for value, kept in before:
            np.testing.assert_array_equal(value, kept)
    assert list(histories[0]) == list(histories[1])
    for name, values in histories[0].items():
        np.testing.assert_allclose(values, histories[1][name], rtol=1e-6)
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)
