"""Kinds of objects: what data may describe where a layer, an initializer, a loss or another kind is expected.

The class is looked at before an object of it is made, so that nothing of another kind is built on the way.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any, NamedTuple


class Kind(NamedTuple):
    """What may stand in a place.

    Args:
        text: how errors call it.
        home: the module whose names go first where data give none, under `compat` and `keras`.
        base: the class there that all of the kind derive from; None if there is none.
        also: further kinds that serve.
        method: what an object of a user's class that is of no kind must have; None if it must be of this one.
        functions: the tables of our functions that serve, of "activations" and "losses"; those that users registered
            serve wherever an object that is called does.
    """

    text: str
    home: str
    base: str | None
    also: tuple[str, ...] = ()
    method: str | None = "__call__"
    functions: tuple[str, ...] = ()


KINDS = {
    "layer": Kind("a layer", "layers", "Layer", ("operation",), None),
    "operation": Kind("an operation", "", "Operation", ("layer",), None),
    "cell": Kind("a layer that is a recurrent cell", "layers", None, ("layer",), "call"),
    "activation": Kind("an activation", "activations", None, ("layer", "operation"), functions=("activations",)),
    "initializer": Kind("an initializer", "initializers", "Initializer"),
    "regularizer": Kind("a regularizer", "regularizers", "Regularizer", functions=("activations",)),
    "constraint": Kind("a constraint", "constraints", "Constraint", functions=("activations",)),
    "loss": Kind("a loss", "losses", "Loss", functions=("losses",)),
    "metric": Kind("a metric", "metrics", "Metric", ("loss",), functions=("losses",)),
    "optimizer": Kind("an optimizer", "optimizers", "Optimizer", (), None),
    "optimizer map": Kind("an optimizer map", "optimizers", "OptimizerMap"),
    "schedule": Kind("a learning rate schedule", "optimizers.schedules", "LearningRateSchedule"),
    "policy": Kind("a dtype policy", "dtype_policies", "DTypePolicy", (), None),
}


class WrongKindError(ValueError):
    """Data that describe an object of another kind than the place takes.

    Args:
        message: says which kind was described and which was expected.
        data: that describe the object, by which those around them find the place.
    """

    def __init__(self, message: str, data: Any = None):
        super().__init__(message)
        self.data = data

    def note(self, around: dict) -> None:
        """Notes where in the config of an object around them the data are."""
        config = around["config"]
        place = next((name for name, value in config.items() if _holds(value, self.data)), None)
        if place is not None:
            of = f" {config['name']!r}" if isinstance(config.get("name"), str) else ""
            self.add_note(f"in {place!r} of the {around['class_name']}{of}")
        self.data = around


def _holds(value: Any, data: Any) -> bool:
    if value is data:
        return True
    if isinstance(value, dict) and "class_name" not in value:
        value = list(value.values())
    return isinstance(value, (list, tuple)) and any(_holds(v, data) for v in value)


def check(kind: str | None, found: Any, data: Any = None) -> Any:
    """A class, function or object that data name, if it is of a kind; None for None, and any kind if that is None.

    Raises:
        WrongKindError: if it is not.
    """
    if kind is None or found is None:
        return found
    if isinstance(found, type) or not hasattr(found, "__name__"):
        cls = found if isinstance(found, type) else type(found)
        if not issubclass(cls, _bases(kind)) and not _serves_by_method(kind, cls):
            raise wrong(kind, f"{cls.__name__!r}, {_described(cls)}", data)
    elif KINDS[kind].method != "__call__":
        raise wrong(kind, f"the function {found.__name__!r}", data)
    return found


def wrong(kind: str, described: str, data: Any = None) -> WrongKindError:
    """The error of data that describe something else."""
    known = KINDS[kind]
    home = f" of keras.{known.home}" if known.base and known.home else ""
    return WrongKindError(
        f"the data describe {described}; expected {known.text}: give one{home}, or of a class of your own", data
    )


def _serves_by_method(kind: str, cls: type) -> bool:
    known = KINDS[kind]
    if known.method is None or _kinds_of(cls) or cls.__module__.partition(".")[0] in ("compat", "builtins", "numpy"):
        return False
    return any(known.method in vars(c) for c in cls.__mro__)


@functools.cache
def _bases(kind: str) -> tuple[type, ...]:
    return tuple(b for k in (kind, *KINDS[kind].also) if (b := _base(k)) is not None)


@functools.cache
def _base(kind: str) -> Any:
    known = KINDS[kind]
    if known.base is None:
        return None
    return getattr(importlib.import_module(f"compat.{known.home}" if known.home else "compat"), known.base)


def _kinds_of(cls: type) -> list[str]:
    return [kind.text for name, kind in KINDS.items() if (base := _base(name)) is not None and issubclass(cls, base)]


def _described(cls: type) -> str:
    return " and ".join(_kinds_of(cls)[:1]) or "which is of no kind that can stand there"
