"""Muon: momentum whose matrices are made orthogonal; AdamW for all else."""

from __future__ import annotations

import math
import re
from typing import Any

from kfun import ops
from kfun.optim._adam import adam_move, corrected_rate, moments
from kfun.optim._hyperparameters import is_array
from kfun.optim._optimizer import LearningRate, Optimizer


class _WithAdamW(Optimizer):
    """Muon's first fields: in Keras the common ones stand between these and its others."""

    learning_rate: LearningRate = 0.001
    adam_beta_1: float = 0.9
    adam_beta_2: float = 0.999
    adam_weight_decay: float | None = 0.004
    epsilon: float = 1e-7
    weight_decay: float | None = 0.004


class Muon(_WithAdamW):
    """Moves matrices along the nearest orthogonal matrix to their momentum (Jordan et al. 2024; arXiv:2502.16982).

    Arrays of another rank than 2, embeddings, and what `exclude_layers` names are moved by AdamW.

    Args:
        learning_rate: a number, a schedule or a function of the count.
        adam_beta_1, adam_beta_2, adam_weight_decay, epsilon: AdamW's.
        weight_decay: of the matrices.
        exclude_layers: patterns; an array whose path one of them is found in is moved by AdamW.
        exclude_embeddings: whether arrays with "embedding" in their path are.
        muon_a, muon_b, muon_c: coefficients of the Newton-Schulz polynomial `a x + b x^3 + c x^5`.
        adam_lr_ratio: AdamW's learning rate by Muon's.
        momentum: weight of the old momentum; new gradients are added in full.
        ns_steps: Newton-Schulz iterations.
        nesterov: whether the gradient is added to the momentum once more.
        rms_rate: moves are scaled by `rms_rate * sqrt(longer side)`; None for no scaling.
    """

    exclude_layers: tuple[str, ...] | None = None
    exclude_embeddings: bool = True
    muon_a: float = 3.4445
    muon_b: float = -4.7750
    muon_c: float = 2.0315
    adam_lr_ratio: float = 1
    momentum: float = 0.95
    ns_steps: int = 5
    nesterov: bool = True
    rms_rate: float | None = 0.2

    def slot_names(self):
        return (("momentum", "velocity"),)

    def by_adam(self, path: str, x: Any) -> bool:
        """Whether an array is moved by AdamW."""
        embedding = self.exclude_embeddings and "embedding" in path.lower()
        return len(x.shape) != 2 or embedding or any(re.search(p, path) for p in self.exclude_layers or ())

    def has_slot(self, name, path, x):
        return name != "velocity" or self.by_adam(path, x)

    def decay(self, path, x):
        rate = super().decay(path, x)
        excluded = rate is None and self.weight_decay is not None
        return rate if excluded or not self.by_adam(path, x) else self.adam_weight_decay

    def prepare(self, learning_rate, step, shared):
        adam_rate = ops.multiply(learning_rate, self.adam_lr_ratio)
        return (learning_rate, corrected_rate(adam_rate, step, self.adam_beta_1, self.adam_beta_2)), shared

    def step(self, path, scalars, gradient, x, slots):
        rate, adam_rate = scalars
        if self.by_adam(path, x):
            new = moments(gradient, slots, self.adam_beta_1, self.adam_beta_2)
            return adam_move(adam_rate, new["momentum"], new["velocity"], self.epsilon), new
        momentum = ops.add(ops.multiply(slots["momentum"], self.momentum), gradient)
        aim = ops.add(gradient, ops.multiply(momentum, self.momentum)) if self.nesterov else momentum
        scale = 1.0 if self.rms_rate is None else self.rms_rate * math.sqrt(max(x.shape))
        move = ops.multiply(self.orthogonal(aim), ops.multiply(rate, -scale))
        return move, {"momentum": momentum}

    def orthogonal(self, x: Any) -> Any:
        """Roughly `u @ v` of the singular value decomposition `u s v` of a matrix, by matrix products alone."""
        tall = x.shape[0] > x.shape[1]
        x = ops.transpose(x) if tall else x
        x = ops.divide(x, ops.add(ops.norm(x), 1e-7))  # singular values in (0, 1]
        if is_array(self.ns_steps):
            x = ops.fori_loop(0, self.ns_steps, lambda _, x: self._nearer(x), x)
        else:
            for _ in range(self.ns_steps):
                x = self._nearer(x)
        return ops.transpose(x) if tall else x

    def _nearer(self, x: Any) -> Any:
        """One Newton-Schulz iteration of a wide matrix."""
        square = ops.matmul(x, ops.transpose(x))
        fourth = ops.matmul(ops.multiply(square, self.muon_c), square)
        return ops.add(ops.multiply(x, self.muon_a), ops.matmul(ops.add(ops.multiply(square, self.muon_b), fourth), x))
