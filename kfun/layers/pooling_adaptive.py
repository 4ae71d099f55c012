"""Pooling to a given output size, whatever the size of the input, in 1 to 3 spatial axes.

B batch, D... spatial axes, N... output sizes, C channels: inputs are `[B, D..., C]`, or
`[B, C, D...]` with `data_format="channels_first"`.
"""

from __future__ import annotations

from typing import Any

from kfun import ops
from kfun.layers.checks import DataFormat, Sizes1, Sizes2, Sizes3, SpatialLayer, label


class _AdaptivePooling(SpatialLayer):
    output_size: Any
    data_format: DataFormat = None

    def check(self):
        if self.output_size is None:
            raise ValueError(f"{label(self)}: output_size: expected an integer or {self.rank} of them; received None")

    def forward(self, params, x):
        self.check_inputs((x,))
        return self.pool(x, self.output_size, self.data_format)

    def compute_mask(self, *inputs, mask=None):
        return None


class _Average:
    pool = staticmethod(ops.adaptive_average_pool)


class _Max:
    pool = staticmethod(ops.adaptive_max_pool)


class AdaptiveAveragePooling1D(_Average, _AdaptivePooling):
    """The mean over windows that divide each spatial axis into `output_size` parts.

    Part i of N along an axis of size D reaches from `floor(i D / N)` up to `ceil((i + 1) D / N)`:
    parts overlap by an element where N does not divide D.

    Args:
        output_size: N..., an int or one per spatial axis.
        data_format: `"channels_last"` (None) or `"channels_first"`.

    Shapes:
        x `[B, D..., C]`; result `[B, N..., C]`.

    Example:
        >>> from kfun import Spec
        >>> AdaptiveAveragePooling1D(3).output_spec(Spec((None, 10, 4)))
        Spec(shape=(None, 3, 4), dtype='float32')
    """

    output_size: Sizes1
    rank = 1


class AdaptiveAveragePooling2D(_Average, _AdaptivePooling):
    """`AdaptiveAveragePooling1D` over two axes."""

    output_size: Sizes2
    rank = 2


class AdaptiveAveragePooling3D(_Average, _AdaptivePooling):
    """`AdaptiveAveragePooling1D` over three axes."""

    output_size: Sizes3
    rank = 3


class AdaptiveMaxPooling1D(_Max, _AdaptivePooling):
    """The maximum over the windows of `AdaptiveAveragePooling1D`."""

    output_size: Sizes1
    rank = 1


class AdaptiveMaxPooling2D(_Max, _AdaptivePooling):
    """`AdaptiveMaxPooling1D` over two axes."""

    output_size: Sizes2
    rank = 2


class AdaptiveMaxPooling3D(_Max, _AdaptivePooling):
    """`AdaptiveMaxPooling1D` over three axes."""

    output_size: Sizes3
    rank = 3
