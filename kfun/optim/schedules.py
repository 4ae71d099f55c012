"""Learning rates as functions of the step, `schedule(step) -> float32 scalar`; the formulas are Keras's.

Any function of the count, an optax schedule for one, is taken as a learning rate beside these.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from kfun import ops
from kfun.definition import Definition


class LearningRateSchedule(Definition):
    """Base of schedules: a subclass gives `__call__(step)`.

    Args:
        name: kept for Keras's configuration.
    """

    name: str | None = dataclasses.field(default=None, kw_only=True)

    def __call__(self, step: Any) -> Any:
        """The learning rate at a step, counted from 0."""
        raise TypeError(f"{type(self).__name__} must define __call__(step)")

    def check(self):
        for field in ("decay_steps", "first_decay_steps"):
            if getattr(self, field, 1) <= 0:
                raise ValueError(f"{type(self).__name__}: expected {field} above 0; received {getattr(self, field)}")


def _float(step: Any) -> Any:
    return ops.cast(step, "float32")


class _RateDecay(LearningRateSchedule):
    """Base of decays by a rate over the steps done, in units of `decay_steps`; `staircase` rounds these down."""

    initial_learning_rate: float
    decay_steps: float
    decay_rate: float
    staircase: bool = False

    def _done(self, step):
        done = ops.divide(_float(step), self.decay_steps)
        return ops.floor(done) if self.staircase else done


class ExponentialDecay(_RateDecay):
    """`initial_learning_rate * decay_rate ** (step / decay_steps)`; `staircase` rounds the exponent down."""

    def __call__(self, step):
        return ops.multiply(ops.power(self.decay_rate, self._done(step)), self.initial_learning_rate)


class PiecewiseConstantDecay(LearningRateSchedule):
    """`values[i]` up to and with step `boundaries[i]`; the last value after the last boundary."""

    boundaries: tuple[float, ...]
    values: tuple[float, ...]

    def check(self):
        if len(self.values) != len(self.boundaries) + 1:
            raise ValueError(
                "PiecewiseConstantDecay: expected one value more than boundaries; "
                f"received {len(self.boundaries)} boundaries and {len(self.values)} values"
            )

    def __call__(self, step):
        step = _float(step)
        rate = ops.full_like(step, self.values[0])
        for boundary, value in zip(self.boundaries, self.values[1:], strict=True):
            rate = ops.where(ops.greater(step, boundary), value, rate)
        return rate


class PolynomialDecay(LearningRateSchedule):
    """From `initial_learning_rate` to `end_learning_rate` as `(1 - step / decay_steps) ** power`.

    With `cycle` the decay is stretched to the next multiple of `decay_steps`, so that it begins again.
    """

    initial_learning_rate: float
    decay_steps: float
    end_learning_rate: float = 0.0001
    power: float = 1.0
    cycle: bool = False

    def __call__(self, step):
        step = _float(step)
        if self.cycle:
            cycles = ops.maximum(ops.ceil(ops.divide(step, self.decay_steps)), 1.0)
            done = ops.divide(step, ops.multiply(cycles, self.decay_steps))
        else:
            done = ops.divide(ops.minimum(step, self.decay_steps), self.decay_steps)
        left = ops.power(ops.subtract(1.0, done), self.power)
        return ops.add(ops.multiply(left, self.initial_learning_rate - self.end_learning_rate), self.end_learning_rate)


class InverseTimeDecay(_RateDecay):
    """`initial_learning_rate / (1 + decay_rate * step / decay_steps)`; `staircase` rounds the quotient down."""

    def __call__(self, step):
        slower = ops.add(ops.multiply(self._done(step), self.decay_rate), 1.0)
        return ops.divide(self.initial_learning_rate, slower)


class CosineDecay(LearningRateSchedule):
    """Half a cosine from the initial rate to `alpha` times it (arXiv:1608.03983), after a linear warm-up.

    With `warmup_target` the rate grows from `initial_learning_rate` to it over `warmup_steps`, and
    the cosine begins there.
    """

    initial_learning_rate: float
    decay_steps: float
    alpha: float = 0.0
    warmup_target: float | None = None
    warmup_steps: float = 0

    def __call__(self, step):
        step = _float(step)
        if self.warmup_target is None:
            return self._decayed(step, self.initial_learning_rate)
        done = ops.divide(step, self.warmup_steps or 1.0)
        rise = ops.multiply(done, self.warmup_target - self.initial_learning_rate)
        decayed = self._decayed(ops.subtract(step, self.warmup_steps), self.warmup_target)
        return ops.where(ops.less(step, self.warmup_steps), ops.add(rise, self.initial_learning_rate), decayed)

    def _decayed(self, step, start):
        done = ops.divide(ops.minimum(step, self.decay_steps), self.decay_steps)
        return ops.multiply(_cosine(done, 1.0, self.alpha), start)


def _cosine(done: Any, height: Any, alpha: float) -> Any:
    """From `height` at 0 to `alpha` at 1 along half a cosine."""
    wave = ops.multiply(ops.add(ops.cos(ops.multiply(done, math.pi)), 1.0), ops.multiply(0.5, height))
    return ops.add(ops.multiply(wave, 1 - alpha), alpha)


class CosineDecayRestarts(LearningRateSchedule):
    """A cosine decay that begins again, each time `t_mul` as long and `m_mul` as high (arXiv:1608.03983)."""

    initial_learning_rate: float
    first_decay_steps: float
    t_mul: float = 2.0
    m_mul: float = 1.0
    alpha: float = 0.0

    def __call__(self, step):
        done = ops.divide(_float(step), self.first_decay_steps)
        if self.t_mul == 1:
            restarts = ops.floor(done)
            done = ops.subtract(done, restarts)
        else:
            longer = ops.log(ops.full_like(done, self.t_mul))
            restarts = ops.floor(ops.divide(ops.log(ops.subtract(1.0, ops.multiply(done, 1 - self.t_mul))), longer))
            length = ops.power(self.t_mul, restarts)
            done = ops.divide(ops.subtract(done, ops.divide(ops.subtract(1.0, length), 1 - self.t_mul)), length)
        height = ops.power(self.m_mul, restarts)
        return ops.multiply(_cosine(done, height, self.alpha), self.initial_learning_rate)
