"""Cells: one step of a recurrence each.

B batch, C features, H units. Gate order is Keras's: LSTM input, forget, cell, output; GRU update,
reset, candidate (PyTorch's LSTM has the same order, its GRU swaps update and reset).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from kfun import dtypes, ops, random
from kfun.activations import Activation
from kfun.initializers import Initializer, InitializerField, Ones
from kfun.layer import Layer, known_size
from kfun.layers.checks import Count, check_axes, check_rate, need_key
from kfun.layers.core import check_width
from kfun.layers.regularization import counted
from kfun.spec import Spec
from kfun.weights import Weight


class Masks(NamedTuple):
    """Dropout masks of one call, the same for every step: each one array, one per gate, or None.

    Attributes:
        inputs: `[B, C]` each.
        state: `[B, H]` each.
    """

    inputs: tuple | None = None
    state: tuple | None = None


class Cell(Layer):
    """Base of cells: a subclass gives `weights(x)`, `state_size` and `step`; `RNN` loops over it.

    A cell is a layer too: `apply(params, state, x, *states)` gives `(y, new states)`, one step. The
    states begin as zeros where they are not given.
    """

    @property
    def state_size(self) -> tuple[int, ...]:
        """The width of each state: a state is `[B, width]`."""
        raise TypeError(f"{type(self).__name__} must define the property state_size")

    @property
    def output_state(self) -> int:
        """Which of the states a masked step repeats as its output."""
        return 0

    @property
    def output_size(self) -> int:
        """The width of the output, which is by default that of the state which a masked step repeats."""
        return self.state_size[self.output_state]

    @property
    def draws(self) -> int:
        """How many random keys, counted from the one that it is given, `masks` uses."""
        return 0

    def state_shapes(self, x: Spec) -> tuple[tuple, ...]:
        """The shapes of the states for a step's input `x`."""
        return tuple((x.shape[0], size) for size in self.state_size)

    def step(self, params: dict, x: Any, states: tuple, masks: Any) -> tuple[Any, tuple]:
        """One step: `(y, new states)` for `x` of shape `[B, ...]`; `masks` is what `masks()` gave, or None."""
        raise TypeError(f"{type(self).__name__} must define step(params, x, states, masks)")

    def masks(self, key: Any, x: Any, states: tuple) -> Any:
        """The dropout masks of a call in training, for the first step's `x` and states; None if nothing is dropped."""
        return None

    def zeros(self, params: dict, x: Any) -> tuple:
        """The states before the first step `x`, all 0, in the type that the step computes in."""
        first = ops.reshape(x, (ops.shape(x)[0], -1))
        column = self._zero(params, ops.getitem(first, (slice(None), slice(0, 1))))
        return tuple(ops.tile(column, (1, size)) for size in self.state_size)

    def _zero(self, params: dict, x: Any) -> Any:
        wide = dtypes.promote(dtypes.name(x.dtype), *_float_types(params), "float")
        return ops.zeros_like(x, dtypes.settle(wide))

    def apply(self, params, state, x, *states, key=None, training=False):
        params, (x, *states) = self.to_compute(params, (x, *states))
        states = tuple(states) or self.zeros(params, x)
        masks = self.masks(key, x, states) if training else None
        y, states = self.step(params, x, states, masks)
        return self.to_output((y, tuple(states))), state


def _float_types(tree: dict) -> list[str]:
    """The types of a nested dict's floating arrays."""
    found: list[str] = []
    for value in tree.values():
        if isinstance(value, dict):
            found += _float_types(value)
        elif dtypes.name(value.dtype) in dtypes.FLOATS:
            found.append(dtypes.name(value.dtype))
    return found


class ForgetBias(Initializer):
    """An LSTM's bias with ones for the forget gate (Jozefowicz et al. 2015), the rest drawn by `initializer`."""

    initializer: InitializerField = "zeros"

    def draw(self, key, shape, dtype):
        (n,) = shape
        units = n // 4
        parts = (self.initializer, units), (Ones(), units), (self.initializer, 2 * units)
        return ops.concatenate([draw(key, (size,), dtype) for draw, size in parts])


