"""Whole recurrences as ops, because runtimes have them fused.

B batch, T time, C features, H units. Gate order is Keras's: LSTM input, forget, cell, output;
GRU update, reset, candidate. The product with the inputs is one matmul before the loop.
"""

from __future__ import annotations

from collections.abc import Callable

from kfun.ops import activation as a
from kfun.ops import control
from kfun.ops import elementwise as e
from kfun.ops import products as p
from kfun.ops import shaping as s
from kfun.ops._dispatch import Array, derived


@derived
def lstm(
    x: Array,
    h: Array,
    c: Array,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array = None,
    mask: Array = None,
    activation: Callable = e.tanh,
    recurrent_activation: Callable = a.sigmoid,
    reverse: bool = False,
    use_cudnn: bool | str = False,
) -> tuple:
    """Long short-term memory over time (Hochreiter & Schmidhuber 1997).

    Args:
        x: `[B, T, C]`.
        h, c: `[B, H]`, the first hidden and cell state.
        kernel: `[C, 4H]`.
        recurrent_kernel: `[H, 4H]`.
        bias: `[4H]` or None.
        mask: bool `[B, T]` or None; where False the state stays.
        activation, recurrent_activation: functions of one array.
        reverse: whether to run from the last step to the first.
        use_cudnn: whether to run cuDNN's kernel: "auto" where it can serve, True to insist. JAX has it on
            NVIDIA GPUs, for float32, the default activations and no mask. It has a gradient, but none of
            the gradient, and no forward mode.

    Returns:
        `(outputs [B, T, H] in the order of x, last h, last c)`.

    Raises:
        ValueError: if `use_cudnn` is True where cuDNN cannot serve.
    """
    if use_cudnn is True:
        raise no_cudnn("the backend has none for these arguments")
    step = lstm_step(activation, recurrent_activation)
    ys, (h, c) = _run(step, (h, c), _hoisted(x, kernel, recurrent_kernel, bias), mask, reverse)
    return ys, h, c


def no_cudnn(why: str) -> ValueError:
    """The error of a recurrence that insists on cuDNN's kernel."""
    return ValueError(f"use_cudnn=True asks for cuDNN's kernel, but {why}; give 'auto' to go without where it cannot")


def lstm_step(activation, recurrent_activation):
    """`step((h, c), gates, keep)`: the new states from the sums that go into the four gates."""

    def step(carry, gates, keep):
        h, c = carry
        i, f, g, o = s.split(gates(h), 4, -1)
        c_new = e.add(e.multiply(recurrent_activation(f), c), e.multiply(recurrent_activation(i), activation(g)))
        h_new = e.multiply(recurrent_activation(o), activation(c_new))
        return (_keep(keep, h_new, h), _keep(keep, c_new, c))

    return step


def lstm_in_one_product(x, h, c, kernel, recurrent_kernel, bias, mask, activation, recurrent_activation, reverse):
    """`lstm` with one product a step, of input and state together.

    Where memory is slower than arithmetic this is faster than the inputs' product before the loop,
    whose result is written whole and read again: on a CPU 1.5 times, its gradient 1.4 times.
    """
    both = s.concatenate([kernel, recurrent_kernel], 0)

    def sums(x, h):
        gates = p.matmul(s.concatenate([x, h], -1), both)
        return gates if bias is None else e.add(gates, bias)

    step = lstm_step(activation, recurrent_activation)
    ys, (h, c) = _run(step, (h, c), (x, sums), mask, reverse)
    return ys, h, c


