"""Generates the classes of the stateful face from kfun's definitions: signature, text and config."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable
from typing import Any

from compat.serialization.kinds import check
from compat.serialization.objects import deserialize_as
from compat.serialization.registry import registered
from kfun import ops
from kfun.errors import nearest, refuse_unknown

_EMPTY = inspect.Parameter.empty


def parameters_of(definition: type, keyword_only: bool = True) -> dict[str, Any]:
    """The constructor's arguments of a definition and their defaults, without name and policy.

    Args:
        definition: the class.
        keyword_only: whether those that go by keyword alone are among them. A layer's are kfun's own: Keras has none.
    """
    found = {}
    for f in dataclasses.fields(definition):
        if f.name not in ("name", "policy") and (keyword_only or not f.kw_only):
            found[f.name] = _EMPTY if f.default is dataclasses.MISSING else f.default
    return found


def text_of(definition: type) -> str | None:
    """The definition's text without arguments that Keras lacks, and without examples, which call the pure face."""
    text = definition.__doc__
    if text is None:
        return None
    text = re.sub(r"\n    Keyword Args:\n(?: {8}.*\n)+", "", text)
    return text.partition("\n    Example:")[0].rstrip() + "\n    "


class _Signature:
    """The signature of a class, which its subclasses have too unless they have an `__init__` of their own."""

    def __init__(self, cls: type, signature: inspect.Signature):
        self.init, self.signature = cls.__init__, signature

    def __get__(self, obj: Any, owner: Any = None) -> inspect.Signature:
        if (owner or type(obj)).__init__ is not self.init:
            raise AttributeError("__signature__")
        return self.signature


def sign(cls: Any, parameters: dict[str, Any], extra: bool = True, hidden: str = "") -> None:
    """Gives a class the signature of the given arguments but the `hidden` ones, and `**kwargs` if `extra`."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    made = [inspect.Parameter(n, kind, default=d) for n, d in parameters.items() if n not in hidden.split()]
    if extra:
        made.append(inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD))
    cls.__signature__ = _Signature(cls, inspect.Signature(made))


def bind(cls_name: str, parameters: dict[str, Any], args: tuple, kwargs: dict, others: Any = ()) -> tuple[dict, dict]:
    """Splits a constructor call into `(the class's own arguments, the rest)`.

    Raises:
        TypeError: for a missing, doubled or unknown argument; names the nearest known one.
    """
    names = list(parameters)
    if len(args) > len(names):
        raise TypeError(f"{cls_name}: takes {len(names)} positional arguments; received {len(args)}")
    own = dict(zip(names, args, strict=False))
    rest = {}
    for key, value in kwargs.items():
        if key in own:
            raise TypeError(f"{cls_name}: argument {key!r} given twice")
        if key in parameters:
            own[key] = value
        elif key in others:
            rest[key] = value
        else:
            refuse_unknown(cls_name, [key], [*names, *others])
    for name, default in parameters.items():
        if name not in own:
            if default is _EMPTY:
                raise TypeError(f"{cls_name}: missing argument {name!r}")
            own[name] = default
    return own, rest


def said(config: dict, defaults: dict[str, Any], unsaid: Any) -> dict:
    """A config without those of the arguments `unsaid` that are at their default.

    Keras leaves these out of its config whatever their value; here a file keeps what differs.
    """
    return {n: v for n, v in config.items() if n not in unsaid or v != defaults[n]}


class Face:
    """Base of generated classes that wrap one definition: initializers, regularizers, constraints."""

    definition_class: type
    _parameters: dict[str, Any]
    _unsaid: tuple[str, ...] = ()  # arguments that the config has only where they are not at their default

    def __init__(self, *args: Any, **kwargs: Any):
        self._arguments, _ = bind(type(self).__name__, self._parameters, args, kwargs)
        self.definition = self.definition_class(**self._arguments)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "definition":
            raise AttributeError(name)
        if name in self._arguments:
            return getattr(self.definition, name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return said(self._arguments, self._parameters, self._unsaid)

    @classmethod
    def from_config(cls, config: dict) -> Face:
        """The object of a config."""
        return cls(**config)

    def __repr__(self) -> str:
        shown = ", ".join(f"{k}={v!r}" for k, v in self._arguments.items())
        return f"{type(self).__name__}({shown})"


def inserted(parameters: dict[str, Any], after: str | None, extra: dict[str, Any]) -> dict[str, Any]:
    """Arguments with further ones after one of them, or at the end."""
    out: dict[str, Any] = {}
    for name, default in parameters.items():
        out[name] = default
        if name == after:
            out |= extra
    return out | extra


def face(
    base: type,
    definition: type,
    module: str,
    name: str | None = None,
    extra: dict[str, Any] | None = None,
    after: str | None = None,
) -> type:
    """A class named like `definition`, of its arguments and `extra` ones, over `base`."""
    parameters = inserted(parameters_of(definition), after, extra or {})
    cls = type(
        name or definition.__name__,
        (base,),
        {
            "definition_class": definition,
            "_parameters": parameters,
            "__doc__": text_of(definition),
            "__module__": module,
        },
    )
    sign(cls, parameters, extra=False)
    return cls


def _values(array: Any) -> Callable:
    """The initializer that gives an array's values."""

    def initializer(shape: Any, dtype: Any = None) -> Any:
        if tuple(shape) != tuple(array.shape):
            raise ValueError(f"the initializer is an array of shape {tuple(array.shape)}; asked for {tuple(shape)}")
        return ops.cast(ops.convert_to_tensor(array), dtype or array.dtype)

    return initializer


def getter(kind: str, classes: dict[str, type], base: type) -> Callable:
    """A `get(identifier)` over classes by name: names, classes, instances, functions, configs, None."""

    def get(identifier: Any) -> Any:
        if identifier is None or isinstance(identifier, base):
            return identifier
        if isinstance(identifier, dict):
            return deserialize_as(kind, identifier)
        if isinstance(identifier, str):
            cls = classes.get(identifier) or check(kind, registered(identifier))
            if cls is None:
                raise ValueError(f"unknown {kind} {identifier!r}; {nearest(identifier, classes)}")
            return cls() if isinstance(cls, type) else cls
        if isinstance(identifier, type):
            return identifier()
        if kind == "initializer" and hasattr(identifier, "shape"):  # an array is its own initializer
            return _values(identifier)
        if callable(identifier):
            return identifier
        raise ValueError(f"expected the name of a {kind}, a {kind}, or a function; received {identifier!r}")

    return get
