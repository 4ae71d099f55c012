"""`Definition`: an immutable configuration that is compared, hashed and printed by value.

Layers, losses, metrics and initializers are definitions. A subclass is written as a dataclass
body and becomes a frozen dataclass; its fields are checked and normalized by their annotations,
so that `1`, `1.0` and `True`, or a list and a tuple, never make two definitions of one meaning.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, dataclass_transform

import numpy as np

from kfun.definition_body import array_in, check_body, explain_missing_fields, may_hold_arrays, refuse_array
from kfun.errors import FieldTypeError, nearest

REGISTRY: dict[str, type[Definition]] = {}
_FUNCTIONS: dict[str, Callable] = {}


class FrozenDict(dict):
    """A dict that a definition can hold: hashable, and not to be changed."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(_static(self))

    def __reduce__(self):
        return FrozenDict, (dict(self),)

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("a definition's dict cannot be changed; make a new definition with .replace(...)")

    __setitem__ = __delitem__ = update = pop = popitem = clear = setdefault = _refuse  # pyright: ignore


class Convert:
    """An annotation's converter: `Annotated[T, Convert(f)]` normalizes a field's value by `f`."""

    def __init__(self, convert: Callable[[Any], Any]):
        self.convert = convert


def register_function(function: Callable, name: str | None = None) -> Callable:
    """Names a function, so that definitions which hold it can be written as JSON."""
    _FUNCTIONS[name or function.__name__] = function
    return function


def function_name(function: Any) -> str | None:
    """The name under which a function was registered, or None."""
    return next((name for name, f in _FUNCTIONS.items() if f is function), None)


@dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(dataclasses.field,))
class Definition:
    """Base of everything that is configuration.

    Raises:
        TypeError, ValueError: in the constructor, if a field has a value that its annotation or
            the class's `check` refuses, or an array; the message names class, field and value.
        TypeError: where a subclass is defined with a constructor of its own, a default that can be
            changed, or a field that hides a method.
    """

    holds_arrays: ClassVar[bool] = False  # whether fields may be arrays, with which a definition may have no hash
    loadable: ClassVar[str | bool] = True  # whether data of a file may make one; else why not

    if TYPE_CHECKING:
        __dataclass_fields__: ClassVar[dict[str, Any]]

        def __getattr__(self, name: str) -> Any: ...  # a base may speak of fields that its subclasses have

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        check_body(cls)
        dataclasses.dataclass(frozen=True, eq=False, repr=False)(cls)
        explain_missing_fields(cls)
        REGISTRY[registered_name(cls)] = cls

    def __post_init__(self):
        for name, kept, convert in _converters(type(self)):
            value = getattr(self, name)
            if type(value) in kept:
                continue
            try:
                new = convert(value)
            except (TypeError, ValueError) as error:
                kind = FieldTypeError if isinstance(error, TypeError) else type(error)
                said = f"argument `{name}` {error}" if str(error).startswith("must ") else f"{name}: {error}"
                raise kind(f"{type(self).__name__}: {said}") from None
            if new is not value:
                object.__setattr__(self, name, new)
            if not self.holds_arrays and may_hold_arrays(type(new)) and (found := array_in(new)) is not None:
                refuse_array(type(self).__name__, name, found)
        if type(self).check is not Definition.check:
            self.check()

    def check(self) -> None:
        """Raises ValueError if fields contradict each other; a subclass's own rules go here."""

    @property
    def _key(self) -> tuple:
        key = self.__dict__.get("_cached_key")
        if key is None:
            parts: list[Any] = [type(self)]
            for name, *_ in _converters(type(self)):
                value = getattr(self, name)
                kind = type(value)
                if value is None or kind is str:
                    parts.append(value)
                else:
                    parts.append((kind, value) if kind is int or kind is bool else _static(value))
            key = tuple(parts)
            object.__setattr__(self, "_cached_key", key)
            object.__setattr__(self, "_cached_hash", hash(key))
        return key

    def __hash__(self) -> int:
        try:
            return self._cached_hash  # type: ignore[attr-defined]
        except AttributeError:
            return hash(self._key)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(self) is not type(other):
            return NotImplemented
        return hash(self) == hash(other) and self._key == other._key  # type: ignore[attr-defined]

    def __getstate__(self) -> dict:
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    def __setstate__(self, state: dict) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)

    def _told(self) -> Iterator[tuple[str, Any, bool]]:
        """`(name, value, whether it is required)` of the fields that differ from their defaults."""
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
            if required or _static(value) != _static(_default(type(self), f.name)):
                yield f.name, value, required

    def __repr__(self) -> str:
        parts = [_shown(value) if required else f"{name}={_shown(value)}" for name, value, required in self._told()]
        return f"{type(self).__name__}({', '.join(parts)})"

    def __rich_repr__(self) -> Iterator[Any]:
        for name, value, required in self._told():
            shown = (callable(value) and function_name(value)) or value
            yield shown if required else (name, shown)

    def __treescope_repr__(self, path: str | None, subtree_renderer: Any) -> Any:
        from treescope import repr_lib

        attributes = {name: value for name, value, _ in self._told()}
        return repr_lib.render_object_constructor(type(self), attributes, path, subtree_renderer, roundtrippable=True)

    def replace(self, **changes: Any) -> typing.Self:
        """The same definition with some fields changed."""
        return dataclasses.replace(self, **changes)

    def to_config(self) -> dict:
        """The definition as JSON data: `{"class_name": ..., "config": {field: value}}`.

        Raises:
            ValueError: if a field holds a function that was not registered.
        """
        config = {f.name: _to_json(getattr(self, f.name), self, f.name) for f in dataclasses.fields(self)}
        return {"class_name": registered_name(type(self)), "config": config}


