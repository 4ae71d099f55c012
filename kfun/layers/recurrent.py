"""Recurrences over time: `RNN` of any cell, `SimpleRNN`, `LSTM`, `GRU`.

B batch, T time, C features, H units. Where the mask is False the states stay, and the output is
the step before's again (the first state before the first step), or 0 with `zero_output_for_mask`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Annotated, Any

from kfun import initializers, ops
from kfun.activations import Activation
from kfun.definition import Convert
from kfun.initializers import InitializerField
from kfun.layer import Layer, check_rank, declared_by, known_size
from kfun.layers.checks import Count, label, shown
from kfun.layers.core import check_width
from kfun.layers.recurrent_cells import Cell, GRUCell, LSTMCell, SimpleRNNCell
from kfun.layers.recurrent_stack import StackedRNNCells
from kfun.ops.rnn import no_cudnn
from kfun.spec import Spec
from kfun.weights import Weight


class Recurrent(Layer):
    """What recurrent layers share. A subclass has a `cell` and the fields of `RNN` but that one.

    The parameters are `{"cell": ...}`. A stateful layer's last states are `state["states"]`, keyed
    "0", "1", ... in the cell's order, and are the next call's first.
    """

    uses_mask = True

    def weights(self, x):
        self._check_input(x)
        own = declared_by(self.cell, Spec((x.shape[0], *x.shape[2:]), x.dtype))
        weights: dict = {"cell": own} if own else {}
        if self.stateful:
            step, zeros = Spec((known_size(self, x, 0), *x.shape[2:]), x.dtype), initializers.Zeros()
            weights["states"] = {
                str(i): Weight(shape, zeros, trainable=False) for i, shape in enumerate(self.cell.state_shapes(step))
            }
        return weights

    def apply(self, params, state, x, *, key=None, training=False, mask=None, initial_state=None):
        """Computes the recurrence.

        Args:
            params, state, key, training: as in `Layer.apply`.
            x: `[B, T, ...]`, what the cell takes with a time axis.
            mask: bool `[B, T]`, or None.
            initial_state: the first states, an array or several; zeros, or the state that a
                stateful layer keeps, if None.

        Returns:
            `(outputs, state)`: the outputs `[B, T, H]` with `return_sequences`, else the last one
            `[B, H]`; with `return_state` a tuple of that and the last states. With `go_backwards`
            the outputs are in the order in which they were computed.
        """
        params, (x,) = self.to_compute(params, (x,))
        self._check_input(x)
        weights = params.get("cell", {})
        first = ops.getitem(x, (slice(None), 0))
        states = self._first_states(weights, state, first, initial_state)
        masks = self.cell.masks(key, first, states) if training else None
        kept = None if mask is None else self._kept(mask, x)
        outputs, last, states = self.run(weights, x, states, kept, masks)
        if self.stateful:
            old = state["states"]
            new = {str(i): ops.cast(s, old[str(i)].dtype) for i, s in enumerate(states)}
            state = {**state, "states": new}
        if not self.return_sequences:
            outputs = last
        elif self.go_backwards:
            outputs = ops.flip(outputs, 1)
        return self.to_output((outputs, *states) if self.return_state else outputs), state

    def run(self, params: dict, x: Any, states: tuple, mask: Any, masks: Any) -> tuple[Any, Any, tuple]:
        """`(outputs [B, T, H] in the order of x, last output, last states)`, step by step."""
        return self.loop(lambda x, states: self.cell.step(params, x, states, masks), x, states, mask)

    def loop(self, advance: Callable, x: Any, states: tuple, mask: Any) -> tuple[Any, Any, tuple]:
        """What `run` gives, from `advance(x, states) -> (y, new states)`, a step of the cell on what `x` has of it."""
        unroll = 1
        if self.unroll:
            unroll = x.shape[1]
            if not isinstance(unroll, int):
                raise ValueError(f"{label(self)}: unroll=True needs a known number of steps; received {shown(x.shape)}")
        back = self.cell.output_state

        def step(states, xs):
            y, new = advance(xs[0], states)
            new = tuple(ops.cast(n, s.dtype) for n, s in zip(new, states, strict=True))
            if len(xs) > 1:
                y = _where(xs[1], y, 0 if self.zero_output_for_mask else states[back])
                new = tuple(_where(xs[1], n, s) for n, s in zip(new, states, strict=True))
            return new, y

        xs = (ops.swapaxes(x, 0, 1),)
        if mask is not None:
            xs += (ops.swapaxes(mask, 0, 1),)  # [T, B]
        states, outputs = ops.scan(step, states, xs, reverse=self.go_backwards, unroll=unroll)
        outputs = ops.swapaxes(outputs, 0, 1)
        return outputs, self.last_of(outputs), tuple(states)

    def last_of(self, outputs: Any) -> Any:
        """The output that was computed last."""
        return ops.getitem(outputs, (slice(None), 0 if self.go_backwards else -1))

    def compute_mask(self, *inputs, mask=None):
        mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        mask = mask if self.return_sequences else None
        return (mask, *(None for _ in self.cell.state_size)) if self.return_state else mask

    def _check_input(self, x: Any) -> None:
        if len(x.shape) < 3:
            check_rank(self, x, 3, "[B, T, C]")

    def _kept(self, mask: Any, x: Any) -> Any:
        if len(mask.shape) == 3:  # a mask per feature keeps a step that has any
            mask = ops.any(mask, -1)
        if len(mask.shape) != 2:
            raise ValueError(
                f"{label(self)}: expected a mask [B, T] for an input of shape {shown(x.shape)}; received one of "
                f"shape {shown(mask.shape)}"
            )
        return ops.cast(mask, "bool")

    def _first_states(self, params: dict, state: dict, first: Any, given: Any) -> tuple:
        zeros = self.cell.zeros(params, first)
        if given is None:
            if not self.stateful:
                return zeros
            given = tuple(state["states"][str(i)] for i in range(len(zeros)))
            batch, kept = first.shape[0], given[0].shape[0]
            if isinstance(batch, int) and isinstance(kept, int) and batch != kept:
                raise ValueError(
                    f"{label(self)}: a stateful layer was made for batches of {kept} and received one of {batch}. "
                    "Pad or drop the batch, or call init for its size."
                )
        given = tuple(given) if isinstance(given, (list, tuple)) else (given,)
        if len(given) != len(zeros):
            raise ValueError(
                f"{label(self)}: initial_state: expected {len(zeros)} states of widths {self.cell.state_size}; "
                f"received {len(given)}"
            )
        return tuple(ops.cast(g, z.dtype) for g, z in zip(given, zeros, strict=True))


def _where(keep: Any, x: Any, y: Any) -> Any:
    """`x` where `keep` `[B]` is True, else `y`."""
    return ops.where(ops.expand_dims(keep, tuple(range(1, len(x.shape)))), x, y)


def _stacked(value: Any) -> Any:
    return StackedRNNCells(tuple(value)) if isinstance(value, (list, tuple)) else value


class RNN(Recurrent):
    """Runs a cell over time.

    Args:
        cell: the cell; several are stacked, as by `StackedRNNCells`.
        return_sequences: whether to give every step's output, or only the last.
        return_state: whether to give the last states too.
        go_backwards: whether to run from the last step to the first.
        stateful: whether a call begins with the states that the one before ended with. The batch
            size is then fixed.
        unroll: whether to compile the steps one by one, not as a loop; needs a known T.
        zero_output_for_mask: whether a masked step's output is 0.

    Shapes:
        x `[B, T, ...]`; result `[B, H]`, or `[B, T, H]` with `return_sequences`.
    """

    cell: Annotated[Any, Convert(_stacked)]
    return_sequences: bool = False
    return_state: bool = False
    go_backwards: bool = False
    stateful: bool = False
    unroll: bool = False
    zero_output_for_mask: bool = False

    def check(self):
        if not isinstance(self.cell, Cell):
            raise TypeError(
                f"{label(self)}: cell: expected a kfun.layers.Cell such as LSTMCell(32); received {self.cell!r}"
            )


def _cudnn(value: Any) -> bool | str:
    if not isinstance(value, bool) and value != "auto":
        raise ValueError(f"expected 'auto', True or False; received {value!r}")
    return value


UseCudnn = Annotated[Any, Convert(_cudnn)]


class OfUnits(Recurrent):
    """A layer whose cell follows from its own fields, and whose loop backends have whole.

    The whole loop serves where a step drops nothing of the state and no unrolling is asked for.
    """

    made_of = Cell
    use_cudnn = False  # of layers without such a field

    @functools.cached_property
    def cell(self) -> Any:
        """The cell, made of the fields that it has in common with the layer."""
        names = [f.name for f in dataclasses.fields(self.made_of) if f.name not in ("name", "policy")]
        return self.made_of(**{name: getattr(self, name) for name in names})

    def _check_input(self, x):
        check_rank(self, x, 3, "[B, T, C]")

    def check(self):
        self.cell  # noqa: B018 - its fields are checked where it is made

    def whole(self, params: dict, x: Any, states: tuple, mask: Any) -> tuple:
        """The op for the whole loop: `(outputs, *last states)`."""
        raise TypeError(f"{type(self).__name__} must define whole(params, x, states, mask)")

    def run(self, params, x, states, mask, masks):
        if self.unroll or self.recurrent_dropout:
            if self.use_cudnn is True:
                raise no_cudnn("it takes neither unroll nor recurrent_dropout")
            return super().run(params, x, states, mask, masks)
        check_width(self, x, params["kernel"].shape[0], tuple(params["kernel"].shape))
        if masks is not None and masks.inputs is not None:
            x = ops.multiply(x, ops.expand_dims(masks.inputs[0], 1))
        outputs, *states = self.whole(params, x, states, mask)
        if mask is None or not self.zero_output_for_mask:
            return outputs, states[0], tuple(states)
        outputs = ops.where(ops.expand_dims(mask, -1), outputs, 0)
        return outputs, self.last_of(outputs), tuple(states)


class SimpleRNN(OfUnits):
    """`h = activation(x kernel + bias + h recurrent_kernel)` over time.

    Args:
        units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer,
            dropout, recurrent_dropout: as in `SimpleRNNCell`; a dropped element is dropped at every step.
        return_sequences, return_state, go_backwards, stateful, unroll, zero_output_for_mask: as in `RNN`.

    Shapes:
        x `[B, T, C]`; result `[B, H]`, or `[B, T, H]` with `return_sequences`.
    """

    units: Count
    activation: Activation = "tanh"
    use_bias: bool = True
    kernel_initializer: InitializerField = "glorot_uniform"
    recurrent_initializer: InitializerField = "orthogonal"
    bias_initializer: InitializerField = "zeros"
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    return_sequences: bool = False
    return_state: bool = False
    go_backwards: bool = False
    stateful: bool = False
    unroll: bool = False
    zero_output_for_mask: bool = False

    made_of = SimpleRNNCell

    def whole(self, params, x, states, mask):
        kernels = params["kernel"], params["recurrent_kernel"], params["bias"] if self.use_bias else None
        return ops.simple_rnn(x, *states, *kernels, mask, activation=self.activation, reverse=self.go_backwards)


class LSTM(OfUnits):
    """Long short-term memory over time (Hochreiter & Schmidhuber 1997).

    Args:
        units, activation, recurrent_activation, use_bias, kernel_initializer, recurrent_initializer,
            bias_initializer, unit_forget_bias, dropout, recurrent_dropout: as in `LSTMCell`.
        return_sequences, return_state, go_backwards, stateful, unroll, zero_output_for_mask: as in `RNN`.
        use_cudnn: "auto" for cuDNN's kernel where it can serve (see `ops.lstm`), True to insist, which goes
            without `unroll` and `recurrent_dropout`.

    Shapes:
        x `[B, T, C]`; result `[B, H]`, or `[B, T, H]` with `return_sequences`; states h and c `[B, H]`.

    Example:
        >>> from kfun import Spec
        >>> LSTM(8, return_sequences=True).output_spec(Spec((None, None, 4)))
        Spec(shape=(None, None, 8), dtype='float32')
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
    return_sequences: bool = False
    return_state: bool = False
    go_backwards: bool = False
    stateful: bool = False
    unroll: bool = False
    zero_output_for_mask: bool = False
    use_cudnn: UseCudnn = False

    made_of = LSTMCell

    def whole(self, params, x, states, mask):
        kernels = params["kernel"], params["recurrent_kernel"], params["bias"] if self.use_bias else None
        functions = self.activation, self.recurrent_activation
        return ops.lstm(x, *states, *kernels, mask, *functions, self.go_backwards, self.use_cudnn)