class GatedCell(Cell):
    """What the three cells share: `gates` kernels side by side, dropout masks per gate or one for all."""

    gates = 1

    def check(self):
        self.check_rates()

    def check_rates(self) -> None:
        """Raises ValueError unless both rates are in [0, 1)."""
        check_rate(self, "dropout", self.dropout, below_one=True)
        check_rate(self, "recurrent_dropout", self.recurrent_dropout, below_one=True)

    @property
    def state_size(self):
        return (self.units,)

    def weights(self, x, *states):
        check_axes(self, x.shape, 1, "[..., C]")
        width = self.gates * self.units
        weights = {
            "kernel": Weight((known_size(self, x, -1), width), self.kernel_initializer),
            "recurrent_kernel": Weight((self.units, width), self.recurrent_initializer),
        }
        if self.use_bias:
            weights["bias"] = self.bias(width)
        return weights

    def zeros(self, params, x):
        """The states before the first step, for any number of axes before the features, none for a single example."""
        check_axes(self, x.shape, 1, "[..., C]")
        column = self._zero(params, ops.getitem(x, (..., slice(0, 1))))
        lead = (1,) * (len(x.shape) - 1)
        return tuple(ops.tile(column, (*lead, size)) for size in self.state_size)

    def bias(self, width: int) -> Weight:
        return Weight((width,), self.bias_initializer)

    @property
    def copies(self) -> int:
        """How many masks there are of the inputs, and of the state."""
        # Keras drops each gate's copy apart as soon as there is recurrent dropout, else all alike.
        return self.gates if self.recurrent_dropout else 1

    @property
    def draws(self):
        return self.copies * (bool(self.dropout) + bool(self.recurrent_dropout))

    def masks(self, key, x, states):
        n, made = 0, []
        for rate, of in ((self.dropout, x), (self.recurrent_dropout, states[0])):
            if not rate:
                made.append(None)
                continue
            ones = ops.ones_like(of)
            keys = [counted(need_key(self, key), n + i) for i in range(self.copies)]
            made.append(tuple(random.dropout(k, ones, rate) for k in keys))
            n += self.copies
        return Masks(*made)


def _products(x: Any, kernel: Any, bias: Any, masks: tuple | None, n: int) -> list:
    """`x kernel + bias` in `n` parts, `x` masked for all of them or for each apart."""
    if masks is not None and len(masks) == n > 1:
        kernels = ops.split(kernel, n, -1)
        parts = [ops.matmul(ops.multiply(x, m), k) for m, k in zip(masks, kernels, strict=True)]
        if bias is None:
            return parts
        return [ops.add(p, b) for p, b in zip(parts, ops.split(bias, n, -1), strict=True)]
    if masks is not None:
        x = ops.multiply(x, masks[0])
    z = ops.matmul(x, kernel)
    z = z if bias is None else ops.add(z, bias)
    return ops.split(z, n, -1) if n > 1 else [z]


class SimpleRNNCell(GatedCell):
    """`h = activation(x kernel + bias + h recurrent_kernel)`.

    Args:
        units: H.
        activation: a name or a function of one array.
        use_bias: whether there is a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: names or initializers.
        dropout: the probability of dropping an input element in training, in [0, 1).
        recurrent_dropout: the same for the state.

    Shapes:
        x `[B, C]`, h `[B, H]`, kernel `[C, H]`, recurrent_kernel `[H, H]`, bias `[H]`; result
        `(y, (h,))` with y = h.
    """

    units: Count
    activation: Activation = "tanh"
    use_bias: bool = True
    kernel_initializer: InitializerField = "glorot_uniform"
    recurrent_initializer: InitializerField = "orthogonal"
    bias_initializer: InitializerField = "zeros"
    dropout: float = 0.0
    recurrent_dropout: float = 0.0

    def step(self, params, x, states, masks):
        (h,), masks = states, masks or Masks()
        check_width(self, x, params["kernel"].shape[0], tuple(params["kernel"].shape))
        (z,) = _products(x, params["kernel"], params["bias"] if self.use_bias else None, masks.inputs, 1)
        (r,) = _products(h, params["recurrent_kernel"], None, masks.state, 1)
        h = self.activation(ops.add(z, r))
        return h, (h,)


