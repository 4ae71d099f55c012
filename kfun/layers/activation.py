"""Activation functions with arguments, as layers."""

from __future__ import annotations

from typing import Any

from kfun import activations, dtypes, ops
from kfun.initializers import InitializerField
from kfun.layer import Layer, known_size
from kfun.layers.checks import Several, label, shown
from kfun.weights import Weight


def _not_negative(layer: Layer, *names: str) -> None:
    for name in names:
        value = getattr(layer, name)
        if value is None or value < 0:
            raise ValueError(f"{label(layer)}: {name}: expected a number of at least 0; received {value}")


class ReLU(Layer):
    """`x` above `threshold`, `negative_slope * (x - threshold)` below, at most `max_value` (None for no limit)."""

    max_value: float | None = None
    negative_slope: float | None = 0.0
    threshold: float | None = 0.0

    def check(self):
        if self.max_value is not None and self.max_value < 0:
            raise ValueError(
                f"{label(self)}: max_value: expected a number of at least 0, or None for no limit; received "
                f"max_value={self.max_value}"
            )
        _not_negative(self, "negative_slope", "threshold")

    def forward(self, params, x):
        return activations.relu(x, self.negative_slope, self.max_value, self.threshold)


class LeakyReLU(Layer):
    """`x` where positive, else `negative_slope * x`."""

    negative_slope: float | None = 0.3

    def check(self):
        if self.negative_slope is None:
            raise ValueError(f"{label(self)}: negative_slope: expected a number; received None")

    def forward(self, params, x):
        return ops.leaky_relu(x, self.negative_slope)


class PReLU(Layer):
    """`x` where positive, else `alpha * x`, alpha learned (He et al. 2015, arXiv:1502.01852).

    Args:
        alpha_initializer: a name or an initializer.
        shared_axes: axes (the first after the batch is 1) along which alpha is one number.

    Shapes:
        x `[B, ...]`, alpha `[...]`, with size 1 on shared axes.
    """

    alpha_initializer: InitializerField = "Zeros"
    shared_axes: Several = None

    def check(self):
        axes = self.shared_axes or ()
        if any(isinstance(a, bool) or not isinstance(a, int) or a < 1 for a in axes):
            raise ValueError(f"{label(self)}: shared_axes: expected axes from 1 on; received {self.shared_axes!r}")

    def weights(self, x):
        shared = self.shared_axes or ()
        if shared and max(shared) >= x.ndim:
            raise ValueError(
                f"{label(self)}: shared_axes {self.shared_axes} are out of range for an input of shape {shown(x.shape)}"
            )
        shape = tuple(1 if axis in shared else known_size(self, x, axis) for axis in range(1, x.ndim))
        return {"alpha": Weight(shape, self.alpha_initializer)}

    def forward(self, params, x):
        below = ops.multiply(params["alpha"], ops.relu(ops.negative(x)))
        return ops.subtract(ops.relu(x), below)


class ELU(Layer):
    """`x` where positive, else `alpha * (exp(x) - 1)` (Clevert et al. 2015, arXiv:1511.07289)."""

    alpha: float = 1.0

    def forward(self, params, x):
        return ops.elu(x, self.alpha)


def masked_softmax(x: Any, mask: Any, axis: int | tuple[int, ...]) -> Any:
    """Softmax over the positions that `mask` keeps, 0 at the others, also where it keeps none.

    Args:
        x: floating.
        mask: None, or bool (True keeps) or numbers (above 0.5 keeps), of sizes that broadcast to those of `x`.
        axis: one or several.

    Raises:
        ValueError: if the mask does not broadcast to `x`.
    """
    if mask is None:
        return ops.softmax(x, axis)
    if len(mask.shape) > len(x.shape):
        raise ValueError(
            f"the mask must not have more dimensions than the input; received a mask of shape {shown(mask.shape)} and "
            f"an input of shape {shown(x.shape)}"
        )
    for m, n in zip(reversed(mask.shape), reversed(x.shape), strict=False):
        if isinstance(m, int) and isinstance(n, int) and m not in (1, n):
            raise ValueError(
                f"the mask must be broadcastable to the input; received a mask of shape {shown(mask.shape)} and an "
                f"input of shape {shown(x.shape)}"
            )
    kept = mask if dtypes.name(mask.dtype) == "bool" else ops.greater(mask, 0.5)
    low = -3e4 if dtypes.name(x.dtype) == "float16" else -1e9
    return ops.where(kept, ops.softmax(ops.where(kept, x, low), axis), 0.0)


class Softmax(Layer):
    """`exp(x) / sum(exp(x))` over `axis`, an int or several.

    The call argument `mask`, bool and broadcast to the input, keeps positions out where False.
    """

    axis: Any = -1

    uses_mask = True

    def weights(self, x):
        for axis in self.axis if isinstance(self.axis, tuple) else (self.axis,):
            if not -x.ndim <= axis < x.ndim:
                raise ValueError(f"{label(self)}: axis {axis} is out of range for an input of shape {shown(x.shape)}")
        return {}

    def apply(self, params, state, x, *, key=None, training=False, mask=None):
        _, (x,) = self.to_compute(params, (x,))
        return self.to_output(masked_softmax(x, mask, self.axis)), state