@derived
def gru(
    x: Array,
    h: Array,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array = None,
    mask: Array = None,
    activation: Callable = e.tanh,
    recurrent_activation: Callable = a.sigmoid,
    reset_after: bool = True,
    reverse: bool = False,
) -> tuple:
    """Gated recurrent unit over time (Cho et al. 2014, arXiv:1406.1078).

    Args:
        x: `[B, T, C]`.
        h: `[B, H]`, the first state.
        kernel: `[C, 3H]`.
        recurrent_kernel: `[H, 3H]`.
        bias: `[2, 3H]` (inputs', then state's) if `reset_after`, else `[3H]`; or None.
        mask: bool `[B, T]` or None; where False the state stays.
        activation, recurrent_activation: functions of one array.
        reset_after: whether the reset gate acts after the product with the state (cuDNN's form).
        reverse: whether to run from the last step to the first.

    Returns:
        `(outputs [B, T, H] in the order of x, last h)`.
    """
    units = _units(recurrent_kernel)
    inner = None
    if bias is not None and reset_after:
        bias, inner = s.unstack(bias, 2, 0)

    def step(carry, gates, keep):
        (h,) = carry
        z = gates(h)
        zx, rx, gx = s.split(z, 3, -1)
        if reset_after:
            hidden = p.matmul(h, recurrent_kernel)
            zh, rh, gh = s.split(hidden if inner is None else e.add(hidden, inner), 3, -1)
            update, reset = recurrent_activation(e.add(zx, zh)), recurrent_activation(e.add(rx, rh))
            candidate = activation(e.add(gx, e.multiply(reset, gh)))
        else:
            gates = p.matmul(h, s.getitem(recurrent_kernel, (slice(None), slice(0, 2 * units))))
            zh, rh = s.split(gates, 2, -1)
            update, reset = recurrent_activation(e.add(zx, zh)), recurrent_activation(e.add(rx, rh))
            last = s.getitem(recurrent_kernel, (slice(None), slice(2 * units, None)))
            candidate = activation(e.add(gx, p.matmul(e.multiply(reset, h), last)))
        h_new = e.add(e.multiply(update, h), e.multiply(e.subtract(1.0, update), candidate))
        return (_keep(keep, h_new, h),)

    ys, (h,) = _run(step, (h,), (_project(x, kernel, bias), lambda z, h: z), mask, reverse)
    return ys, h


@derived
def simple_rnn(
    x: Array,
    h: Array,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array = None,
    mask: Array = None,
    activation: Callable = e.tanh,
    reverse: bool = False,
) -> tuple:
    """`h = activation(x kernel + bias + h recurrent_kernel)` over time.

    Args:
        x: `[B, T, C]`; h: `[B, H]`; kernel: `[C, H]`; recurrent_kernel: `[H, H]`;
            bias: `[H]` or None; mask: bool `[B, T]` or None; the rest as in `lstm`.

    Returns:
        `(outputs [B, T, H], last h)`.
    """

    def step(carry, gates, keep):
        (h,) = carry
        return (_keep(keep, activation(gates(h)), h),)

    ys, (h,) = _run(step, (h,), _hoisted(x, kernel, recurrent_kernel, bias), mask, reverse)
    return ys, h


def _units(recurrent_kernel):
    return recurrent_kernel.shape[0]


def _project(x, kernel, bias):
    z = p.matmul(x, kernel)
    return z if bias is None else e.add(z, bias)


def _hoisted(x, kernel, recurrent_kernel, bias):
    """The inputs' product for all steps, and the sum of a step's with the state's."""
    return _project(x, kernel, bias), lambda z, h: e.add(z, p.matmul(h, recurrent_kernel))


def _keep(keep, new, old):
    return new if keep is None else e.where(keep, new, old)


def _run(step, carry, inputs, mask, reverse):
    """The loop. `inputs` are a sequence `[B, T, ...]` and `sums(inputs of a step, h)`, what goes into the gates."""
    sequence, sums = inputs
    xs = (s.swapaxes(sequence, 0, 1),)
    if mask is not None:
        xs += (s.expand_dims(s.swapaxes(mask, 0, 1), -1),)  # [T, B, 1]

    def body(carry, x):
        carry = step(carry, lambda h: sums(x[0], h), x[1] if len(x) > 1 else None)
        return carry, carry[0]

    carry, ys = control.scan(body, carry, xs, reverse=reverse)
    return s.swapaxes(ys, 0, 1), carry
