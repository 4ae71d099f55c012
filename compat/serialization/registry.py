"""The classes and functions that data may name: those that users registered, and compat's own that are listed.

Nothing is imported by a name that data hold, and no private name is in reach.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, NamedTuple

from compat.serialization.allowance import Allowance
from compat.serialization.listed import LISTED, MODULES_OF

_CUSTOM: dict[str, Any] = {}  # "package>name" -> class or function
_NAMES: dict[Any, str] = {}


class Scope(NamedTuple):
    """What holds while data are read: the names that the caller handed in, and the memory that is left."""

    objects: dict[str, Any]
    allowance: Allowance | None


_NOTHING = Scope({}, None)
_scope: ContextVar[Scope] = ContextVar("compat_reading", default=_NOTHING)


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable:
    """Decorates a class or function so that files may name it.

    Args:
        package: the first part of its registered name.
        name: the second; by default its own name.
    """

    def decorate(target: Any) -> Any:
        if isinstance(target, type) and not hasattr(target, "get_config"):
            raise ValueError(f"{target.__name__} needs a get_config method to be registered")
        registered_as = f"{package}>{name or target.__name__}"
        _CUSTOM[registered_as] = target
        _NAMES[target] = registered_as
        return target

    return decorate


def get_registered_name(obj: Any) -> str:
    """The name that a class or function was registered under, else its own."""
    return _NAMES.get(obj, obj.__name__)


def name_registered(obj: Any) -> str | None:
    """The name that a class or function was registered under, None if it was not."""
    return _NAMES.get(obj)


def get_registered_object(name: str, custom_objects: dict | None = None, module_objects: dict | None = None) -> Any:
    """The class or function of a registered name, None if there is none."""
    for known in (_scope.get().objects, custom_objects or {}, _CUSTOM, module_objects or {}):
        if name in known:
            return known[name]
    return None


def registered(name: str) -> Any:
    """The registered class or function of a full or short name, None if there is none."""
    found = get_registered_object(name)
    if found is not None:
        return found
    return next((v for k, v in _CUSTOM.items() if k.rpartition(">")[2] == name), None)


def get_custom_objects() -> dict[str, Any]:
    """What was registered, by name; names that are added are known from then on."""
    return _CUSTOM


class CustomObjectScope(contextlib.AbstractContextManager):
    """Names classes and functions that files may use inside.

    Args:
        custom_objects: `{name: class or function}`.
    """

    def __init__(self, custom_objects: dict | None = None):
        self.custom_objects = custom_objects or {}

    def __enter__(self) -> CustomObjectScope:
        outer = _scope.get()
        self._token = _scope.set(outer._replace(objects=outer.objects | self.custom_objects))
        return self

    def __exit__(self, *exc: Any) -> None:
        _scope.reset(self._token)


custom_object_scope = CustomObjectScope


@contextlib.contextmanager
def reading(allowance: float | None = None) -> Iterator[Allowance]:
    """Inside, data are read that may claim so many bytes of memory beyond those that they hold.

    Args:
        allowance: bytes; None for what a reading around this one has left, or the default of one that begins.
    """
    outer = _scope.get()
    left = outer.allowance if allowance is None and outer.allowance is not None else Allowance(allowance)
    token = _scope.set(outer._replace(allowance=left))
    try:
        yield left
    finally:
        _scope.reset(token)


def is_reading() -> bool:
    """Whether data are read, so that sizes are theirs and not the user's."""
    return _scope.get().allowance is not None


def claim(nbytes: int, what: str) -> None:
    """Says that memory is to be taken which the size of what is read does not bound; nothing outside of a reading.

    Args:
        nbytes: of memory.
        what: takes it, for the error.

    Raises:
        ValueError: if that is more than is left.
    """
    allowance = _scope.get().allowance
    if allowance is not None:
        allowance.claim(nbytes, what)


def lend(nbytes: int, what: str) -> None:
    """Like `claim`, for memory that is given back at once: what comes later may have it too."""
    allowance = _scope.get().allowance
    if allowance is not None:
        allowance.check(nbytes, what)


_UNIT = 64  # bytes of constants for each unit of a size


def lend_for(sizes: Any, what: str, unit: int = _UNIT) -> None:
    """`lend` for constants as long as each whole number in nested lists and tuples, of `unit` bytes an element."""
    for number in numbers_in(sizes):
        lend(unit * abs(number), what)


def numbers_in(value: Any, kinds: tuple[type, ...] = (int,)) -> Iterator[Any]:
    """The numbers of these types in nested lists and tuples."""
    if type(value) in kinds:
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from numbers_in(item, kinds)


def public_module(cls: type) -> str:
    """The module that files name a class by: Keras's public one for what compat provides."""
    module = cls.__module__
    if module.partition(".")[0] != "compat":
        return module
    if cls.__name__ == "Functional":  # not public in Keras
        return "keras.src.models.functional"
    if cls.__name__ == "DTypePolicyMap":  # unlike the other policies not in Keras's root
        return "keras.dtype_policies"
    name = public_name(cls)
    homes = [m for m in MODULES_OF.get(name, ()) if m != "dtype_policies"]
    return next((f"keras.{m}" for m in homes if _listed(m, name) is cls), "keras")


def public_name(cls: type) -> str:
    """The name that files have for a class: its own, but for one."""
    return _PUBLIC.get(cls.__name__, cls.__name__)


_PUBLIC = {"GroupedQueryAttention": "GroupQueryAttention"}  # Keras's class has another name than it goes by


def builtin(name: str, module: str) -> Any:
    """The listed class of a name, None if there is none.

    Args:
        name: of the class.
        module: that the data give, such as `"keras.layers"` or `"keras.src.layers.core.dense"`; others are not
            looked at if it is known.
    """
    name = _PUBLIC.get(name, name)
    homes = MODULES_OF.get(name, [])
    if "dtype_policies" in homes:
        return _listed("dtype_policies", name)
    wanted = module.removeprefix("keras.").removeprefix("src.")
    if wanted in homes and "." not in wanted:
        return getattr(_home(wanted), name)
    known = [m for m in LISTED if m == wanted or wanted.startswith(f"{m}.")]
    home = next((m for m in known or homes if m in homes), None)
    return None if home is None else _listed(home, name)


def listed_names() -> list[str]:
    """The names of all listed classes."""
    return sorted(MODULES_OF)


def _listed(module: str, name: str) -> Any:
    """A class that is listed under a module, which is imported when it is first asked for."""
    return getattr(_home(module), name)


@functools.cache
def _home(module: str) -> Any:
    return importlib.import_module("compat" if module == "models" else f"compat.{module}")
