"""Running averages that several update rules keep."""

from __future__ import annotations

from typing import Any

from kfun import ops


def averaged(mean: Any, new: Any, rho: Any) -> Any:
    """`rho * mean + (1 - rho) * new`."""
    return ops.add(ops.multiply(mean, rho), ops.multiply(new, 1 - rho))


def toward(mean: Any, new: Any, beta: float) -> Any:
    """`beta * mean + (1 - beta) * new` in the form that moves `mean`, whose roundings are Keras's in Adam's kin."""
    return ops.add(mean, ops.multiply(ops.subtract(new, mean), 1 - beta))


def correction(beta: float, step: Any) -> Any:
    """`1 - beta ** step`, by which an average that began at 0 is too small."""
    return ops.subtract(1.0, ops.power(beta, step))
