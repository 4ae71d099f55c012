"""A smaller last batch runs in the program of the others, and no number changes."""

import contextlib
import inspect

import jax
import keras
import numpy as np
import pytest

import compat
from compat.training import padding

L, ops = compat.layers, compat.ops
ROWS, BATCH = 22, 8
X = np.random.default_rng(0).normal(size=(ROWS, 6)).astype("float32")
Y = np.random.default_rng(1).integers(0, 3, ROWS)
ONE_HOT = np.eye(3, dtype="float32")[Y]


@contextlib.contextmanager
def compiled():
    """Counts the steps compiled inside: programs that hold a function called `run`."""
    names: list[str] = []

    def listen(event, seconds, fun_name=None, **_):
        if "backend_compile" in event and fun_name is not None and "run" in fun_name:
            names.append(fun_name)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield names
    finally:
        jax._src.monitoring.unregister_event_duration_listener(listen)


def mlp(api=compat):
    inputs = api.Input((6,))
    x = api.layers.Dense(7, activation="relu")(inputs)
    x = api.layers.BatchNormalization()(x)
    x = api.ops.tanh(x) * 2.0 + api.ops.max(x, axis=-1, keepdims=True)
    x = api.ops.reshape(api.layers.Dropout(0.4)(x), (-1, 7, 1))
    x = api.layers.BatchNormalization()(api.layers.Conv1D(2, 3)(x))[:, :, 0]
    return api.Model(inputs, api.layers.Dense(3, activation="softmax", kernel_regularizer="l2")(x))


def trained(model, api=compat, batches=None, loss="sparse_categorical_crossentropy", metrics=("accuracy",), y=Y):
    """What fit, evaluate and predict give, and the weights."""
    model.compile(api.optimizers.SGD(0.1), loss, metrics=list(metrics), weighted_metrics=["accuracy"])
    weight = np.linspace(0.5, 1.5, ROWS).astype("float32")
    given = {"x": batches()} if batches else {"x": X, "y": y, "sample_weight": weight, "batch_size": BATCH}
    held = (X[:11], y[:11])
    fit = model.fit(**given, epochs=2, verbose=0, shuffle=False, validation_data=held, validation_batch_size=5)
    evaluated = model.evaluate(X, y, batch_size=BATCH, verbose=0, return_dict=True)
    predicted = model.predict(X, batch_size=BATCH, verbose=0)
    return fit.history, evaluated, predicted, [np.asarray(w) for w in model.get_weights()]


def same(a, b, tolerance=2e-5):
    jax.tree.map(lambda u, v: np.testing.assert_allclose(u, v, tolerance, tolerance), a, b)


def whole(monkeypatch):
    monkeypatch.setattr(padding, "pad", lambda *args, **kwargs: None)


def test_one_program_for_each_step():
    with compiled() as names:
        trained(mlp())
    assert len(names) == 4, names  # training, validation of another size, evaluation, prediction


def test_two_programs_without_padding(monkeypatch):
    whole(monkeypatch)
    with compiled() as names:
        trained(mlp())
    assert len(names) == 8, names


def test_numbers_of_keras():
    compat.utils.set_random_seed(3)
    ours = trained(mlp())
    keras.utils.set_random_seed(3)
    same(ours, trained(mlp(keras), keras))


def test_streams(monkeypatch):
    class Data(compat.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, i):
            return X[i * BATCH : (i + 1) * BATCH], Y[i * BATCH : (i + 1) * BATCH]

    compat.utils.set_random_seed(3)
    with compiled() as names:
        ours = trained(mlp(), batches=Data)
    assert len(names) == 4, names
    whole(monkeypatch)
    compat.utils.set_random_seed(3)
    same(ours, trained(mlp(), batches=Data))


def test_masks_and_batch_callbacks():
    ids, labels = np.random.default_rng(2).integers(0, 9, (2, ROWS, 5))

    def run(api):
        api.utils.set_random_seed(1)
        x = api.layers.Embedding(9, 4, mask_zero=True)(inputs := api.Input((5,), dtype="int32"))
        model = api.Model(
            inputs, api.layers.Dense(9, activation="softmax")(api.layers.GRU(4, return_sequences=True)(x))
        )
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        seen = []
        note = api.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(logs["loss"]))
        fit = model.fit(ids, labels, batch_size=BATCH, epochs=2, verbose=0, shuffle=False, callbacks=[note])
        return fit.history, seen, model.predict(ids, batch_size=BATCH, verbose=0)

    with compiled() as names:
        ours = run(compat)
    assert len(names) == 2, names
    same(ours, run(keras))


def public(module, base):
    classes = ((n, c) for n, c in sorted(vars(module).items()) if inspect.isclass(c) and n[0] != "_")
    return [n for n, c in classes if issubclass(c, base)]


