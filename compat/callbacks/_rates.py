"""The learning rates of a model: one, or one for each optimizer of a `MultiOptimizer`."""

from __future__ import annotations

from typing import Any

import numpy as np


def innermost(optimizer: Any) -> Any:
    """The optimizer inside of loss scales."""
    while hasattr(optimizer, "inner_optimizer"):
        optimizer = optimizer.inner_optimizer
    return optimizer


def rated(model: Any) -> dict[str, Any]:
    """The optimizers with a learning rate of their own, by the name that their rate has in the logs.

    The name is `learning_rate`, and for each part of a `MultiOptimizer` `learning_rate_` and the part's name.
    """
    optimizer = innermost(model.optimizer)
    if hasattr(optimizer, "optimizers"):
        return {f"learning_rate_{part.name}": part for part in optimizer.optimizers}
    return {"learning_rate": optimizer}


def rate_of(optimizer: Any) -> float:
    """The present learning rate of an optimizer."""
    return float(np.asarray(optimizer.learning_rate))


def rates(model: Any) -> dict[str, float]:
    """The present learning rates by their names in the logs."""
    return {name: rate_of(optimizer) for name, optimizer in rated(model).items()}
