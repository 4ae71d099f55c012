"""Normalizations: over the batch, a layer's features, groups of channels, to unit length.

B batch, C the size of the normalized axis. In float16 and bfloat16 all of them compute in float32,
and their weights are not cast by a policy.
"""

from __future__ import annotations

from typing import Any

from kfun import dtypes, initializers, ops
from kfun.initializers import InitializerField
from kfun.layer import Layer, known_size
from kfun.layers.checks import label, positive, shown
from kfun.weights import Weight


def axis_in(layer: Layer, x: Any, axis: int) -> int:
    """The axis counted from the front, or a ValueError if `x` has none such."""
    ndim = len(x.shape)
    if not -ndim <= axis < ndim:
        raise ValueError(f"{label(layer)}: axis {axis} is out of range for an input of shape {shown(x.shape)}")
    return axis % ndim


def _check_axes(layer: Layer) -> None:
    axes = layer.axis if isinstance(layer.axis, tuple) else (layer.axis,)
    if any(isinstance(a, bool) or not isinstance(a, int) for a in axes):
        raise TypeError(f"{label(layer)}: axis: expected an integer or several; received {layer.axis!r}")


def _axes(axis: int | tuple[int, ...]) -> tuple[int, ...]:
    return (axis,) if isinstance(axis, int) else tuple(sorted(axis))


class Normalization(Layer):
    """Base of normalizations: inputs come wide, outputs leave in the type that the policy computes in."""

    def wide(self, x: Any) -> Any:
        """`x` in float32, or float64 if it is that."""
        return ops.cast(x, dtypes.settle(dtypes.promote(dtypes.name(x.dtype), "float32")))

    def narrow(self, y: Any, x: Any) -> Any:
        """`y` in the type that a result for the input `x` has."""
        policy = self.policy
        wanted = policy and (policy.output or policy.compute)
        if not wanted:
            wanted = dtypes.settle(dtypes.promote(dtypes.name(x.dtype), "float"))
        return ops.cast(y, wanted)

    def affine(self, shape: tuple[int, ...]) -> dict[str, Weight]:
        """Gamma and beta, as far as the layer has them."""
        weights = {}
        if self.scale:
            weights["gamma"] = Weight(shape, self.gamma_initializer, autocast=False)
        if self.center:
            weights["beta"] = Weight(shape, self.beta_initializer, autocast=False)
        return weights


class LayerNormalization(Normalization):
    """Zero mean and unit variance over `axis`, then `* gamma + beta` (Ba et al. 2016, arXiv:1607.06450).

    Args:
        axis: an int or several.
        epsilon: added to the variance.
        center: whether there is a beta.
        scale: whether there is a gamma.
        beta_initializer, gamma_initializer: names or initializers.
        rms_scaling: whether, as in old models of Keras, `x` is divided by its standard deviation and
            multiplied by gamma, but its mean is neither taken off nor is there a beta. For
            normalization by the root mean square there is `RMSNormalization`.
    """

    axis: Any = -1
    epsilon: float = 1e-3
    center: bool = True
    scale: bool = True
    beta_initializer: InitializerField = "zeros"
    gamma_initializer: InitializerField = "ones"
    rms_scaling: bool = False

    def check(self):
        _check_axes(self)

    def weights(self, x):
        for axis in _axes(self.axis):
            axis_in(self, x, axis)
        shape = tuple(known_size(self, x, axis) for axis in _axes(self.axis))
        if self.rms_scaling:
            return {"gamma": Weight(shape, self.gamma_initializer, autocast=False)}
        return self.affine(shape)

    def apply(self, params, state, x, *, key=None, training=False):
        axes = tuple(axis_in(self, x, axis) for axis in _axes(self.axis))
        wide = self.wide(x)
        if self.rms_scaling:
            gamma = ops.reshape(params["gamma"], [n if i in axes else 1 for i, n in enumerate(ops.shape(x))])
            y = ops.divide(wide, ops.sqrt(ops.add(ops.var(wide, axes, True), self.epsilon)))
            return self.narrow(ops.multiply(y, gamma), x), state
        gamma = params["gamma"] if self.scale else None
        beta = params["beta"] if self.center else None
        y = ops.layer_normalization(wide, gamma, beta, axes, self.epsilon)
        return self.narrow(y, x), state


