"""Optimizers that scale by the history of squared gradients: Adagrad, Adadelta, RMSprop."""

from __future__ import annotations

from kfun import ops
from kfun.optim._averages import averaged
from kfun.optim._hyperparameters import is_array
from kfun.optim._optimizer import LearningRate, Optimizer


class Adagrad(Optimizer):
    """`a += g ** 2; x -= lr * g / sqrt(a + epsilon)` (Duchi et al. 2011).

    Args:
        learning_rate: a number, a schedule or a function of the count.
        initial_accumulator_value: `a` before the first step.
        epsilon: keeps the quotient finite; inside the root.
    """

    learning_rate: LearningRate = 0.001
    initial_accumulator_value: float = 0.1
    epsilon: float = 1e-7

    def slot_names(self):
        return (("accumulator",),)

    def init_slots(self, path, x):
        return {"accumulator": ops.full_like(x, self.initial_accumulator_value)}

    def step(self, path, scalars, gradient, x, slots):
        total = ops.add(slots["accumulator"], ops.square(gradient))
        move = ops.divide(ops.multiply(gradient, ops.negative(scalars)), ops.sqrt(ops.add(total, self.epsilon)))
        return move, {"accumulator": total}


class Adadelta(Optimizer):
    """Moves by the root mean square of past moves over that of past gradients (Zeiler 2012, arXiv:1212.5701).

    Args:
        learning_rate: a number, a schedule or a function of the count; 1 gives the paper's form.
        rho: weight of the old averages.
        epsilon: inside both roots.
    """

    learning_rate: LearningRate = 0.001
    rho: float = 0.95
    epsilon: float = 1e-7

    def slot_names(self):
        return (("accumulated_grad", "accumulated_delta_var"),)

    def step(self, path, scalars, gradient, x, slots):
        squares = averaged(slots["accumulated_grad"], ops.square(gradient), self.rho)
        moved = ops.sqrt(ops.add(slots["accumulated_delta_var"], self.epsilon))
        delta = ops.divide(ops.multiply(moved, gradient), ops.sqrt(ops.add(squares, self.epsilon)))
        moves = averaged(slots["accumulated_delta_var"], ops.square(delta), self.rho)
        new = {"accumulated_grad": squares, "accumulated_delta_var": moves}
        return ops.multiply(delta, ops.negative(scalars)), new


class RMSprop(Optimizer):
    """`v = rho * v + (1 - rho) * g ** 2; x -= lr * g / sqrt(v + epsilon)` (Hinton 2012).

    `epsilon` is inside the root, as in Keras; Torch has it outside. With `momentum` the quotients
    are summed, `m = momentum * m + lr * g / sqrt(...)`, and `x -= m`.

    Args:
        learning_rate: a number, a schedule or a function of the count.
        rho: weight of the old average.
        momentum: 0 for none.
        epsilon: see above.
        centered: whether the average gradient's square is taken from `v`, which makes it a variance.
    """

    learning_rate: LearningRate = 0.001
    rho: float = 0.9
    momentum: float = 0.0
    epsilon: float = 1e-7
    centered: bool = False

    @property
    def _has_momentum(self) -> bool:
        return is_array(self.momentum) or self.momentum > 0

    def slot_names(self):
        return (("velocity",), *[("momentum",)] * self._has_momentum, *[("average_gradient",)] * self.centered)

    def step(self, path, scalars, gradient, x, slots):
        velocity = averaged(slots["velocity"], ops.square(gradient), self.rho)
        new = {"velocity": velocity}
        if self.centered:
            mean = new["average_gradient"] = averaged(slots["average_gradient"], gradient, self.rho)
            velocity = ops.subtract(velocity, ops.square(mean))
        move = ops.divide(ops.multiply(gradient, scalars), ops.sqrt(ops.add(velocity, self.epsilon)))
        if self._has_momentum:
            move = new["momentum"] = ops.add(ops.multiply(slots["momentum"], self.momentum), move)
        return ops.negative(move), new