class GRU(OfUnits):
    """Gated recurrent units over time (Cho et al. 2014, arXiv:1406.1078).

    Args:
        units, activation, recurrent_activation, use_bias, kernel_initializer, recurrent_initializer,
            bias_initializer, dropout, recurrent_dropout, reset_after: as in `GRUCell`.
        return_sequences, return_state, go_backwards, stateful, unroll, zero_output_for_mask: as in `RNN`.
        use_cudnn: "auto" or False; for True an error when run: no array library here has cuDNN's GRU.

    Shapes:
        x `[B, T, C]`; result `[B, H]`, or `[B, T, H]` with `return_sequences`.
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
    return_sequences: bool = False
    return_state: bool = False
    go_backwards: bool = False
    stateful: bool = False
    unroll: bool = False
    reset_after: bool = True
    zero_output_for_mask: bool = False
    use_cudnn: UseCudnn = False

    made_of = GRUCell

    def whole(self, params, x, states, mask):
        if self.use_cudnn is True:
            raise no_cudnn("it has no GRU that can be called from here")
        kernels = params["kernel"], params["recurrent_kernel"], params["bias"] if self.use_bias else None
        functions = self.activation, self.recurrent_activation
        return ops.gru(x, *states, *kernels, mask, *functions, self.reset_after, self.go_backwards)
