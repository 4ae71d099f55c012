"""What a definition's class body and its fields must not hold, told in terms of what to write instead.

Those who come from other libraries write `__init__`, keep arrays as attributes, or leave an annotation out. Python
takes all of that, and the failure comes later and elsewhere: in a hash, in a copy, or as a field that never was.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import sys
from typing import Any

import numpy as np

_LARGEST = 1 << 20  # bytes of a NumPy array in a field: a definition's hash and its comparisons read all of them
_PLAIN = (bool, int, float, complex, str, bytes, tuple, list, dict, type(None))
_HOUSES = ("kfun", "compat")  # whose classes set attributes that their bases speak of


def check_body(cls: type) -> None:
    """Raises TypeError for a class body that makes no definition.

    Args:
        cls: a class of definitions, before it becomes a dataclass.
    """
    for name in ("__init__", "__post_init__"):
        if name in cls.__dict__:
            raise TypeError(
                f"{cls.__name__} defines {name}, and a definition has none of its own: its annotated fields are the "
                "arguments. Declare them in the class body, `units: int`; check them, or set one from others, in "
                "`check(self)`; a layer's weights are declared by `weights(self, *inputs)`"
            )
    for name, annotation in inspect.get_annotations(cls).items():
        if "ClassVar" not in str(annotation):
            _check_field(cls, name)


def _check_field(cls: type, name: str) -> None:
    default = cls.__dict__.get(name, dataclasses.MISSING)
    default = default.default if isinstance(default, dataclasses.Field) else default
    found = array_in(default)
    if found is not None:
        raise TypeError(f"{cls.__name__}: the default of the field `{name}` {_instead_of(found, name)}")
    if default is not dataclasses.MISSING and not _hashable(default):
        write = "() for []" if isinstance(default, list) else "a value that cannot be changed"
        raise TypeError(
            f"{cls.__name__}: the default of the field `{name}` can be changed, so that all instances would share the "
            f"change; received {default!r:.60}. Write {write} (lists become tuples), or "
            f"dataclasses.field(default_factory={type(default).__name__})"
        )
    for base in cls.__mro__[1:]:
        method = base.__dict__.get(name)
        if inspect.isfunction(method) and name not in getattr(base, "__dataclass_fields__", {}):
            raise TypeError(
                f"{cls.__name__}: the field `{name}` hides the method of that name of {base.__name__}: "
                "give the field another name"
            )


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def array_in(value: Any) -> Any:
    """An array in a field's value that a definition must not hold, None if there is none."""
    kind = type(value)
    if kind is tuple or kind is list:
        return next((found for found in map(array_in, value) if found is not None), None)
    if isinstance(value, dict):
        return array_in(tuple(value.values()))
    if isinstance(value, np.ndarray):
        return value if value.nbytes > _LARGEST else None
    return value if _is_frameworks(kind) and _is_array(value) else None


@functools.cache
def may_hold_arrays(kind: type) -> bool:
    """Whether a value of a type is an array, or may have some in it that `array_in` finds."""
    return issubclass(kind, (tuple, list, dict, np.ndarray)) or _is_frameworks(kind)


@functools.cache
def _is_frameworks(kind: type) -> bool:
    return any(base.__module__.partition(".")[0] in ("jax", "jaxlib", "torch", "tensorflow") for base in kind.__mro__)


def _is_array(value: Any) -> bool:
    jax = sys.modules.get("jax")
    if jax is not None and isinstance(value, jax.Array):
        return True
    return hasattr(type(value), "__array__") and hasattr(value, "shape") and hasattr(value, "dtype")


def refuse_array(owner: str, name: str, array: Any) -> None:
    """Raises TypeError for an array that `array_in` found in a field."""
    raise TypeError(f"{owner}: the field `{name}` {_instead_of(array, name)}")


def _instead_of(array: Any, name: str) -> str:
    if isinstance(array, np.ndarray):
        what = f"holds a NumPy array of {array.nbytes / 2**20:.1f} MiB, which every comparison would read"
    else:
        what = f"holds an array of {type(array).__module__.partition('.')[0].replace('jaxlib', 'jax')}"
    return (
        f"{what}; received shape {tuple(array.shape)}. A definition is configuration, compared and hashed by value. "
        f'What is trained or kept belongs in params or state: declare it by `weights`, {{"{name}": kfun.Weight(shape, '
        "initializer)}, and put values in with kfun.tree.replace(params, ...). What is only read can be an input of "
        "`apply`, or a small constant: a tuple or a NumPy array"
    )


def explain_missing_fields(cls: type) -> None:
    """Lets the constructor tell of attributes that were meant as fields but have no annotation."""
    names = _without_annotation(cls)
    if not names:
        return
    written = cls.__init__
    places = [p for p in inspect.signature(written).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]

    @functools.wraps(written)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        given = next((name for name in kwargs if name in names), None)
        if given is None and len(args) < len(places):
            return written(self, *args, **kwargs)
        first = given or next(iter(names))
        said = f"`{first}` is an argument of {cls.__name__} only if it is a field, and it has no annotation: write "
        said += f"`{first}: {type(names[first]).__name__} = {names[first]!r:.40}` in the class body"
        if given is None:
            said = f"{cls.__name__} takes {len(places) - 1} arguments by position; received {len(args)}. {said}"
        raise TypeError(said)

    cls.__init__ = __init__  # type: ignore[misc]


def _without_annotation(cls: type) -> dict[str, Any]:
    """Attributes of plain values that a user's class bodies have beside the fields and what bases declare."""
    found: dict[str, Any] = {}
    for owner in reversed(cls.__mro__):
        house = owner.__module__.partition(".")[0] in _HOUSES
        known = owner.__mro__[1:]
        for name, value in {} if house or owner is object else owner.__dict__.items():
            plain = isinstance(value, _PLAIN) and not name.startswith("_")
            if plain and name not in inspect.get_annotations(owner) and not any(name in b.__dict__ for b in known):
                found[name] = value
    fields = getattr(cls, "__dataclass_fields__", {})
    return {name: value for name, value in found.items() if name not in fields}
