"""Constraints made of kfun's definitions, by name and as data."""

from __future__ import annotations

from typing import Any

from compat.serialization.faces import Face, face, getter
from compat.serialization.objects import deserialize_as, serialize_keras_object
from kfun import constraints as _kfun


class Constraint:
    """Base of user-written constraints: give `__call__(w)`; that of the base gives the weight back."""

    def __call__(self, w: Any) -> Any:
        return w

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: dict) -> Constraint:
        """The constraint of a config."""
        return cls(**config)


class _Generated(Face, Constraint):
    """A face of a kfun constraint."""

    def __call__(self, w: Any) -> Any:
        return self.definition(w)


MaxNorm = face(_Generated, _kfun.MaxNorm, "compat.constraints")
MinMaxNorm = face(_Generated, _kfun.MinMaxNorm, "compat.constraints")
NonNeg = face(_Generated, _kfun.NonNeg, "compat.constraints")
UnitNorm = face(_Generated, _kfun.UnitNorm, "compat.constraints")
max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm

CLASSES = {
    "MaxNorm": MaxNorm, "MinMaxNorm": MinMaxNorm, "NonNeg": NonNeg, "UnitNorm": UnitNorm, "max_norm": MaxNorm,
    "min_max_norm": MinMaxNorm, "non_neg": NonNeg, "unit_norm": UnitNorm,
}  # fmt: skip
get = getter("constraint", CLASSES, Constraint)


def serialize(constraint: Any) -> Any:
    """The constraint as JSON data."""
    return serialize_keras_object(constraint)


def deserialize(config: Any, custom_objects: dict | None = None) -> Any:
    """The constraint of JSON data, or of a name."""
    return get(config) if isinstance(config, str) else deserialize_as("constraint", config, custom_objects)
