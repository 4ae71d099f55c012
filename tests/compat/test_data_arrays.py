"""Arrays of all libraries, weights, splits, and errors that name the offending array."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"

import jax.numpy as jnp
import keras
import numpy as np
import pytest

import compat
from compat.training import data

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3)).astype("float32")
LABELS = RNG.integers(0, 3, 12)


def _torch(x):
    return pytest.importorskip("torch", reason="needs the extra torch").tensor(x)


def _tf(x):
    return pytest.importorskip("tensorflow", reason="needs the extra tensorflow").constant(x)


def _pandas(x):
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    return pandas.DataFrame(x, columns=list("abc")) if x.ndim == 2 else pandas.Series(x)


def _polars(x):
    polars = pytest.importorskip("polars", reason="needs polars")
    return polars.DataFrame(x, schema=list("abc")) if x.ndim == 2 else polars.Series(x)


def _sparse(x):
    from scipy import sparse

    return sparse.csr_array(x) if x.ndim == 2 else x


FORMS = {
    "numpy": np.asarray, "float64": lambda x: x.astype("float64"), "half": lambda x: x.astype("float16"),
    "jax": jnp.asarray, "torch": _torch, "tensorflow": _tf, "list": lambda x: x.tolist(), "pandas": _pandas,
    "polars": _polars, "scipy": _sparse,
}  # fmt: skip


def _model(api=compat):
    model = api.Sequential([api.Input((3,)), api.layers.Dense(3, activation="softmax")])
    model.compile(api.optimizers.SGD(0.1), "sparse_categorical_crossentropy", weighted_metrics=["accuracy"])
    return model


@pytest.mark.parametrize("form", FORMS)
def test_arrays_of_all_libraries(form):
    model, plain = _model(), _model()
    model.set_weights(plain.get_weights())
    x = FORMS[form](X)
    y = FORMS[form](LABELS) if form not in ("half", "float64") else LABELS
    tolerance = 1e-2 if form == "half" else 1e-5
    expected = plain.fit(X, LABELS, batch_size=5, epochs=2, shuffle=False, verbose=0).history
    received = model.fit(x, y, batch_size=5, epochs=2, shuffle=False, verbose=0).history
    np.testing.assert_allclose(received["loss"], expected["loss"], rtol=tolerance)
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), plain.evaluate(X, LABELS, verbose=0), rtol=tolerance)
    np.testing.assert_allclose(model.predict(x, verbose=0), plain.predict(X, verbose=0), rtol=tolerance, atol=1e-3)
    np.testing.assert_allclose(model.train_on_batch(x, y), plain.train_on_batch(X, LABELS), rtol=tolerance)


def _specs(api, *args, **kwargs):
    """The shapes and types that a loss sees."""
    seen = []

    class Watched(api.Model):
        def __init__(self):
            super().__init__()
            self.dense = api.layers.Dense(1)

        def call(self, x):
            return self.dense(x["a"] if isinstance(x, dict) else x)

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            parts = [v["a"] if isinstance(v, dict) else v for v in (x, y, sample_weight)]
            seen.append([None if v is None else (tuple(v.shape)[1:], str(v.dtype)) for v in parts])
            return super().compute_loss(x, y, y_pred, sample_weight, training)

    model = Watched()
    model.compile("sgd", "mse")
    model.fit(*args, verbose=0, **kwargs)
    return seen[-1]


def _cases():
    import pandas

    frame = pandas.DataFrame({"a": [1.0, 2.0, 3.0], "b": [1, 2, 3]})
    one = frame["a"]
    return {
        "a frame": ((frame, one), {}),
        "series": ((one, one), {"sample_weight": one}),
        "a dict of series": (({"a": one}, one), {}),
        "integers": ((np.ones((3, 1)), np.arange(3, dtype="int8")), {}),
        "booleans": ((np.ones((3, 1), bool), np.ones(3, bool)), {}),
        "halves": ((np.ones((3, 1), "float16"), np.ones(3, "float16")), {}),
    }


@pytest.mark.parametrize("name", ["a frame", "series", "a dict of series", "integers", "booleans", "halves"])
def test_shapes_and_types_are_those_of_keras(name):
    args, kwargs = _cases()[name]
    assert _specs(compat, *args, **kwargs) == _specs(keras, *args, **kwargs)


@pytest.mark.parametrize("form", ["sparse", "column", "one-hot", "float"])
def test_class_weights_are_those_of_keras(form):
    y = {"sparse": LABELS, "column": LABELS[:, None], "one-hot": np.eye(3)[LABELS], "float": LABELS.astype("float32")}
    results = []
    for api in (keras, compat):
        model = _model(api)
        if form == "one-hot":
            model.compile(api.optimizers.SGD(0.1), "categorical_crossentropy", weighted_metrics=["accuracy"])
        model.set_weights([np.arange(9, dtype="float32").reshape(3, 3) / 9, np.zeros(3)])
        logs = model.fit(
            X, y[form], batch_size=5, epochs=2, shuffle=False, verbose=0, class_weight={0: 0.5, 2: 3}
        ).history
        results.append((logs["loss"], logs["accuracy"], model.get_weights()[0]))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_sample_weights_and_validation_are_those_of_keras():
    weight = RNG.uniform(size=12).astype("float32")
    histories = []
    for api in (keras, compat):
        model = _model(api)
        model.set_weights([np.arange(9, dtype="float32").reshape(3, 3) / 9, np.zeros(3)])
        options = {"batch_size": 4, "shuffle": False, "verbose": 0}
        a = model.fit(X, LABELS, sample_weight=weight, validation_split=0.3, epochs=2, **options).history
        b = model.fit(X, LABELS, validation_data=(X, LABELS, weight), validation_freq=2, epochs=4, **options).history
        histories.append({**a, **{f"second {k}": v for k, v in b.items()}})
    assert histories[0].keys() == histories[1].keys()
    for key, values in histories[0].items():
        np.testing.assert_allclose(histories[1][key], values, rtol=1e-5, err_msg=key)


def _stream(*batch):
    def generate():
        while True:
            yield batch

    return generate()


def _objects():
    import pandas

    return pandas.DataFrame({"size": [1.0, 2.0], "colour": ["red", "blue"]})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": X, "y": LABELS[:5]}, r"x: 12, y: 5"),
        ({"x": {"a": X, "b": X[:3]}, "y": LABELS}, r"x\[a\]: 12, x\[b\]: 3, y: 12"),
        ({"x": X, "y": LABELS, "sample_weight": np.ones(3)}, "sample_weight: 3"),
        ({"x": X[:0], "y": LABELS[:0]}, "no rows"),
        ({"x": _objects, "y": LABELS[:2]}, "x: the columns colour hold no plain numbers"),
        ({"x": np.array(["a", "b"]), "y": LABELS[:2]}, r"x has dtype <U1 and shape \(2,\)"),
        ({"x": [[1, 2], [3]], "y": LABELS[:2]}, "x is no rectangular array"),
        ({"x": [X, "zz"], "y": LABELS}, r"x\[1\]"),
        ({"x": 3.0, "y": 1.0}, "x is a scalar"),
        ({"x": lambda: _stream(X, LABELS[:4]), "steps_per_epoch": 2}, "batch 0: the arrays differ in length"),
        ({"x": lambda: _stream(X, LABELS, None, X), "steps_per_epoch": 2}, "4 parts"),
        ({"x": lambda: _stream(X, LABELS), "y": LABELS}, "x` is a generator, so y must be in its batches"),
        ({"x": lambda: _stream(X, LABELS), "validation_split": 0.1}, "needs arrays"),
        ({"x": lambda: iter([]), "y": None}, "no batch"),
        ({"x": X, "y": LABELS, "steps_per_epoch": 0}, "positive number of steps"),
        ({"x": X, "y": LABELS, "batch_size": 0}, "batch_size"),
        ({"x": X, "y": LABELS, "validation_split": 1.5}, "between 0 and 1"),
        ({"x": X, "y": LABELS, "class_weight": {0: 1}, "sample_weight": np.ones(12)}, "exclude each other"),
        ({"x": None}, "no data"),
    ],
)
def test_bad_data_are_named(arguments, message):
    given = {k: v() if callable(v) else v for k, v in arguments.items()}
    with pytest.raises((ValueError, TypeError), match=message):
        _model().fit(**given, verbose=0)


def test_trees_keep_their_structure():
    import collections

    pair = collections.namedtuple("pair", "a b")
    made = data.as_arrays({"p": pair(X, [X, X]), "n": None}, "x")
    assert type(made["p"]) is pair
    assert type(made["p"].b) is list
    assert made["n"] is None


def test_tensors_of_half_precision_and_sparse_ones():
    torch = pytest.importorskip("torch", reason="needs the extra torch")
    tf = pytest.importorskip("tensorflow", reason="needs the extra tensorflow")
    half = data.as_arrays(torch.arange(4, dtype=torch.bfloat16, requires_grad=False), "x")
    np.testing.assert_array_equal(half.astype("float32"), np.arange(4))
    np.testing.assert_array_equal(data.as_arrays(tf.sparse.from_dense([[1.0, 0.0]]), "x"), [[1, 0]])
    with pytest.raises(ValueError, match="x is a ragged tensor"):
        data.as_arrays(tf.ragged.constant([[1], [2, 3]]), "x")
