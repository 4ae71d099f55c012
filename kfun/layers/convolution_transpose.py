"""Transposed convolutions: the gradient of a convolution with respect to its input, as layers."""

from __future__ import annotations

from typing import Annotated, Any

from kfun import ops
from kfun.activations import Activation
from kfun.initializers import InitializerField
from kfun.layers.checks import Count, DataFormat, Padding, Sizes1, Sizes2, Sizes3, label, naturals
from kfun.layers.convolution import Convolution
from kfun.weights import Weight


class _ConvTranspose(Convolution):
    def check(self):
        super().check()
        for extra, stride in zip(self.output_padding or (), self.strides, strict=False):
            if extra >= stride:
                raise ValueError(
                    f"{label(self)}: output_padding must be below strides on every axis; received output_padding "
                    f"{self.output_padding} and strides {self.strides}"
                )

    def weights(self, x):
        shape = (*self.kernel_size, self.filters, self.channels(x))
        weights = {"kernel": Weight(shape, self.kernel_initializer)}
        if self.use_bias:
            weights["bias"] = Weight((self.filters,), self.bias_initializer)
        return weights

    def forward(self, params, x):
        kernel = params["kernel"]
        self.check_input(x, kernel.shape[-1], kernel)
        y = ops.conv_transpose(
            x, kernel, self.strides, self.padding, self.output_padding, self.data_format, self.dilation_rate
        )
        return self.finish(params, y)


class _Fields(_ConvTranspose):
    filters: Count
    kernel_size: Any
    strides: Any = 1
    padding: Padding = "valid"
    output_padding: Any = None
    data_format: DataFormat = None
    dilation_rate: Any = 1
    activation: Activation = None
    use_bias: bool = True
    kernel_initializer: InitializerField = "glorot_uniform"
    bias_initializer: InitializerField = "zeros"


class Conv1DTranspose(_Fields):
    """A transposed convolution, which makes larger what a `Conv1D` of the same strides makes smaller.

    Args:
        filters: F.
        kernel_size, strides, data_format, dilation_rate: as in `Conv1D`.
        padding: `"same"` gives `D * stride`, `"valid"` `D * stride + max(K - stride, 0)`.
        output_padding: elements added at the end of each spatial axis, fewer than its stride;
            None for the sizes above.
        activation: a name or a function of one array.
        use_bias: whether there is a bias.
        kernel_initializer, bias_initializer: names or initializers.

    Shapes:
        x `[B, D..., C]`, kernel `[K..., F, C]`, bias `[F]`; result `[B, D'..., F]`.
    """

    kernel_size: Sizes1
    strides: Sizes1 = 1
    output_padding: Annotated[Any, naturals(1)] = None
    dilation_rate: Sizes1 = 1
    rank = 1


class Conv2DTranspose(_Fields):
    """`Conv1DTranspose` over two axes."""

    kernel_size: Sizes2
    strides: Sizes2 = (1, 1)
    output_padding: Annotated[Any, naturals(2)] = None
    dilation_rate: Sizes2 = (1, 1)
    rank = 2


class Conv3DTranspose(_ConvTranspose):
    """`Conv1DTranspose` over three axes; here `data_format` comes before `output_padding`, as in Keras."""

    filters: Count
    kernel_size: Sizes3
    strides: Sizes3 = (1, 1, 1)
    padding: Padding = "valid"
    data_format: DataFormat = None
    output_padding: Annotated[Any, naturals(3)] = None
    dilation_rate: Sizes3 = (1, 1, 1)
    activation: Activation = None
    use_bias: bool = True
    kernel_initializer: InitializerField = "glorot_uniform"
    bias_initializer: InitializerField = "zeros"

    rank = 3
