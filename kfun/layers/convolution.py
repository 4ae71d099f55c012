"""Convolutions over 1 to 3 spatial axes: plain, transposed, depthwise, separable.

B batch, D... spatial axes, C channels in, F filters, K... kernel sizes, M depth multiplier, G
groups. Inputs are `[B, D..., C]`, or `[B, C, D...]` with `data_format="channels_first"`.
"""

from __future__ import annotations

from typing import Any

from kfun import ops
from kfun.activations import Activation
from kfun.initializers import InitializerField
from kfun.layer import Layer, check_rank, known_size
from kfun.layers.checks import (
    CausalPadding,
    Count,
    DataFormat,
    Padding,
    Sizes1,
    Sizes2,
    Sizes3,
    axes_shown,
    channel_axis,
    label,
    shown,
)
from kfun.weights import Weight


class Convolution(Layer):
    """What convolutions share: ranks and channels that are checked, a bias and an activation at the end.

    Raises:
        ValueError: if strides and dilation are both above 1, if the input has another number of
            axes, or another number of channels than the kernel was made for.
    """

    rank = 0  # spatial axes; not a field: no annotation

    def check(self):
        if self._refuses_dilated_strides and max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"{label(self)}: strides and dilation_rate cannot both be above 1; received "
                f"strides={self.strides} and dilation_rate={self.dilation_rate}. Set one of them to 1."
            )

    _refuses_dilated_strides = True

    def channels(self, x: Any) -> int:
        """C, which the kernel's shape depends on."""
        check_rank(self, x, self.rank + 2, axes_shown(self.rank, self.data_format))
        return known_size(self, x, channel_axis(self.data_format))

    def check_input(self, x: Any, channels: int, kernel: Any) -> None:
        """Raises ValueError unless `x` has the rank and the channels that the kernel was made for."""
        check_rank(self, x, self.rank + 2, axes_shown(self.rank, self.data_format))
        size = x.shape[channel_axis(self.data_format)]
        if isinstance(size, int) and size != channels:
            raise ValueError(
                f"{label(self)}: expected an input with {channels} channels (kernel {tuple(kernel.shape)}); received "
                f"{size} in shape {shown(x.shape)}. Rebuild the layer, or check data_format={self.data_format!r}."
            )

    def check_window(self, x: Any) -> None:
        """Raises ValueError if without padding the kernel, as it is dilated, is larger than the input."""
        if self.padding != "valid":
            return
        first = 2 if self.data_format == "channels_first" else 1
        sizes = x.shape[first : first + self.rank]
        for size, kernel, rate in zip(sizes, self.kernel_size, self.dilation_rate, strict=True):
            if isinstance(size, int) and size < (kernel - 1) * rate + 1:
                raise ValueError(
                    f"{label(self)}: nothing would be left: a kernel of size "
                    f"{self.kernel_size} with dilation_rate {self.dilation_rate} does not fit into an input of shape "
                    f"{shown(x.shape)}. Use padding='same', a smaller kernel or a larger input."
                )

    def compute_mask(self, *inputs, mask=None):
        return None

    def finish(self, params: dict, y: Any) -> Any:
        """`activation(y + bias)`."""
        if self.use_bias:
            bias = params["bias"]
            if self.data_format == "channels_first":
                bias = ops.reshape(bias, (-1, *(1,) * self.rank))
            y = ops.add(y, bias)
        return self.activation(y)


