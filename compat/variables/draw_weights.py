"""Draws the weights of many variables together."""

from __future__ import annotations

import random
from typing import Any

import jax
import numpy as np

from kfun import ops
from kfun.initializers import Initializer, Stacked
from kfun.ops._kinds import current_backend, kind_named


def draw(variables: list[Any]) -> None:
    """Gives each variable its first value from its initializer.

    Drawing escapes any trace that is going on: a weight is a number, not part of a program.
    """
    kind = kind_named(current_backend())
    with jax.ensure_compile_time_eval():
        for variable in variables:
            if variable._value is not None or variable._initializer is None:
                continue
            value = variable._initializer(_key_for(variable._initializer), variable.shape, variable.dtype)
            value = ops.cast(ops.convert_to_tensor(value), variable.dtype)
            if tuple(value.shape) != variable.shape:
                raise ValueError(
                    f"the initializer of {variable.path!r} gave shape {tuple(value.shape)}; expected {variable.shape}"
                )
            variable._value = value if not isinstance(value, np.ndarray) else kind.convert(value)
            variable._initializer = None


def _key_for(initializer: Any) -> Any:
    """A new key, or one that is not looked at, so that Python's random numbers go on as under Keras."""
    known = isinstance(initializer, Initializer) and not isinstance(initializer, Stacked)
    if known and getattr(initializer, "seed", 0) is not None:
        return np.zeros(2, np.uint32)
    return default_key()


def default_key() -> Any:
    """A key for an initializer without a seed of its own, from Python's random numbers as in Keras."""
    return np.array([random.randint(1, int(1e9)), 0], np.uint32)
