"""Metrics against the real Keras on JAX: results and states over uneven weighted batches, names, JSON."""

from __future__ import annotations

import functools
import inspect
import json
import pickle
import re

import jax
import keras
import numpy as np
import pytest
from keras.src.metrics import reduction_metrics

import kfun
from kfun import losses, metrics, ops
from tests.conftest import BACKENDS
from tests.metrics.rows import OTHERS, ROWS, C

EAGER = [b for b in BACKENDS if b in ("torch", "tensorflow", "numpy")]
CLASSES = sorted({n for n, v in vars(keras.metrics).items() if isinstance(v, type)} - {"Metric"})
# Keras's IoU family asks JAX for 64-bit integers.
keras_asks_for_int64 = pytest.mark.filterwarnings("ignore:Explicitly requested dtype int64:UserWarning")


def close(received, expected, rtol=1e-5, atol=1e-6):
    np.testing.assert_allclose(np.asarray(received), np.asarray(expected), rtol, atol)


def required(name):
    """Whether a class cannot be made without arguments."""
    return any(p.default is p.empty for p in inspect.signature(getattr(metrics, name)).parameters.values())


def ids(value):
    return value.id if hasattr(value, "id") else str(value)


def made(row):
    return getattr(metrics, row.name)(**row.kwargs)


def run(metric, batches, update=None):
    """The state after all batches."""
    state = None
    for y_true, y_pred, *weight in batches:
        state = metric.init(kfun.Spec.of(y_true), kfun.Spec.of(y_pred)) if state is None else state
        state = (update or metric.update)(state, y_true, y_pred, *weight)
    return state


def test_every_metric_has_a_row():
    public = {n for n, v in vars(metrics).items() if isinstance(v, type) and not n.startswith("_")}
    assert public - {"Metric", "MeanOf"} == {row.name for row in ROWS} | OTHERS == set(CLASSES)


def test_every_function_of_keras_is_there():
    functions = {n for n, v in vars(keras.metrics).items() if inspect.isfunction(v)}
    for name in functions - {"get", "serialize", "deserialize"}:
        ours = getattr(metrics, name, None) or getattr(losses, name)
        theirs = inspect.signature(getattr(keras.metrics, name)).parameters.values()
        assert [(p.name, p.default) for p in inspect.signature(ours).parameters.values()] == [
            (p.name, p.default) for p in theirs
        ]


@keras_asks_for_int64
@pytest.mark.parametrize("name", sorted(set(CLASSES) - OTHERS))
def test_fields_are_the_arguments_of_keras(name):
    theirs = inspect.signature(getattr(keras.metrics, name)).parameters
    ours = inspect.signature(getattr(metrics, name)).parameters
    positional = {n: p.default for n, p in ours.items() if p.kind is p.POSITIONAL_OR_KEYWORD}
    assert list(positional) == [n for n in theirs if n not in ("name", "dtype")]
    assert all(theirs[n].default == default for n, default in positional.items())
    row = next(r for r in ROWS if r.name == name)
    assert made(row).name == re.sub(r"_\d+$", "", getattr(keras.metrics, name)(**row.kwargs).name)


@keras_asks_for_int64
@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_results_and_states(row):
    metric, oracle = made(row), getattr(keras.metrics, row.name)(**row.kwargs)
    batches = list(row.batches())
    state = run(metric, batches[:1])
    structure = {n: (v.shape, v.dtype) for n, v in state.items()}
    oracle.update_state(*batches[0])
    close(metric.result(state), oracle.result())
    for batch in batches[1:]:
        state = metric.update(state, *batch)
        oracle.update_state(*batch)
    assert {n: (v.shape, v.dtype) for n, v in state.items()} == structure
    assert {v.path.rpartition("/")[2] for v in oracle.variables} == set(state)
    for variable in oracle.variables:
        received = state[variable.path.rpartition("/")[2]]
        assert received.dtype == "float32"  # Keras's IoU family has int32, which cuts fractions of weights off
        close(received, variable.value)
    received, expected = metric.result(state), np.asarray(oracle.result())
    assert received.shape == expected.shape
    assert np.isfinite(received).all()
    close(received, expected)


@pytest.mark.parametrize("row", [pytest.param(r, marks=pytest.mark.slow if r.label else ()) for r in ROWS], ids=ids)
def test_compiled_is_eager(row):
    metric = made(row)
    batches = list(row.batches())[:2]
    state, compiled = run(metric, batches), run(metric, batches, jax.jit(metric.update))
    for name in state:
        close(compiled[name], state[name])
    close(jax.jit(metric.result)(compiled), metric.result(state))


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_states_merge(row):
    metric = made(row)
    batches = list(row.batches())
    parts = [run(metric, [batch]) for batch in batches]
    close(metric.result(metric.merge(*parts)), metric.result(run(metric, batches)))


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_json_and_pickle(row):
    metric = made(row).replace(name="mine", dtype="float32")
    config = json.loads(json.dumps(metric.to_config()))
    assert kfun.from_config(config) == metric == metrics.get(config) == pickle.loads(pickle.dumps(metric))
    assert hash(kfun.from_config(config)) == hash(metric)


