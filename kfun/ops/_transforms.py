"""Function transformations are looked up by the arrays that the function is given, as ops are."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from kfun.errors import UnsupportedOp
from kfun.ops._kinds import Kind, default_kind, kind_of


def native(name: str, values: Any) -> Callable:
    """The transformation `name` of the framework that decides among `values`."""
    return _lookup(_framework(values, name), name)


def _framework(values: Any, name: str) -> Kind:
    kind = kind_of(values, name)
    if kind is not None and kind.inside is not None:
        kind = kind_of(kind.inside(values), name)
    return kind or default_kind()


def _lookup(kind: Kind, name: str) -> Callable:
    function = kind.transforms.get(name)
    if function is None:
        raise UnsupportedOp(name, kind.name, kind.reasons.get(name, "the backend has no such transformation"))
    return function


def transformed(name: str, fun: Callable, **options: Any) -> Callable:
    """`fun` under the transformation `name` of the framework of the arguments of each call."""
    made: dict[str, Callable] = {}

    def native(*args, **kwargs):
        kind = _framework((*args, *kwargs.values()), name)
        run = made.get(kind.name)
        if run is None:
            run = made[kind.name] = _lookup(kind, name)(fun, **options)
        return run

    @functools.wraps(fun)
    def call(*args, **kwargs):
        return native(*args, **kwargs)(*args, **kwargs)

    setattr(call, "native", native)  # noqa: B010 -- the framework's own function for these arguments
    return call
