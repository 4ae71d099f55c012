"""Losses against the real Keras on JAX: values, gradients, reductions, weights, masks, names, JSON."""

from __future__ import annotations

import functools
import inspect
import json
import pickle

import jax
import keras
import numpy as np
import pytest
from keras.src.losses import loss as keras_loss

import kfun
from kfun import losses, ops
from kfun.losses import _get
from tests.conftest import BACKENDS
from tests.losses.rows import ROWS, B, C, T

REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)
EAGER = [b for b in BACKENDS if b in ("torch", "tensorflow", "numpy")]
CLASSES = sorted({n for n, v in vars(keras.losses).items() if isinstance(v, type)} - {"Loss"})


def close(received, expected, rtol=1e-5, atol=1e-6):
    np.testing.assert_allclose(np.asarray(received), np.asarray(expected), rtol, atol)


def ids(row):
    return row.id


def both(row, **kwargs):
    made = {**row.kwargs, **kwargs}
    return getattr(losses, row.name)(**made), getattr(keras.losses, row.name)(**made)


def weights_for(values, random):
    """No weight, one for all, one per sample, and one per value."""
    shape = np.shape(values)
    yield None
    if shape:
        yield np.float32(0.5)
        yield random.uniform(size=shape).astype("float32")
        if len(shape) > 1:
            yield random.uniform(size=(shape[0], *[1] * (len(shape) - 1))).astype("float32")
        else:
            yield random.uniform(size=(shape[0], 1)).astype("float32")


def test_every_loss_has_a_row():
    public = {n for n, v in vars(losses).items() if isinstance(v, type) and not n.startswith("_")}
    assert public - {"Loss", "LossFunctionWrapper"} == {row.name for row in ROWS} == set(CLASSES)


def test_every_function_of_keras_is_there():
    functions = {n for n, v in vars(keras.losses).items() if inspect.isfunction(v)} - {"serialize", "deserialize"}
    assert functions <= set(vars(losses))
    for name in functions - {"get"}:
        ours, theirs = (inspect.signature(getattr(m, name)).parameters for m in (losses, keras.losses))
        assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in theirs.values()]


@pytest.mark.parametrize("name", CLASSES)
def test_fields_are_the_arguments_of_keras(name):
    theirs = inspect.signature(getattr(keras.losses, name)).parameters
    ours = inspect.signature(getattr(losses, name)).parameters
    positional = {n: p.default for n, p in ours.items() if p.kind is p.POSITIONAL_OR_KEYWORD}
    assert list(positional) == [n for n in theirs if n not in ("name", "dtype", "reduction")]
    assert all(theirs[n].default == default for n, default in positional.items())
    assert ours["name"].default == theirs["name"].default


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_values_and_weights(row):
    y_true, y_pred = row.data()
    ours, theirs = both(row, reduction="none")
    values = np.asarray(theirs(y_true, y_pred))
    assert np.isfinite(values).all()
    for weight in weights_for(values, np.random.default_rng(1)):
        received = ours(y_true, y_pred, weight)
        expected = np.asarray(theirs(y_true, y_pred, weight))
        assert received.shape == expected.shape
        assert received.dtype == expected.dtype
        close(received, expected)
    ours, theirs = both(row)
    close(ours(y_true, y_pred, 0.3), theirs(y_true, y_pred, 0.3))


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_gradients(row):
    y_true, y_pred = row.data()
    ours, theirs = both(row, reduction="sum")
    expected = jax.grad(lambda y: theirs(y_true, y))(y_pred)
    received = jax.grad(lambda y: ours(y_true, y))(y_pred)
    assert np.isfinite(received).all()
    known = np.isfinite(expected)  # Keras's is NaN in places: log-sum-exp of an empty set of pairs
    assert known.any()
    close(np.asarray(received)[known], np.asarray(expected)[known], 1e-4, 1e-5)


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_compiled_is_eager(row):
    y_true, y_pred = row.data()
    loss = both(row)[0]
    weight = np.float32(0.7)
    close(jax.jit(loss)(y_true, y_pred, weight), loss(y_true, y_pred, weight))


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_json_and_pickle(row):
    loss = both(row, reduction="sum", name="mine", dtype="float32")[0]
    config = json.loads(json.dumps(loss.to_config()))
    assert kfun.from_config(config) == loss == losses.get(config) == pickle.loads(pickle.dumps(loss))
    assert hash(kfun.from_config(config)) == hash(loss)


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_function_is_that_of_keras(row):
    name = next(n for n, (_, cls) in _get.FUNCTIONS.items() if cls.__name__ == row.name)
    y_true, y_pred = row.data()
    if row.label in ("trailing",):
        y_true = y_true[:, None]
    kwargs = dict(row.kwargs)
    received = getattr(losses, name)(y_true, y_pred, **kwargs)
    close(received, getattr(keras.losses, name)(y_true, y_pred, **kwargs))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("masked", [False, True, "all"])