class RMSNormalization(Normalization):
    """`x / sqrt(mean(x^2) + epsilon) * scale` over `axis` (Zhang & Sennrich 2019, arXiv:1910.07467).

    Args:
        axis: an int or several.
        epsilon: added to the mean square.
    """

    axis: Any = -1
    epsilon: float = 1e-6

    def check(self):
        _check_axes(self)

    def weights(self, x):
        for axis in _axes(self.axis):
            axis_in(self, x, axis)
        shape = tuple(known_size(self, x, axis) for axis in _axes(self.axis))
        return {"scale": Weight(shape, initializers.Ones())}

    def apply(self, params, state, x, *, key=None, training=False):
        axes = tuple(axis_in(self, x, axis) for axis in _axes(self.axis))
        sizes = ops.shape(x)
        shape = [size if i in axes else 1 for i, size in enumerate(sizes)]
        y = ops.rms_normalization(self.wide(x), ops.reshape(params["scale"], shape), axes, self.epsilon)
        return self.narrow(y, x), state

    def compute_mask(self, *inputs, mask=None):
        return None  # as in Keras, which lets masks end here


class UnitNormalization(Normalization):
    """`x` divided by its Euclidean norm over `axis`, an int or several; the norm not below 1e-12."""

    axis: Any = -1

    def check(self):
        _check_axes(self)

    def weights(self, x):
        for axis in _axes(self.axis):
            axis_in(self, x, axis)
        return {}

    def apply(self, params, state, x, *, key=None, training=False):
        axes = tuple(axis_in(self, x, axis) for axis in _axes(self.axis))
        return self.narrow(ops.normalize(self.wide(x), axes, 2, 1e-12), x), state


class GroupNormalization(Normalization):
    """Zero mean and unit variance over space and the channels of a group (Wu & He 2018, arXiv:1803.08494).

    Args:
        groups: how many; a divisor of C, or -1 for C (instance normalization).
        axis: of the channels.
        epsilon: added to the variance.
        center: whether there is a beta.
        scale: whether there is a gamma.
        beta_initializer, gamma_initializer: names or initializers.

    Shapes:
        x `[B, ..., C]`, gamma and beta `[C]`; result as x.
    """

    groups: int = 32
    axis: int = -1
    epsilon: float = 1e-3
    center: bool = True
    scale: bool = True
    beta_initializer: InitializerField = "zeros"
    gamma_initializer: InitializerField = "ones"

    def check(self):
        if self.groups != -1:
            positive(self.groups, f"{label(self)}: argument `groups` (or -1 for one per channel)")

    def weights(self, x):
        channels = known_size(self, x, axis_in(self, x, self.axis))
        if self.groups > channels:
            raise ValueError(
                f"{label(self)}: there are more groups than channels; received {channels} channels in "
                f"shape {shown(x.shape)} and groups={self.groups}"
            )
        if self.groups != -1 and channels % self.groups:
            raise ValueError(
                f"{label(self)}: groups must be a divisor of the number of channels; received {channels} channels in "
                f"shape {shown(x.shape)} and groups={self.groups}"
            )
        return self.affine((channels,))

    def apply(self, params, state, x, *, key=None, training=False):
        axis, wide = axis_in(self, x, self.axis), self.wide(x)
        shape = [-1 if i == axis else 1 for i in range(len(x.shape))]
        centred = ops.subtract(wide, self._group_mean(wide, axis))
        variance = self._group_mean(ops.square(centred), axis)
        factor = ops.rsqrt(ops.add(variance, self.epsilon))
        if self.scale:
            factor = ops.multiply(factor, ops.reshape(params["gamma"], shape))
        y = ops.multiply(centred, factor)
        if self.center:
            y = ops.add(y, ops.reshape(params["beta"], shape))
        return self.narrow(y, x), state

    def _group_mean(self, x, axis):
        """The mean over space and group, for each channel: `[B, 1, ..., C]`.

        Space goes first: `x` itself is then never split into groups, which XLA does not fuse well.
        """
        space = tuple(i for i in range(1, len(x.shape)) if i != axis)
        means = ops.mean(x, space, True) if space else x
        if self.groups == -1:
            return means
        sizes = ops.shape(means)
        split = (*sizes[:axis], self.groups, sizes[axis] // self.groups, *sizes[axis + 1 :])
        return ops.reshape(ops.broadcast_to(ops.mean(ops.reshape(means, split), axis + 1, True), split), sizes)