class _Conv(Convolution):
    filters: Count
    kernel_size: Any
    strides: Any = 1
    padding: Padding = "valid"
    data_format: DataFormat = None
    dilation_rate: Any = 1
    groups: Count = 1
    activation: Activation = None
    use_bias: bool = True
    kernel_initializer: InitializerField = "glorot_uniform"
    bias_initializer: InitializerField = "zeros"

    def check(self):
        super().check()
        if self.filters % self.groups:
            raise ValueError(
                f"{label(self)}: filters must be a multiple of groups; received filters={self.filters} and "
                f"groups={self.groups}"
            )

    def weights(self, x):
        channels = self.channels(x)
        if channels % self.groups:
            raise ValueError(
                f"{label(self)}: the input's channels must be a multiple of groups; received {channels} channels in "
                f"shape {shown(x.shape)} and groups={self.groups}"
            )
        shape = (*self.kernel_size, channels // self.groups, self.filters)
        weights = {"kernel": Weight(shape, self.kernel_initializer)}
        if self.use_bias:
            weights["bias"] = Weight((self.filters,), self.bias_initializer)
        return weights

    def forward(self, params, x):
        kernel = params["kernel"]
        self.check_input(x, kernel.shape[-2] * self.groups, kernel)
        self.check_window(x)
        return self.finish(params, self.convolve(self.padded(x), kernel))

    def convolve(self, x: Any, kernel: Any) -> Any:
        """The convolution alone, of an input that is `padded`."""
        padding = "valid" if self.padding == "causal" else self.padding
        return ops.conv(x, kernel, self.strides, padding, self.data_format, self.dilation_rate)

    def padded(self, x: Any) -> Any:
        """The input, with zeros before its first step if the padding is causal."""
        if self.padding != "causal":
            return x
        widths = [(0, 0)] * 3
        widths[2 if self.data_format == "channels_first" else 1] = (
            self.dilation_rate[0] * (self.kernel_size[0] - 1),
            0,
        )
        return ops.pad(x, widths)


class Conv1D(_Conv):
    """`activation(x * kernel + bias)`, `*` cross-correlation along one axis.

    Args:
        filters: F.
        kernel_size: K..., an int or one per spatial axis.
        strides: steps of the window, an int or one per spatial axis.
        padding: `"valid"` or `"same"`; in 1-d also `"causal"`, which pads before the first step.
        data_format: `"channels_last"` (None) or `"channels_first"`.
        dilation_rate: distance between a kernel's elements, an int or one per spatial axis.
        groups: G, a divisor of C and F: channels are convolved in G separate groups.
        activation: a name or a function of one array.
        use_bias: whether there is a bias.
        kernel_initializer, bias_initializer: names or initializers.

    Shapes:
        x `[B, D..., C]`, kernel `[K..., C / G, F]`, bias `[F]`; result `[B, D'..., F]`.

    Example:
        >>> from kfun import Spec
        >>> Conv1D(8, 3, padding="causal").output_spec(Spec((None, None, 4)))
        Spec(shape=(None, None, 8), dtype='float32')
    """

    kernel_size: Sizes1
    strides: Sizes1 = 1
    padding: CausalPadding = "valid"
    dilation_rate: Sizes1 = 1
    rank = 1


class Conv2D(_Conv):
    """`Conv1D` over two axes, without causal padding."""

    kernel_size: Sizes2
    strides: Sizes2 = (1, 1)
    dilation_rate: Sizes2 = (1, 1)
    rank = 2


class Conv3D(_Conv):
    """`Conv1D` over three axes, without causal padding."""

    kernel_size: Sizes3
    strides: Sizes3 = (1, 1, 1)
    dilation_rate: Sizes3 = (1, 1, 1)
    rank = 3


class _DepthwiseConv(Convolution):
    kernel_size: Any
    strides: Any = 1
    padding: Padding = "valid"
    depth_multiplier: Count = 1
    data_format: DataFormat = None
    dilation_rate: Any = 1
    activation: Activation = None
    use_bias: bool = True
    depthwise_initializer: InitializerField = "glorot_uniform"
    bias_initializer: InitializerField = "zeros"

    _refuses_dilated_strides = False

    def weights(self, x):
        channels = self.channels(x)
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        weights = {"kernel": Weight(shape, self.depthwise_initializer)}
        if self.use_bias:
            weights["bias"] = Weight((channels * self.depth_multiplier,), self.bias_initializer)
        return weights

    def forward(self, params, x):
        kernel = params["kernel"]
        self.check_input(x, kernel.shape[-2], kernel)
        self.check_window(x)
        y = ops.depthwise_conv(x, kernel, self.strides, self.padding, self.data_format, self.dilation_rate)
        return self.finish(params, y)


class DepthwiseConv1D(_DepthwiseConv):
    """Convolves each channel alone, with M kernels.

    Args:
        kernel_size, strides, padding, data_format, dilation_rate: as in `Conv1D`, not causal.
        depth_multiplier: M.
        activation: a name or a function of one array.
        use_bias: whether there is a bias.
        depthwise_initializer, bias_initializer: names or initializers.

    Shapes:
        x `[B, D..., C]`, kernel `[K..., C, M]`, bias `[C * M]`; result `[B, D'..., C * M]`.
    """

    kernel_size: Sizes1
    strides: Sizes1 = 1
    dilation_rate: Sizes1 = 1
    rank = 1


class DepthwiseConv2D(_DepthwiseConv):
    """`DepthwiseConv1D` over two axes."""

    kernel_size: Sizes2
    strides: Sizes2 = (1, 1)
    dilation_rate: Sizes2 = (1, 1)
    rank = 2


class _SeparableConv(Convolution):
    filters: Count
    kernel_size: Any
    strides: Any = 1
    padding: Padding = "valid"
    data_format: DataFormat = None
    dilation_rate: Any = 1
    depth_multiplier: Count = 1
    activation: Activation = None
    use_bias: bool = True
    depthwise_initializer: InitializerField = "glorot_uniform"
    pointwise_initializer: InitializerField = "glorot_uniform"
    bias_initializer: InitializerField = "zeros"

    _refuses_dilated_strides = False

    def weights(self, x):
        channels, ones = self.channels(x), (1,) * self.rank
        inner = channels * self.depth_multiplier
        weights = {
            "depthwise_kernel": Weight(
                (*self.kernel_size, channels, self.depth_multiplier), self.depthwise_initializer
            ),
            "pointwise_kernel": Weight((*ones, inner, self.filters), self.pointwise_initializer),
        }
        if self.use_bias:
            weights["bias"] = Weight((self.filters,), self.bias_initializer)
        return weights

    def forward(self, params, x):
        kernel, pointwise = params["depthwise_kernel"], params["pointwise_kernel"]
        self.check_input(x, kernel.shape[-2], kernel)
        self.check_window(x)
        y = ops.depthwise_conv(x, kernel, self.strides, self.padding, self.data_format, self.dilation_rate)
        return self.finish(params, ops.conv(y, pointwise, 1, "valid", self.data_format))


class SeparableConv1D(_SeparableConv):
    """A depthwise convolution, then one of window 1 over the channels.

    Args:
        filters: F.
        kernel_size, strides, padding, data_format, dilation_rate: as in `Conv1D`, not causal.
        depth_multiplier: M.
        activation: a name or a function of one array.
        use_bias: whether there is a bias.
        depthwise_initializer, pointwise_initializer, bias_initializer: names or initializers.

    Shapes:
        x `[B, D..., C]`, depthwise_kernel `[K..., C, M]`, pointwise_kernel `[1..., C * M, F]`,
        bias `[F]`; result `[B, D'..., F]`.
    """

    kernel_size: Sizes1
    strides: Sizes1 = 1
    dilation_rate: Sizes1 = 1
    rank = 1


class SeparableConv2D(_SeparableConv):
    """`SeparableConv1D` over two axes."""

    kernel_size: Sizes2
    strides: Sizes2 = (1, 1)
    dilation_rate: Sizes2 = (1, 1)
    rank = 2
