"""Metrics made of kfun's definitions: their state lives in variables."""

from __future__ import annotations

import abc
import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from compat import losses
from compat.metrics._base import Metric
from compat.serialization import faces
from compat.serialization.objects import deserialize_as, serialize_keras_object
from compat.serialization.registry import claim, is_reading
from compat.state import masks
from compat.state.changes import quiet_setter
from compat.state.policy import floatx
from compat.variables.variable import Variable
from kfun import dtypes, ops
from kfun import metrics as _kfun
from kfun.losses import _get as _loss_names
from kfun.metrics import _get as _names
from kfun.metrics.reduction import MeanOf
from kfun.spec import Spec


class _Generated(Metric):
    """A face of a kfun metric: its state lives in variables."""

    definition_class: type
    _parameters: dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any):
        keep = quiet_setter(type(self))
        bound, _ = faces.bind(type(self).__name__, self._parameters, args, kwargs)
        keep(self, "_arguments", bound)
        own = dict(bound)
        name, dtype = own.pop("name"), own.pop("dtype")
        super().__init__(dtype=dtype, name=name)
        for argument, value in own.items():
            if type(value) is int:  # thresholds or classes, of which there may be as many Python numbers
                claim(_NUMBER * abs(value), f"{type(self).__name__}: {argument}={value:,}")
        kind = self.definition_class.__name__
        if dtype is None and kind in _IN_INTEGERS:
            dtype = "int32"
            keep(self, "_dtype", dtype)
        dtype, kept = (None, floatx()) if kind in _IN_FLOATX else (dtype, self._dtype)
        given = {} if dtype is None and kept == "float32" else {"dtype": kept}
        keep(self, "definition", self.definition_class(**own, name=self.name, **given))
        keep(self, "_tree", None)
        state = _first_state(self.definition)
        if state is not None:
            self._make({}, state)

    def _make(self, data: dict, state: Any = None) -> None:
        """Makes the variables.

        Args:
            data: what the definition's `init` is given.
            state: that it gives, as shapes, if they are known already.
        """
        if is_reading():
            nbytes = 0
            for leaf in jax.tree.leaves(state or jax.eval_shape(lambda: self.definition.init(**data))):
                nbytes += math.prod(leaf.shape) * leaf.dtype.itemsize
            claim(nbytes, f"{type(self).__name__} {self.name!r}")
        with jax.ensure_compile_time_eval():
            state = self.definition.init(**data)
        self._tree = {}
        for name, value in state.items():
            shape, dtype = tuple(value.shape), dtypes.name(value.dtype)
            self._tree[name] = self.add_variable(shape, "zeros", dtype, name=name)
            self._starts[id(self._tree[name])] = np.asarray(value)

    def prepare(self, y_true: Any, y_pred: Any, abstractly: bool = True) -> None:
        if self._tree is None:
            self._make({"y_true": Spec.of(y_true), "y_pred": Spec.of(y_pred)})

    def _state(self) -> dict:
        return {name: v.value for name, v in (self._tree or {}).items()}

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        if self._tree is None:
            given = [x if hasattr(x, "shape") else np.asarray(x) for x in (*args, *kwargs.values())]
            self.prepare(given[0], given[1])
        if isinstance(self.definition, MeanOf) and len(args) > 1:
            args, kwargs = _with_mask(args, kwargs)
        for name, value in self.definition.update(self._state(), *args, **kwargs).items():
            self._tree[name].assign(value)

    def result(self) -> Any:
        if self._tree is None:
            return ops.zeros(())
        return self.definition.result(self._state())

    def reset_state(self) -> None:
        for v in self._own:
            v.assign(self._starts[id(v)])

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_"):
            tree = self.__dict__.get("_tree") or {}
            if name in tree:
                return tree[name]
            if _OF_STATE.get(name) in tree:
                return tree[_OF_STATE[name]]
            found = self._setting(name)
            if found is not _NOTHING:
                return list(found) if isinstance(found, tuple) else found
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in _OF_STATE and isinstance(value, Variable):  # a variable of the user's takes the place of ours
            self._tree[_OF_STATE[name]] = value
            self._starts[id(value)] = np.zeros(value.shape, value.dtype)

    def _setting(self, name: str) -> Any:
        """What the definition says under the names of Keras's attributes."""
        definition, arguments = self.__dict__.get("definition"), self.__dict__.get("_arguments", {})
        if hasattr(definition, "points") and name in ("thresholds", "num_thresholds", "init_thresholds"):
            if name == "init_thresholds":
                return arguments.get("thresholds", _NOTHING)
            return definition.points() if name == "thresholds" else len(definition.points())
        if name == "value" and hasattr(definition, "bound"):
            return getattr(definition, definition.bound)
        return getattr(definition, name) if name in arguments else _NOTHING

    def get_config(self) -> dict:
        """The constructor's arguments."""
        own = {k: serialize_keras_object(v) for k, v in self._arguments.items() if k not in ("name", "dtype")}
        if "thresholds" in own and "num_thresholds" in own and own["thresholds"] is not None:
            own["num_thresholds"] = len(own["thresholds"]) + 2  # AUC adds one below 0 and one above 1
        return super().get_config() | faces.said(own, self._parameters, _UNSAID.get(type(self).__name__, ()))