class LSTMCell(GatedCell):
    """Long short-term memory (Hochreiter & Schmidhuber 1997).

    Args:
        units: H.
        activation, recurrent_activation: of the cell and the gates.
        use_bias: whether there is a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: names or initializers.
        unit_forget_bias: whether the forget gate's bias begins as 1.
        dropout, recurrent_dropout: as in `SimpleRNNCell`.

    Shapes:
        x `[B, C]`, h and c `[B, H]`, kernel `[C, 4H]`, recurrent_kernel `[H, 4H]`, bias `[4H]`;
        result `(y, (h, c))` with y = h.
    """

    units: Count
    activation: Activation = "tanh"
    recurrent_activation: Activation = "sigmoid"
    use_bias: bool = True
    kernel_initializer: InitializerField = "glorot_uniform"
    recurrent_initializer: InitializerField = "orthogonal"
    bias_initializer: InitializerField = "zeros"
    unit_forget_bias: bool = True
    dropout: float = 0.0
    recurrent_dropout: float = 0.0

    gates = 4

    @property
    def state_size(self):
        return (self.units, self.units)

    def bias(self, width):
        return Weight((width,), ForgetBias(self.bias_initializer) if self.unit_forget_bias else self.bias_initializer)

    def step(self, params, x, states, masks):
        (h, c), masks = states, masks or Masks()
        check_width(self, x, params["kernel"].shape[0], tuple(params["kernel"].shape))
        z = _products(x, params["kernel"], params["bias"] if self.use_bias else None, masks.inputs, 4)
        r = _products(h, params["recurrent_kernel"], None, masks.state, 4)
        i, f, g, o = (ops.add(a, b) for a, b in zip(z, r, strict=True))
        gate = self.recurrent_activation
        c = ops.add(ops.multiply(gate(f), c), ops.multiply(gate(i), self.activation(g)))
        h = ops.multiply(gate(o), self.activation(c))
        return h, (h, c)


class GRUCell(GatedCell):
    """Gated recurrent unit (Cho et al. 2014, arXiv:1406.1078).

    Args:
        units, activation, recurrent_activation, use_bias, kernel_initializer,
            recurrent_initializer, bias_initializer, dropout, recurrent_dropout: as in `LSTMCell`.
        reset_after: whether the reset gate acts after the product with the state (cuDNN's form).

    Shapes:
        x `[B, C]`, h `[B, H]`, kernel `[C, 3H]`, recurrent_kernel `[H, 3H]`, bias `[2, 3H]` (the
        inputs', then the state's) if `reset_after`, else `[3H]`; result `(y, (h,))` with y = h.
    """

    units: Count
    activation: Activation = "tanh"
    recurrent_activation: Activation = "sigmoid"
    use_bias: bool = True
    kernel_initializer: InitializerField = "glorot_uniform"
    recurrent_initializer: InitializerField = "orthogonal"
    bias_initializer: InitializerField = "zeros"
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    reset_after: bool = True

    gates = 3

    def bias(self, width):
        return Weight((2, width) if self.reset_after else (width,), self.bias_initializer)

    def step(self, params, x, states, masks):
        (h,), masks = states, masks or Masks()
        kernel, recurrent = params["kernel"], params["recurrent_kernel"]
        check_width(self, x, kernel.shape[0], tuple(kernel.shape))
        bias, inner = params["bias"] if self.use_bias else None, None
        if bias is not None and self.reset_after:
            bias, inner = ops.unstack(bias, 2, 0)
        zx, rx, gx = _products(x, kernel, bias, masks.inputs, 3)
        gate = self.recurrent_activation
        if self.reset_after:
            zh, rh, gh = _products(h, recurrent, inner, masks.state, 3)
            update, reset = gate(ops.add(zx, zh)), gate(ops.add(rx, rh))
            candidate = ops.multiply(reset, gh)
        else:
            parts = ops.split(recurrent, 3, -1)
            dropped = [h, h, h] if masks.state is None else [ops.multiply(h, m) for m in masks.state]
            update = gate(ops.add(zx, ops.matmul(dropped[0], parts[0])))
            reset = gate(ops.add(rx, ops.matmul(dropped[1], parts[1])))
            candidate = ops.matmul(ops.multiply(reset, dropped[2]), parts[2])
        candidate = self.activation(ops.add(gx, candidate))
        h = ops.add(ops.multiply(update, h), ops.multiply(ops.subtract(1.0, update), candidate))
        return h, (h,)
