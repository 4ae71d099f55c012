"""Initializers made of kfun's definitions, by name and as data."""

from __future__ import annotations

import random as _random
from typing import Any

import numpy as np

from compat.serialization.faces import Face, bind, face, getter
from compat.serialization.objects import deserialize_as, deserialize_keras_object, serialize_keras_object
from compat.state.policy import floatx
from kfun import dtypes
from kfun import initializers as _kfun
from kfun import ops as _ops
from kfun.layer import snake_case as _snake


class Initializer:
    """Base of user-written initializers: give `__call__(shape, dtype=None)`."""

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define __call__(shape, dtype)")

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: dict) -> Initializer:
        """The initializer of a config."""
        return cls(**config)

    def clone(self) -> Initializer:
        """Another initializer of the same config."""
        return type(self).from_config(self.get_config())


class _Generated(Face, Initializer):
    """A face of a kfun initializer; without a seed it draws one when it is made, as Keras does."""

    def __init__(self, *args: Any, **kwargs: Any):
        self._arguments, _ = bind(type(self).__name__, self._parameters, args, kwargs)
        seed = self._arguments.get("seed", 0)
        self.auto_seeded = seed is None
        self._generator = seed if hasattr(seed, "next") else None  # a SeedGenerator: each call draws from its next key
        fields = dict(self._arguments)
        if self._generator is not None:
            fields["seed"] = None
        elif self.auto_seeded:
            fields["seed"] = new_seed()
        self.definition = self.definition_class(**fields)

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        key = None if self._generator is None else self._generator.next()
        return self.definition(key, shape, dtypes.name(dtype or floatx()))

    def __getattr__(self, name: str) -> Any:
        if name == "seed" and self.__dict__.get("_generator") is not None:
            return self._generator
        if name in ("scale", "mode", "distribution") and hasattr(self.definition, name):
            return getattr(self.definition, name)  # what the named cases of VarianceScaling have fixed
        return super().__getattr__(name)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        config = super().get_config()
        if self._generator is not None or any(isinstance(v, np.ndarray) for v in config.values()):
            config = {k: serialize_keras_object(v) for k, v in config.items()}
        return config

    @classmethod
    def from_config(cls, config: dict) -> Initializer:
        """The initializer of a config."""
        return cls(**{k: deserialize_keras_object(v) if isinstance(v, dict) else v for k, v in config.items()})


def new_seed() -> int:
    """A seed from Python's random numbers, where Keras takes its default seeds from."""
    return _random.randint(1, int(1e9))


class _FromFunction(_kfun.Initializer):
    """A function `(shape, dtype)` as a kfun initializer."""

    function: Any

    def draw(self, key: Any, shape: tuple, dtype: str) -> Any:
        return _ops.convert_to_tensor(self.function(shape, dtype=dtype))


def _make(name: str, base: type = _Generated) -> type:
    return face(base, getattr(_kfun, name), "compat.initializers")


Constant = _make("Constant")
VarianceScaling = _make("VarianceScaling")
GlorotNormal = _make("GlorotNormal", VarianceScaling)
GlorotUniform = _make("GlorotUniform", VarianceScaling)
HeNormal = _make("HeNormal", VarianceScaling)
HeUniform = _make("HeUniform", VarianceScaling)
LecunNormal = _make("LecunNormal", VarianceScaling)
LecunUniform = _make("LecunUniform", VarianceScaling)
Identity = _make("Identity")
Identity._unsaid = ("gain",)
Ones = _make("Ones")
Orthogonal = _make("Orthogonal")
RandomNormal = _make("RandomNormal")
RandomUniform = _make("RandomUniform")
STFT = _make("STFT")
TruncatedNormal = _make("TruncatedNormal")
Zeros = _make("Zeros")

_CLASSES = {n: c for n, c in list(globals().items()) if isinstance(c, type) and issubclass(c, _Generated)}
_CLASSES.pop("_Generated")
CLASSES = _CLASSES | {_snake(n): c for n, c in _CLASSES.items()}
CLASSES |= {
    "normal": RandomNormal,
    "uniform": RandomUniform,
    "IdentityInitializer": Identity,
    "OrthogonalInitializer": Orthogonal,
    "STFTInitializer": STFT,
}
IdentityInitializer, OrthogonalInitializer, STFTInitializer = Identity, Orthogonal, STFT
constant, glorot_normal, glorot_uniform, he_normal, he_uniform = (
    Constant, GlorotNormal, GlorotUniform, HeNormal, HeUniform,
)  # fmt: skip
identity, lecun_normal, lecun_uniform, ones, orthogonal = Identity, LecunNormal, LecunUniform, Ones, Orthogonal
random_normal, random_uniform, truncated_normal, variance_scaling, zeros = (
    RandomNormal, RandomUniform, TruncatedNormal, VarianceScaling, Zeros,
)  # fmt: skip
stft = STFT

get = getter("initializer", CLASSES, Initializer)


def serialize(initializer: Any) -> Any:
    """The initializer as JSON data."""
    return serialize_keras_object(initializer)


def deserialize(config: Any, custom_objects: dict | None = None) -> Any:
    """The initializer of JSON data, or of a name."""
    return get(config) if isinstance(config, str) else deserialize_as("initializer", config, custom_objects)


# The definitions of names that mean one thing: without a seed there is nothing to draw for each object.
_UNSEEDED = {n: c().definition for n, c in CLASSES.items() if "seed" not in c._parameters}


def definition_of(identifier: Any) -> Any:
    """The kfun initializer for anything that `get` takes, or for an array (a constant)."""
    if isinstance(identifier, _kfun.Initializer):
        return identifier
    if isinstance(identifier, str) and identifier in _UNSEEDED:
        return _UNSEEDED[identifier]
    found = identifier if isinstance(identifier, Initializer) else get(identifier)
    known = isinstance(found, _Generated) and found._generator is None
    return found.definition if known else _FromFunction(found)
