"""Adafactor: second moments of matrices kept as one row and one column."""

from __future__ import annotations

from kfun import dtypes, ops
from kfun.optim._averages import averaged
from kfun.optim._optimizer import LearningRate, Optimizer, OptimizerVariable


class Adafactor(Optimizer):
    """Moves in proportion to the size of the array, by factored second moments (arXiv:1804.04235).

    For arrays of two or more axes the mean squares over the last axis (slot `row`) and over the one
    before (`column`) are kept; others keep a full `velocity`.

    Args:
        learning_rate: a number, a schedule or a function of the count; at most `1 / sqrt(step)` of it is used.
        beta_2_decay: the weight of old averages is `1 - step ** beta_2_decay`.
        epsilon_1: is added to squared gradients.
        epsilon_2: the least size that an array is taken to have.
        clip_threshold: the greatest root mean square of a move before scaling.
        relative_step: part of Keras's configuration. In its formula as in this one the learning rate is
            `min(learning_rate, 1 / sqrt(step))` for both values.
    """

    learning_rate: LearningRate = 0.001
    beta_2_decay: float = -0.8
    epsilon_1: float = 1e-30
    epsilon_2: float = 1e-3
    clip_threshold: float = 1.0
    relative_step: bool = True

    def slot_names(self):
        return (("row", "column", "velocity"),)

    def init_slots(self, path, x):
        return {name: ops.zeros_like(mean) for name, mean in self._means(x).items()}

    def _means(self, x):
        """What the slots of an array are averages of."""
        return {"velocity": x} if len(x.shape) < 2 else {"row": ops.mean(x, -1), "column": ops.mean(x, -2)}

    def prepare(self, learning_rate, step, shared):
        rate = ops.minimum(learning_rate, ops.rsqrt(step))
        return (rate, ops.subtract(1.0, ops.power(step, self.beta_2_decay))), shared

    def step(self, path, scalars, gradient, x, slots):
        rate, beta = scalars
        squares = self._means(ops.add(ops.square(gradient), self.epsilon_1))
        new = {name: averaged(slots[name], mean, beta) for name, mean in squares.items()}
        if "velocity" in new:
            velocity = new["velocity"]
        else:
            share = ops.divide(new["row"], ops.mean(new["row"], -1, True))
            velocity = ops.multiply(ops.expand_dims(share, -1), ops.expand_dims(new["column"], -2))
        move = ops.divide(gradient, ops.sqrt(velocity))
        excess = ops.maximum(1.0, ops.divide(_rms(move), self.clip_threshold))
        size = ops.maximum(self.epsilon_2, _rms(x))
        return ops.multiply(move, ops.negative(ops.divide(ops.multiply(rate, size), excess))), new

    def slot_variables(self, group, path, keras_path, x):
        """Keras has a velocity for matrices too, which it computes anew each step, and dummies for vectors."""
        if "velocity" not in group:
            return super().slot_variables(group, path, keras_path, x)
        name, shape, dtype = keras_path.rpartition("/")[2], tuple(x.shape), dtypes.name(x.dtype)
        full = f"{self.prefix()}/{keras_path.replace('/', '_')}_velocity"
        if len(shape) < 2:
            dummy = OptimizerVariable(name, None, (), "int32")
            return [dummy, dummy, OptimizerVariable(full, f"velocity/{path}", shape, dtype)]
        factor = f"{self.prefix()}/{name}"
        return [
            OptimizerVariable(factor, f"row/{path}", shape[:-1], dtype),
            OptimizerVariable(factor, f"column/{path}", (*shape[:-2], shape[-1]), dtype),
            OptimizerVariable(full, None, shape, dtype),
        ]


def _rms(x):
    return ops.sqrt(ops.mean(ops.square(x)))
