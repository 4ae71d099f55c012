"""Learning rate schedules, called on the step."""

from __future__ import annotations

from typing import Any

from compat.core.faces import Face, face
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

    def __init__(self, *args: Any, name: str | None = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.name = name

    def __call__(self, step: Any) -> Any:
        return self.definition(step)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {**self._arguments, "name": self.name}


CosineDecay = face(_Generated, _kfun.CosineDecay, __name__)
CosineDecayRestarts = face(_Generated, _kfun.CosineDecayRestarts, __name__)
ExponentialDecay = face(_Generated, _kfun.ExponentialDecay, __name__)
InverseTimeDecay = face(_Generated, _kfun.InverseTimeDecay, __name__)
PiecewiseConstantDecay = face(_Generated, _kfun.PiecewiseConstantDecay, __name__)
PolynomialDecay = face(_Generated, _kfun.PolynomialDecay, __name__)


def serialize(learning_rate_schedule: Any) -> Any:
    """The schedule as JSON data."""
    from compat.saving import serialize_keras_object

    return serialize_keras_object(learning_rate_schedule)


def deserialize(config: Any, custom_objects: dict | None = None) -> Any:
    """The schedule of JSON data."""
    from compat.saving import deserialize_keras_object

    return deserialize_keras_object(config, custom_objects=custom_objects)
