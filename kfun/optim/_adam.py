"""Adam and its kin: AdamW, Adamax, Nadam, Lamb, ScheduleFreeAdamW."""

from __future__ import annotations

from typing import Any

from kfun import ops
from kfun.optim._averages import correction, toward
from kfun.optim._hyperparameters import is_array
from kfun.optim._optimizer import LearningRate, Optimizer, Slots


def moments(gradient: Any, slots: Slots, beta_1: float, beta_2: float) -> Slots:
    """The new averages of the gradient and of its square."""
    return {
        "momentum": toward(slots["momentum"], gradient, beta_1),
        "velocity": toward(slots["velocity"], ops.square(gradient), beta_2),
    }


def corrected_rate(learning_rate: Any, step: Any, beta_1: float, beta_2: float) -> Any:
    """The learning rate with both bias corrections in it."""
    return ops.divide(ops.multiply(learning_rate, ops.sqrt(correction(beta_2, step))), correction(beta_1, step))


def normalized(x: Any, velocity: Any, epsilon: float) -> Any:
    """`x / (sqrt(velocity) + epsilon)`."""
    return ops.divide(x, ops.add(ops.sqrt(velocity), epsilon))


def adam_move(rate: Any, momentum: Any, velocity: Any, epsilon: float) -> Any:
    """`-rate * momentum / (sqrt(velocity) + epsilon)`."""
    return normalized(ops.multiply(momentum, ops.negative(rate)), velocity, epsilon)


class _TwoMoments(Optimizer, common=False):
    """Base of rules that average the gradient and its square."""

    learning_rate: LearningRate = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7

    def slot_names(self):
        return (("momentum", "velocity"),)


class Adam(_TwoMoments):
    """Adam (Kingma & Ba 2014, arXiv:1412.6980): `x -= alpha * m / (sqrt(v) + epsilon)`.

    `epsilon` is the paper's "epsilon hat", outside the bias correction, as in Keras; optax and Torch
    put it inside, which differs when it is not small. With `amsgrad` the largest `v` so far counts,
    before its bias correction.

    Args:
        learning_rate: a number, a schedule or a function of the count.
        beta_1, beta_2: weights of the old averages of the gradient and of its square.
        epsilon: keeps the quotient finite.
        amsgrad: see above (Reddi et al. 2018, arXiv:1904.09237).
    """

    amsgrad: bool = False

    def slot_names(self):
        return (("momentum", "velocity"), *[("velocity_hat",)] * self.amsgrad)

    def prepare(self, learning_rate, step, shared):
        return corrected_rate(learning_rate, step, self.beta_1, self.beta_2), shared

    def step(self, path, scalars, gradient, x, slots):
        new = moments(gradient, slots, self.beta_1, self.beta_2)
        velocity = new["velocity"]
        if self.amsgrad:
            velocity = new["velocity_hat"] = ops.maximum(slots["velocity_hat"], velocity)
        return adam_move(scalars, new["momentum"], velocity, self.epsilon), new


class AdamW(Optimizer):
    """Adam with weight decay (Loshchilov & Hutter 2017, arXiv:1711.05101).

    Fields are Adam's; `weight_decay` comes second and may not be None.
    """

    learning_rate: LearningRate = 0.001
    weight_decay: float | None = 0.004
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    amsgrad: bool = False

    slot_names, prepare, step = Adam.slot_names, Adam.prepare, Adam.step

    def check(self):
        super().check()
        if self.weight_decay is None:
            raise ValueError("AdamW: expected a number for weight_decay; received None. Use Adam for no decay")


class Adamax(_TwoMoments):
    """Adam with the largest recent gradient in place of its mean square (arXiv:1412.6980, section 7).

    Args:
        learning_rate: a number, a schedule or a function of the count.
        beta_1, beta_2: weight of the old momentum, decay of the norm.
        epsilon: keeps the quotient finite.
    """

    def slot_names(self):
        return (("momentum", "norm"),)

    def prepare(self, learning_rate, step, shared):
        return ops.negative(ops.divide(learning_rate, correction(self.beta_1, step))), shared

    def step(self, path, scalars, gradient, x, slots):
        momentum = toward(slots["momentum"], gradient, self.beta_1)
        norm = ops.maximum(ops.multiply(slots["norm"], self.beta_2), ops.abs(gradient))
        move = ops.divide(ops.multiply(momentum, scalars), ops.add(norm, self.epsilon))
        return move, {"momentum": momentum, "norm": norm}