LOSSES = [n for n in public(compat.losses, compat.losses.Loss) if n not in ("Loss", "LossFunctionWrapper", "CTC")]
METRICS = public(compat.metrics, compat.metrics.Metric)
NOT_OF_TARGETS = ("Metric", "Mean", "Sum", "MeanMetricWrapper", "ExactMatch")
SETTINGS = {
    "MeanIoU": {"num_classes": 3, "sparse_y_pred": False, "sparse_y_true": False},
    "IoU": {"num_classes": 3, "target_class_ids": [0, 1], "sparse_y_pred": False, "sparse_y_true": False},
    "BinaryIoU": {"target_class_ids": [0, 1]}, "OneHotIoU": {"num_classes": 3, "target_class_ids": [0]},
    "OneHotMeanIoU": {"num_classes": 3}, "PrecisionAtRecall": {"recall": 0.5}, "RecallAtPrecision": {"precision": 0.5},
    "SensitivityAtSpecificity": {"specificity": 0.5}, "SpecificityAtSensitivity": {"sensitivity": 0.5},
    "MeanRelativeError": {"normalizer": [1.0, 2.0, 3.0]}, "R2Score": {"num_regressors": 2},
}  # fmt: skip


QUICK = ("BinaryCrossentropy", "Dice", "AUC", "F1Score", "MeanIoU", "R2Score", "Precision")


def quick(names):
    return [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in names]


def targets_of(name):
    return Y if "Sparse" in name or name in ("Circle", "CategoricalGeneralizedCrossEntropy") else ONE_HOT


def padded_and_whole(monkeypatch, loss="mse", metric=lambda: "accuracy", y=ONE_HOT, metric_name=""):
    def run():
        compat.utils.clear_session()
        compat.utils.set_random_seed(5)
        model = compat.Sequential([compat.Input((6,)), L.Dense(3, activation="softmax")])
        weight = np.linspace(0, 3, ROWS).round().astype("int32" if "IoU" in metric_name else "float32")
        model.compile("sgd", loss, metrics=[metric()], weighted_metrics=[metric()])
        fit = model.fit(X, y, sample_weight=weight, batch_size=BATCH, epochs=2, verbose=0, shuffle=False)
        return fit.history, model.get_weights()

    padded = run()
    whole(monkeypatch)
    same(padded, run())


@pytest.mark.parametrize("name", quick(LOSSES))
def test_every_loss(name, monkeypatch):
    padded_and_whole(monkeypatch, loss=getattr(compat.losses, name)(), y=targets_of(name))


@pytest.mark.parametrize("name", quick(n for n in METRICS if n not in NOT_OF_TARGETS))
def test_every_metric(name, monkeypatch):
    make = getattr(compat.metrics, name)
    padded_and_whole(
        monkeypatch,
        loss="sparse_categorical_crossentropy" if "Sparse" in name else "mse",
        metric=lambda: make(**SETTINGS.get(name, {})),
        metric_name=name,
        y=targets_of(name),
    )


class Centred(L.Layer):
    def call(self, x):
        return x - ops.mean(x, axis=0, keepdims=True)


class OwnDense(L.Dense):
    def call(self, x):
        return super().call(x) / ops.sum(ops.abs(x))


class OwnStep(compat.Model):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return ops.mean(ops.square(y_pred - ops.mean(y_pred, axis=0)))


def functional(change):
    inputs = compat.Input((6,))
    x = L.Dense(3)(inputs)
    return compat.Model(inputs, L.Dense(3)(change(x)))


POOLING = {
    "user layer": lambda: functional(Centred()),
    "user subclass": lambda: functional(OwnDense(3)),
    "lambda": lambda: functional(L.Lambda(lambda x: x - ops.max(x))),
    "user activation": lambda: functional(L.Dense(3, activation=lambda x: x / ops.sum(x))),
    "op over rows": lambda: functional(lambda x: x - ops.mean(x, axis=0, keepdims=True)),
    "op over all": lambda: functional(lambda x: x / ops.norm(x)),
    "softmax of rows": lambda: functional(L.Softmax(axis=0)),
    "norm of rows": lambda: functional(L.UnitNormalization(axis=0)),
    "activity": lambda: functional(L.Dense(3, activity_regularizer="l2")),
    "nested": lambda: functional(compat.Sequential([L.Dense(3), Centred()])),
    "norm in a wrapper": lambda: functional(
        lambda x: L.Flatten()(L.TimeDistributed(L.BatchNormalization())(L.Reshape((3, 1))(x)))
    ),
    "own step": lambda: (lambda i: OwnStep(i, L.Dense(3)(i)))(compat.Input((6,))),
}


@pytest.mark.parametrize("name", POOLING)
def test_models_that_pool_rows_run_their_last_batch_as_it_is(name, monkeypatch):
    def run():
        compat.utils.set_random_seed(2)
        return trained(POOLING[name](), loss="mse", metrics=["mae"], y=ONE_HOT)

    feeds = []
    pad = padding.pad
    monkeypatch.setattr(padding, "pad", lambda m, feed, **how: (pad(m, feed, **how), feeds.append(feed.inner.pads)))
    ours = run()
    assert feeds
    assert not any(feeds[:3])
    whole(monkeypatch)
    same(ours, run())


def test_user_losses_and_metrics_see_the_rows_alone(monkeypatch):
    def spread(y_true, y_pred):
        return ops.mean(ops.square(y_pred - y_true)) + ops.max(ops.abs(y_pred))

    def run():
        compat.utils.set_random_seed(2)
        return trained(mlp(), loss=spread, metrics=[spread], y=ONE_HOT)

    ours = run()
    whole(monkeypatch)
    same(ours, run())
