"""`LossScaleOptimizer`: another optimizer under a dynamic loss scale."""

from __future__ import annotations

from typing import Any

from compat.optimizers import _overwriting as overwriting
from compat.optimizers._around import Around
from compat.optimizers._get import get
from compat.variables.variable import Variable
from kfun import ops
from kfun import optim as _kfun
from kfun.optim._loss_scale import update_if_finite
from kfun.optim._trees import zeros_like


class LossScaleOptimizer(Around):
    """Another optimizer under a dynamic loss scale, so that float16 gradients do not underflow.

    Args:
        inner_optimizer: the optimizer: a name, one of this module, or an optax transformation.
        initial_scale: the first scale.
        dynamic_growth_steps: after so many finite steps the scale doubles.
        name: of the optimizer.

    Raises:
        ValueError: for an argument of all optimizers, which belongs to the inner one, or an unknown one.
        TypeError: for a loss scale inside a loss scale.
    """

    _parameters = {"inner_optimizer": None, "initial_scale": 2.0**15, "dynamic_growth_steps": 2000, "name": None}

    def __init__(
        self,
        inner_optimizer: Any,
        initial_scale: float = 2.0**15,
        dynamic_growth_steps: int = 2000,
        name: str | None = None,
        **kwargs: Any,
    ):
        if not kwargs.pop("dynamic", True):
            raise ValueError(
                "LossScaleOptimizer: the scale is dynamic; set `loss_scale_factor` on an optimizer for a fixed one"
            )
        fields = _kfun.SGD.__dataclass_fields__
        misplaced = [n for n, v in kwargs.items() if n in fields and v != fields[n].default]
        if misplaced:
            raise ValueError(f"LossScaleOptimizer: set {', '.join(misplaced)} on the `inner_optimizer` instead")
        unknown = [n for n in kwargs if n not in fields]
        if unknown:
            listed = ", ".join(f"`{n}`" for n in unknown)
            raise ValueError(
                f"LossScaleOptimizer does not support arguments: {listed}; known: {list(self._parameters)}"
            )
        self.inner_optimizer = get(inner_optimizer)
        if isinstance(self.inner_optimizer, LossScaleOptimizer) or self.inner_optimizer is None:
            raise TypeError(f"LossScaleOptimizer: expected an optimizer to wrap; received {inner_optimizer!r:.80}")
        if getattr(self.inner_optimizer, "loss_scale_factor", None) is not None:
            self.inner_optimizer.loss_scale_factor = None  # the dynamic scale takes its place
        self.initial_scale, self.dynamic_growth_steps = float(initial_scale), dynamic_growth_steps
        self._setup(name)

    def _first_values(self) -> dict[str, float]:
        return {"iteration": 0, "learning_rate": 0.0, "step_counter": 0, "dynamic_scale": self.initial_scale}

    def _entry(self, path: str) -> Variable:
        return self._entries[path] if path in self._entries else self.inner_optimizer._entry(path)

    def _inner(self) -> list[Any]:
        return [self.inner_optimizer]

    def _share_out(self, variables: dict[str, Variable]) -> None:
        self._shares = [(self.inner_optimizer, variables)]

    def _update(self, gradients: Any, values: list[Any], params: Any) -> tuple[Any, list[Any]]:
        gradients, direct = overwriting.split(self._trained, gradients)
        idle = zeros_like(params) | {path: params[path] for path in direct}, values[4:]
        (moves, inner), scaling = update_if_finite(
            lambda unscaled: self.inner_optimizer._update(unscaled | direct, values[4:], params), lambda: idle,
            gradients, idle, values[2:4], self.dynamic_growth_steps,
        )  # fmt: skip
        return moves, [*values[:2], *scaling, *inner]

    def _saved_parts(self) -> list[tuple[str, Any]]:
        return [("inner_optimizer", self.inner_optimizer)]

    @property
    def learning_rate(self) -> Any:
        """The inner optimizer's."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.inner_optimizer.learning_rate = value

    lr = learning_rate

    @property
    def iterations(self) -> Variable:
        """The inner optimizer's: how many finite steps were made."""
        return self.inner_optimizer.iterations

    @property
    def step_counter(self) -> Variable:
        """How many finite steps there were since the scale changed."""
        return self._entry("step_counter")

    @property
    def dynamic_scale(self) -> Variable:
        """The present scale."""
        return self._entry("dynamic_scale")

    def scale_loss(self, loss: Any) -> Any:
        return ops.multiply(loss, self.dynamic_scale.value)


def with_loss_scale(optimizer: Any) -> Any:
    """The optimizer with a dynamic loss scale, for float16 training."""
    return optimizer if isinstance(optimizer, LossScaleOptimizer) else LossScaleOptimizer(optimizer)
