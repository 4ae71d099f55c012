"""What convolutions have beside their definitions: `convolution_op`, which a subclass may override."""

from __future__ import annotations

from typing import Any

from compat.engine.generated import Generated
from compat.layers._lora import AdaptableKernel


class RankedConvolution(Generated):
    """Base of layers that slide over some axes of space."""

    @property
    def rank(self) -> int:
        """How many axes of space the layer slides over."""
        return self.definition_class.rank


class AdaptableConvolution(AdaptableKernel, RankedConvolution):
    """Base of the plain convolutions."""

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """The convolution alone, without bias and activation, which `call` adds.

        A subclass may override it, to normalize the kernel for instance.

        Args:
            inputs: the layer's input; along the time axis padded already if `padding` is "causal".
            kernel: `[*kernel_size, C / groups, filters]`.
        """
        return self.definition.convolve(inputs, kernel)

    def call(self, inputs: Any) -> Any:
        """The convolution with bias and activation."""
        if type(self).convolution_op is AdaptableConvolution.convolution_op:
            return super().call(inputs)
        outputs = self.convolution_op(self.definition.padded(inputs), self.kernel)
        return self.definition.finish({"bias": self.bias}, outputs)
