"""scikit-learn's estimators around models pass scikit-learn's own checks."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"

import pickle
import subprocess
import sys

import numpy as np
import pytest

import compat

pytest.importorskip("sklearn", reason="the extra `sklearn`")
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

W = compat.wrappers
NOT_REPEATED = "a fit draws new weights, so that two of them do not give equal numbers"
EXPECTED = {
    "SKLearnClassifier": {
        "check_classifiers_one_label_sample_weights": "rows of weight 0 count as rows",
        "check_classifiers_classes": "small data in five epochs: not every class is predicted",
        "check_classifiers_train": "the scores are [N, 2] for two classes, as in Keras, not [N]",
        "check_classifier_data_not_an_array": NOT_REPEATED,
        "check_supervised_y_2d": NOT_REPEATED,
        "check_fit_idempotent": NOT_REPEATED,
    },
    "SKLearnRegressor": {
        "check_regressor_data_not_an_array": NOT_REPEATED,
        "check_supervised_y_2d": NOT_REPEATED,
        "check_regressors_int": NOT_REPEATED,
        "check_fit_idempotent": NOT_REPEATED,
    },
    "SKLearnTransformer": {"check_fit_idempotent": NOT_REPEATED},
}


def network(X, y, loss, units=8):
    model = compat.Sequential(
        [
            compat.Input((X.shape[1],)),
            compat.layers.Dense(units, activation="relu"),
            compat.layers.Dense(y.shape[1], activation=None if loss == "mse" else "softmax"),
        ]
    )
    model.compile("rmsprop", loss)
    return model


def _make(name, **fit):
    loss = "categorical_crossentropy" if name == "SKLearnClassifier" else "mse"
    return getattr(W, name)(network, model_kwargs={"loss": loss}, fit_kwargs={"verbose": 0, "epochs": 5} | fit)


def _checks(name):
    for estimator, check in estimator_checks_generator(_make(name)):
        label = check.func.__name__ if hasattr(check, "func") else check.__name__
        yield label, estimator, check


CHECKS = [(name, place) for name in EXPECTED for place in range(len(list(_checks(name))))]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "place"), CHECKS, ids=[f"{n}-{p}" for n, p in CHECKS])
@pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.SkipTestWarning",
    "ignore::UserWarning",
    "ignore::FutureWarning",
    "ignore::SyntaxWarning",  # of a softmax over the one class that a check trains with
)
def test_scikit_learns_checks(name, place):
    label, estimator, check = list(_checks(name))[place]
    if label in EXPECTED[name]:
        pytest.skip(f"{label}: {EXPECTED[name][label]}")
    check(estimator)


def _data(rows=60):
    rng = np.random.RandomState(1)
    X = rng.normal(size=(rows, 4))
    return X, np.array(["low", "high"])[(X[:, 0] > 0).astype(int)]


def test_a_classifier_learns_labels():
    X, y = _data()
    made = _make("SKLearnClassifier", epochs=150).fit(X, y)
    assert list(made.classes_) == ["high", "low"]
    assert made.score(X, y) > 0.9
    assert made.decision_function(X).shape == (60, 2)
    assert len(made.history_.history["loss"]) == 150
    copied = pickle.loads(pickle.dumps(made))
    np.testing.assert_array_equal(copied.predict(X), made.predict(X))


def test_a_regressor_in_a_pipeline_and_a_search():
    X, _ = _data()
    y = 3 * X[:, 1] + 1
    pipeline = make_pipeline(StandardScaler(), _make("SKLearnRegressor", epochs=200))
    assert pipeline.fit(X, y).score(X, y) > 0.7
    assert pipeline.predict(X).shape == (60,)
    search = GridSearchCV(
        _make("SKLearnRegressor"), {"model_kwargs": [{"loss": "mse", "units": u} for u in (2, 16)]}, cv=2
    )
    assert search.fit(X, y).best_params_["model_kwargs"]["units"] in (2, 16)


def test_a_transformer_gives_the_models_outputs():
    X, _ = _data()
    made = _make("SKLearnTransformer")
    features = made.fit_transform(X, X[:, 0])
    np.testing.assert_allclose(features, made.model_.predict(X, verbose=0))


def test_a_model_is_cloned_with_each_fit_unless_warm():
    X, _ = _data()
    model = network(X, X[:, :1], "mse")
    before = [w.copy() for w in model.get_weights()]
    made = W.SKLearnRegressor(model, fit_kwargs={"verbose": 0}).fit(X, X[:, 0])
    for old, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, now)
    first = made.model_
    assert made.fit(X, X[:, 0]).model_ is not first
    warm = W.SKLearnRegressor(model, warm_start=True, fit_kwargs={"verbose": 0}).fit(X, X[:, 0])
    again = warm.model_
    assert warm.fit(X, X[:, 0], epochs=2).model_ is again
    assert len(warm.history_.epoch) == 2
    assert made.fit_kwargs == {"verbose": 0}


def test_errors_say_what_is_wrong():
    X, y = _data()
    with pytest.raises(NotFittedError):
        _make("SKLearnClassifier").predict(X)
    with pytest.raises(TypeError, match="a function of \\(X, y\\) that gives one"):
        W.SKLearnClassifier(5).fit(X, y)
    with pytest.raises(TypeError, match="which is no model"):
        W.SKLearnClassifier(lambda X, y: 5).fit(X, y)
    with pytest.raises(RuntimeError, match="compile it"):
        W.SKLearnClassifier(compat.Sequential([compat.layers.Dense(2)])).fit(X, y)
    with pytest.raises(ValueError, match="Only binary and multiclass"):
        _make("SKLearnClassifier").fit(X, X[:, 0])
    narrow = W.SKLearnClassifier(lambda X, y: network(X, y[:, :1], "mse"), fit_kwargs={"verbose": 0})
    with pytest.raises(ValueError, match=r"units"):
        narrow.fit(X, y).predict(X)


def test_scikit_learn_is_imported_when_used():
    code = (
        "import sys; import compat; compat.wrappers; assert 'sklearn' not in sys.modules;"
        "sys.modules['sklearn'] = None\n"
        "try: compat.wrappers.SKLearnRegressor\n"
        "except ImportError as e: print(e)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "kfun[sklearn]" in done.stdout
