"""Metrics: stateful objects with `update_state`, `result` and `reset_state`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from compat import losses
from compat._unknown import unknown_names_of
from compat.core import faces, masks, naming, scope
from compat.core.variable import Variable, unwrap
from compat.initializers import definition_of as _initializer
from kfun import abstract, dtypes, ops
from kfun import metrics as _kfun
from kfun.errors import nearest
from kfun.layer import snake_case as _snake_case
from kfun.losses import _get as _loss_names
from kfun.metrics import _get as _names
from kfun.metrics.reduction import MeanOf
from kfun.spec import Spec


class Metric:
    """Base of metrics: a subclass makes variables with `add_weight` and gives `update_state` and `result`.

    Args:
        dtype: of the variables, float32 by default.
        name: what logs call it; by default the class in snake case.
    """

    _tracked_by_layers = True

    def __init__(self, dtype: Any = None, name: str | None = None):
        self.name = name or naming.auto_name(type(self).__name__)
        self._dtype = dtypes.name(getattr(dtype, "compute_dtype", dtype) or "float32")
        self._own: list[Variable] = []
        self._starts: dict[int, Any] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Variable) and not any(v is value for v in self.__dict__.get("_own", [])):
            self._own.append(value)
        object.__setattr__(self, name, value)

    @property
    def dtype(self) -> str:
        """The type of the variables."""
        return self._dtype

    @property
    def variables(self) -> list[Variable]:
        """The variables, those of metrics among the attributes included."""
        found = list(self._own)
        for value in self.__dict__.values():
            if isinstance(value, Metric):
                found += value.variables
        return found

    def add_variable(
        self, shape: Any, initializer: Any, dtype: Any = None, aggregation: str = "sum", name: str | None = None
    ):
        """Makes a variable of the metric."""
        with naming.under(self.name):
            variable = Variable(
                _initializer(initializer), tuple(shape), dtype or self._dtype, False, False, aggregation, name=name
            )
        if not any(v is variable for v in self._own):
            self._own.append(variable)
        return variable

    def add_weight(
        self, shape: Any = (), initializer: Any = None, dtype: Any = None, name: str | None = None
    ) -> Variable:
        """Makes a variable of the metric, zeros by default."""
        return self.add_variable(() if shape is None else shape, initializer or "zeros", dtype, name=name)

    def prepare(self, y_true: Any, y_pred: Any, abstractly: bool = True) -> None:
        """Makes the variables that wait for the first batch, before steps are compiled.

        Args:
            y_true, y_pred: arrays or specs of a batch.
            abstractly: whether to run `update_state` of a user-written metric on their specs.
        """
        if abstractly:
            leaves, structure = jax.tree.flatten((y_true, y_pred), is_leaf=lambda x: isinstance(x, Spec))

            def run(*arrays: Any) -> Any:
                with scope.Scope(abstract=True):
                    self.update_state(*jax.tree.unflatten(structure, arrays))
                return arrays[0]

            abstract.evaluate(run, *map(Spec.of, leaves))

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Moves the metric by a batch."""
        raise NotImplementedError(f"{type(self).__name__} must define update_state(...)")

    def result(self) -> Any:
        """The value over all batches so far."""
        raise NotImplementedError(f"{type(self).__name__} must define result()")

    def reset_state(self) -> None:
        """Sets all variables to 0."""
        for v in self.variables:
            v.assign(ops.zeros(v.shape, v.dtype))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.update_state(*args, **kwargs)
        return self.result()

    def stateless_update_state(self, metric_variables: Any, *args: Any, **kwargs: Any) -> list[Any]:
        """`update_state` as a pure function of the variables' values; gives the new values."""
        return self._pure(metric_variables, lambda: self.update_state(*args, **kwargs))[1]

    def stateless_result(self, metric_variables: Any) -> Any:
        """`result` as a pure function of the variables' values."""
        return self._pure(metric_variables, self.result)[0]

    def stateless_reset_state(self) -> list[Any]:
        """The values that `reset_state` sets."""
        return self._pure([v.value for v in self.variables], self.reset_state)[1]

    def _pure(self, values: Any, function: Callable) -> tuple[Any, list[Any]]:
        variables = self.variables
        if len(values) != len(variables):
            raise ValueError(f"metric {self.name!r} has {len(variables)} variables; received {len(values)} values")
        with scope.Scope(dict(zip(variables, values, strict=True))) as inside:
            result = unwrap(function())
            return result, [inside.get(v) for v in variables]

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {"name": self.name, "dtype": self._dtype}

    @classmethod
    def from_config(cls, config: dict) -> Metric:
        """The metric of a config."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


class _Generated(Metric):
    """A face of a kfun metric: its state lives in variables."""

    definition_class: type
    _parameters: dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any):
        self._arguments, _ = faces.bind(type(self).__name__, self._parameters, args, kwargs)
        own = dict(self._arguments)
        name, dtype = own.pop("name"), own.pop("dtype")
        super().__init__(dtype=dtype, name=name)
        given = {} if dtype is None else {"dtype": self._dtype}
        self.definition = self.definition_class(**own, name=self.name, **given)
        if dtype is None and hasattr(self.definition, "state_dtype"):
            self._dtype = self.definition.state_dtype
        self._tree: dict[str, Any] | None = None
        if not _sized_by_data(self.definition):
            self._make({})

    def _make(self, data: dict) -> None:
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
            self.prepare(args[0], args[1])
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
            if name in self.__dict__.get("_arguments", {}):
                return getattr(self.definition, name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def get_config(self) -> dict:
        """The constructor's arguments."""
        from compat.saving import serialize_keras_object

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


