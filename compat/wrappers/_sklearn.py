"""scikit-learn's estimators around models: a classifier, a regressor and a transformer."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from compat.models.model import Model


class _Estimator(BaseEstimator):
    """Base: `fit` makes `model_` and trains it, `predict` calls it.

    Args:
        model: a compiled `Model`, which is cloned by each fit, or a function `(X, y, **model_kwargs)` that gives
            one for the data; `y` is what the model is trained on: `[N, 1]` numbers, `[N, C]` for C classes.
        warm_start: whether a further fit goes on with the model of the last one.
        model_kwargs: arguments of that function.
        fit_kwargs: arguments of `Model.fit`, such as `epochs`, `batch_size`, `verbose`.
    """

    def __init__(
        self,
        model: Any,
        warm_start: bool = False,
        model_kwargs: dict | None = None,
        fit_kwargs: dict | None = None,
    ):
        self.model = model
        self.warm_start = warm_start
        self.model_kwargs = model_kwargs
        self.fit_kwargs = fit_kwargs

    def fit(self, X: Any, y: Any, **kwargs: Any) -> Any:
        """Trains a model, a new one unless `warm_start`.

        Args:
            X: `[N, features]`.
            y: `[N]`, targets.
            kwargs: further arguments of `Model.fit`, for this time.

        Raises:
            TypeError: if `model` is neither a model nor a function that gives one.
            RuntimeError: if the model is not compiled.
            ValueError: if the data are none that this estimator takes.
        """
        X, y = validate_data(self, X, y)
        y = self._targets(y)
        if not (self.warm_start and hasattr(self, "model_")):
            self.model_ = self._made(X, y)
        self.history_ = self.model_.fit(X, y, **(self.fit_kwargs or {}) | kwargs)
        return self

    def predict(self, X: Any) -> Any:
        """The predictions for `X: [N, features]`, in the form of the targets."""
        return self._answers(self._outputs(X))

    def _outputs(self, X: Any) -> np.ndarray:
        check_is_fitted(self, "model_")
        X = validate_data(self, X, reset=False)
        return np.asarray(self.model_.predict(X, verbose=(self.fit_kwargs or {}).get("verbose", "auto")))

    def _targets(self, y: np.ndarray) -> np.ndarray:
        """What the model is trained on."""
        type_of_target(y, raise_unknown=True)
        return column_or_1d(y, warn=True).reshape(-1, 1)

    def _answers(self, outputs: np.ndarray) -> np.ndarray:
        """Outputs of the model in the form of the targets."""
        return outputs.reshape(len(outputs)) if outputs.size == len(outputs) else outputs

    def _made(self, X: Any, y: Any) -> Model:
        if isinstance(self.model, Model):
            _need_compiled(self.model)
            return _copy(self.model)
        if not callable(self.model):
            raise TypeError(
                f"{type(self).__name__}: expected a compiled model, or a function of (X, y) that gives one, as "
                f"`model`; received {self.model!r:.80}"
            )
        made = self.model(X, y, **(self.model_kwargs or {}))
        if not isinstance(made, Model):
            raise TypeError(f"{type(self).__name__}: the function `model` gave {made!r:.80}, which is no model")
        _need_compiled(made)
        return made

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.non_deterministic = True
        tags.target_tags.required = True
        return tags


def _need_compiled(model: Model) -> None:
    if not model.compiled or model.loss is None or model.optimizer is None:
        raise RuntimeError(f"model {model.name!r} has no loss or no optimizer: compile it before it is wrapped")


def _copy(model: Model) -> Model:
    """A model of the same architecture with new weights, compiled alike."""
    made = type(model).from_config(model.get_config())
    made.compile_from_config(model.get_compile_config())
    return made


class SKLearnClassifier(ClassifierMixin, _Estimator):
    __doc__ = f"""A classifier of scikit-learn around a model that gives a score per class.

    After `fit`, `classes_` are the labels in the order of the model's outputs.
    {(_Estimator.__doc__ or "").partition("calls it.")[2]}"""

    def decision_function(self, X: Any) -> np.ndarray:
        """The model's outputs: `[N, C]`, a score for each of `classes_`."""
        return self._outputs(X)

    def _targets(self, y: np.ndarray) -> np.ndarray:
        kind = type_of_target(y, raise_unknown=True)
        if kind not in ("binary", "multiclass"):
            raise ValueError(f"Only binary and multiclass targets can be learned, not {kind}: expected a label per row")
        y = column_or_1d(y, warn=True)
        self._encoder = OneHotEncoder(sparse_output=False).fit(y.reshape(-1, 1))
        self.classes_ = self._encoder.categories_[0]
        return self._encoder.transform(y.reshape(-1, 1))

    def _answers(self, outputs: np.ndarray) -> np.ndarray:
        if outputs.ndim != 2 or outputs.shape[1] != len(self.classes_):
            raise ValueError(
                f"the model gave outputs of shape {outputs.shape} for {len(self.classes_)} classes: end it with a "
                f"Dense layer of y.shape[1] = {len(self.classes_)} units"
            )
        return self.classes_[outputs.argmax(axis=1)]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags


class SKLearnRegressor(RegressorMixin, _Estimator):
    __doc__ = f"""A regressor of scikit-learn around a model that gives one number per row.
    {(_Estimator.__doc__ or "").partition("calls it.")[2]}"""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags


class SKLearnTransformer(TransformerMixin, _Estimator):
    __doc__ = f"""A transformer of scikit-learn: its features are what a model gives after it was trained on targets.
    {(_Estimator.__doc__ or "").partition("calls it.")[2]}"""

    def transform(self, X: Any) -> np.ndarray:
        """The model's outputs for `X: [N, features]`."""
        return self._outputs(X)

    def fit_transform(self, X: Any, y: Any = None, **kwargs: Any) -> np.ndarray:
        """`fit`, then `transform`."""
        return self.fit(X, y, **kwargs).transform(X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]  # a model gives its own type for any other
        return tags
