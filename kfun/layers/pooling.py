"""Pooling over windows, and over all of space, in 1 to 3 spatial axes.

B batch, D... spatial axes, C channels: inputs are `[B, D..., C]`, or `[B, C, D...]` with
`data_format="channels_first"`.
"""

from __future__ import annotations

from typing import Any

from kfun import ops
from kfun.layers.checks import DataFormat, Padding, Sizes1, Sizes2, Sizes3, SpatialLayer, label, shown, spatial_axes


class _Pooling(SpatialLayer):
    pool_size: Any
    strides: Any = None
    padding: Padding = "valid"
    data_format: DataFormat = None

    def check(self):
        if self.strides is None:
            object.__setattr__(self, "strides", self.pool_size)

    def forward(self, params, x):
        self.check_inputs((x,))
        return self.pool(x, self.pool_size, self.strides, self.padding, self.data_format)

    def compute_mask(self, *inputs, mask=None):
        return None


class _Max:
    pool = staticmethod(ops.max_pool)


class _Average:
    pool = staticmethod(ops.average_pool)


class MaxPooling1D(_Max, _Pooling):
    """The maximum over windows.

    Args:
        pool_size: of the window, an int or one per spatial axis.
        strides: steps of the window; `pool_size` if None.
        padding: `"valid"` or `"same"`.
        data_format: `"channels_last"` (None) or `"channels_first"`.

    Shapes:
        x `[B, D..., C]`; result `[B, D'..., C]`.
    """

    pool_size: Sizes1 = 2
    strides: Sizes1 = None
    rank = 1


class MaxPooling2D(_Max, _Pooling):
    """`MaxPooling1D` over two axes."""

    pool_size: Sizes2 = (2, 2)
    strides: Sizes2 = None
    rank = 2


class MaxPooling3D(_Max, _Pooling):
    """`MaxPooling1D` over three axes."""

    pool_size: Sizes3 = (2, 2, 2)
    strides: Sizes3 = None
    rank = 3


class AveragePooling1D(_Average, _Pooling):
    """The mean over windows; padded places do not count. Arguments as in `MaxPooling1D`."""

    pool_size: Sizes1
    strides: Sizes1 = None
    rank = 1


class AveragePooling2D(_Average, _Pooling):
    """`AveragePooling1D` over two axes."""

    pool_size: Sizes2
    strides: Sizes2 = None
    rank = 2


class AveragePooling3D(_Average, _Pooling):
    """`AveragePooling1D` over three axes."""

    pool_size: Sizes3
    strides: Sizes3 = None
    rank = 3


class _GlobalPooling(SpatialLayer):
    data_format: DataFormat = None
    keepdims: bool = False

    def forward(self, params, x):
        self.check_inputs((x,))
        return self.reduce(x, spatial_axes(self.rank, self.data_format), self.keepdims)

    def compute_mask(self, *inputs, mask=None):
        return None


class GlobalMaxPooling1D(_GlobalPooling):
    """The maximum over all spatial axes.

    Args:
        data_format: `"channels_last"` (None) or `"channels_first"`.
        keepdims: whether the spatial axes stay, with size 1.

    Shapes:
        x `[B, D..., C]`; result `[B, C]`.
    """

    rank = 1
    reduce = staticmethod(ops.max)


class GlobalMaxPooling2D(_GlobalPooling):
    """`GlobalMaxPooling1D` over two axes."""

    rank = 2
    reduce = staticmethod(ops.max)


class GlobalMaxPooling3D(_GlobalPooling):
    """`GlobalMaxPooling1D` over three axes."""

    rank = 3
    reduce = staticmethod(ops.max)


class GlobalAveragePooling1D(_GlobalPooling):
    """The mean over time, of the steps that the mask keeps.

    Args:
        data_format, keepdims: as in `GlobalMaxPooling1D`.

    Shapes:
        x `[B, T, C]`, mask (a call argument) bool `[B, T]` or None; result `[B, C]`.
    """

    rank = 1
    reduce = staticmethod(ops.mean)
    uses_mask = True

    def apply(self, params, state, x, *, key=None, training=False, mask=None):
        _, (x,) = self.to_compute(params, (x,))
        if mask is None:
            return self.to_output(self.forward(params, x)), state
        self.check_inputs((x,))
        if len(mask.shape) != 2:
            raise ValueError(f"{label(self)}: expected a mask [B, T]; received one of shape {shown(mask.shape)}")
        (axis,) = spatial_axes(1, self.data_format)
        kept = ops.expand_dims(ops.cast(mask, "bool"), 3 - axis)
        total = ops.sum(ops.where(kept, x, 0), axis, self.keepdims)
        count = ops.sum(ops.cast(kept, x.dtype), axis, self.keepdims)
        return self.to_output(ops.divide(total, count)), state


class GlobalAveragePooling2D(_GlobalPooling):
    """The mean over two spatial axes."""

    rank = 2
    reduce = staticmethod(ops.mean)


class GlobalAveragePooling3D(_GlobalPooling):
    """The mean over three spatial axes."""

    rank = 3
    reduce = staticmethod(ops.mean)
