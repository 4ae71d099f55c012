"""Hyperparameters that are arrays, as `optax.inject_hyperparams` and gradients through training give them.

A definition holds numbers alone, so that it can be compared and hashed. Where an argument is an array
of JAX, the transformation is built from a copy of the definition that holds the array in the number's
place. That copy lives only inside the transformation: it is not cached, and nobody compares it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kfun.definition import Definition
from kfun.ops._kinds import kind_of_type

_UNKNOWN = 2  # stands for a traced number without a default while the others are checked: all limits allow it


def is_array(value: Any) -> bool:
    """Whether a hyperparameter is an array of JAX, whose value may be known only when the program runs."""
    return getattr(kind_of_type(type(value)), "name", None) == "jax"


def is_set(value: Any) -> bool:
    """Whether a hyperparameter is neither None nor 0; an array counts as set, whatever it holds."""
    return is_array(value) or bool(value)


def with_arrays(definition: Callable[..., Definition], arguments: Mapping[str, Any], defaults: Mapping) -> Any:
    """What `definition` makes of the arguments, with those that are arrays kept as arrays.

    Args:
        definition: a class of definitions.
        arguments: by name.
        defaults: of its fields, by name.

    Raises:
        TypeError: if an array is no scalar.
        ValueError: as the class does, for the numbers that are known.
    """
    arrays = {name: value for name, value in arguments.items() if is_array(value)}
    for name, value in arrays.items():
        if tuple(value.shape):
            raise TypeError(
                f"argument `{name}` must be a number or a scalar array; received one of shape {tuple(value.shape)}. "
                "For one value per copy, build the optimizer inside of vmap"
            )
    checked = definition(
        **{**arguments, **{name: _number(value, defaults.get(name)) for name, value in arrays.items()}}
    )
    if not arrays:
        return checked
    held = object.__new__(type(checked))
    held.__setstate__(checked.__getstate__() | arrays)
    return held


def _number(value: Any, default: Any) -> Any:
    """The number in a scalar array; while that is traced, one that the class's checks allow."""
    known = kind_of_type(type(value)).host(value)
    if known is not None:
        return known.item()
    return default if isinstance(default, (int, float)) else _UNKNOWN
