"""Any optax transformation as an optimizer."""

from __future__ import annotations

from typing import Any

import jax

from compat.optimizers._optimizer import Optimizer
from kfun import dtypes, tree
from kfun.optim import OptimizerVariable


class Optax(Optimizer):
    """Any optax transformation as an optimizer.

    Args:
        transformation: an `optax.GradientTransformation`.
        name: of the optimizer.
    """

    def __init__(self, transformation: Any, name: str | None = None):
        self.definition = transformation
        self._setup(name)

    def _first_values(self) -> dict[str, float]:
        return {}

    def _listing(self) -> list[OptimizerVariable]:
        state = tree.flatten(jax.eval_shape(self.definition.init, self._specs()))
        return [OptimizerVariable(f"{self.name}/{p}", p, x.shape, dtypes.name(x.dtype)) for p, x in state.items()]

    def _made(self) -> Any:
        return self.definition

    @property
    def iterations(self) -> Any:
        """How many steps were made, if the transformation counts them."""
        for path, variable in self._entries.items():
            if path.rpartition("/")[2] == "count":
                return variable
        raise AttributeError("this optax transformation keeps no count of its steps, or the optimizer is not built yet")

    def scale_loss(self, loss: Any) -> Any:
        return loss

    def exclude_from_weight_decay(self, var_list: Any = None, var_names: Any = None) -> None:
        """Not possible from outside."""
        raise ValueError("give the optax transformation a mask for its weight decay, as in optax.adamw(..., mask=...)")

    def get_config(self) -> dict:
        """Not possible: an optax transformation is made of functions."""
        raise ValueError(
            "an optax transformation cannot be written to a file: save with include_optimizer=False, or use one of "
            "keras.optimizers"
        )
