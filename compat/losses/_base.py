"""The base of losses, and losses of functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from compat.serialization.objects import serialize_keras_object
from compat.state import masks, naming
from compat.state.policy import floatx
from kfun import dtypes
from kfun import losses as _kfun


class Loss:
    """Base of losses: a subclass gives `call(y_true, y_pred)`, the values per sample.

    Args:
        name: by default the class in snake case.
        reduction: `"sum_over_batch_size"`, `"sum"`, `"mean"`, `"mean_with_sample_weight"`, `"none"` or None.
        dtype: the type of the computation; by default `config.floatx()`, whatever the dtype policy.
    """

    def __init__(self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None):
        self.name = name or naming.auto_name(type(self).__name__)
        if reduction not in _kfun._base.REDUCTIONS:
            raise ValueError(
                f"{type(self).__name__}: unknown reduction {reduction!r}; expected one of {_kfun._base.REDUCTIONS}"
            )
        self.reduction = reduction
        self._given_dtype = None if dtype is None else dtypes.name(getattr(dtype, "compute_dtype", dtype))
        self._dtype = self._given_dtype or floatx()

    def _saved_parts(self) -> list[tuple[str, Any]]:
        return []

    @property
    def dtype(self) -> str:
        """The type of the computation."""
        return self._dtype

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The values, not reduced."""
        raise NotImplementedError(f"{type(self).__name__} must define call(y_true, y_pred)")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return self._definition()(y_true, y_pred, sample_weight, masks.of(y_pred))

    def _definition(self) -> Any:
        return _UserLoss(self.call, name=self.name, reduction=self.reduction, dtype=self.dtype)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {"name": self.name, "reduction": self.reduction} | (
            {} if self._given_dtype is None else {"dtype": self._given_dtype}
        )

    @classmethod
    def from_config(cls, config: dict) -> Loss:
        """The loss of a config."""
        return cls(**config)


class _UserLoss(_kfun.Loss):
    """A compat loss's `call` under kfun's weighting and reduction."""

    function: Any

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.function(y_true, y_pred)


class LossFunctionWrapper(Loss):
    """A loss made of a function `(y_true, y_pred, **kwargs) -> values`."""

    def __init__(
        self,
        fn: Callable,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ):
        super().__init__(name=name or getattr(fn, "__name__", None), reduction=reduction, dtype=dtype)
        self.fn, self._fn_kwargs = fn, kwargs

    def _definition(self) -> Any:
        return _kfun.LossFunctionWrapper(
            self.fn, self._fn_kwargs, name=self.name, reduction=self.reduction, dtype=self.dtype
        )

    def get_config(self) -> dict:
        """The constructor's arguments."""
        config = super().get_config() | {"fn": function_config(self.fn)}
        return config | {k: serialize_keras_object(v) for k, v in self._fn_kwargs.items()}


def function_config(function: Any) -> Any:
    """The JSON data of a loss's or metric's function: Keras writes those that it provides like this."""
    name = serialize_keras_object(function)
    if not isinstance(name, str) or isinstance(function, str):
        return name
    return {"module": "builtins", "class_name": "function", "config": name, "registered_name": "function"}
