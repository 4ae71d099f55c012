"""Which function an op runs is decided by the types of the arrays that it is given.

A *kind* is a family of array types with a table of rules `{op name: function}`. An op is
declared once, with `@primitive` (a signature and a docstring) or `@derived` (a body over other
ops); a call looks up the kind of its arguments and runs that kind's rule, or the derived body.
NumPy arrays, Python scalars, lists and None are *weak*: they follow the other arguments, or
else the default backend.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import importlib
import importlib.metadata
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np

from kfun.errors import MixedBackendsError, UnsupportedOp, nearest

Array: TypeAlias = Any  # marks the parameters of an op that are arrays
Arrays: TypeAlias = Sequence[Any]  # marks parameters that are sequences of arrays
Tree: TypeAlias = Any  # marks pytrees of arrays, handed to the rule as they are

OPS: dict[str, Op] = {}
# The root module of an array's type names the adapter that knows it.
ADAPTERS = {
    "jax": "kfun.backends.jax",
    "jaxlib": "kfun.backends.jax",
    "torch": "kfun.backends.torch",
    "tensorflow": "kfun.backends.tensorflow",
    "openvino": "kfun.backends.openvino",
}
_BY_NAME = {"numpy": "kfun.backends.numpy"}
_WEAK_ARRAYS = (np.ndarray, np.generic, list, tuple)
_SCALARS = (bool, int, float, complex)


class Kind:
    """A family of array types that share a rule table.

    Args:
        name: as in `kfun.backend(name)` and in messages.
        types: the classes whose instances (and subclasses' instances) are of this kind.
        rules: `{op name: function}`. A rule takes the op's array parameters by position, in
            declared order, and the others under their declared names or positions.
        convert: makes a native array of a weak one: `convert(x) -> array`.
        priority: the highest among the arguments' kinds decides. Frameworks have 0, graph
            values 10, structured arrays 20, symbolic tensors 30.
        fallback: `fallback(op) -> function`, for kinds that have one rule for every op.
        transforms: `{name: function}` behind `kfun.grad`, `kfun.jit` and so on.
        reasons: `{op name: why it is not supported and what to use instead}`.
    """

    def __init__(
        self,
        name: str,
        types: tuple[type, ...],
        rules: dict[str, Callable],
        convert: Callable[[Any], Any],
        *,
        priority: int = 0,
        fallback: Callable[[Op], Callable] | None = None,
        transforms: dict[str, Callable] | None = None,
        reasons: dict[str, str] | None = None,
    ):
        self.name, self.types, self.rules, self.convert = name, types, rules, convert
        self.priority, self.fallback = priority, fallback
        self.transforms, self.reasons = transforms or {}, reasons or {}

    def __repr__(self) -> str:
        return f"Kind({self.name!r})"

    def rule(self, op: Op) -> Callable:
        """The function that runs `op` on this kind; raises `UnsupportedOp` if there is none."""
        rule = self.rules.get(op.name)
        if rule is None and self.fallback is not None:
            rule = self.fallback(op)
        if rule is None and op.name not in self.reasons:
            rule = op.body
        if rule is None:
            raise UnsupportedOp(op.name, self.name, self.reasons.get(op.name, ""))
        return rule


_CONTAINER = object()
_kinds: dict[type, Any] = {}  # type -> Kind, None (weak) or _CONTAINER
_default: contextvars.ContextVar[str] = contextvars.ContextVar("kfun_backend", default="jax")


def register(kind: Kind) -> Kind:
    """Makes a kind known before any of its arrays is met (structured and symbolic types do)."""
    for cls in kind.types:
        _kinds[cls] = kind
    return kind


@functools.cache
def _third_party() -> dict[str, str]:
    return {e.name: e.value for e in importlib.metadata.entry_points(group="kfun.backends")}


def kind_named(name: str) -> Kind:
    """The kind of a backend by name: `"jax"`, `"torch"`, `"tensorflow"`, `"numpy"`, `"openvino"`
    or one that a package registered under the entry-point group `kfun.backends`.

    Raises:
        ValueError: if no backend has that name.
        ImportError: if its framework is not installed.
    """
    module = _BY_NAME.get(name) or ADAPTERS.get(name) or _third_party().get(name)
    if module is None:
        known = {*_BY_NAME, *ADAPTERS, *_third_party()} - {"jaxlib"}
        raise ValueError(f"unknown backend {name!r}; {nearest(name, known)}")
    # A module that is there already is looked up: compilers that trace through here cannot import.
    return (sys.modules.get(module) or importlib.import_module(module)).KIND


def kind_of_type(cls: type) -> Any:
    """The kind of a class of values: a `Kind`, None if weak, `_CONTAINER` for containers."""
    try:
        return _kinds[cls]
    except KeyError:
        pass
    found = _CONTAINER if issubclass(cls, (list, tuple, dict, slice)) else None
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
        if kind is _CONTAINER:
            kind = kind_of(_items(value), op)
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


class Op:
    """A declared op: its name, signature, which parameters are arrays, and its derived body."""

    def __init__(self, declared: Callable, body: Callable | None, name: str):
        self.name, self.declared, self.body = name, declared, body
        self.signature = inspect.signature(declared)
        self.arrays: dict[str, str] = {}
        self.positions: dict[int, str] = {}
        self.variadic: int | None = None
        for i, (key, p) in enumerate(self.signature.parameters.items()):
            role = str(p.annotation).split("|")[0].strip()
            if role in ("Array", "Arrays"):
                self.arrays[key] = self.positions[i] = role
                if p.kind is p.VAR_POSITIONAL:
                    self.variadic = i
        parameters = self.signature.parameters.values()
        self.plain = all(  # whether it takes arrays alone, by position and without defaults
            p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty and p.name in self.arrays for p in parameters
        )
        self.cache: dict[tuple, Callable] = {}
        self.public: Callable = declared  # the function that users call

    def __repr__(self) -> str:
        return f"Op({self.name}{self.signature})"

    def resolve(self, args: tuple, kwargs: dict) -> Callable:
        """The rule for a call whose argument types were not seen before (or hold containers)."""
        key = tuple(_tag(v) for v in (*args, *kwargs.values()))
        rule = self.cache.get(key)
        if rule is not None:
            return rule
        kind = kind_of((*args, *kwargs.values()), self.name)
        if kind is None:  # all weak: the default backend, which may change from call to call
            kind = default_kind()
            key = (kind.name, key)
            rule = self.cache.get(key)
        if rule is None:
            rule = self.cache[key] = self._rule(kind, args)
        return rule

    def _rule(self, kind: Kind, args: tuple) -> Callable:
        given = [a for i, a in enumerate(args) if self._role(i) and a is not None]
        if any(isinstance(a, _WEAK_ARRAYS) for a in given):
            return self._converting(kind, _WEAK_ARRAYS)
        if given and all(isinstance(a, _SCALARS) for a in given):
            return self._converting(kind, _SCALARS)
        return kind.rule(self)

    def _role(self, position: int) -> str | None:
        if self.variadic is not None and position >= self.variadic:
            return "Array"
        return self.positions.get(position)

    def _converting(self, kind: Kind, weak: tuple[type, ...]) -> Callable:
        rule, convert = kind.rule(self), kind.convert

        def converting(*args: Any, **kwargs: Any) -> Any:
            args_ = list(args)
            for i, a in enumerate(args_):
                role = self._role(i)
                if role == "Array" and isinstance(a, weak):
                    args_[i] = convert(a)
                elif role == "Arrays" and isinstance(a, (list, tuple)):
                    args_[i] = [convert(e) if isinstance(e, (*weak, *_SCALARS)) else e for e in a]
            return rule(*args_, **kwargs)

        return converting

    def positional(self, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        """Moves array parameters that were given by keyword to their positions."""
        bound = self.signature.bind(*args, **kwargs)
        last = max(
            i for i, name in enumerate(self.signature.parameters) if name in bound.arguments and name in self.arrays
        )
        names = list(self.signature.parameters)
        for name in names[: last + 1]:
            bound.arguments.setdefault(name, self.signature.parameters[name].default)
        lead = tuple(bound.arguments[name] for name in names[: last + 1])
        rest = {k: v for k, v in kwargs.items() if k not in names[: last + 1]}
        return lead + args[last + 1 :], rest


def _items(container: Any) -> Any:
    if isinstance(container, slice):
        return (container.start, container.stop, container.step)
    return container.values() if isinstance(container, dict) else container


def _tag(value: Any) -> Any:
    if kind_of_type(type(value)) is not _CONTAINER:
        return type(value)
    names = tuple(value) if isinstance(value, dict) else ()
    return (type(value), names, *map(_tag, _items(value)))


def _declare(declared: Callable, body: Callable | None, name: str | None) -> Any:
    op = Op(declared, body, name or declared.__name__)
    if op.name in OPS:
        raise ValueError(f"an op named {op.name!r} is declared already")
    OPS[op.name] = op
    known, resolve, arrays = op.cache.get, op.resolve, op.arrays.keys()

    if op.plain:
        op.public = _plain(op)
        op.public.op = op  # type: ignore[attr-defined]
        return op.public

    @functools.wraps(declared)
    def call(*args, **kwargs):
        if kwargs:
            if not arrays.isdisjoint(kwargs):
                args, kwargs = op.positional(args, kwargs)
            rule = known((*map(type, args), *map(type, kwargs.values())))
        else:
            rule = known((*map(type, args),))
        if rule is None:
            rule = resolve(args, kwargs)
        return rule(*args, **kwargs)

    call.op, op.public = op, call  # type: ignore[attr-defined]
    return call


def _plain(op: Op) -> Callable:
    """The public function of an op of arrays alone: written out for its arity, which saves half the overhead."""
    names = list(op.signature.parameters)
    given, types = ", ".join(names), "".join(f"type({n}), " for n in names)
    source = (
        f"def call({given}):\n"
        f"    rule = known(({types}))\n"
        f"    if rule is None:\n"
        f"        rule = resolve(({given},), none)\n"
        f"    return rule({given})\n"
    )
    scope: dict[str, Any] = {"known": op.cache.get, "resolve": op.resolve, "none": {}}
    exec(source, scope)  # the text is made of the names of a signature of this package
    return functools.wraps(op.declared)(scope["call"])


def primitive(declared: Callable | None = None, *, name: str | None = None) -> Any:
    """Declares an op that every backend must give a rule for."""
    if declared is None:
        return functools.partial(primitive, name=name)
    return _declare(declared, None, name)


def derived(declared: Callable | None = None, *, name: str | None = None) -> Any:
    """Declares an op by a body over other ops; a backend may give a faster rule."""
    if declared is None:
        return functools.partial(derived, name=name)
    return _declare(declared, declared, name)


def coverage(*backends: str) -> dict[str, dict[str, str]]:
    """How each backend does each op.

    Args:
        backends: names; by default every built-in backend whose framework is installed.

    Returns:
        `{op: {backend: "rule" | "derived" | "no: reason"}}`.
    """
    names = backends or ("jax", "numpy", "torch", "tensorflow", "openvino")
    kinds = []
    for name in names:
        with contextlib.suppress(ImportError):
            kinds.append(kind_named(name))

    def entry(kind: Kind, op: Op) -> str:
        if op.name in kind.rules:
            return "rule"
        if op.body is not None and op.name not in kind.reasons:
            return "derived"
        return f"no: {kind.reasons.get(op.name, 'no rule')}"

    return {name: {k.name: entry(k, op) for k in kinds} for name, op in sorted(OPS.items())}