def _sized_by_data(definition: Any) -> bool:
    """Whether the state's sizes depend on the data: then `init` without them refuses."""
    try:
        definition.init()
    except (TypeError, ValueError):
        return True
    return False


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

# After how many of its own arguments a metric of Keras has `name` and `dtype`, where not after all.
_NAME_AT = {
    "AUC": 3, "BinaryAccuracy": 0, "BinaryCrossentropy": 0, "CategoricalCrossentropy": 0, "ConcordanceCorrelation": 0,
    "CosineSimilarity": 0, "IoU": 2, "MeanIoU": 1, "OneHotIoU": 2, "OneHotMeanIoU": 1, "PearsonCorrelation": 0,
    "SparseCategoricalCrossentropy": 0, "SparseTopKCategoricalAccuracy": 1,
}  # fmt: skip


def _make(definition: type) -> type:
    fields = {n: d for n, d in faces.parameters_of(definition).items() if n != "dtype"}
    default = next(f.default for f in definition.__dataclass_fields__.values() if f.name == "name")
    default = None if definition.__name__ in _NUMBERED else default
    names = list(fields)
    place = _NAME_AT.get(definition.__name__, len(names))
    parameters = {n: fields[n] for n in names[:place]} | {"name": default, "dtype": None}
    parameters |= {n: fields[n] for n in names[place:]}
    body = {
        "definition_class": definition, "_parameters": parameters, "__doc__": faces.text_of(definition),
        "__module__": __name__,
    }  # fmt: skip
    cls = type(definition.__name__, (_Generated,), body)
    signature = faces.make_signature(parameters, extra=False)
    cls.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])  # type: ignore[attr-defined]
    return cls


CLASSES = {n: _make(c) for n, c in _names.CLASSES.items() if n not in ("MeanMetricWrapper",)}
globals().update(CLASSES)
FUNCTIONS = {n: f for n, (f, _) in _loss_names.FUNCTIONS.items()} | _names.FUNCTIONS
globals().update(FUNCTIONS)
_SNAKE = {n: c for c in CLASSES.values() for n in (_names._named.snake_case(c.__name__), c._parameters["name"]) if n}


class MeanMetricWrapper(_Generated):
    """The mean of a function `(y_true, y_pred, **kwargs) -> values`."""

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
        from compat.saving import deserialize_keras_object

        fn = config["fn"]
        return cls(**config | {"fn": deserialize_keras_object(fn) if isinstance(fn, dict) else _function(fn)})


def _function(fn: Any) -> Any:
    return FUNCTIONS.get(fn, fn) if isinstance(fn, str) else fn


def get(identifier: Any) -> Any:
    """The metric for a name, a metric, a class, a function, a config, or None.

    Raises:
        ValueError: if no metric has that name; names the nearest ones.
    """
    if identifier is None or isinstance(identifier, Metric):
        return identifier
    if isinstance(identifier, dict):
        from compat.saving import deserialize_keras_object

        return get(deserialize_keras_object(identifier))
    if isinstance(identifier, str):
        return _named(identifier)
    if isinstance(identifier, type):
        return identifier()
    if callable(identifier):
        name = getattr(identifier, "__name__", None) or getattr(identifier, "name", None)
        return MeanMetricWrapper(identifier, name=_snake_case(re.sub(r"\W+", "", name or "") or "function"))
    raise ValueError(f"expected the name of a metric, a metric or a function; received {identifier!r}")


def _named(identifier: str) -> Any:
    from compat.saving import registered

    name = _loss_names.ALIASES.get(identifier, identifier)
    if name in CLASSES:
        return CLASSES[name]()
    if name in _SNAKE:
        return _SNAKE[name]()
    if name in FUNCTIONS:
        return MeanMetricWrapper(FUNCTIONS[name], name=identifier)
    found = registered(identifier)
    if found is None:
        known = [*CLASSES, *_SNAKE, *FUNCTIONS, *_loss_names.ALIASES, *_names._BY_SHAPE]
        raise ValueError(f"unknown metric {identifier!r}; {nearest(identifier, known)}")
    return get(found)


def get_for(identifier: Any, y: Any, y_pred: Any) -> Any:
    """Like `get`, where `"accuracy"` and `"crossentropy"` are chosen by the shapes of the data."""
    if isinstance(identifier, str) and identifier.lower() in _names._BY_SHAPE:
        kind = _loss_names.kind_of_targets(identifier, y, y_pred)
        return _SNAKE[f"{kind}_{_names._BY_SHAPE[identifier.lower()]}"](name=identifier)
    found = get(identifier)
    if isinstance(identifier, str):  # logs show the name that was asked for
        found.name = identifier
    return found


def check_names(metrics: Any) -> None:
    """Raises ValueError if a name among nested `metrics` is unknown."""
    if isinstance(metrics, dict):
        metrics = list(metrics.values())
    if isinstance(metrics, (list, tuple)):
        for item in metrics:
            check_names(item)
    elif isinstance(metrics, str) and metrics.lower() not in _names._BY_SHAPE:
        get(metrics)


def serialize(metric: Any) -> Any:
    """The metric as JSON data."""
    from compat.saving import serialize_keras_object

    return serialize_keras_object(metric) if isinstance(metric, Metric) else losses.function_config(metric)


def deserialize(config: Any, custom_objects: dict | None = None) -> Any:
    """The metric of JSON data."""
    from compat.saving import deserialize_keras_object

    return deserialize_keras_object(config, custom_objects=custom_objects)


__getattr__ = unknown_names_of(globals())
