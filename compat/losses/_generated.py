"""Losses made of kfun's definitions."""

from __future__ import annotations

from typing import Any

from compat.losses._base import Loss
from compat.serialization import faces
from kfun.losses import _get as _names


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
        "__module__": "compat.losses",
    }  # fmt: skip
    cls = type(definition.__name__, (_Generated,), body)
    faces.sign(cls, parameters, extra=False)
    return cls


CLASSES = {name: _make(cls) for name, cls in _names.CLASSES.items()}

FUNCTIONS = {name: function for name, (function, _) in _names.FUNCTIONS.items()}
globals().update(CLASSES)
globals().update(FUNCTIONS)
globals().update({short: FUNCTIONS[name] for short, name in _names.ALIASES.items() if name in FUNCTIONS})
