"""Kinds: families of array types, and which of them decides a call."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import importlib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import numpy as np

from kfun.errors import MixedBackendsError, UnsupportedOp, nearest

# The root module of an array's type names the adapter that knows it.
ADAPTERS = {
    "jax": "kfun.backends.jax",
    "jaxlib": "kfun.backends.jax",
    "torch": "kfun.backends.torch",
    "tensorflow": "kfun.backends.tensorflow",
    "openvino": "kfun.backends.openvino",
    "onnx_ir": "kfun.backends.onnx",
}
_BY_NAME = {"numpy": "kfun.backends.numpy", "onnx": "kfun.backends.onnx"}


class Declared(Protocol):
    """What a kind asks of an op: its name, and its body over other ops if it has one."""

    name: str
    body: Callable | None


class Kind:
    """A family of array types that share a rule table.

    Args:
        name: as in `kfun.backend(name)` and in messages.
        types: the classes whose instances (and subclasses' instances) are of this kind.
        rules: `{op name: function}`. A rule is given all the op's parameters, by position, in
            declared order, defaults filled in.
        convert: makes a native array of a weak one: `convert(x) -> array`.
        priority: the highest among the arguments' kinds decides. Frameworks have 0, graph
            values 10, structured arrays 20, symbolic tensors 30.
        fallback: `fallback(op) -> function`, for kinds that have one rule for every op.
        transforms: `{name: function}` behind `kfun.grad`, `kfun.jit` and so on.
        reasons: `{op name: why it is not supported and what to use instead}`.
        prepare: `prepare(op, rule, args) -> rule`: what the backend makes of a rule or body for
            arguments of these types; JAX compiles it.
        host: `host(array) -> NumPy array`, None while the array is traced; given by backends that
            compile each eager op, so that initial weights are drawn on the host instead.
        place: `place(args) -> context manager` in which an op runs with these arguments, so that
            constants are made on the device of the arrays; for frameworks that do not see to it.
        inside: `inside(tree) -> arrays`, of structured arrays: those that decide a transformation.
    """

    def __init__(
        self,
        name: str,
        types: tuple[type, ...],
        rules: dict[str, Callable],
        convert: Callable[[Any], Any],
        *,
        priority: int = 0,
        fallback: Callable[[Any], Callable] | None = None,
        transforms: dict[str, Callable] | None = None,
        reasons: dict[str, str] | None = None,
        prepare: Callable[[Any, Callable, tuple], Callable] | None = None,
        host: Callable[[Any], np.ndarray | None] | None = None,
        place: Callable[[tuple], contextlib.AbstractContextManager] | None = None,
        inside: Callable[[Any], list] | None = None,
    ):
        self.name, self.types, self.rules, self.convert = name, types, rules, convert
        self.priority, self.fallback = priority, fallback
        self.prepare, self.host, self.place, self.inside = prepare, host, place, inside
        self.transforms, self.reasons = transforms or {}, reasons or {}

    def __repr__(self) -> str:
        return f"Kind({self.name!r})"

    def rule(self, op: Declared) -> Callable:
        """The function that runs `op` on this kind; raises `UnsupportedOp` if there is none."""
        rule = self.rules.get(op.name)
        if rule is None and self.fallback is not None:
            rule = self.fallback(op)
        if rule is None and op.name not in self.reasons:
            rule = op.body
        if rule is None:
            raise UnsupportedOp(op.name, self.name, self.reasons.get(op.name, ""))
        return rule


CONTAINER = object()  # stands where a kind would for lists, tuples, dicts and slices
# type -> Kind, None (weak) or CONTAINER. The common ones are known from the start: compilers do not trace the search.
_kinds: dict[type, Any] = dict.fromkeys((list, tuple, dict, slice), CONTAINER)
_kinds |= dict.fromkeys((bool, int, float, complex, str, type(None), type(...), np.ndarray, np.bool_))
_kinds |= dict.fromkeys({np.dtype(code).type for code in np.typecodes["AllInteger"] + np.typecodes["Float"]})
_default: contextvars.ContextVar[str] = contextvars.ContextVar("kfun_backend", default="jax")


def register(kind: Kind) -> Kind:
    """Makes a kind known before any of its arrays is met (structured and symbolic types do)."""
    for cls in kind.types:
        _kinds[cls] = kind
    return kind


@functools.cache
def _third_party() -> dict[str, str]:
    from importlib.metadata import entry_points  # dear to import, and needed for unknown arrays alone

    return {e.name: e.value for e in entry_points(group="kfun.backends")}


def kind_named(name: str) -> Kind:
    """The kind of a backend by name: `"jax"`, `"torch"`, `"tensorflow"`, `"numpy"`, `"openvino"`,
    `"onnx"` or one that a package registered under the entry-point group `kfun.backends`.

    Raises:
        ValueError: if no backend has that name.
        ImportError: if its framework is not installed.
    """
    module = _BY_NAME.get(name) or ADAPTERS.get(name) or _third_party().get(name)
    if module is None:
        known = {*_BY_NAME, *ADAPTERS, *_third_party()} - {"jaxlib", "onnx_ir"}
        raise ValueError(f"unknown backend {name!r}; {nearest(name, known)}")
    # A module that is there already is looked up: compilers that trace through here cannot import.
    return (sys.modules.get(module) or importlib.import_module(module)).KIND


def kind_of_type(cls: type) -> Any:
    """The kind of a class of values: a `Kind`, None if weak, `CONTAINER` for containers."""
    try:
        return _kinds[cls]
    except KeyError:
        pass
    found = CONTAINER if issubclass(cls, (list, tuple, dict, slice)) else None
    for base in cls.__mro__:
        if isinstance(_kinds.get(base), Kind):
            found = _kinds[base]
            break
        root = base.__module__.partition(".")[0]
        if root in ADAPTERS or root in _third_party():
            kind = kind_named(root if root != "jaxlib" else "jax")
            if issubclass(cls, kind.types):
                found = kind
                break
    _kinds[cls] = found
    return found


def kind_of(values: Iterable[Any], op: str = "call") -> Kind | None:
    """The kind that decides among `values`, looking into containers; None if all are weak.

    Raises:
        MixedBackendsError: if arrays of two frameworks meet.
    """
    best = None
    for value in values:
        kind = kind_of_type(type(value))
        if kind is CONTAINER:
            kind = kind_of(contents(value), op)
        if kind is None or kind is best:
            continue
        if best is None or kind.priority > best.priority:
            best = kind
        elif kind.priority == best.priority:
            raise MixedBackendsError(op, best.name, kind.name)
    return best


def default_kind() -> Kind:
    """The kind that all-weak calls use: the innermost `kfun.backend(...)`, initially JAX."""
    return kind_named(_default.get())


@contextlib.contextmanager
def backend(name: str) -> Iterator[None]:
    """Sets the backend of arrays that are made from nothing (lists, NumPy data, `ops.zeros`).

    Example:
        >>> import kfun
        >>> with kfun.backend("numpy"):
        ...     print(type(kfun.ops.ones((2,))).__name__)
        ndarray
    """
    kind_named(name)
    token = _default.set(name)
    try:
        yield
    finally:
        _default.reset(token)


def current_backend() -> str:
    """The name of the backend that `ops.zeros` and the like use now."""
    return _default.get()


def contents(container: Any) -> Any:
    """The elements of a list or tuple, the values of a dict, the ends and step of a slice."""
    if isinstance(container, slice):
        return (container.start, container.stop, container.step)
    return container.values() if isinstance(container, dict) else container
