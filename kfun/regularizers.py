"""Penalties on weights: definitions called as `regularizer(x)`, giving a scalar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfun import ops
from kfun.definition import Definition
from kfun.errors import nearest
from kfun.errors import unknown_names_of as _unknown_names_of


class Regularizer(Definition):
    """Base of penalties: `regularizer(x)` is a scalar."""

    def __call__(self, x: Any) -> Any:
        raise TypeError(f"{type(self).__name__} must define __call__(x)")


def _rate(value: Any, name: str) -> None:
    if not 0 <= value < float("inf"):
        raise ValueError(f"{name}: expected a finite number of at least 0; received {value}")


class L1(Regularizer):
    """`l1 * sum(|x|)`."""

    l1: float = 0.01

    def check(self):
        _rate(self.l1, "l1")

    def __call__(self, x):
        return ops.multiply(ops.sum(ops.abs(x)), self.l1)


class L2(Regularizer):
    """`l2 * sum(x ** 2)`."""

    l2: float = 0.01

    def check(self):
        _rate(self.l2, "l2")

    def __call__(self, x):
        return ops.multiply(ops.sum(ops.square(x)), self.l2)


class L1L2(Regularizer):
    """`l1 * sum(|x|) + l2 * sum(x ** 2)`."""

    l1: float = 0.0
    l2: float = 0.0

    def check(self):
        _rate(self.l1, "l1")
        _rate(self.l2, "l2")

    def __call__(self, x):
        return ops.add(ops.multiply(ops.sum(ops.abs(x)), self.l1), ops.multiply(ops.sum(ops.square(x)), self.l2))


class OrthogonalRegularizer(Regularizer):
    """Mean absolute product of different rows (or columns) of a matrix, made unit length, times `factor`.

    Args:
        factor: the strength.
        mode: `"rows"` or `"columns"`.
    """

    factor: float = 0.01
    mode: str = "rows"

    def check(self):
        _rate(self.factor, "factor")
        if self.mode not in ("rows", "columns"):
            raise ValueError(f'mode: expected "rows" or "columns"; received {self.mode}')

    def __call__(self, x):
        if len(x.shape) != 2:
            raise ValueError(f"OrthogonalRegularizer: expected a matrix; received shape {tuple(x.shape)}")
        x = ops.normalize(x, axis=1 if self.mode == "rows" else 0)
        product = ops.matmul(x, ops.transpose(x)) if self.mode == "rows" else ops.matmul(ops.transpose(x), x)
        size = product.shape[0]
        off = ops.sum(ops.abs(ops.multiply(product, ops.subtract(1.0, ops.eye(size)))))
        return ops.multiply(0.5 * self.factor / (size * (size - 1.0) / 2.0), off)


_NAMES = {
    "l1": L1, "l2": L2, "l1_l2": L1L2, "L1": L1, "L2": L2, "L1L2": L1L2,
    "orthogonal_regularizer": OrthogonalRegularizer, "OrthogonalRegularizer": OrthogonalRegularizer,
}  # fmt: skip


def get(identifier: Any) -> Any:
    """The regularizer for a name, a regularizer, a function, or None.

    Raises:
        ValueError: if no regularizer has that name.
    """
    if identifier is None or (callable(identifier) and not isinstance(identifier, type)):
        return identifier
    if isinstance(identifier, str) and identifier in _NAMES:
        return _NAMES[identifier]()
    raise ValueError(f"unknown regularizer {identifier!r}; {nearest(str(identifier), _NAMES)}")


if not TYPE_CHECKING:  # a type checker tells of unknown names itself
    __getattr__ = _unknown_names_of(globals())
