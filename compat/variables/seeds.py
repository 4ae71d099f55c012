"""`SeedGenerator`: a variable that gives a fresh random key at each call."""

from __future__ import annotations

import random as _random
from typing import Any

import jax
import numpy as np

from compat.state import naming, scope
from compat.variables.variable import Variable
from kfun import ops
from kfun.initializers import Initializer

_GLOBAL: list[SeedGenerator] = []


class _Start(Initializer):
    seed_value: int

    def draw(self, key: Any, shape: tuple, dtype: str) -> Any:
        return ops.convert_to_tensor(np.array([self.seed_value & 0xFFFFFFFF, 0], np.uint32))


class SeedGenerator:
    """A source of random keys: `[seed, 0]`, `[seed, 1]`, and so on, as Keras counts them.

    Args:
        seed: an int; by default one from Python's random numbers.
        name: of the variable's path.
    """

    def __init__(self, seed: int | None = None, name: str | None = None, **kwargs: Any):
        if kwargs:
            raise ValueError(f"SeedGenerator: Unrecognized keyword arguments: {kwargs}; known: seed, name")
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, (int, np.integer))):
            raise ValueError(f"SeedGenerator: expected a whole number or None as `seed`; received {seed!r}")
        self.name = name or naming.auto_name("SeedGenerator")
        self._initial_seed = seed
        first = int(seed) if seed is not None else _random.randint(1, int(1e9))
        with naming.under(self.name):
            self.state = Variable(
                _Start(first), (2,), "uint32", trainable=False, autocast=False, name="seed_generator_state"
            )

    def next(self, ordered: bool = True) -> Any:
        """A key, uint32[2], different at each call."""
        key = self.state.value
        if ordered:
            following = ops.add(key, np.array([0, 1], np.uint32))
        else:
            following = ops.mod(ops.multiply(ops.add(key, 1), 5387), 933199)
        if self in _GLOBAL and scope.current() is None and isinstance(following, jax.core.Tracer):
            raise ValueError(
                "A compiled function cannot draw without a seed: the global generator cannot count "
                "what a compiled function draws. Make a keras.random.SeedGenerator, pass it as `seed`, and carry its "
                "state (layers and models do so)"
            )
        self.state.assign(following)
        return key

    def get_config(self) -> dict:
        """`{"seed": ..., "name": ...}`."""
        return {"seed": self._initial_seed, "name": self.name}

    @classmethod
    def from_config(cls, config: dict) -> SeedGenerator:
        """The generator of a config."""
        return cls(**config)


def key_of(seed: Any) -> Any:
    """The key for a `seed` argument: an int, a `SeedGenerator`, a key of JAX, or None for the global generator."""
    if isinstance(seed, SeedGenerator):
        return seed.next()
    if isinstance(seed, jax.Array) and seed.shape in ((), (2,)) and not jax.numpy.issubdtype(seed.dtype, np.integer):
        return jax.random.key_data(seed)  # a typed key
    if isinstance(seed, jax.Array) and seed.shape == (2,):
        return seed
    if seed is None:
        if not _GLOBAL:
            _GLOBAL.append(SeedGenerator())
        return _GLOBAL[0].next(ordered=False)
    if isinstance(seed, str) or not hasattr(seed, "__int__"):
        raise ValueError(
            "`seed`: expected a whole number or a `SeedGenerator`. "
            f"Received: seed={seed!r} (of type {type(seed).__name__})"
        )
    return np.array([int(seed) & 0xFFFFFFFF, 0], np.uint32)


def reset_global() -> None:
    """Forgets the global generator, so that the next use seeds it anew."""
    _GLOBAL.clear()