def test_a_scan_carries_a_state():
    metric = metrics.BinaryAccuracy()
    random = np.random.default_rng(0)
    y_true, y_pred = random.integers(0, 2, (4, 8, 1)), random.uniform(size=(4, 8, 1)).astype("float32")
    state, _ = jax.lax.scan(lambda s, x: (metric.update(s, *x), None), metric.init(), (y_true, y_pred))
    close(metric.result(state), np.mean(y_true == (y_pred > 0.5)))


@pytest.mark.parametrize("name", ["Mean", "Sum"])
@pytest.mark.parametrize(
    ("shape", "weight"),
    [((), None), ((6,), None), ((6, 3), None), ((6, 3), (6,)), ((6, 3), (6, 1)), ((6, 3), (6, 3)), ((6,), ()),
     ((6,), (6, 1)), ((6, 3, 2), (6, 3)), ((), ())],
)  # fmt: skip
def test_reductions(name, shape, weight):
    random = np.random.default_rng(1)
    metric, oracle = getattr(metrics, name)(), getattr(keras.metrics, name)()
    state = metric.init()
    for _ in range(2):
        values = np.float32(random.normal(size=shape))
        w = None if weight is None else np.float32(random.uniform(size=weight))
        state = metric.update(state, values, w)
        oracle.update_state(values, w)
    close(metric.result(state), oracle.result())
    for variable in oracle.variables:
        close(state[variable.path.rpartition("/")[2]], variable.value)


@pytest.mark.parametrize("weight", [None, (6,), (6, 3)])
def test_mask(weight):
    random = np.random.default_rng(2)
    y_true, y_pred = random.normal(size=(2, 6, 3, C)).astype("float32")
    mask = random.uniform(size=(6, 3)) < 0.5
    w = None if weight is None else random.uniform(size=weight).astype("float32")
    metric, oracle = metrics.MeanAbsoluteError(), keras.metrics.Mean()
    values = np.abs(y_true - y_pred).mean(-1)
    full = mask.astype("float32") * (1 if w is None else w if w.ndim == 2 else w[:, None])
    oracle.update_state(values, full)
    close(metric.result(metric.update(metric.init(), y_true, y_pred, w, mask)), oracle.result())
    masked = keras.ops.convert_to_tensor(values)
    masked._keras_mask = mask
    if weight != (6,):  # Keras fails there
        oracle = reduction_metrics.MeanMetricWrapper(lambda y_true, y_pred: y_pred)
        oracle.update_state(values, masked, w)
        close(metric.result(metric.update(metric.init(), y_true, y_pred, w, mask)), oracle.result())


def test_mean_metric_wrapper():
    y_true, y_pred = np.random.default_rng(3).normal(size=(2, 6, C)).astype("float32")
    ours = metrics.MeanMetricWrapper(losses.huber, {"delta": 0.2})
    theirs = keras.metrics.MeanMetricWrapper(keras.losses.huber, delta=0.2)
    close(ours(y_true, y_pred), theirs(y_true, y_pred))
    assert kfun.from_config(json.loads(json.dumps(ours.to_config()))) == ours
    labels = np.array([0, -1, 2, -1, 3, 4])
    arguments = {"ignore_class": -1, "from_logits": True}
    ours = metrics.MeanMetricWrapper(losses.sparse_categorical_crossentropy, arguments)
    theirs = keras.metrics.MeanMetricWrapper(keras.losses.sparse_categorical_crossentropy, **arguments)
    for weight in (None, np.arange(6, dtype="float32")):
        theirs.reset_state()
        close(ours(labels, y_pred, weight), theirs(labels, y_pred, weight))
    assert float(metrics.get(losses.Huber(2.0))(y_true, y_pred)) == float(losses.Huber(2.0)(y_true, y_pred))


def test_adjusted_r2_falls_back_where_keras_warns():
    y_true, y_pred = np.random.default_rng(4).normal(size=(2, 2, 1)).astype("float32")
    oracle = keras.metrics.R2Score(num_regressors=1)
    oracle.update_state(y_true, y_pred)
    with pytest.warns(UserWarning, match="Falling back"):
        expected = oracle.result()
    close(metrics.R2Score(num_regressors=1)(y_true, y_pred), expected)


@pytest.mark.parametrize("name", [n for n in CLASSES if not required(n)])
def test_get(name):
    cls = getattr(metrics, name)
    assert type(metrics.get(name)) is cls
    assert type(metrics.get(cls)) is cls
    if name != "Accuracy":
        assert metrics.get(cls().name) == cls()


@pytest.mark.parametrize("identifier", ["accuracy", "acc", "crossentropy", "ce"])
def test_get_by_shape(identifier):
    ending = "Accuracy" if identifier.startswith("a") else "Crossentropy"
    for true, pred, kind in [
        ((None, 1), (None, 1), "Binary"),
        ((None,), (None, 1), "Binary"),
        ((None, C), (None, C), "Categorical"),
        ((None,), (None, C), "SparseCategorical"),
        ((None, 1), (None, C), "SparseCategorical"),
        ((None, 3), (None, 3, C), "SparseCategorical"),
    ]:
        metric = metrics.get(identifier, kfun.Spec(true), kfun.Spec(pred))
        assert (type(metric).__name__, metric.name) == (kind + ending, identifier)


