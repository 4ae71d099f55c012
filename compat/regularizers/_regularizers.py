"""Regularizers made of kfun's definitions, by name and as data."""

from __future__ import annotations

from typing import Any

import numpy as np

from compat.serialization.faces import Face, face, getter
from compat.serialization.objects import deserialize_as, serialize_keras_object
from kfun import regularizers as _kfun


class Regularizer:
    """Base of user-written regularizers: give `__call__(x)`; that of the base is no penalty."""

    def __call__(self, x: Any) -> Any:
        return 0.0

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: dict) -> Regularizer:
        """The regularizer of a config."""
        return cls(**config)


class _Generated(Face, Regularizer):
    """A face of a kfun regularizer."""

    _rounded: tuple[str, ...] = ()

    def __call__(self, x: Any) -> Any:
        return self.definition(x)

    def get_config(self) -> dict:
        """The constructor's arguments; a factor that Keras keeps as a tensor is rounded to float32."""
        config = super().get_config()
        return config | {n: float(np.float32(config[n])) for n in self._rounded}


L1 = face(_Generated, _kfun.L1, "compat.regularizers")
L2 = face(_Generated, _kfun.L2, "compat.regularizers")
L1L2 = face(_Generated, _kfun.L1L2, "compat.regularizers")
OrthogonalRegularizer = face(_Generated, _kfun.OrthogonalRegularizer, "compat.regularizers")
L1._rounded, OrthogonalRegularizer._rounded = ("l1",), ("factor",)
l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer

CLASSES = {
    "L1": L1, "L2": L2, "L1L2": L1L2, "OrthogonalRegularizer": OrthogonalRegularizer, "l1": L1, "l2": L2,
    "l1_l2": L1L2, "l1l2": L1L2, "orthogonal_regularizer": OrthogonalRegularizer,
}  # fmt: skip
get = getter("regularizer", CLASSES, Regularizer)


def serialize(regularizer: Any) -> Any:
    """The regularizer as JSON data."""
    return serialize_keras_object(regularizer)


def deserialize(config: Any, custom_objects: dict | None = None) -> Any:
    """The regularizer of JSON data, or of a name."""
    return get(config) if isinstance(config, str) else deserialize_as("regularizer", config, custom_objects)
