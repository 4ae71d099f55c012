"""Constraints on weights: definitions called as `constraint(w)` after each update, giving the new value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfun import ops
from kfun.definition import Definition
from kfun.errors import nearest
from kfun.errors import unknown_names_of as _unknown_names_of

_EPSILON = 1e-7


class Constraint(Definition):
    """Base of projections: `constraint(w)` has the shape of `w`."""

    def __call__(self, w: Any) -> Any:
        raise TypeError(f"{type(self).__name__} must define __call__(w)")


def _norms(w: Any, axis: Any) -> Any:
    return ops.sqrt(ops.sum(ops.square(w), axis, True))


class MaxNorm(Constraint):
    """Scales down what is longer than `max_value`, lengths taken along `axis`."""

    max_value: float = 2
    axis: Any = 0

    def __call__(self, w):
        norms = _norms(w, self.axis)
        return ops.multiply(w, ops.divide(ops.clip(norms, 0, self.max_value), ops.add(norms, _EPSILON)))


class NonNeg(Constraint):
    """Sets what is negative to 0."""

    def __call__(self, w):
        return ops.multiply(w, ops.cast(ops.greater_equal(w, 0.0), w.dtype))


class UnitNorm(Constraint):
    """Scales to length 1 along `axis`."""

    axis: Any = 0

    def __call__(self, w):
        return ops.divide(w, ops.add(_norms(w, self.axis), _EPSILON))


class MinMaxNorm(Constraint):
    """Moves lengths along `axis` towards `[min_value, max_value]`, all the way at `rate` 1."""

    min_value: float = 0.0
    max_value: float = 1.0
    rate: float = 1.0
    axis: Any = 0

    def __call__(self, w):
        norms = _norms(w, self.axis)
        wanted = ops.clip(norms, self.min_value, self.max_value)
        desired = ops.add(ops.multiply(self.rate, wanted), ops.multiply(1 - self.rate, norms))
        return ops.multiply(w, ops.divide(desired, ops.add(norms, _EPSILON)))


_NAMES = {
    "MaxNorm": MaxNorm, "NonNeg": NonNeg, "UnitNorm": UnitNorm, "MinMaxNorm": MinMaxNorm, "max_norm": MaxNorm,
    "non_neg": NonNeg, "unit_norm": UnitNorm, "min_max_norm": MinMaxNorm,
}  # fmt: skip


def get(identifier: Any) -> Any:
    """The constraint for a name, a constraint, a function, or None.

    Raises:
        ValueError: if no constraint has that name.
    """
    if identifier is None or (callable(identifier) and not isinstance(identifier, type)):
        return identifier
    if isinstance(identifier, str) and identifier in _NAMES:
        return _NAMES[identifier]()
    raise ValueError(f"unknown constraint {identifier!r}; {nearest(str(identifier), _NAMES)}")


if not TYPE_CHECKING:  # a type checker tells of unknown names itself
    __getattr__ = _unknown_names_of(globals())
