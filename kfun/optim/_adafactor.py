"""Adafactor: second moments of matrices kept as one row and one column."""

from __future__ import annotations

from typing import Any

from kfun import dtypes, ops
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
        if len(x.shape) < 2:
            return {"velocity": ops.zeros_like(x)}
        return {"row": ops.multiply(_mean(x, -1), 0), "column": ops.multiply(_mean(x, -2), 0)}

    def prepare(self, learning_rate, step, shared):
        rate = ops.minimum(learning_rate, ops.rsqrt(step))
        return (rate, ops.subtract(1.0, ops.power(step, self.beta_2_decay))), shared

    def step(self, path, scalars, gradient, x, slots):
        rate, beta = scalars
        squares = ops.add(ops.square(gradient), self.epsilon_1)

        def toward(mean, value):
            return ops.add(ops.multiply(mean, beta), ops.multiply(value, ops.subtract(1.0, beta)))

        if len(x.shape) < 2:
            new = {"velocity": toward(slots["velocity"], squares)}
            velocity = new["velocity"]
        else:
            row, column = toward(slots["row"], _mean(squares, -1)), toward(slots["column"], _mean(squares, -2))
            share = ops.divide(row, ops.mean(row, -1, True))
            velocity = ops.multiply(ops.expand_dims(share, -1), ops.expand_dims(column, -2))
            new = {"row": row, "column": column}
        move = ops.divide(gradient, ops.sqrt(velocity))
        excess = ops.maximum(1.0, ops.divide(_rms(move), self.clip_threshold))
        size = ops.maximum(self.epsilon_2, _rms(x))
        return ops.multiply(move, ops.negative(ops.divide(ops.multiply(rate, size), excess))), new

    def slot_variables(self, group, path, keras_path, x):
        """Keras has a velocity for matrices too, which it computes anew each step, and dummies for vectors."""
        name, flat, dtype = keras_path.rpartition("/")[2], keras_path.replace("/", "_"), dtypes.name(x.dtype)
        shape = tuple(x.shape)
        full = f"{self.prefix()}/{flat}_velocity"
        if len(shape) < 2:
            dummy = OptimizerVariable(name, None, (), "int32")
            return [dummy, dummy, OptimizerVariable(full, f"velocity/{path}", shape, dtype)]
        return [
            OptimizerVariable(f"{self.prefix()}/{name}", f"row/{path}", shape[:-1], dtype),
            OptimizerVariable(f"{self.prefix()}/{name}", f"column/{path}", (*shape[:-2], shape[-1]), dtype),
            OptimizerVariable(full, None, shape, dtype),
        ]


def _mean(x: Any, axis: int) -> Any:
    return ops.mean(x, axis)


def _rms(x: Any) -> Any:
    return ops.sqrt(ops.mean(ops.square(x)))
