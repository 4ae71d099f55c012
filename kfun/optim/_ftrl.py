"""Ftrl: follow the regularized leader."""

from __future__ import annotations

from kfun import ops
from kfun.optim._hyperparameters import is_set
from kfun.optim._optimizer import LearningRate, Optimizer


class Ftrl(Optimizer):
    """Follow the regularized leader, per coordinate (McMahan et al. 2013); `l1` makes weights exactly 0.

    Args:
        learning_rate: a number, a schedule or a function of the count; never 0.
        learning_rate_power: 0 or below; how fast the learning rate falls with the sum of squares.
        initial_accumulator_value: that sum before the first step, 0 or above.
        l1_regularization_strength, l2_regularization_strength: penalties, 0 or above.
        l2_shrinkage_regularization_strength: a penalty on the size alone, which leaves the sum of squares as it is.
        beta: is added to the denominator, `beta / learning_rate`.
    """

    learning_rate: LearningRate = 0.001
    learning_rate_power: float = -0.5
    initial_accumulator_value: float = 0.1
    l1_regularization_strength: float = 0.0
    l2_regularization_strength: float = 0.0
    l2_shrinkage_regularization_strength: float = 0.0
    beta: float = 0.0

    def check(self):
        super().check()
        if self.learning_rate_power > 0:
            raise ValueError(
                "Ftrl: expected learning_rate_power of 0 or below. "
                f"Received: learning_rate_power={self.learning_rate_power}."
            )
        strengths = ("l1_regularization_strength", "l2_regularization_strength", "l2_shrinkage_regularization_strength")
        for name in ("initial_accumulator_value", *strengths):
            if getattr(self, name) < 0:
                raise ValueError(f"Ftrl: expected {name} of 0 or above; received {getattr(self, name)}.")

    def slot_names(self):
        return (("accumulator", "linear"),)

    def init_slots(self, path, x):
        return {"accumulator": ops.full_like(x, self.initial_accumulator_value), "linear": ops.zeros_like(x)}

    def prepare(self, learning_rate, step, shared):
        rate = ops.reciprocal(learning_rate)
        ridge = ops.add(ops.multiply(rate, self.beta), 2 * self.l2_regularization_strength)
        return (rate, ridge), shared

    def step(self, path, scalars, gradient, x, slots):
        inverse_rate, ridge = scalars
        total = ops.add(slots["accumulator"], ops.square(gradient))
        scale = ops.multiply(ops.power(total, -self.learning_rate_power), inverse_rate)
        before = ops.multiply(ops.power(slots["accumulator"], -self.learning_rate_power), inverse_rate)
        pull = gradient
        if is_set(self.l2_shrinkage_regularization_strength):
            pull = ops.add(gradient, ops.multiply(x, 2 * self.l2_shrinkage_regularization_strength))
        linear = ops.add(slots["linear"], ops.subtract(pull, ops.multiply(ops.subtract(scale, before), x)))
        l1 = self.l1_regularization_strength
        best = ops.divide(ops.subtract(ops.clip(linear, -l1, l1), linear), ops.add(scale, ridge))
        return ops.subtract(best, x), {"accumulator": total, "linear": linear}
