"""LossScaleOptimizer: a loss scale that follows what half-precision gradients bear."""

from __future__ import annotations

import dataclasses
from typing import Any

import optax

from kfun import ops
from kfun.ops._kinds import backend
from kfun.optim._optimizer import Optimizer, OptimizerVariable, get, variables_of
from kfun.optim._transform import divide_by
from kfun.optim._trees import backend_of, choose, flatten, rebuild


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
        inner = inner.replace(loss_scale_factor=None) if isinstance(inner, Optimizer) else inner
        object.__setattr__(self, "inner_optimizer", inner)

    @property
    def learning_rate(self) -> Any:  # type: ignore[override]
        """The inner optimizer's."""
        return self.inner_optimizer.learning_rate

    def _inner(self) -> tuple[optax.GradientTransformation, Any, Any]:
        """The inner transformation, and what puts its state into a dict and takes it out."""
        inner = self.inner_optimizer
        if isinstance(inner, Optimizer):
            return inner.build(), dict, dict
        return inner, lambda state: {"inner": state}, lambda state: state["inner"]

    def assemble(self):
        inner, wrap, unwrap = self._inner()

        def init(params):
            with backend(backend_of(flatten(params).values())):
                own = {
                    "step_counter": ops.zeros((), "int32"),
                    "dynamic_scale": ops.full((), self.initial_scale, "float32"),
                }
            return wrap(inner.init(params)) | own

        def update(updates, state, params=None):
            state = dict(state)
            counter, scale = state.pop("step_counter"), state.pop("dynamic_scale")
            gradients = flatten(updates)
            whole = [ops.all(ops.isfinite(g)) for g in gradients.values()]
            finite = ops.all(ops.stack(whole)) if whole else ops.ones((), "bool")

            def act():
                moves, new = inner.update(rebuild(updates, divide_by(scale)(gradients)), unwrap(state), params)
                return moves, wrap(new)

            def skip():
                return rebuild(params, {p: ops.zeros_like(x) for p, x in flatten(params).items()}), state

            moves, state = choose(finite, act, skip)
            grown = ops.equal(counter, self.dynamic_growth_steps - 1)
            factor = ops.where(finite, ops.where(grown, 2.0, 1.0), 0.5)
            counted = ops.where(ops.logical_and(finite, ops.logical_not(grown)), ops.add(counter, 1), 0)
            own = {"step_counter": counted, "dynamic_scale": ops.cast(ops.multiply(scale, factor), "float32")}
            return moves, state | own

        return optax.GradientTransformation(init, update)

    def scale_loss(self, loss, state):
        return ops.multiply(loss, state["dynamic_scale"])

    def variables(self, params, paths=None):
        prefix = self.prefix()
        own = [
            OptimizerVariable(f"{prefix}/iteration", None, (), "int32"),
            OptimizerVariable(f"{prefix}/learning_rate", None, (), "float32"),
            OptimizerVariable(f"{prefix}/step_counter", "step_counter", (), "int32"),
            OptimizerVariable(f"{prefix}/dynamic_scale", "dynamic_scale", (), "float32"),
        ]
        inner = variables_of(self.inner_optimizer, params, paths)
        if isinstance(self.inner_optimizer, Optimizer):
            return own + inner
        return own + [entry._replace(state_path=f"inner/{entry.state_path}") for entry in inner]
