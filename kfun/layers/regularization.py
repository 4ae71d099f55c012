"""Layers that disturb their input in training: dropout and noise. They draw from `apply`'s key.

The key is used as it is; a layer that draws several times takes its successors, `counted(key, n)`,
as Keras's seed generator counts, so that a seed gives Keras's masks bit for bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kfun import dtypes, ops, random
from kfun.layer import Layer
from kfun.layers.checks import DataFormat, SpatialLayer, check_rate, label, need_key, spatial_axes
from kfun.regularizers import L1L2

# Of the self-normalizing activation selu: what it gives for minus infinity (Klambauer et al. 2017).
_SELU_FLOOR = -1.6732632423543772 * 1.0507009873554805


def counted(key: Any, n: int) -> Any:
    """The key `n` counts after `key`; a key of `jax.random.key`, a scalar that has no counter to see, folds `n` in."""
    if not n:
        return key
    return ops.add(key, np.array([0, n], np.uint32)) if len(key.shape) else random.fold_in(key, n)


class _Noise(Layer):
    """Base: in training `disturb(key, x)`, else `x`."""

    def active(self) -> bool:
        return self.rate > 0

    def check(self):
        check_rate(self, "rate", self.rate)

    def apply(self, params, state, x, *, key=None, training=False):
        _, (x,) = self.to_compute(params, (x,))
        if training and self.active():
            x = self.disturb(need_key(self, key), x)
        return self.to_output(x), state


class Dropout(_Noise):
    """Sets elements to 0 with probability `rate` in training and scales the others by `1 / (1 - rate)`.

    Args:
        rate: the probability of dropping, in [0, 1].
        noise_shape: of the mask, which broadcasts to the input; None in it for the input's own
            size, None for the input's shape.

    Raises:
        ValueError: from `apply` in training without a key.

    Example:
        >>> import kfun
        >>> x = kfun.ops.ones((2, 3))
        >>> y, _ = Dropout(0.5).apply({}, {}, x, key=kfun.random.key(0), training=True)
        >>> sorted(set(kfun.to_numpy(y).ravel().tolist()))
        [0.0, 2.0]
    """

    rate: float
    noise_shape: Any = None

    def check(self):
        super().check()
        if self.noise_shape is not None:
            sizes = self.noise_shape if isinstance(self.noise_shape, tuple) else (0,)
            if any(s is not None and (isinstance(s, bool) or not isinstance(s, int) or s <= 0) for s in sizes):
                raise ValueError(
                    f"{label(self)}: noise_shape: expected positive sizes, or None for the input's; received "
                    f"{self.noise_shape!r}"
                )

    def disturb(self, key, x):
        return random.dropout(key, x, self.rate, _filled(self.noise_shape, x))


def _filled(shape: tuple | None, x: Any) -> Any:
    """A mask's shape with the sizes of `x` where it has None."""
    if shape is None:
        return None
    if len(shape) != len(x.shape):
        raise ValueError(f"noise_shape {shape} must have as many axes as the input, which has {len(x.shape)}")
    return tuple(own if size is None else size for size, own in zip(shape, ops.shape(x), strict=True))


class _SpatialDropout(SpatialLayer, _Noise):
    """Drops whole channels: the mask has size 1 on the spatial axes."""

    def apply(self, params, state, x, *, key=None, training=False):
        self.check_inputs((x,))
        return super().apply(params, state, x, key=key, training=training)

    def disturb(self, key, x):
        space = spatial_axes(self.rank, getattr(self, "data_format", "channels_last"))
        shape = tuple(1 if i in space else size for i, size in enumerate(ops.shape(x)))
        return random.dropout(key, x, self.rate, shape)


class SpatialDropout1D(_SpatialDropout):
    """Dropout of whole channels of `[B, T, C]` (Tompson et al. 2014, arXiv:1411.4280)."""

    rate: float
    rank = 1


class SpatialDropout2D(_SpatialDropout):
    """`SpatialDropout1D` over two axes; `data_format` is `"channels_last"` (None) or `"channels_first"`."""

    rate: float
    data_format: DataFormat = None
    rank = 2


class SpatialDropout3D(_SpatialDropout):
    """`SpatialDropout2D` over three axes."""

    rate: float
    data_format: DataFormat = None
    rank = 3


class GaussianNoise(_Noise):
    """Adds normal noise of standard deviation `stddev`, in [0, 1], in training."""

    stddev: float

    def check(self):
        if not 0 <= self.stddev <= 1:
            raise ValueError(f"{label(self)}: stddev: expected a number in [0, 1]; received {self.stddev}")

    def active(self):
        return self.stddev > 0

    def disturb(self, key, x):
        noise = random.normal(key, ops.shape(x), dtypes.name(x.dtype))
        return ops.add(x, ops.multiply(noise, self.stddev))


class GaussianDropout(_Noise):
    """Multiplies by normal noise of mean 1 and variance `rate / (1 - rate)` in training; `rate` in [0, 1)."""

    rate: float

    def check(self):
        check_rate(self, "rate", self.rate, below_one=True)

    def disturb(self, key, x):
        noise = random.normal(key, ops.shape(x), dtypes.name(x.dtype))
        stddev = (self.rate / (1.0 - self.rate)) ** 0.5
        return ops.multiply(x, ops.add(ops.multiply(noise, stddev), 1.0))


class AlphaDropout(_Noise):
    """Dropout that keeps mean and variance after selu (Klambauer et al. 2017, arXiv:1706.02515).

    Args:
        rate: the probability of dropping, in [0, 1).
        noise_shape: as in `Dropout`.
    """

    rate: float
    noise_shape: Any = None

    def check(self):
        check_rate(self, "rate", self.rate, below_one=True)

    def disturb(self, key, x):
        shape = _filled(self.noise_shape, x)
        kept = ops.greater_equal(random.uniform(key, ops.shape(x) if shape is None else shape), self.rate)
        a = ((1 - self.rate) * (1 + self.rate * _SELU_FLOOR**2)) ** -0.5
        b = -a * _SELU_FLOOR * self.rate
        return ops.add(ops.multiply(ops.where(kept, x, _SELU_FLOOR), a), b)


class ActivityRegularization(Layer):
    """Gives its input back, and says by `penalty` what its size adds to the loss.

    Args:
        l1: the factor of the sum of absolute values, not negative.
        l2: the factor of the sum of squares, not negative.
    """

    l1: float = 0.0
    l2: float = 0.0

    def check(self):
        L1L2(self.l1, self.l2)  # which refuses negative factors

    def forward(self, params, x):
        return x

    def penalty(self, x: Any) -> Any:
        """`(l1 sum(|x|) + l2 sum(x^2)) / B`, the term of the loss for an input of B examples."""
        return ops.divide(L1L2(self.l1, self.l2)(x), ops.cast(ops.shape(x)[0], x.dtype))
