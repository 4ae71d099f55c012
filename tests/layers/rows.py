"""What a row of the layers' catalogue is: a layer, made alike in kfun and in real Keras, and its inputs."""

from __future__ import annotations

import dataclasses
import inspect
import zlib
from typing import Any

import numpy as np

from kfun import Spec, layers


@dataclasses.dataclass(frozen=True)
class Of:
    """A layer by class name and constructor arguments, for both libraries."""

    name: str
    config: dict

    def kfun(self) -> Any:
        return getattr(layers, self.name)(**{k: _made(v, "kfun") for k, v in self.config.items()})

    def keras(self, seed: int | None = None) -> Any:
        import keras

        config = {k: _made(v, "keras") for k, v in self.config.items()}
        if seed is not None:
            config["seed"] = seed
        return getattr(keras.layers, self.name)(**config)

    def but(self, **changes: Any) -> Of:
        return Of(self.name, {**self.config, **changes})


def of(name: str, **config: Any) -> Of:
    return Of(name, config)


def _made(value: Any, library: str) -> Any:
    if isinstance(value, Of):
        return getattr(value, library)()
    return [_made(v, library) for v in value] if isinstance(value, list) else value


@dataclasses.dataclass(frozen=True)
class Case:
    """A layer, the shapes of its inputs and the further arguments of a call.

    Attributes:
        inputs: a shape (normal floats) or `(shape, n)` (integers below n) for each input.
        call: further arguments of `apply` and of Keras's call; `"bool"` tuples become masks.
        random: whether the layer draws in training, so that Keras's gets a seed.
        known_batch, json: as in `kfun.testing_layers.sweep_layer`.
    """

    of: Of
    inputs: tuple
    call: dict = dataclasses.field(default_factory=dict)
    random: bool = False
    known_batch: bool = False
    json: bool = True

    @property
    def id(self) -> str:
        config = ",".join(f"{k}={_short(v)}" for k, v in self.of.config.items())
        return f"{self.of.name}({config})" + ("".join(f"-{k}" for k in self.call))

    def modes(self) -> tuple[bool, ...]:
        """The modes in which the layer differs: training alone tells all about one that draws and keeps nothing."""
        layer = self.of.kfun()
        state = layer.init(np.array([1, 2], np.uint32), *map(Spec.of, self.drawn()[0]))[1]
        return (False, True) if self.random or state else (True,)

    def drawn(self) -> tuple[list[np.ndarray], dict]:
        """Inputs and call arguments from a seed of their own."""
        generator = np.random.default_rng(zlib.crc32(self.id.encode()))
        inputs = [_draw(generator, shape) for shape in self.inputs]
        return inputs, {k: _call_argument(generator, v) for k, v in self.call.items()}


def _short(value: Any) -> str:
    if isinstance(value, Of):
        return value.name
    return value.__name__ if inspect.isfunction(value) else str(value).replace(" ", "")


def _draw(generator: np.random.Generator, shape: Any) -> np.ndarray:
    if shape and isinstance(shape[0], tuple):
        return np.asarray(generator.integers(0, shape[1], size=shape[0]), "int32")
    return np.asarray(generator.normal(size=shape), "float32")


class Mask(tuple):
    """The shape of a bool array whose first entry along the last axis is True."""


class Floats(tuple):
    """The shape of a float array."""


def _call_argument(generator: np.random.Generator, value: Any) -> Any:
    if isinstance(value, Mask):
        mask = np.asarray(generator.integers(0, 2, size=value), "bool")
        mask[..., 0] = True
        return mask
    if isinstance(value, Floats):
        return np.asarray(generator.normal(size=value), "float32")
    if isinstance(value, (list, tuple)):
        return type(value)(_call_argument(generator, v) for v in value)
    return value


@dataclasses.dataclass(frozen=True)
class Row:
    """A layer of the catalogue.

    Attributes:
        name: as in `kfun.layers`.
        cases: the first is swept by `sweep_layer` by default; all are compared with Keras.
        options: `{field: values}`, whose product is compared with Keras in the slow sweep.
        oracle: how Keras's layer is called: `"inputs"` (one argument each), `"list"` (a list of
            inputs), `"states"` (an input and a list of states), or None: no such layer in Keras.
        open_axes: how many leading axes have open sizes when the layer is built as a graph.
    """

    name: str
    cases: list[Case]
    options: dict[str, list] = dataclasses.field(default_factory=dict)
    oracle: str | None = "inputs"
    open_axes: tuple[int, ...] = (0, 1, 2)


def row(
    name: str,
    config: dict,
    *inputs: Any,
    more: Any = (),
    options: Any = None,
    oracle: Any = "inputs",
    open_axes: tuple[int, ...] = (0, 1, 2),
    **extra: Any,
):
    """A row; each of `more` is a dict of changes to the config, with `inputs`, `call`, `random`, ... under `case`."""
    first = Case(of(name, **config), inputs, **extra)
    cases = [first]
    for changes in more:
        case = changes.get("case", {})
        changed = {k: v for k, v in changes.items() if k != "case"}
        cases.append(dataclasses.replace(first, of=first.of.but(**changed), **case))
    return Row(name, cases, options or {}, oracle, open_axes)