def registered_name(cls: type) -> str:
    """The name of a class in files: `"package>name"` for kfun's own, `"module>name"` for others.

    Losses and metrics, layers and initializers have classes of one name, so the package is part of it.
    """
    parts = cls.__module__.split(".")
    return f"{'.'.join(parts[:2] if parts[0] == 'kfun' else parts)}>{cls.__name__}"


def from_config(config: dict, objects: Mapping[str, Definition] | None = None) -> Any:
    """The definition that `Definition.to_config` described. Runs no code from the data.

    Args:
        config: JSON data.
        objects: `{registered name: definition}` to take in place of those that data may not make, because they open
            other files or run foreign code.

    Raises:
        ValueError: if the class is not known or may not be made from data, or the data are not of that form.
    """
    if not isinstance(config, dict) or set(config) != {"class_name", "config"}:
        raise ValueError(f'expected {{"class_name": ..., "config": ...}}; received {config!r:.120}')
    name, fields = config["class_name"], config["config"]
    if not isinstance(name, str) or not isinstance(fields, dict):
        raise ValueError(f"expected the name of a class and a dict of fields; received {name!r:.80}, {fields!r:.80}")
    if objects is not None and name in objects:
        return objects[name]
    cls = REGISTRY.get(name)
    if cls is None and name.startswith("kfun.bridges>"):  # which is known when the bridge is imported
        raise ValueError(f"{name!r} stands for a model of another library, so that data cannot make one: hand it in")
    if cls is None:
        raise ValueError(f"unknown class {name!r}; {nearest(name, REGISTRY)}")
    if cls.loadable is not True:
        raise ValueError(f"{cls.__name__}: {cls.loadable}, so that data cannot make one: hand it in, {{{name!r}: ...}}")
    known = {f.name for f in dataclasses.fields(cls)}
    for field in fields:
        if field not in known:
            raise ValueError(f"{cls.__name__} has no field {field!r}; {nearest(field, known)}")
    return cls(**{field: _from_json(value, objects) for field, value in fields.items()})


def refusal(config: Any) -> str | None:
    """Why data of a file may not make what a config describes, None if they may."""
    waiting = [config]
    while waiting:
        data = waiting.pop()
        if isinstance(data, dict):
            name = data.get("class_name")
            cls = REGISTRY.get(name) if isinstance(name, str) else None
            if cls is not None and cls.loadable is not True:
                return f"{cls.__name__}: {cls.loadable}"
            waiting.extend(data.values())
        elif isinstance(data, list):
            waiting.extend(data)
    return None


def _to_json(value: Any, owner: Definition, field: str) -> Any:
    if isinstance(value, Definition):
        return value.to_config()
    if isinstance(value, (list, tuple)):
        return [_to_json(v, owner, field) for v in value]
    if isinstance(value, dict):
        return {"dict": [[_to_json(k, owner, field), _to_json(v, owner, field)] for k, v in value.items()]}
    if callable(value):
        name = function_name(value)
        if name is None:
            raise ValueError(
                f"{type(owner).__name__}.{field} holds {value!r}, which has no registered name; "
                "register it with kfun.register_function(f) to write it as JSON"
            )
        return {"function": name}
    return value


