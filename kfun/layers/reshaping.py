"""Layers that move, repeat, pad or cut elements.

Sizes may be unknown: they pass through as `ops.shape` gives them, and one may be -1.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

from kfun import ops
from kfun.definition import Convert
from kfun.layer import check_rank
from kfun.layers.checks import (
    DataFormat,
    Sizes2,
    Sizes3,
    SpatialLayer,
    Weightless,
    check_axes,
    label,
    margins,
    naturals,
    positive,
    shown,
    spatial_axes,
)

_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")


def _known(sizes: Any) -> bool:
    return all(isinstance(s, int) for s in sizes)


class Flatten(Weightless):
    """All axes but the batch axis as one: `[B, ...]` to `[B, N]`.

    Args:
        data_format: `"channels_last"` (None), or `"channels_first"`: then axis 1 moves to the end first.
    """

    data_format: DataFormat = None

    def check_inputs(self, inputs):
        check_axes(self, inputs[0].shape, 1, "[B, ...]")

    def forward(self, params, x):
        self.check_inputs((x,))
        ndim = len(x.shape)
        if self.data_format == "channels_first" and ndim > 2:
            x = ops.transpose(x, (0, *range(2, ndim), 1))
        batch, *sizes = ops.shape(x)
        if _known(sizes):
            return ops.reshape(x, (batch if isinstance(batch, int) else -1, math.prod(sizes)))
        return ops.reshape(x, (batch, -1))

    def compute_mask(self, *inputs, mask=None):
        return None


class Reshape(Weightless):
    """Another shape for each example, in row-major order.

    Args:
        target_shape: without the batch axis; one size may be -1.

    Raises:
        ValueError: if the number of elements does not fit.
    """

    target_shape: tuple

    def check(self):
        shape = self.target_shape
        valid = isinstance(shape, tuple) and _known(shape) and all(s >= -1 for s in shape) and shape.count(-1) <= 1
        if not valid:
            raise ValueError(
                f"{label(self)}: each size must be a non-negative integer, and at most one -1 for what is left; "
                f"received target_shape={shape!r}"
            )

    def check_inputs(self, inputs):
        (x,) = inputs
        check_axes(self, x.shape, 1, "[B, ...]")
        self._resolved(list(x.shape[1:]))

    def forward(self, params, x):
        self.check_inputs((x,))
        batch, *sizes = ops.shape(x)
        target = self._resolved(sizes)
        return ops.reshape(x, (batch if isinstance(batch, int) or -1 in target else -1, *target))

    def _resolved(self, sizes: list) -> tuple:
        """The target with -1 worked out, as far as the input's sizes are known."""
        if not _known(sizes):
            return self.target_shape
        total, rest = math.prod(sizes), math.prod(s for s in self.target_shape if s != -1)
        fits = total == rest if -1 not in self.target_shape else rest and total % rest == 0
        if not fits:
            raise ValueError(
                f"{label(self)}: an example of shape {shown(sizes)} has {total} elements, which do not fill "
                f"target_shape {self.target_shape}"
            )
        return tuple(total // rest if s == -1 else s for s in self.target_shape)

    def compute_mask(self, *inputs, mask=None):
        return None


class Permute(Weightless):
    """Permutes the axes of each example: output axis i is input axis `dims[i - 1]`; the first after the batch is 1."""

    dims: tuple

    def check(self):
        if not isinstance(self.dims, tuple) or sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(
                f"{label(self)}: Invalid permutation: dims must hold each of 1, 2, ... once; received {self.dims!r}"
            )

    def check_inputs(self, inputs):
        check_rank(self, inputs[0], len(self.dims) + 1, f"(the batch axis and the {len(self.dims)} of dims)")

    def forward(self, params, x):
        self.check_inputs((x,))
        return ops.transpose(x, (0, *self.dims))

    def compute_mask(self, *inputs, mask=None):
        return None


class RepeatVector(Weightless):
    """Repeats each example `n` times along a new time axis: `[B, C]` to `[B, n, C]`."""

    n: int

    def check(self):
        positive(self.n, f"{label(self)}: n")

    def check_inputs(self, inputs):
        check_rank(self, inputs[0], 2, "[B, C]")

    def forward(self, params, x):
        self.check_inputs((x,))
        return ops.repeat(ops.expand_dims(x, 1), self.n, 1)

    def compute_mask(self, *inputs, mask=None):
        return None


class _Spatial(SpatialLayer):
    """Base of layers that act on the spatial axes."""

    def axes(self) -> tuple[int, ...]:
        return spatial_axes(self.rank, getattr(self, "data_format", "channels_last"))

    def compute_mask(self, *inputs, mask=None):
        return None


class _ZeroPadding(_Spatial):
    def forward(self, params, x):
        self.check_inputs((x,))
        widths = [(0, 0)] * len(x.shape)
        for axis, pair in zip(self.axes(), self.pairs(), strict=True):
            widths[axis] = pair
        return ops.pad(x, widths)

    def pairs(self):
        return self.padding


class ZeroPadding1D(_ZeroPadding):
    """Zeros before and after the time axis.

    Args:
        padding: how many on each side, or a pair `(before, after)`.
        data_format: `"channels_last"` (None) or `"channels_first"`.
    """

    padding: Annotated[Any, naturals(2)] = 1
    data_format: DataFormat = None
    rank = 1

    def pairs(self):
        return (self.padding,)


class ZeroPadding2D(_ZeroPadding):
    """Zeros around two spatial axes.

    Args:
        padding: how many on each side, one number per axis, or a pair `(before, after)` per axis.
        data_format: `"channels_last"` (None) or `"channels_first"`.
    """

    padding: Annotated[Any, margins(2)] = (1, 1)
    data_format: DataFormat = None
    rank = 2


class ZeroPadding3D(_ZeroPadding):
    """`ZeroPadding2D` around three axes."""

    padding: Annotated[Any, margins(3)] = ((1, 1), (1, 1), (1, 1))
    data_format: DataFormat = None
    rank = 3


class _Cropping(_Spatial):
    def check_inputs(self, inputs):
        super().check_inputs(inputs)
        (x,) = inputs
        for axis, (before, after) in zip(self.axes(), self.pairs(), strict=True):
            size = x.shape[axis]
            if isinstance(size, int) and before + after >= size:
                raise ValueError(
                    f"{label(self)}: the sums of the `cropping` parameter of `{type(self).__name__}` layer must be "
                    f"smaller than the input's sizes; received cropping={self.cropping}, which leaves nothing of axis "
                    f"{axis} of an input of shape {shown(x.shape)}"
                )

    def forward(self, params, x):
        self.check_inputs((x,))
        index = [slice(None)] * len(x.shape)
        for axis, (before, after) in zip(self.axes(), self.pairs(), strict=True):
            index[axis] = slice(before, -after if after else None)
        return ops.getitem(x, tuple(index))

    def pairs(self):
        return self.cropping


class Cropping1D(_Cropping):
    """Cuts steps off the time axis of `[B, T, C]`: as many at each end, or a pair `(before, after)`."""

    cropping: Annotated[Any, naturals(2)] = (1, 1)
    rank = 1

    def pairs(self):
        return (self.cropping,)


class Cropping2D(_Cropping):
    """Cuts off the borders of two spatial axes.

    Args:
        cropping: how many on each side, one number per axis, or a pair `(before, after)` per axis.
        data_format: `"channels_last"` (None) or `"channels_first"`.
    """

    cropping: Annotated[Any, margins(2)] = ((0, 0), (0, 0))
    data_format: DataFormat = None
    rank = 2


class Cropping3D(_Cropping):
    """`Cropping2D` of three axes."""

    cropping: Annotated[Any, margins(3)] = ((1, 1), (1, 1), (1, 1))
    data_format: DataFormat = None
    rank = 3


class UpSampling1D(_Spatial):
    """Repeats each time step of `[B, T, C]` `size` times."""

    size: int = 2
    rank = 1

    def check(self):
        positive(self.size, f"{label(self)}: size")

    def forward(self, params, x):
        self.check_inputs((x,))
        (axis,) = self.axes()
        return ops.repeat(x, self.size, axis)


class UpSampling2D(_Spatial):
    """Makes images larger by whole factors.

    Args:
        size: the factor, or one per axis.
        data_format: `"channels_last"` (None) or `"channels_first"`.
        interpolation: `"nearest"` (repeats elements), or with half-pixel centres `"bilinear"`, `"bicubic"`,
            `"lanczos3"`, `"lanczos5"`.
    """

    size: Sizes2 = (2, 2)
    data_format: DataFormat = None
    interpolation: Annotated[str, Convert(str.lower)] = "nearest"
    rank = 2

    def check(self):
        if self.interpolation not in _INTERPOLATIONS:
            raise ValueError(
                f"{label(self)}: interpolation: expected one of {', '.join(map(repr, _INTERPOLATIONS))}; received "
                f"{self.interpolation!r}"
            )

    def forward(self, params, x):
        self.check_inputs((x,))
        axes = self.axes()
        if self.interpolation == "nearest":
            return _repeated(x, axes, self.size)
        sizes = ops.shape(x)
        target = tuple(sizes[axis] * factor for axis, factor in zip(axes, self.size, strict=True))
        return ops.resize(x, target, self.interpolation, data_format=self.data_format)


class UpSampling3D(_Spatial):
    """Repeats elements along three spatial axes; arguments as in `UpSampling2D`."""

    size: Sizes3 = (2, 2, 2)
    data_format: DataFormat = None
    rank = 3

    def forward(self, params, x):
        self.check_inputs((x,))
        return _repeated(x, self.axes(), self.size)


def _repeated(x, axes, factors):
    for axis, factor in zip(axes, factors, strict=True):
        x = ops.repeat(x, factor, axis) if factor > 1 else x
    return x
