"""Convolutional LSTMs over 1 to 3 spatial axes: an LSTM whose products are convolutions.

B batch, T time, D... spatial axes, C channels in, F filters, K... kernel sizes. Inputs are
`[B, T, D..., C]`, or `[B, T, C, D...]` with `data_format="channels_first"`; states are `[B, D'..., F]`,
where D' is what the input's convolution leaves of D. Gate order is that of `LSTM`.
"""

from __future__ import annotations

from typing import Any

from kfun import abstract, dtypes, ops
from kfun.activations import Activation
from kfun.initializers import InitializerField
from kfun.layer import check_rank, known_size
from kfun.layers.checks import (
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
from kfun.layers.recurrent import OfUnits
from kfun.layers.recurrent_cells import ForgetBias, GatedCell, Masks
from kfun.spec import Spec
from kfun.weights import Weight


class ConvLSTMCell(GatedCell):
    """One step of a convolutional LSTM (Shi et al. 2015, arXiv:1506.04214, without its peepholes).

    Args:
        rank: the number of spatial axes.
        others: as in `ConvLSTM1D`, sizes as tuples of `rank` ints.

    Shapes:
        x `[B, D..., C]`, h and c `[B, D'..., F]`; result `(y, (h, c))` with y = h.
    """

    rank: int
    filters: Count
    kernel_size: tuple
    strides: tuple
    padding: Padding
    data_format: DataFormat
    dilation_rate: tuple
    activation: Activation
    recurrent_activation: Activation
    use_bias: bool
    kernel_initializer: InitializerField
    recurrent_initializer: InitializerField
    bias_initializer: InitializerField
    unit_forget_bias: bool
    dropout: float
    recurrent_dropout: float

    gates = 4

    @property
    def copies(self):
        """One for each gate, whatever is dropped."""
        return self.gates

    def check(self):
        self.check_rates()
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"{label(self)}: strides and dilation_rate cannot both be above 1; received "
                f"strides={self.strides} and dilation_rate={self.dilation_rate}. Set one of them to 1."
            )

    @property
    def state_size(self):
        """The channels of both states."""
        return (self.filters, self.filters)

    def weights(self, x, *states):
        check_rank(self, x, self.rank + 2, axes_shown(self.rank, self.data_format))
        width = 4 * self.filters
        channels = known_size(self, x, channel_axis(self.data_format))
        weights = {
            "kernel": Weight((*self.kernel_size, channels, width), self.kernel_initializer),
            "recurrent_kernel": Weight((*self.kernel_size, self.filters, width), self.recurrent_initializer),
        }
        if self.use_bias:
            first = ForgetBias(self.bias_initializer) if self.unit_forget_bias else self.bias_initializer
            weights["bias"] = Weight((width,), first)
        return weights

    def state_shapes(self, x):
        channels = known_size(self, x, channel_axis(self.data_format))

        def convolved(x: Any) -> Any:
            return self._convolve(x, ops.zeros((*self.kernel_size, channels, self.filters)))

        shape = abstract.evaluate(convolved, Spec(x.shape, "float32")).shape
        for axis in range(len(shape)):
            known_size(self, Spec(shape), axis)
        return (shape, shape)

    def zeros(self, params, x):
        kernel = params["kernel"]
        self._check_input(x, kernel)
        # The convolution of the first step for its shape alone, which a compiler leaves out.
        y = self._convolve(x, ops.getitem(kernel, (..., slice(0, self.filters))))
        zeros = ops.zeros_like(y, dtypes.promote(dtypes.name(x.dtype), dtypes.name(kernel.dtype), "float"))
        return (zeros, zeros)

    def inputs(self, params: dict, x: Any, masks: Masks | None) -> Any:
        """What the gates get of the inputs, `x kernel + bias` `[B, D'..., 4F]`, for steps of any number as a batch."""
        kernel, bias = params["kernel"], params["bias"] if self.use_bias else None
        self._check_input(x, kernel)
        z = _dropped(self._convolve, x, kernel, None if masks is None else masks.inputs, self._channels)
        if bias is None:
            return z
        if self.data_format == "channels_first":
            bias = ops.reshape(bias, (-1, *(1,) * self.rank))
        return ops.add(z, bias)

    def advance(self, params: dict, z: Any, states: tuple, masks: Masks | None) -> tuple[Any, tuple]:
        """The step of a cell that `inputs` has given `z`."""
        h, c = states

        def product(h: Any, kernel: Any) -> Any:
            return ops.conv(h, kernel, 1, "same", self.data_format)

        r = _dropped(product, h, params["recurrent_kernel"], None if masks is None else masks.state, self._channels)
        i, f, g, o = ops.split(ops.add(z, r), 4, self._channels)
        gate = self.recurrent_activation
        c = ops.add(ops.multiply(gate(f), c), ops.multiply(gate(i), self.activation(g)))
        h = ops.multiply(gate(o), self.activation(c))
        return h, (h, c)

    def step(self, params, x, states, masks):
        return self.advance(params, self.inputs(params, x, masks), states, masks)

    @property
    def _channels(self) -> int:
        return channel_axis(self.data_format)

    def _convolve(self, x: Any, kernel: Any) -> Any:
        return ops.conv(x, kernel, self.strides, self.padding, self.data_format, self.dilation_rate)

    def _check_input(self, x: Any, kernel: Any) -> None:
        size = x.shape[self._channels]
        if isinstance(size, int) and size != kernel.shape[-2]:
            raise ValueError(
                f"{label(self)}: expected steps with {kernel.shape[-2]} channels (kernel {tuple(kernel.shape)}); "
                f"received {size} in shape {shown(x.shape)}. Rebuild the layer, or check "
                f"data_format={self.data_format!r}."
            )