def test_mistakes_say_so():
    with pytest.raises(ValueError, match="did you mean 'binary_accuracy'"):
        metrics.get("binary_acuracy")
    with pytest.raises(ValueError, match="give y_true_spec and y_pred_spec"):
        metrics.get("acc")
    with pytest.raises(TypeError, match="expected the name of a metric"):
        metrics.get(3)
    with pytest.raises(ValueError, match="For integer labels use sparse_categorical_accuracy"):
        metrics.CategoricalAccuracy()(np.zeros(6, "int32"), np.ones((6, C)))
    with pytest.raises(ValueError, match="looks one-hot"):
        metrics.SparseCategoricalAccuracy()(np.eye(C), np.eye(C))
    with pytest.raises(ValueError, match="has a state per output"):
        metrics.F1Score().init()
    with pytest.raises(ValueError, match=r"thresholds in \[0, 1\]; received \[1.5\]"):
        metrics.Precision([0.5, 1.5])
    with pytest.raises(ValueError, match="unknown curve 'RPC'"):
        metrics.AUC(curve="RPC")
    with pytest.raises(ValueError, match=r"expected recall in \[0, 1\]"):
        metrics.PrecisionAtRecall(1.5)
    with pytest.raises(ValueError, match=r"sample_weight of shape \(4,\) does not fit"):
        metrics.MeanSquaredError()(np.ones((6, C)), np.ones((6, C)), np.ones(4))
    with pytest.warns(UserWarning, match="cuts fractions off"):
        metrics.MeanIoU(2, dtype="int32")([0, 1], [1, 1], np.float32([0.5, 1.0]))
    with pytest.warns(UserWarning, match="cuts fractions off"):
        metrics.Recall(dtype="int32")([0, 1], [0.1, 0.9], np.float32([0.5, 1.0]))


@pytest.mark.parametrize("metric", [
    metrics.MeanIoU(2), metrics.IoU(2, (0, 1)), metrics.BinaryIoU(), metrics.OneHotIoU(2, (0, 1)),
    metrics.OneHotMeanIoU(2),
], ids=lambda m: m.name)  # fmt: skip
@pytest.mark.parametrize("weights", [np.float32([0.3, 0.3, 0.3, 0.1]), [0.3, 0.3, 0.3, 0.1], np.array([3, 3, 3, 1])])
def test_regions_keep_fractions_of_weights(metric, weights):
    y_true, y_pred = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    if isinstance(metric, metrics.OneHotIoU | metrics.OneHotMeanIoU):
        y_true, y_pred = np.eye(2)[y_true], np.eye(2)[y_pred]
    # intersection over union of class 0: 0.3 / 0.9, of class 1: 0.1 / 0.7
    close(metric(y_true, y_pred, weights), (3 / 9 + 1 / 7) / 2)


def test_regions_of_small_weights_are_exact_in_integers():
    ones = np.ones(300, "uint8")  # their sum is no uint8
    state = metrics.MeanIoU(2).update(metrics.MeanIoU(2).init(), ones, ones, ones)
    assert state["total_confusion_matrix"][1, 1] == 300


@pytest.mark.parametrize(("name", "kwargs"), [
    ("TruePositives", {}), ("FalsePositives", {}), ("TrueNegatives", {}), ("FalseNegatives", {}), ("Precision", {}),
    ("Recall", {}), ("AUC", {}), ("SensitivityAtSpecificity", {"specificity": 0.5}),
    ("PrecisionAtRecall", {"recall": 0.5}),
    ("SpecificityAtSensitivity", {"sensitivity": 0.5}), ("RecallAtPrecision", {"precision": 0.5}),
    ("F1Score", {"average": "micro", "threshold": 0.5}), ("FBetaScore", {"average": "micro"}),
])  # fmt: skip
def test_counts_in_integers_compare_scores_as_they_are(name, kwargs):
    random = np.random.default_rng(0)
    y_true, y_pred = random.integers(0, 2, (8, 3)), random.uniform(size=(8, 3)).astype("float32")
    weights = random.integers(1, 4, 8)
    counted = getattr(metrics, name)(**kwargs, dtype="int32")
    state = counted.update(counted.init(y_true, y_pred), y_true, y_pred, weights)
    assert {str(leaf.dtype) for leaf in state.values()} == {"int32"}
    close(counted.result(state), getattr(metrics, name)(**kwargs)(y_true, y_pred, weights))


@pytest.mark.parametrize("backend", EAGER)
@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_other_backends_agree(row, backend):
    metric = made(row)
    with kfun.backend(backend):
        native = [[v if v is None else ops.convert_to_tensor(v) for v in batch] for batch in list(row.batches())[:2]]
        received = ops.convert_to_numpy(metric.result(run(metric, native)))
    close(received, by_jax(row))


@functools.cache
def by_jax(row):
    metric = made(row)
    return np.asarray(metric.result(run(metric, list(row.batches())[:2])))
