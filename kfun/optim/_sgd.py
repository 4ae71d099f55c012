"""Optimizers with one momentum: SGD and Lion."""

from __future__ import annotations

from kfun import ops
from kfun.optim._averages import averaged
from kfun.optim._hyperparameters import is_set
from kfun.optim._optimizer import LearningRate, Optimizer


class SGD(Optimizer):
    """Gradient descent, `m = momentum * m - lr * g; x += m`; without momentum `x -= lr * g`.

    The learning rate is inside the momentum, as in Keras; in optax and Torch it multiplies the
    momentum afterwards, which differs when it changes. The common fields: see `Optimizer`.

    Args:
        learning_rate: a number, a schedule or a function of the count.
        momentum: in [0, 1].
        nesterov: whether `x += momentum * m - lr * g` (Sutskever et al. 2013).
    """

    learning_rate: LearningRate = 0.01
    momentum: float = 0.0
    nesterov: bool = False

    def check(self):
        super().check()
        if not 0 <= self.momentum <= 1:
            raise ValueError(f"SGD: expected momentum in [0, 1]; received {self.momentum}")

    def slot_names(self):
        return (("momentum",),) if is_set(self.momentum) else ()

    def step(self, path, scalars, gradient, x, slots):
        descent = ops.multiply(gradient, scalars)
        if not is_set(self.momentum):
            return ops.negative(descent), slots
        momentum = ops.subtract(ops.multiply(slots["momentum"], self.momentum), descent)
        move = ops.subtract(ops.multiply(momentum, self.momentum), descent) if self.nesterov else momentum
        return move, {"momentum": momentum}


class Lion(Optimizer):
    """Moves by the sign of an interpolated momentum (Chen et al. 2023, arXiv:2302.06675).

    Args:
        learning_rate: a number, a schedule or a function of the count; 3 to 10 times below Adam's.
        beta_1: weight of the momentum in the move, in (0, 1].
        beta_2: weight of the momentum in its own average.
    """

    learning_rate: LearningRate = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.99

    def check(self):
        super().check()
        if not 0 < self.beta_1 <= 1:
            raise ValueError(
                "Lion: expected beta_1 in (0, 1]: at 0 only the signs of gradients are left. "
                f"Received: beta_1={self.beta_1}"
            )

    def slot_names(self):
        return (("momentum",),)

    def step(self, path, scalars, gradient, x, slots):
        mixed = averaged(slots["momentum"], gradient, self.beta_1)
        momentum = averaged(slots["momentum"], gradient, self.beta_2)
        return ops.multiply(ops.sign(mixed), ops.negative(scalars)), {"momentum": momentum}
