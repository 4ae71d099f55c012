"""Batch normalization, with batch renormalization."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

from kfun import ops, transforms
from kfun.definition import Convert, FrozenDict
from kfun.initializers import Initializer, InitializerField
from kfun.layer import known_size
from kfun.layers.checks import label, shown
from kfun.layers.normalization import Normalization, axis_in
from kfun.weights import Weight

_EPSILON = 1e-7  # Keras's default epsilon, added to the count of unmasked elements


class SquareRoot(Initializer):
    """The square root of what another initializer draws."""

    initializer: InitializerField

    def draw(self, key, shape, dtype):
        return ops.sqrt(self.initializer(key, shape, dtype))


def _axis_name(value: Any) -> Any:
    names = value if isinstance(value, (list, tuple)) else (value,)
    if value is not None and not (names and all(isinstance(name, str) for name in names)):
        raise TypeError(f"must be the name of a mapped axis, several, or None; received {value!r}")
    return tuple(value) if isinstance(value, list) else value


class BatchNormalization(Normalization):
    """Zero mean and unit variance of each channel over the batch (Ioffe & Szegedy 2015, arXiv:1502.03167).

    `(x - mean) / sqrt(variance + epsilon) * gamma + beta`, with the batch's moments in training
    and the moving ones otherwise. In training the state becomes
    `moving * momentum + batch * (1 - momentum)`, with the population variance; PyTorch's momentum
    is `1 - momentum` here, and its moving variance the unbiased one.

    Args:
        axis: of the channels, which keep moments of their own.
        momentum: weight of the old moving average.
        epsilon: added to the variance.
        center: whether there is a beta.
        scale: whether there is a gamma.
        beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer:
            names or initializers.
        renorm: whether to correct the batch's moments towards slow averages of them (Ioffe 2017,
            arXiv:1702.03275).
        renorm_clipping: limits `{"rmin", "rmax", "dmax"}` of the correction, all optional.
        renorm_momentum: weight of the old slow average.
        synchronized: kept for configurations: moments are always of the whole batch that the step
            is given, sharded or not, so both values mean the same.

    Keyword Args:
        axis_name: the axis, or axes, over which the batch is mapped by hand with `jax.shard_map`,
            `jax.pmap` or `jax.vmap(axis_name=...)`: the moments are then those of the whole batch,
            not of a part each. None for those of what the call is given.

    Shapes:
        x `[B, ..., C]`, mask (a call argument) bool `[B, ...]` or None: elements that do not
        count in the moments; weights and state `[C]`; result as x.
    """

    axis: int = -1
    momentum: float = 0.99
    epsilon: float = 1e-3
    center: bool = True
    scale: bool = True
    beta_initializer: InitializerField = "zeros"
    gamma_initializer: InitializerField = "ones"
    moving_mean_initializer: InitializerField = "zeros"
    moving_variance_initializer: InitializerField = "ones"
    renorm: bool = False
    renorm_clipping: Any = None
    renorm_momentum: float = 0.99
    synchronized: bool = False
    axis_name: Annotated[Any, Convert(_axis_name)] = dataclasses.field(default=None, kw_only=True)

    uses_mask = True
    pools_rows = True

    def check(self):
        if self.renorm and self.renorm_clipping is None:
            object.__setattr__(self, "renorm_clipping", FrozenDict())
        limits = self.renorm_clipping or {}
        unknown = set(limits) - {"rmin", "rmax", "dmax"}
        if unknown:
            raise ValueError(
                f"{label(self)}: Received invalid keys {sorted(unknown)} in renorm_clipping; expected 'rmin', 'rmax', "
                "'dmax'"
            )
        low, high, shift = limits.get("rmin"), limits.get("rmax"), limits.get("dmax")
        if low is not None and high is not None and high < low:
            raise ValueError(f"{label(self)}: renorm_clipping: rmax must not be below rmin; received {dict(limits)}")
        if shift is not None and shift < 0:
            raise ValueError(f"{label(self)}: renorm_clipping: dmax must not be negative; received {shift}")

    def weights(self, x):
        shape = (known_size(self, x, axis_in(self, x, self.axis)),)
        deviation = SquareRoot(self.moving_variance_initializer)

        def moving(initializer):
            return Weight(shape, initializer, trainable=False, autocast=False)

        weights = self.affine(shape)
        weights["moving_mean"] = moving(self.moving_mean_initializer)
        weights["moving_variance"] = moving(self.moving_variance_initializer)
        if self.renorm:
            weights["moving_stddev"] = moving(deviation)
            weights["renorm_mean"] = moving(self.moving_mean_initializer)
            weights["renorm_stddev"] = moving(deviation)
        return weights

    def apply(self, params, state, x, *, key=None, training=False, mask=None):
        axis, wide = axis_in(self, x, self.axis), self.wide(x)
        gamma = params["gamma"] if self.scale else None
        beta = params["beta"] if self.center else None
        if training:
            mean, variance = self._moments(wide, axis, mask)
            if self.renorm:
                gamma, beta = self._corrected(state, mean, variance, gamma, beta)
                state = self._renormed(state, mean, variance)
            else:
                batch = {"moving_mean": mean, "moving_variance": variance}
                state = {k: _blend(state[k], new, self.momentum) for k, new in batch.items()}
        else:
            mean, variance = state["moving_mean"], state["moving_variance"]
        y = ops.batch_normalization(wide, mean, variance, axis, beta, gamma, self.epsilon)
        return self.narrow(y, x), state

    def _moments(self, x, axis, mask):
        reduced = tuple(i for i in range(len(x.shape)) if i != axis)
        if mask is None:
            return self._joined(*ops.moments(x, reduced))
        if len(mask.shape) != len(x.shape) - 1:
            raise ValueError(
                f"{label(self)}: expected a mask with one axis less than the input; received mask {shown(mask.shape)} "
                f"and input {shown(x.shape)}"
            )
        kept = ops.logical_and(ops.expand_dims(ops.cast(mask, "bool"), -1), ops.ones_like(x, "bool"))
        # Parts may keep unlike numbers of elements, so sums are joined, not means.
        count = ops.add(self._shared(ops.sum(ops.cast(kept, x.dtype), reduced, True)), _EPSILON)
        mean = ops.divide(self._shared(ops.sum(ops.where(kept, x, 0), reduced, True)), count)
        centred = ops.where(kept, ops.subtract(x, mean), 0)
        variance = ops.divide(self._shared(ops.sum(ops.square(centred), reduced, True)), count)
        return ops.reshape(mean, (-1,)), ops.reshape(variance, (-1,))

    def _shared(self, x):
        """The mean of `x` over the parts of a batch that is mapped."""
        if self.axis_name is None:
            return x
        try:
            return transforms.pmean(x, self.axis_name)
        except ValueError as error:
            raise ValueError(
                f"{label(self)}: axis_name={self.axis_name!r} is not the name of an axis that is being mapped: call "
                "the layer in training within jax.shard_map or jax.vmap over that axis, or set axis_name=None"
            ) from error

    def _joined(self, mean, variance):
        """The moments of the whole batch from those of parts of one size, without the difference of large squares."""
        if self.axis_name is None:
            return mean, variance
        whole = self._shared(mean)
        return whole, self._shared(ops.add(variance, ops.square(ops.subtract(mean, whole))))

    def _corrected(self, state, mean, variance, gamma, beta):
        """Gamma and beta that also bring the batch's moments to the slow ones, as constants."""
        limits = self.renorm_clipping or {}
        slow = ops.maximum(state["renorm_stddev"], self.epsilon**0.5)
        r = ops.divide(ops.sqrt(ops.add(variance, self.epsilon)), slow)
        d = ops.divide(ops.subtract(mean, state["renorm_mean"]), slow)
        if limits.get("rmin") is not None:
            r = ops.maximum(r, limits["rmin"])
        if limits.get("rmax") is not None:
            r = ops.minimum(r, limits["rmax"])
        if limits.get("dmax") is not None:
            d = ops.clip(d, -limits["dmax"], limits["dmax"])
        r, d = ops.stop_gradient(r), ops.stop_gradient(d)
        if gamma is not None:
            r, d = ops.multiply(r, gamma), ops.multiply(d, gamma)
        return r, d if beta is None else ops.add(d, beta)

    def _renormed(self, state, mean, variance):
        """The new state: averages of the mean and of the standard deviation, fast and slow."""
        deviation = ops.sqrt(ops.add(variance, self.epsilon))
        moving = _blend(state["moving_stddev"], deviation, self.momentum)
        variance = ops.relu(ops.subtract(ops.square(moving), self.epsilon))
        return {
            "moving_mean": _blend(state["moving_mean"], mean, self.momentum),
            "moving_variance": ops.cast(variance, state["moving_variance"].dtype),
            "moving_stddev": moving,
            "renorm_mean": _blend(state["renorm_mean"], mean, self.renorm_momentum),
            "renorm_stddev": _blend(state["renorm_stddev"], deviation, self.renorm_momentum),
        }


def _blend(old, new, momentum):
    """`old * momentum + new * (1 - momentum)`, in the type of `old`."""
    return ops.cast(ops.add(ops.multiply(old, momentum), ops.multiply(new, 1.0 - momentum)), old.dtype)
