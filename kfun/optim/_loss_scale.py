"""LossScaleOptimizer: a loss scale that follows what half-precision gradients bear."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import optax

from kfun import ops
from kfun.optim._optimizer import Optimizer, OptimizerVariable, build, get, unscaled, variables_of
from kfun.optim._transform import divide_by
from kfun.optim._trees import choose, flatten, rebuild, scalars_beside, zeros_like

_OWN = ("step_counter", "dynamic_scale")  # its entries of the state


def update_if_finite(
    update: Callable[[Any], Any], skip: Callable[[], Any], gradients: Any, like: Any, scaling: list[Any], growth: int
) -> tuple[Any, list[Any]]:
    """`update(gradients / scale)`, or `skip()` if a gradient is not finite, and the new scaling.

    Args:
        update, skip: give a step's result and that of no step, trees of one form.
        gradients: those of the scaled loss.
        like: a tree of the form of the results.
        scaling: `[steps since the scale changed, scale]`.
        growth: after so many finite steps the scale doubles.
    """
    counter, scale = scaling
    arrays = flatten(gradients)
    whole = [ops.all(ops.isfinite(g)) for g in arrays.values()]
    finite = ops.all(ops.stack(whole)) if whole else ops.ones((), "bool")

    result = choose(finite, lambda: update(rebuild(gradients, divide_by(arrays, scale))), skip, like)
    grown = ops.equal(counter, growth - 1)
    factor = ops.where(finite, ops.where(grown, 2.0, 1.0), 0.5)
    counter = ops.where(ops.logical_and(finite, ops.logical_not(grown)), ops.add(counter, 1), 0)
    return result, [counter, ops.cast(ops.multiply(scale, factor), "float32")]


class LossScaleOptimizer(Optimizer, common=False):
    """Another optimizer under a dynamic loss scale, so that float16 gradients do not underflow.

    A step whose gradients are not all finite is skipped and halves the scale; after
    `dynamic_growth_steps` finite ones in a row the scale doubles. Multiply the loss by
    `scale_loss(loss, state)`. Adds to the inner state `step_counter` (int32) and `dynamic_scale` (float32);
    an optax transformation's state, which need not be a dict, is its entry `inner`.

    Args:
        inner_optimizer: whatever `kfun.optim.get` takes; its own `loss_scale_factor` is dropped.
        initial_scale: the first scale.
        dynamic_growth_steps: see above.
    """

    inner_optimizer: Any  # pyright: ignore[reportGeneralTypeIssues] - the bases' fields are keyword-only
    initial_scale: float = 2.0**15
    dynamic_growth_steps: int = 2000
    name: str | None = dataclasses.field(default=None, kw_only=True)

    def check(self):
        inner = get(self.inner_optimizer)
        if isinstance(inner, LossScaleOptimizer):
            raise TypeError(f"LossScaleOptimizer: expected an optimizer without a loss scale; received {inner!r:.120}")
        object.__setattr__(self, "inner_optimizer", unscaled(inner))

    @property
    def learning_rate(self) -> Any:  # type: ignore[override]
        """The inner optimizer's."""
        return self.inner_optimizer.learning_rate

    @property
    def calls_per_step(self) -> int:
        return getattr(self.inner_optimizer, "calls_per_step", 1)

    def _nested(self, state: Any) -> dict[str, Any]:
        """The inner transformation's state as entries of a dict."""
        return dict(state) if isinstance(self.inner_optimizer, Optimizer) else {"inner": state}

    def assemble(self):
        inner = build(self.inner_optimizer)

        def init(params):
            own = scalars_beside(params, step_counter=0, dynamic_scale=self.initial_scale)
            return self._nested(inner.init(params)) | own

        def update(updates, state, params=None):
            scaling = [state[name] for name in _OWN]
            rest = {name: value for name, value in state.items() if name not in _OWN}
            rest = rest.get("inner", rest)
            (moves, new), scaling = update_if_finite(
                lambda unscaled: inner.update(unscaled, rest, params), lambda: (zeros_like(params), rest),
                updates, (params, rest), scaling, self.dynamic_growth_steps,
            )  # fmt: skip
            return moves, self._nested(new) | dict(zip(_OWN, scaling, strict=True))

        return optax.GradientTransformation(init, update)

    def scale_loss(self, loss, state):
        return ops.multiply(loss, state["dynamic_scale"])

    def variables(self, params, paths=None):
        inner = variables_of(self.inner_optimizer, params, paths)
        if not isinstance(self.inner_optimizer, Optimizer):
            inner = [entry.inside("inner") for entry in inner]
        prefix = self.prefix()
        return [
            OptimizerVariable(f"{prefix}/iteration", None, dtype="int32"),
            OptimizerVariable(f"{prefix}/learning_rate", None),
            OptimizerVariable(f"{prefix}/step_counter", "step_counter", dtype="int32"),
            OptimizerVariable(f"{prefix}/dynamic_scale", "dynamic_scale"),
            *inner,
        ]
