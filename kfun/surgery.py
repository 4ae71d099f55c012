"""Definitions made of others by changing the layers inside."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from kfun.layer import Layer


def map_layers(layer: Layer, function: Callable[[Layer], Layer]) -> Layer:
    """`function` of every layer in a definition, those inside first, and of the definition itself.

    Args:
        layer: any definition; layers are found in its fields, and in tuples and dicts there.
        function: gives the layer to put in place of the one that it takes, the same one to keep it.

    Returns:
        The definition with the new layers; the very one that was given if none changed.

    Example:
        >>> import kfun
        >>> from kfun.layers import Dense, Dropout
        >>> net = kfun.Sequential([Dense(4), kfun.Residual(Dropout(0.5))])
        >>> map_layers(net, lambda l: l.replace(rate=0.1) if isinstance(l, Dropout) else l)
        Sequential(layers=(Dense(4), Residual(Dropout(0.1))))
    """
    changes = {}
    for field in dataclasses.fields(layer):
        value = getattr(layer, field.name)
        new = map_nested(lambda _, inner: map_layers(inner, function), value)
        if new is not value:
            changes[field.name] = new
    new = function(layer.replace(**changes) if changes else layer)
    if not isinstance(new, Layer):
        raise TypeError(f"map_layers: expected the function to give a layer in place of {layer!r}; received {new!r}")
    return new


def map_nested(function: Callable[[str, Layer], Any], value: Any, name: str = "") -> Any:
    """`function(name, layer)` of each layer in nested tuples and dicts; the same object where nothing changed.

    Args:
        function: gives what stands in a layer's place.
        value: a field's value.
        name: of the field; a nested layer's is that and the keys that lead to it, joined by "_".
    """
    if isinstance(value, Layer):
        return function(name, value)
    if isinstance(value, dict):
        changed = {k: map_nested(function, v, f"{name}_{k}") for k, v in value.items()}
        return type(value)(changed) if any(changed[k] is not value[k] for k in value) else value
    if isinstance(value, tuple):
        items = [map_nested(function, v, f"{name}_{i}") for i, v in enumerate(value)]
        if all(new is old for new, old in zip(items, value, strict=True)):
            return value
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    return value
