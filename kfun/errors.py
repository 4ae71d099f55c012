"""The errors that are kfun's own, and the near-miss hint that they share."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Iterable
from typing import Any


class MixedBackendsError(TypeError):
    """Arrays of two frameworks met in one call."""

    def __init__(self, op: str, first: str, second: str):
        super().__init__(
            f"ops.{op} received arrays of two frameworks, {first} and {second}. "
            f'Convert one of them, e.g. kfun.convert(tree, "{first}").'
        )
        self.op, self.kinds = op, (first, second)


class UnsupportedOp(NotImplementedError):
    """An op that a backend cannot do: says why, and what to use instead."""

    def __init__(self, op: str, backend: str, reason: str = ""):
        reason = reason or "the backend has no rule for it and it is not composed of other ops"
        super().__init__(f"ops.{op} is not supported on {backend}: {reason}.")
        self.op, self.backend, self.reason = op, backend, reason


class MissingExtraError(ImportError):
    """An optional dependency is not installed."""

    def __init__(self, module: str, extra: str, purpose: str):
        super().__init__(f"{purpose} needs {module}: install it with `pip install 'kfun[{extra}]'`.")
        self.name = module


class FieldTypeError(TypeError, ValueError):
    """A field of a definition was given a value of the wrong type: TypeError to Python, ValueError to Keras's users."""


class ParameterError(ValueError, KeyError):
    """Parameters are not those of a layer: `faults` says which, by path, and why; `said` is what the layer said."""

    def __init__(self, faults: dict[str, str], layer: str, said: str = ""):
        super().__init__(faults, layer, said)
        self.faults, self.layer, self.said = faults, layer, said

    def __str__(self) -> str:
        shown = "; ".join(f"{path!r} {fault}" for path, fault in self.faults.items())
        if self.said:  # inputs of another width look the same: the layer knows better
            return f"{self.said} (of the params, {shown})"
        return f"the params do not fit {self.layer}: {shown}. They are what layer.init(key, *specs) makes"

    def within(self, name: str) -> ParameterError:
        """The same error, seen from the layer around: `name` begins the paths."""
        return ParameterError({f"{name}/{path}": fault for path, fault in self.faults.items()}, self.layer, self.said)


class SymbolicCallError(ValueError, TypeError, IndexError):
    """An op cannot take symbolic tensors of these shapes or types: a ValueError whatever the framework raises."""


class UnknownSizeError(ValueError):
    """The shape of a weight, or the number of results, depends on a size that is not known."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for a message about an unknown name: the nearest known ones, or all if few."""
    known = sorted(set(known))
    if not known:
        return "none is known"
    close = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(repr(c) for c in close)}?"
    shown = ", ".join(known[:40]) + (", ..." if len(known) > 40 else "")
    return f"known: {shown}"


def refuse_unknown(name: str, unknown: Any, known: Any) -> None:
    """Raises TypeError if there are unknown keyword arguments, naming the nearest known ones."""
    for key in unknown:
        raise TypeError(f"{name}: unknown argument {key!r}; {nearest(key, known)}")


def unknown_names_of(namespace: dict[str, Any], later: dict[str, str] | None = None) -> Callable[[str], Any]:
    """A module's `__getattr__`, which raises AttributeError with the nearest public names.

    Args:
        namespace: the module's `globals()`.
        later: names that are imported when they are asked for, with the module that has them.
    """

    def __getattr__(name: str) -> Any:
        if later and name in later:
            return getattr(importlib.import_module(later[name]), name)
        message = f"module {namespace['__name__']!r} has no attribute {name!r}"
        if not name.startswith("_"):
            message += f"; {nearest(name, [*(n for n in namespace if not n.startswith('_')), *(later or ())])}"
        raise AttributeError(message)

    return __getattr__