def _with_mask(args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """The arguments of `update_state` with the mask of `y_pred` among the sample weights."""
    mask = masks.of(args[1])
    if mask is None or isinstance(mask, (list, dict)):
        return args, kwargs
    weight = args[2] if len(args) > 2 else kwargs.get("sample_weight")
    mask = ops.cast(mask, "float32")
    if weight is not None:
        weight = ops.cast(ops.convert_to_tensor(weight), "float32")
        if weight.ndim == mask.ndim + 1 and weight.shape[-1] == 1:
            mask = ops.expand_dims(mask, -1)
        while weight.ndim < mask.ndim:
            weight = ops.expand_dims(weight, -1)
        mask = ops.multiply(mask, weight)
    return args[:2], {k: v for k, v in kwargs.items() if k != "sample_weight"} | {"sample_weight": mask}


@functools.lru_cache(maxsize=256)
def _first_state(definition: Any) -> Any:
    """The state before any data, as shapes; None if its sizes depend on the data: then `init` without them refuses."""
    try:
        return jax.eval_shape(definition.init)
    except (TypeError, ValueError):
        return None


_NOTHING = object()

_NUMBER = 64  # bytes that a number in a Python tuple takes, and one in an array beside it


# Variables under the attribute's name that Keras gives them.
_OF_STATE = {"total_cm": "total_confusion_matrix"}


# Arguments that Keras's config lacks.
_UNSAID = {
    "AUC": ("thresholds",), "CosineSimilarity": ("axis",), "SparseTopKCategoricalAccuracy": ("from_sorted_ids",),
}  # fmt: skip


# Metrics whose default name is numbered from the second of a class on.
_NUMBERED = (
    "AUC", "BinaryIoU", "FalseNegatives", "FalsePositives", "IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU", "Precision",
    "PrecisionAtRecall", "Recall", "RecallAtPrecision", "SensitivityAtSpecificity", "SpecificityAtSensitivity",
    "TrueNegatives", "TruePositives",
)  # fmt: skip


# Metrics that Keras keeps in int32 by default, which cuts off the fractions of weights, and in `config.floatx()`,
# whatever their `dtype` is.
_IN_INTEGERS = frozenset(("BinaryIoU", "IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU"))
_IN_FLOATX = frozenset((*_NUMBERED, "R2Score")) - _IN_INTEGERS


# After how many of its own arguments a metric of Keras has `name` and `dtype`, where not after all.
_NAME_AT = {
    "AUC": 3, "BinaryAccuracy": 0, "BinaryCrossentropy": 0, "CategoricalCrossentropy": 0, "ConcordanceCorrelation": 0,
    "CosineSimilarity": 0, "IoU": 2, "MeanIoU": 1, "OneHotIoU": 2, "OneHotMeanIoU": 1, "PearsonCorrelation": 0,
    "SparseCategoricalCrossentropy": 0, "SparseTopKCategoricalAccuracy": 1,
}  # fmt: skip


def _make(definition: type, base: type) -> type:
    fields = {n: d for n, d in faces.parameters_of(definition).items() if n != "dtype"}
    default = next(f.default for f in definition.__dataclass_fields__.values() if f.name == "name")
    default = None if definition.__name__ in _NUMBERED else default
    names = list(fields)
    place = _NAME_AT.get(definition.__name__, len(names))
    parameters = {n: fields[n] for n in names[:place]} | {"name": default, "dtype": None}
    parameters |= {n: fields[n] for n in names[place:]}
    body = {
        "definition_class": definition, "_parameters": parameters, "__doc__": faces.text_of(definition),
        "__module__": "compat.metrics",
    }  # fmt: skip
    cls = type(definition.__name__, (base,), body)
    faces.sign(cls, parameters, extra=False)
    return cls


_BASES = {"F1Score": "FBetaScore", "BinaryIoU": "IoU", "MeanIoU": "IoU", "OneHotIoU": "IoU", "OneHotMeanIoU": "MeanIoU"}


@functools.cache
def _class(name: str) -> type:
    definition = _names.CLASSES[name]
    base = _BASES.get(name) or ("Mean" if name != "Mean" and issubclass(definition, _kfun.Mean) else None)
    return _make(definition, _class(base) if base else _Generated)


CLASSES = {n: _class(n) for n in _names.CLASSES if n != "MeanMetricWrapper"}
globals().update(CLASSES)

FUNCTIONS = {n: f for n, (f, _) in _loss_names.FUNCTIONS.items()} | _names.FUNCTIONS
globals().update(FUNCTIONS)

_SNAKE = {n: c for c in CLASSES.values() for n in (_names._named.snake_case(c.__name__), c._parameters["name"]) if n}


class MeanMetricWrapper(CLASSES["Mean"], metaclass=abc.ABCMeta):
    """The mean of a function `(y_true, y_pred, **kwargs) -> values`; those of known functions count among it."""

    definition_class = _kfun.MeanMetricWrapper
    _parameters = {}

    def __init__(self, fn: Callable, name: str | None = None, dtype: Any = None, **kwargs: Any):
        Metric.__init__(self, dtype=dtype, name=name)
        self._arguments = {"fn": fn, **kwargs}
        self.definition = _kfun.MeanMetricWrapper(fn, kwargs, name=self.name)
        self._tree = None
        self._make({})

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return super().get_config() | {"fn": losses.function_config(self._arguments["fn"])}

    @classmethod
    def from_config(cls, config: dict) -> MeanMetricWrapper:
        """The metric of a config."""
        fn = config["fn"]
        return cls(**config | {"fn": deserialize_as("metric", fn) if isinstance(fn, dict) else _function(fn)})


for _cls in CLASSES.values():
    if issubclass(_cls.definition_class, MeanOf):
        MeanMetricWrapper.register(_cls)


def _function(fn: Any) -> Any:
    return FUNCTIONS.get(fn, fn) if isinstance(fn, str) else fn
