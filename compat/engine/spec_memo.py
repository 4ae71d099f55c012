"""The specs of what layers give, kept: layers of one definition on inputs of one form share one abstract run.

How weights begin is no part of a definition here: a run is on zeros in place of variables without a value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from kfun.graph import SymbolicTensor
from kfun.initializers import Initializer

_SPECS: dict[tuple, Any] = {}
_MOST_SPECS = 4096


def key_of(layer: Any, definition: Any, arguments: tuple) -> tuple | None:
    """What the specs follow from, None where that is not known.

    Args:
        layer: of ours, with its policy.
        definition: of the layer.
        arguments: of the call, with symbolic tensors.
    """
    form = _form(arguments)
    if form is None:
        return None
    policy = layer._own_policy()
    types = policy.compute_dtype, policy.variable_dtype, layer.autocast, jax.config.jax_enable_x64
    fields = [Initializer if isinstance(value, Initializer) else value for value in definition._key]
    return type(layer), tuple(fields), types, form


def recall(key: tuple | None, run: Callable[[], Any]) -> Any:
    """The specs of a key, found by a run if they are not known."""
    if key is None:
        return run()
    found = _SPECS.get(key)
    if found is None:
        found = run()
        if len(_SPECS) >= _MOST_SPECS:
            _SPECS.clear()
        _SPECS[key] = found
    return found


def _form(value: Any) -> Any:
    """What a shape follows from, of nested arguments; None if there is something else among them."""
    if isinstance(value, SymbolicTensor):
        return value.shape, value.dtype
    if value is None or isinstance(value, (bool, int, float, str)):
        return type(value), value
    if isinstance(value, dict):
        value = tuple(value.items())
    if not isinstance(value, (list, tuple)):
        return None
    parts = tuple(map(_form, value))
    return None if None in parts else parts