class Nadam(_TwoMoments):
    """Adam with Nesterov's momentum on a schedule of `1 - 0.5 * 0.96 ** step` (Dozat 2015).

    Keras's and Torch's form; optax's `nadam` has no such schedule.

    Args:
        learning_rate: a number, a schedule or a function of the count.
        beta_1, beta_2: weights of the old averages of the gradient and of its square.
        epsilon: keeps the quotient finite; inside the bias correction.
    """

    def shared(self):
        return {"u_product": 1.0}

    def prepare(self, learning_rate, step, shared):
        def u(t):
            return ops.multiply(self.beta_1, ops.subtract(1.0, ops.multiply(0.5, ops.power(0.96, t))))

        now, later = u(step), u(ops.add(step, 1.0))
        product = ops.multiply(shared["u_product"], now)
        ahead = ops.divide(later, ops.subtract(1.0, ops.multiply(product, later)))
        here = ops.divide(ops.subtract(1.0, now), ops.subtract(1.0, product))
        rates = (ops.multiply(learning_rate, ahead), ops.multiply(learning_rate, here))
        return (*rates, ops.reciprocal(correction(self.beta_2, step))), {"u_product": product}

    def step(self, path, scalars, gradient, x, slots):
        ahead, here, growth = scalars
        new = moments(gradient, slots, self.beta_1, self.beta_2)
        total = ops.add(ops.multiply(new["momentum"], ahead), ops.multiply(gradient, here))
        return ops.negative(normalized(total, ops.multiply(new["velocity"], growth), self.epsilon)), new


class Lamb(_TwoMoments):
    """Adam's move with the norm of the array that it moves (You et al. 2019, arXiv:1904.00962).

    Weight decay is decoupled and before the step, as in Keras; in the paper and optax it is inside the trust ratio.

    Args:
        learning_rate: a number, a schedule or a function of the count.
        beta_1, beta_2: weights of the old averages of the gradient and of its square.
        epsilon: keeps the quotient finite; inside the bias correction.
    """

    def prepare(self, learning_rate, step, shared):
        return (learning_rate, correction(self.beta_1, step), correction(self.beta_2, step)), shared

    def step(self, path, scalars, gradient, x, slots):
        rate, first, second = scalars
        new = moments(gradient, slots, self.beta_1, self.beta_2)
        move = normalized(ops.divide(new["momentum"], first), ops.divide(new["velocity"], second), self.epsilon)
        size, length = ops.norm(x), ops.norm(move)
        usable = ops.logical_and(ops.greater(size, 0), ops.greater(length, 0))
        ratio = ops.where(usable, ops.divide(size, ops.where(usable, length, 1.0)), 1.0)
        return ops.multiply(move, ops.negative(ops.multiply(ratio, rate))), new


class ScheduleFreeAdamW(_TwoMoments):
    """Adam that averages its iterates in place of a schedule (Defazio et al. 2024, arXiv:2405.15682).

    The params are the points at which gradients are taken, between the iterates (slot `momentum`)
    and their mean.

    Args:
        learning_rate: a number, a schedule or a function of the count.
        beta_1: the place between the iterate (0) and the mean (1), above 0.
        beta_2: weight of the old average of the squared gradient.
        epsilon: keeps the quotient finite; inside the bias correction.
        warmup_steps: steps over which the learning rate grows from 0.
    """

    learning_rate: LearningRate = 0.0025
    epsilon: float = 1e-8
    warmup_steps: int = 0

    def init_slots(self, path, x):
        # A copy: two entries that shared one buffer could not both be donated.
        return {"momentum": ops.add(x, 0), "velocity": ops.zeros_like(x)}

    def prepare(self, learning_rate, step, shared):
        if is_array(self.warmup_steps):
            grown = ops.divide(step, ops.maximum(self.warmup_steps, 1))  # from the first step on where there are none
            learning_rate = ops.multiply(learning_rate, ops.minimum(grown, 1.0))
        elif self.warmup_steps > 0:
            learning_rate = ops.multiply(learning_rate, ops.minimum(ops.divide(step, self.warmup_steps), 1.0))
        return (learning_rate, correction(self.beta_2, step), ops.reciprocal(step)), shared

    def step(self, path, scalars, gradient, x, slots):
        rate, second, weight = scalars
        velocity = toward(slots["velocity"], ops.square(gradient), self.beta_2)
        descent = normalized(ops.multiply(gradient, rate), ops.divide(velocity, second), self.epsilon)
        old = slots["momentum"]
        iterate = ops.subtract(old, descent)
        mean = ops.divide(ops.subtract(x, ops.multiply(old, 1 - self.beta_1)), self.beta_1)
        mean = ops.add(mean, ops.multiply(ops.subtract(iterate, mean), weight))
        point = ops.add(ops.multiply(iterate, 1 - self.beta_1), ops.multiply(mean, self.beta_1))
        return ops.subtract(point, x), {"momentum": iterate, "velocity": velocity}
