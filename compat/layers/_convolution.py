"""What convolutions have beside their definitions: `convolution_op`, which a subclass may override."""

from __future__ import annotations

from typing import Any

from compat import activations
from compat.core.generated import Generated
from compat.layers._lora import Kernel
from kfun import ops


class Ranked(Generated):
    """Base of layers that slide over some axes of space."""

    @property
    def rank(self) -> int:
        """How many axes of space the layer slides over."""
        return int(self.definition_class.__name__.replace("Transpose", "")[-2])


class Convolved(Kernel, Ranked):
    """Base of the plain convolutions."""

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """The convolution alone, without bias and activation, which `call` adds.

        A subclass may override it, to normalize the kernel for instance.

        Args:
            inputs: the layer's input; along the time axis padded already if `padding` is "causal".
            kernel: `[*kernel_size, C / groups, filters]`.
        """
        padding = "valid" if self.padding == "causal" else self.padding
        return ops.conv(inputs, kernel, list(self.strides), padding, self.data_format, self.dilation_rate)

    def call(self, inputs: Any) -> Any:
        """The convolution with bias and activation."""
        if type(self).convolution_op is Convolved.convolution_op:
            return super().call(inputs)
        last = self.data_format == "channels_last"
        if self.padding == "causal":
            before = (self.dilation_rate[0] * (self.kernel_size[0] - 1), 0)
            inputs = ops.pad(inputs, [(0, 0), before, (0, 0)] if last else [(0, 0), (0, 0), before])
        outputs = self.convolution_op(inputs, self.kernel)
        if self.use_bias:
            shape = (1, *[1] * self.rank, self.filters) if last else (1, self.filters, *[1] * self.rank)
            outputs = ops.add(outputs, ops.reshape(self.bias, shape))
        return activations.get(self.activation)(outputs)
