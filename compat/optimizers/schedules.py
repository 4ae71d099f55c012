"""Learning rate schedules, called on the step."""

from __future__ import annotations

from typing import Any

from compat.serialization.faces import Face, face
from compat.serialization.objects import deserialize_as, serialize_keras_object
from compat.variables.variable import Variable
from kfun.optim import schedules as _kfun


class LearningRateSchedule:
    """Base of user-written schedules: give `__call__(step)`."""

    def __call__(self, step: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define __call__(step)")

    def get_config(self) -> dict:
        """The constructor's arguments."""
        raise NotImplementedError(f"{type(self).__name__} must define get_config()")

    @classmethod
    def from_config(cls, config: dict) -> LearningRateSchedule:
        """The schedule of a config."""
        return cls(**config)


class _Generated(Face, LearningRateSchedule):
    """A face of a kfun schedule."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*map(_number, args), **{k: _number(v) for k, v in kwargs.items()})

    def __call__(self, step: Any) -> Any:
        return self.definition(step)


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, Variable) else value


def _make(definition: type, name: str, after: str | None = None) -> type:
    """The face with Keras's argument `name`, last or after another one."""
    return face(_Generated, definition, __name__, extra={"name": name}, after=after)


CosineDecay = _make(_kfun.CosineDecay, "CosineDecay", "alpha")
CosineDecayRestarts = _make(_kfun.CosineDecayRestarts, "SGDRDecay")
ExponentialDecay = _make(_kfun.ExponentialDecay, "ExponentialDecay")
InverseTimeDecay = _make(_kfun.InverseTimeDecay, "InverseTimeDecay")
PiecewiseConstantDecay = _make(_kfun.PiecewiseConstantDecay, "PiecewiseConstant")
PolynomialDecay = _make(_kfun.PolynomialDecay, "PolynomialDecay")


def serialize(learning_rate_schedule: Any) -> Any:
    """The schedule as JSON data."""
    return serialize_keras_object(learning_rate_schedule)


def deserialize(config: Any, custom_objects: dict | None = None) -> Any:
    """The schedule of JSON data."""
    return deserialize_as("schedule", config, custom_objects)
