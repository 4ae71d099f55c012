"""`LossScaleOptimizer`: another optimizer under a dynamic loss scale."""

from __future__ import annotations

from typing import Any

from compat.optimizers._optimizer import Generated
from kfun import ops
from kfun import optim as _kfun


class LossScaleOptimizer(Generated):
    """Another optimizer under a dynamic loss scale, so that float16 gradients do not underflow.

    Args:
        inner_optimizer: the optimizer.
        initial_scale: the first scale.
        dynamic_growth_steps: after so many finite steps the scale doubles.
        name: of the optimizer.
    """

    definition_class = _kfun.LossScaleOptimizer
    _parameters = {"inner_optimizer": None, "initial_scale": 2.0**15, "dynamic_growth_steps": 2000, "name": None}

    def __init__(
        self,
        inner_optimizer: Any,
        initial_scale: float = 2.0**15,
        dynamic_growth_steps: int = 2000,
        name: str | None = None,
    ):
        from compat import optimizers

        self.inner_optimizer = optimizers.get(inner_optimizer)
        self._arguments = {
            "inner_optimizer": self.inner_optimizer, "initial_scale": initial_scale,
            "dynamic_growth_steps": dynamic_growth_steps, "name": name,
        }  # fmt: skip
        self.definition = _kfun.LossScaleOptimizer(self.inner_optimizer.definition, initial_scale, dynamic_growth_steps)
        self._setup(name, self.definition.build())

    @property
    def use_ema(self) -> bool:
        """Whether the inner optimizer keeps a moving average."""
        return self.inner_optimizer.use_ema

    def scale_loss(self, loss: Any) -> Any:
        return ops.multiply(loss, self._entry("dynamic_scale").value)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        from compat.saving import serialize_keras_object

        return {k: serialize_keras_object(v) for k, v in self._arguments.items()}
