"""Losses by name, as data and as functions."""

from __future__ import annotations

import functools
from typing import Any

from compat.losses._base import Loss, LossFunctionWrapper, function_config
from compat.losses._generated import CLASSES, FUNCTIONS
from compat.serialization.kinds import check
from compat.serialization.objects import deserialize_as, serialize_keras_object
from compat.serialization.registry import registered
from compat.state import masks
from kfun import losses as _kfun
from kfun.errors import nearest
from kfun.losses import _get as _names


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
    return serialize_keras_object(loss) if isinstance(loss, Loss) else function_config(loss)


def deserialize(name: Any, custom_objects: dict | None = None) -> Any:
    """The loss of JSON data, or of a name."""
    return get(name) if isinstance(name, str) else deserialize_as("loss", name, custom_objects)