@pytest.mark.parametrize(
    ("values", "weight"),
    [
        ((B, T), None),
        ((B, T), ()),
        ((B, T), (B, T)),
        ((B, T), (B, 1)),
        ((B, T), (B, T, 1)),
        ((B,), (B, 1)),
        ((B,), (B,)),
        ((B, 1), (B,)),
        ((B, T, 1), (B, T)),
        ((0,), None),
        ((0, 3), None),
    ],
)
def test_reductions(values, weight, masked, reduction):
    random = np.random.default_rng(2)
    x = random.normal(size=values).astype("float32")
    w = None if weight is None else np.float32(random.uniform(size=weight))
    mask = {False: None, True: random.uniform(size=values) < 0.6, "all": np.zeros(values, bool)}[masked]
    received = losses.reduce_weighted_values(x, w, mask, reduction)
    expected = np.asarray(keras_loss.reduce_weighted_values(x, w, mask, reduction))
    assert received.shape == expected.shape
    close(received, expected)


def test_mask_of_a_call():
    random = np.random.default_rng(3)
    y_true, y_pred = random.normal(size=(2, B, T, C)).astype("float32")
    mask = random.uniform(size=(B, T)) < 0.5
    received = losses.MeanSquaredError()(y_true, y_pred, mask=mask)
    close(received, np.mean(np.square(y_true - y_pred)[mask]))
    weight = random.uniform(size=(B,)).astype("float32")  # per sample, as documented; Keras cannot
    expected = np.sum((np.square(y_true - y_pred).mean(-1) * weight[:, None])[mask]) / mask.sum()
    close(losses.MeanSquaredError()(y_true, y_pred, weight, mask), expected)


def test_mask_meets_ignored_class():
    row = next(r for r in ROWS if r.label == "ignore")
    y_true, y_pred = row.data()
    mask = np.ones((B, T), bool)
    mask[:, -1] = False
    values = np.asarray(both(row, reduction="none")[1](y_true, y_pred))
    close(both(row)[0](y_true, y_pred, mask=mask), values[mask & (y_true != -1)].mean())


def test_half_precision_computes_in_float32_and_float64_stays(x64):
    y_true, y_pred = np.float16([[0.0, 1.0]]), np.float16([[0.0, 1.0]])
    value = losses.BinaryCrossentropy()(y_true, y_pred)
    assert value.dtype == "float32"
    assert np.isfinite(value)
    assert losses.MeanSquaredError()(y_true, y_pred.astype("float64")).dtype == "float64"
    assert losses.MeanSquaredError(dtype="bfloat16")(y_true, y_pred).dtype == "bfloat16"


def test_structures_reach_a_user_s_loss():
    class Both(losses.Loss):
        def call(self, y_true, y_pred):
            return ops.add(losses.mean_squared_error(y_true["a"], y_pred["a"]), y_pred["b"])

    y = {"a": np.ones((B, C), "float32"), "b": np.full((B,), 2.0, "float32")}
    assert float(Both()(y, y)) == 2.0


@pytest.mark.parametrize("alias", ["mse", "MSE", "mae", "mape", "MSLE", "bce", "kld"])
def test_aliases(alias):
    y_true, y_pred = ROWS[0].data()
    y_true, y_pred = (1 / (1 + np.exp(-y)) for y in (y_true, y_pred))
    loss = losses.get(alias)
    assert loss.name == alias
    close(loss(y_true, y_pred), np.mean(keras.losses.get(alias)(y_true, y_pred)))