def _dropped(product: Any, x: Any, kernel: Any, masks: tuple | None, axis: int) -> Any:
    """`product(x, kernel)`, with each gate's copy of `x` masked by its own mask if there are masks."""
    if masks is None:
        return product(x, kernel)
    kernels = ops.split(kernel, len(masks), -1)
    return ops.concatenate([product(ops.multiply(x, m), k) for m, k in zip(masks, kernels, strict=True)], axis)


class _ConvLSTM(OfUnits):
    filters: Count
    kernel_size: Any
    strides: Any = 1
    padding: Padding = "valid"
    data_format: DataFormat = None
    dilation_rate: Any = 1
    activation: Activation = "tanh"
    recurrent_activation: Activation = "sigmoid"
    use_bias: bool = True
    kernel_initializer: InitializerField = "glorot_uniform"
    recurrent_initializer: InitializerField = "orthogonal"
    bias_initializer: InitializerField = "zeros"
    unit_forget_bias: bool = True
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    return_sequences: bool = False
    return_state: bool = False
    go_backwards: bool = False
    stateful: bool = False
    unroll: bool = False
    zero_output_for_mask: bool = False

    rank = 0  # spatial axes
    made_of = ConvLSTMCell

    def run(self, params, x, states, mask, masks):
        """The inputs' convolution for all steps at once, then the recurrence step by step."""
        batch, time, *step = ops.shape(x)
        if masks is not None and masks.inputs is not None:
            again = (1, time, *(1,) * len(step))
            repeated = [ops.tile(ops.expand_dims(m, 1), again) for m in masks.inputs]
            masks = masks._replace(inputs=tuple(ops.reshape(m, (-1, *step)) for m in repeated))
        z = self.cell.inputs(params, ops.reshape(x, (-1, *step)), masks)
        z = ops.reshape(z, (batch, time, *ops.shape(z)[1:]))
        return self.loop(lambda z, states: self.cell.advance(params, z, states, masks), z, states, mask)

    def _check_input(self, x):
        check_rank(self, x, self.rank + 3, axes_shown(self.rank, self.data_format).replace("[B, ", "[B, T, "))


class ConvLSTM1D(_ConvLSTM):
    """An LSTM over time whose products are convolutions along one axis (Shi et al. 2015, arXiv:1506.04214).

    The input is convolved with `strides`, `padding` and `dilation_rate`; the state with stride 1,
    undilated, so that it keeps its size.

    Args:
        filters: F.
        kernel_size: K..., an int or one per spatial axis.
        strides, padding, data_format, dilation_rate: of the inputs' convolution, as in `Conv1D`, not causal.
        activation, recurrent_activation: of the cell and the gates.
        use_bias: whether there is a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: names or initializers.
        unit_forget_bias: whether the forget gate's bias begins as 1.
        dropout, recurrent_dropout: the probability of dropping an element of the inputs, and of the state,
            in training, in [0, 1); each gate has masks of its own, the same at every step.
        return_sequences, return_state, go_backwards, stateful, unroll, zero_output_for_mask: as in `RNN`.

    Shapes:
        x `[B, T, D..., C]`, kernel `[K..., C, 4F]`, recurrent_kernel `[K..., F, 4F]`, bias `[4F]`; result
        `[B, D'..., F]`, or `[B, T, D'..., F]` with `return_sequences`; states h and c `[B, D'..., F]`.

    Example:
        >>> from kfun import Spec
        >>> ConvLSTM1D(8, 3, padding="same").output_spec(Spec((None, 5, 10, 4)))
        Spec(shape=(None, 10, 8), dtype='float32')
    """

    kernel_size: Sizes1
    strides: Sizes1 = 1
    dilation_rate: Sizes1 = 1
    rank = 1


class ConvLSTM2D(_ConvLSTM):
    """`ConvLSTM1D` over two axes."""

    kernel_size: Sizes2
    strides: Sizes2 = 1
    dilation_rate: Sizes2 = 1
    rank = 2


class ConvLSTM3D(_ConvLSTM):
    """`ConvLSTM1D` over three axes."""

    kernel_size: Sizes3
    strides: Sizes3 = 1
    dilation_rate: Sizes3 = 1
    rank = 3
