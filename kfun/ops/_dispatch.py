"""Which function an op runs is decided by the types of the arrays that it is given.

A *kind* is a family of array types with a table of rules `{op name: function}`. An op is
declared once, with `@primitive` (a signature and a docstring) or `@derived` (a body over other
ops); a call looks up the kind of its arguments and runs that kind's rule, or the derived body.
NumPy arrays, Python scalars, lists and None are *weak*: they follow the other arguments, or
else the default backend.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from kfun.ops._kinds import CONTAINER, Kind, contents, current_backend, default_kind, kind_named, kind_of, kind_of_type

Array: TypeAlias = Any  # marks the parameters of an op that are arrays
Arrays: TypeAlias = Sequence[Any]  # marks parameters that are sequences of arrays
Tree: TypeAlias = Any  # marks pytrees of arrays, handed to the rule as they are
Scalar: TypeAlias = Any  # marks numbers that are data, not configuration
DType: TypeAlias = Any  # marks dtypes, which never decide the kind as sizes may

OPS: dict[str, Op] = {}
_WEAK_ARRAYS = (np.ndarray, np.generic, list, tuple)
_SCALARS = (bool, int, float, complex)


class Op:
    """A declared op: its name, signature, which parameters are arrays, and its derived body."""

    def __init__(self, declared: Callable, body: Callable | None, name: str):
        self.name, self.declared, self.body = name, declared, body
        self.signature = inspect.signature(declared)
        self.arrays: dict[str, str] = {}
        self.deciding: list[int] = []  # positions of the parameters whose types decide the kind
        self.variadic: int | None = None
        self._roles: list[str] = []
        for i, (key, p) in enumerate(self.signature.parameters.items()):
            role = "" if p.annotation is p.empty else str(p.annotation).split("|")[0].strip()
            self._roles.append(role)
            if role in ("Array", "Arrays"):
                self.arrays[key] = role
            if p.kind is p.VAR_POSITIONAL:
                self.variadic = i
            elif role not in _STATIC:
                self.deciding.append(i)
        self.cache: dict[Any, Callable] = {}
        self.public: Callable = _public(self)  # the function that users call

    def __repr__(self) -> str:
        return f"Op({self.name}{self.signature})"

    def resolve(self, key: Any, args: tuple) -> Callable:
        """The function for a call whose argument types were not seen before.

        Args:
            key: the type of the one deciding argument, or a tuple of the types of the deciding
                arguments and of the elements of sequences among them.
            args: all arguments in declared order.
        """
        types = key if isinstance(key, tuple) else (key,)
        nested = any(kind_of_type(t) is CONTAINER for t in types)
        found = self.cache[key] = self._by_contents if nested else self._decided(args)
        return found

    def _decided(self, args: tuple) -> Callable:
        kind = kind_of(self._deciding(args), self.name)
        return self._by_default() if kind is None else self._rule(kind, args)

    def _deciding(self, args: tuple) -> list:
        return [args[i] for i in self.deciding] + list(args[self.variadic :] if self.variadic is not None else ())

    def _by_contents(self, *args: Any) -> Any:
        """Runs a call with containers inside: what they hold decides, each time anew."""
        key = tuple(map(_tag, self._deciding(args)))
        found = self.cache.get(key)
        if found is None:
            found = self.cache[key] = self._decided(args)
        return found(*args)

    def _by_default(self) -> Callable:
        """What runs a call with weak arguments only: the default backend, which may change from call to call."""
        rules: dict[str, Callable] = {}

        def run(*args: Any) -> Any:
            name = current_backend()
            if name not in rules:
                rules[name] = self._rule(default_kind(), args)
            return rules[name](*args)

        return run

    def _rule(self, kind: Kind, args: tuple) -> Callable:
        given: list[Any] = []
        for i, a in enumerate(args):
            role = self.role(i)
            if role == "Arrays" and isinstance(a, (list, tuple)):
                given += a
            elif role in ("Array", "Arrays") and a is not None:
                given.append(a)
        rule = kind.rule(self)
        if kind.prepare is not None:
            rule = kind.prepare(self, rule, args)
        if any(isinstance(a, _WEAK_ARRAYS) for a in given):
            rule = self._converting(rule, kind.convert, _WEAK_ARRAYS)
        elif given and all(isinstance(a, _SCALARS) for a in given):
            rule = self._converting(rule, kind.convert, _SCALARS)
        return rule if kind.place is None else _placed(rule, kind.place)

    def role(self, position: int) -> str:
        """The annotation of the parameter that takes the argument at a position."""
        return self._roles[min(position, len(self._roles) - 1)]

    def _converting(self, rule: Callable, convert: Callable, weak: tuple[type, ...]) -> Callable:
        def converting(*args: Any) -> Any:
            args_ = list(args)
            for i, a in enumerate(args_):
                role = self.role(i)
                if role == "Array" and isinstance(a, weak):
                    args_[i] = convert(a)
                elif role == "Arrays" and isinstance(a, (list, tuple)):
                    args_[i] = [convert(e) if isinstance(e, (*weak, *_SCALARS)) else e for e in a]
            return rule(*args_)

        return converting


def _placed(rule: Callable, place: Callable) -> Callable:
    def placed(*args: Any) -> Any:
        with place(args):
            return rule(*args)

    return placed


_NONE = type(None)
_STATIC = ("bool", "str", "Callable", "DType")


def _public(op: Op) -> Callable:
    """The function that users call, written out for the op's signature, which saves half the overhead.

    For `sum(x, axis=None, keepdims=False)` it reads

        def call(x, axis=None, keepdims=False):
            _first = _type(x)
            _key = _first if (
                (_next := _type(axis)) in _plain or (_next is _tuple and _plain.issuperset(_map(_type, axis)))
            ) else (_type(x), *(_map(_type, axis) if _type(axis) is _tuple else (_type(axis),)), _none)
            try:
                _rule = _rules[_key]
            except KeyError:
                _rule = _resolve(_key, (x, axis, keepdims))
            return _rule(x, axis, keepdims)
    """
    parameters = list(op.signature.parameters.values())
    head = [str(p.replace(annotation=p.empty)) if p.default is p.empty else f"{p.name}=None" for p in parameters]
    given = ", ".join("*" * (p.kind is p.VAR_POSITIONAL) + p.name for p in parameters)
    key = _key_source(op, parameters)
    first = f"    _first = _type({parameters[op.deciding[0]].name})\n" if "_first" in key else ""
    source = (
        f"def call({', '.join(head)}):\n"
        f"{first}"
        f"    _key = {key}\n"
        f"    try:\n"
        f"        _rule = _rules[_key]\n"
        f"    except KeyError:\n"
        f"        _rule = _resolve(_key, ({given},))\n"
        f"    return _rule({given})\n"
    )
    scope: dict[str, Any] = {
        "_rules": op.cache, "_resolve": op.resolve, "_type": type, "_float": float, "_map": map, "_len": len,
        "_tuple": tuple, "_sequences": {list, tuple}, "_plain": {int, float, bool, str, _NONE},
        "_none": _NONE,
    }  # fmt: skip
    exec(source, scope)  # the text is made of the names of a signature of this package
    call = scope["call"]
    call.__defaults__ = tuple(p.default for p in parameters if p.default is not p.empty) or None
    call = functools.wraps(op.declared)(call)
    call.op = op  # type: ignore[attr-defined]
    return call


def _tag(value: Any) -> Any:
    if kind_of_type(type(value)) is not CONTAINER:
        return type(value)
    names = tuple(value) if isinstance(value, dict) else ()
    return (type(value), names, *map(_tag, contents(value)))


def _declare(declared: Callable, body: Callable | None, name: str | None) -> Any:
    op = Op(declared, body, name or declared.__name__)
    if op.name in OPS:
        raise ValueError(f"an op named {op.name!r} is declared already")
    OPS[op.name] = op
    return op.public


def _key_source(op: Op, parameters: list[inspect.Parameter]) -> str:
    """The types of the deciding arguments, in a few tens of nanoseconds for the common calls.

    If the others are of the first one's type, or Python numbers, strings, None and tuples of them,
    which do not change what that one decides, then its type alone is the key.
    """
    deciding = [parameters[i] for i in op.deciding]
    roles = [op.role(i) for i in op.deciding]
    full = _full_key_source(op, parameters)
    if op.variadic is not None or not roles or roles[0] not in ("Array", "Arrays") or len(roles) == 1:
        return full
    scalar = "((_next := _type({0})) is _float or _next is _first or _next in _plain)"
    same = "_type({0}) is _first" if len(roles) == 2 else scalar
    sizes = "((_next := _type({0})) in _plain or (_next is _tuple and _plain.issuperset(_map(_type, {0}))))"
    one = {"Array": same, "": sizes}
    rest = [one.get(role, "_type({0}) in _plain").format(p.name) for role, p in zip(roles, deciding, strict=True)][1:]
    first, plain = deciding[0].name, " and ".join(rest)
    if roles[0] == "Array":
        return f"_first if {plain} else {full}"
    # Two arrays are the common sequence, and their types by name cost half of what a map does.
    types = f"((_type({first}[0]), _type({first}[1])) if _len({first}) == 2 else _tuple(_map(_type, {first})))"
    return f"{types} if _first in _sequences and {plain} else {full}"


def _full_key_source(op: Op, parameters: list[inspect.Parameter]) -> str:
    types = []
    for i, p in enumerate(parameters):
        if i == op.variadic:
            types.append(f"*_map(_type, {p.name})")
        elif i in op.deciding:
            opened = {"Arrays": "in _sequences", "": "is _tuple"}.get(op.role(i))
            one = f"_type({p.name})"
            types.append(f"*(_map(_type, {p.name}) if {one} {opened} else ({one},))" if opened else one)
    # The end marks it, so that it is no key of a sequence's elements alone.
    return types[0] if len(types) == 1 and types[0][0] != "*" else f"({', '.join(types)}, _none)"


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


def spelled(op_function: Callable) -> Callable:
    """Decorates the function that users call in place of an op: it fills in arguments that are no backend's matter."""

    def decorate(function: Callable) -> Callable:
        op = op_function.op  # type: ignore[attr-defined]
        function.op, op.public = op, function  # type: ignore[attr-defined]
        return function

    return decorate


def coverage(*backends: str) -> dict[str, dict[str, str]]:
    """How each backend does each op.

    Args:
        backends: names; by default every built-in backend whose framework is installed.

    Returns:
        `{op: {backend: "rule" | "derived" | "no: reason"}}`.
    """
    names = backends or ("jax", "numpy", "torch", "tensorflow", "openvino", "onnx")
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