@pytest.mark.parametrize("name", CLASSES)
def test_get(name):
    cls = getattr(losses, name)
    function = next(f for f, c in _get.FUNCTIONS.values() if c is cls)
    for identifier in (name, cls, function, function.__name__):
        assert type(losses.get(identifier)) is cls
    assert losses.get(cls()) == cls()


def test_get_other():
    assert losses.get(None) is None
    wrapped = losses.get(ops.subtract)
    assert float(wrapped([[3.0]], [[1.0]])) == 2.0
    kinds = {(B, 1): "BinaryCrossentropy", (B, C): "CategoricalCrossentropy", (B,): "SparseCategoricalCrossentropy"}
    for shape, name in kinds.items():
        pred = kfun.Spec((None, 1) if name.startswith("B") else (None, C))
        assert type(losses.get("crossentropy", kfun.Spec(shape), pred)).__name__ == name
    with pytest.raises(ValueError, match="did you mean 'mean_squared_error'"):
        losses.get("mean_squred_error")
    with pytest.raises(ValueError, match="give y_true_spec and y_pred_spec"):
        losses.get("ce")
    with pytest.raises(TypeError, match="expected the name of a loss"):
        losses.get(3)


@pytest.mark.parametrize(
    ("name", "y_true", "y_pred", "message"),
    [
        ("CategoricalCrossentropy", (B,), (B, C), "For integer labels use sparse_categorical_crossentropy"),
        ("CategoricalCrossentropy", (B, 1), (B, C), "For integer labels use sparse_categorical_crossentropy"),
        ("SparseCategoricalCrossentropy", (B, C), (B, C), "looks one-hot: use categorical_crossentropy"),
        ("SparseCategoricalCrossentropy", (B + 1,), (B, C), r"y_true of shape \(7,\)"),
        ("MeanSquaredError", (B,), (B, B), r"y_true of shape \(6,\) and y_pred of shape \(6, 6\)"),
        ("BinaryCrossentropy", (B, 1), (B, C), r"y_true of shape \(6, 1\) and y_pred of shape \(6, 5\)"),
        ("CTC", (B,), (B, C), r"received shapes \(6,\) and \(6, 5\)"),
    ],
)
def test_wrong_shapes_say_so(name, y_true, y_pred, message):
    with pytest.raises(ValueError, match=message):
        getattr(losses, name)()(np.zeros(y_true, "int32"), np.ones(y_pred, "float32"))


def test_other_mistakes_say_so():
    with pytest.raises(ValueError, match="unknown reduction 'average'"):
        losses.Huber(reduction="average")
    with pytest.raises(ValueError, match="expected q between 0 and 1"):
        losses.CategoricalGeneralizedCrossEntropy(1.5)
    with pytest.raises(ValueError, match=r"sample_weight of shape \(4,\) does not fit values of shape \(6,\)"):
        losses.MeanSquaredError()(np.ones((B, C)), np.ones((B, C)), np.ones((4,)))
    with pytest.warns(SyntaxWarning, match="use binary_crossentropy"):
        losses.CategoricalCrossentropy()(np.ones((B, 1)), np.ones((B, 1)))


@pytest.mark.parametrize("backend", EAGER)
@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_other_backends_agree(row, backend):
    y_true, y_pred = row.data()
    loss, (expected, gradient) = both(row)[0], by_jax(row)
    with kfun.backend(backend):
        native = ops.convert_to_tensor(y_pred)
        received = ops.convert_to_numpy(loss(ops.convert_to_tensor(y_true), native))
    close(received, expected)
    if backend != "numpy":
        received = ops.convert_to_numpy(kfun.grad(lambda y: loss(y_true, y))(native))
        close(received, gradient, 1e-4, 1e-5)


@functools.cache
def by_jax(row):
    y_true, y_pred = row.data()
    return jax.jit(jax.value_and_grad(lambda y: both(row)[0](y_true, y)))(y_pred)