def _from_json(value: Any, objects: Mapping[str, Definition] | None) -> Any:
    if isinstance(value, list):
        return tuple(_from_json(v, objects) for v in value)
    if isinstance(value, dict):
        if set(value) == {"function"}:
            if value["function"] not in _FUNCTIONS:
                raise ValueError(f"unknown function {value['function']!r}; {nearest(value['function'], _FUNCTIONS)}")
            return _FUNCTIONS[value["function"]]
        if set(value) == {"dict"}:
            return {_from_json(k, objects): _from_json(v, objects) for k, v in value["dict"]}
        return from_config(value, objects)
    return value


@functools.cache
def _converters(cls: type) -> tuple[tuple[str, frozenset[type], Callable], ...]:
    """The fields of a class: the name, the types whose values stay as they are, and what converts all others."""
    return tuple((f.name, *_converter(_hint(cls, f.name))) for f in dataclasses.fields(cls))


def _hint(cls: type, field: str) -> Any:
    """A field's annotation; Any where it names what only a function or a notebook cell knows."""
    owner = next(c for c in cls.__mro__ if field in inspect.get_annotations(c))
    hint = inspect.get_annotations(owner)[field]
    if not isinstance(hint, str):
        return hint
    try:
        return eval(hint, vars(sys.modules[owner.__module__]), dict(vars(owner)))  # the class's own source text
    except NameError:
        return Any


@functools.cache
def _default(cls: type, field: str) -> Any:
    f = next(f for f in dataclasses.fields(cls) if f.name == field)
    value = f.default if f.default is not dataclasses.MISSING else f.default_factory()  # type: ignore[misc]
    kept, convert = next((kept, convert) for name, kept, convert in _converters(cls) if name == field)
    return value if type(value) in kept else convert(value)


_NOTHING = frozenset((type(None),))
_PLAIN = frozenset((bool, int, float, str)) | _NOTHING


def _converter(hint: Any) -> tuple[frozenset[type], Callable[[Any], Any]]:
    """The types whose values stay as they are in a field of this annotation, and what converts all others."""
    if typing.get_origin(hint) is Annotated:
        for extra in hint.__metadata__:
            if isinstance(extra, Convert):
                return frozenset(), extra.convert
        return _converter(hint.__origin__)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        options = [a for a in typing.get_args(hint) if a is not type(None)]
        kept, convert = _converter(options[0]) if len(options) == 1 else (_PLAIN, _freeze)
        return (kept | _NOTHING if len(options) < len(typing.get_args(hint)) else kept), convert
    known = {int: _to_int, float: _to_float, bool: _to_bool, str: _to_str}.get(hint)
    return (_PLAIN, _freeze) if known is None else (frozenset((hint,)), known)


def _to_int(value: Any) -> int:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"expected an integer; received {value!r}")
    return int(value)


def _to_float(value: Any) -> float:
    if isinstance(value, (bool, np.bool_, str)) or not isinstance(value, (int, float, np.number, np.ndarray)):
        raise TypeError(f"expected a number; received {value!r}")
    return float(value)


def _to_bool(value: Any) -> bool:
    if not isinstance(value, (bool, np.bool_)) and value not in (0, 1):
        raise TypeError(f"expected True or False; received {value!r}")
    return bool(value)


def _to_str(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a string; received {value!r}")
    return value


def _freeze(value: Any) -> Any:
    """Lists to tuples, dicts to `FrozenDict`, NumPy scalars to Python's, all the way down."""
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return tuple(_freeze(v) for v in value)
    if isinstance(value, dict):
        return FrozenDict((k, _freeze(v)) for k, v in value.items())
    return value.item() if isinstance(value, np.generic) else value


def _static(value: Any) -> Any:
    """A hashable stand-in that tells values of different types apart."""
    if isinstance(value, (Definition, str)) or value is None:
        return value
    if isinstance(value, float):
        return (float, value.hex())
    if isinstance(value, tuple):
        return (tuple, *map(_static, value))
    if isinstance(value, dict):
        return (dict, *((k, _static(v)) for k, v in sorted(value.items())))
    if isinstance(value, np.ndarray):
        return (np.ndarray, value.shape, str(value.dtype), value.tobytes())
    return (type(value), value)


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        inner = ", ".join(map(_shown, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    name = function_name(value) if callable(value) else None
    return repr(name) if name else repr(value)
