"""Losses: classes and functions, called as `loss(y_true, y_pred, sample_weight=None)`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from compat._unknown import unknown_names_of
from compat.core import faces, masks, naming
from compat.core.policy import floatx
from compat.saving.serialization import deserialize_as
from compat.serialization.kinds import check
from compat.serialization.registry import registered
from kfun import dtypes
from kfun import losses as _kfun
from kfun.errors import nearest
from kfun.losses import _get as _names


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
        from compat.saving import serialize_keras_object

        config = super().get_config() | {"fn": function_config(self.fn)}
        return config | {k: serialize_keras_object(v) for k, v in self._fn_kwargs.items()}


class _Generated(Loss):
    """A face of a kfun loss."""

    definition_class: type
    _parameters: dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any):
        self._arguments, _ = faces.bind(type(self).__name__, self._parameters, args, kwargs)
        own = dict(self._arguments)
        super().__init__(name=own.pop("name"), reduction=own.pop("reduction"), dtype=own.pop("dtype"))
        self._made = self.definition_class(**own, name=self.name, reduction=self.reduction, dtype=self.dtype)

    def _definition(self) -> Any:
        return self._made.replace(reduction=self.reduction, name=self.name)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self._made.call(y_true, y_pred)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name in self.__dict__.get("_arguments", {}):
            return getattr(self._made, name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def get_config(self) -> dict:
        """The constructor's arguments."""
        own = {k: v for k, v in self._arguments.items() if k not in ("name", "reduction", "dtype")}
        return super().get_config() | faces.said(own, self._parameters, _UNSAID.get(type(self).__name__, ()))


# Arguments that Keras's config lacks.
_UNSAID = {"CosineSimilarity": ("axis",), "Huber": ("delta",), "SparseCategoricalCrossentropy": ("axis",)}

# Arguments that Keras has after one of the common ones.
_AFTER = {
    "Dice": {"axis": "name"}, "Tversky": {"axis": "name"}, "SparseCategoricalCrossentropy": {"axis": "reduction"},
}  # fmt: skip


def _make(definition: type) -> type:
    fields = {n: d for n, d in faces.parameters_of(definition).items() if n not in ("reduction", "dtype", "mask")}
    default_name = next(f.default for f in definition.__dataclass_fields__.values() if f.name == "name")
    parameters = fields | {"reduction": "sum_over_batch_size", "name": default_name, "dtype": None}
    for argument, after in _AFTER.get(definition.__name__, {}).items():
        default = parameters.pop(argument)
        names = list(parameters)
        place = names.index(after) + 1
        parameters = (
            {n: parameters[n] for n in names[:place]} | {argument: default} | {n: parameters[n] for n in names[place:]}
        )
    body = {
        "definition_class": definition, "_parameters": parameters, "__doc__": faces.text_of(definition),
        "__module__": __name__,
    }  # fmt: skip
    cls = type(definition.__name__, (_Generated,), body)
    faces.sign(cls, parameters, extra=False)
    return cls


CLASSES = {name: _make(cls) for name, cls in _names.CLASSES.items()}
FUNCTIONS = {name: function for name, (function, _) in _names.FUNCTIONS.items()}
_OF_FUNCTION = {name: CLASSES[cls.__name__] for name, (_, cls) in _names.FUNCTIONS.items()}
globals().update(CLASSES)
globals().update(FUNCTIONS)
globals().update({short: FUNCTIONS[name] for short, name in _names.ALIASES.items() if name in FUNCTIONS})


@functools.singledispatch
def get(identifier: Any) -> Any:
    """The loss for a name, a loss, a class, a function, a config, or None.

    A function, or the name of one, gives the function: values that are not reduced.

    Raises:
        ValueError: if no loss has that name; names the nearest ones.
    """
    if identifier is None or isinstance(identifier, Loss):
        return identifier
    if isinstance(identifier, _kfun.Loss):
        return identifier
    if isinstance(identifier, type):
        return identifier()
    if callable(identifier):
        return identifier
    raise ValueError(f"expected the name of a loss, a loss or a function; received {identifier!r}")


@get.register
def _(identifier: str) -> Any:
    name = _names.ALIASES.get(identifier, identifier)
    if name in CLASSES:
        return CLASSES[name]()
    if name in FUNCTIONS:
        return FUNCTIONS[name]
    if identifier.lower() in ("crossentropy", "ce"):
        return _ByShape(identifier)
    found = registered(identifier)
    if found is None:
        raise ValueError(f"unknown loss {identifier!r}; {nearest(identifier, [*CLASSES, *FUNCTIONS, *_names.ALIASES])}")
    return get(check("loss", found))


@get.register
def _(identifier: dict) -> Any:
    return get(deserialize_as("loss", identifier))


def as_loss(identifier: Any) -> Any:
    """Like `get`, with a function made a loss that weighs and reduces its values."""
    found = get(identifier)
    return found if found is None or isinstance(found, (Loss, _kfun.Loss)) else LossFunctionWrapper(found)


class _ByShape(Loss):
    """Cross-entropy of the kind that the shapes of targets and predictions tell."""

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return _kfun.get(self.name, y_true, y_pred)(y_true, y_pred, sample_weight, masks.of(y_pred))


def serialize(loss: Any) -> Any:
    """The loss as JSON data."""
    from compat.saving import serialize_keras_object

    return serialize_keras_object(loss) if isinstance(loss, Loss) else function_config(loss)


def function_config(function: Any) -> Any:
    """The JSON data of a loss's or metric's function: Keras writes those that it provides like this."""
    from compat.saving import serialize_keras_object

    name = serialize_keras_object(function)
    if not isinstance(name, str) or isinstance(function, str):
        return name
    return {"module": "builtins", "class_name": "function", "config": name, "registered_name": "function"}


def deserialize(name: Any, custom_objects: dict | None = None) -> Any:
    """The loss of JSON data, or of a name."""
    return get(name) if isinstance(name, str) else deserialize_as("loss", name, custom_objects)


__getattr__ = unknown_names_of(globals())
