"""Connectionist temporal classification (Graves et al. 2006). B batch, T steps, N labels at most, C classes."""

from __future__ import annotations

from kfun import dtypes, ops
from kfun.losses._base import Loss
from kfun.losses._shapes import as_arrays, dtype_of, sizes

_IMPOSSIBLE = -1e5  # a log-probability that stays finite, and so its gradient


def ctc(y_true, y_pred):
    """Minus the log-probability of a label sequence, summed over its alignments with the steps.

    Class 0 is the blank; a sequence has as many labels as there are non-zero numbers in its row.

    Args:
        y_true: class numbers, `[B, N]`, padded with 0 at the end.
        y_pred: logits, `[B, T, C]`.

    Returns:
        `[B]`; about 1e5 or more for a sequence that T steps cannot hold.

    Raises:
        ValueError: if the shapes are not of that form.
    """
    y_true, y_pred = as_arrays(y_true, y_pred)
    if len(sizes(y_true)) != 2 or len(sizes(y_pred)) != 3:
        raise ValueError(
            "ctc: expected y_true of shape [B, N] and logits y_pred of shape [B, T, C]; "
            f"received shapes {sizes(y_true)} and {sizes(y_pred)}"
        )
    dtype = dtypes.promote(dtype_of(y_pred), "float32")
    labels = ops.cast(y_true, "int32")
    length = ops.sum(ops.cast(ops.not_equal(labels, 0), "int32"), 1, True)  # [B, 1]
    scores = ops.log_softmax(ops.cast(y_pred, dtype), -1)
    emit = ops.einsum("btc,bnc->tbn", scores, ops.one_hot(labels, ops.shape(scores)[2], -1, dtype))
    blank = ops.transpose(ops.getitem(scores, (slice(None), slice(None), slice(0, 1))), (1, 0, 2))  # [T, B, 1]
    blanks, ends = _forward(blank, emit, labels)
    # A sequence of n labels ends in the blank after its last label or in that label.
    at_end = ops.one_hot(ops.squeeze(length, 1), ops.shape(blanks)[1], -1, dtype)  # [B, N + 1]
    last = ops.where(ops.greater(length, 0), _shifted(ends), _IMPOSSIBLE)
    return ops.negative(ops.sum(ops.multiply(at_end, ops.logaddexp(blanks, last)), 1))


def _forward(blank, emit, labels):
    """Log-probabilities, after the last step, of standing in each blank `[B, N + 1]` and each label `[B, N]`."""
    ones = ops.multiply(ops.getitem(emit, 0), 0.0)  # [B, N], of the scores' framework
    never = ops.subtract(ones, -_IMPOSSIBLE)
    start = ops.pad(never, ((0, 0), (1, 0)))  # probability 1 before the first label
    # From one label straight to the next, if they differ; the first label follows the blank alone.
    before = ops.getitem(labels, (slice(None), slice(0, -1)))
    after = ops.getitem(labels, (slice(None), slice(1, None)))
    direct = ops.pad(ops.cast(ops.not_equal(before, after), "int32"), ((0, 0), (1, 0)))
    barred = ops.where(ops.equal(direct, 1), 0.0, _IMPOSSIBLE)

    def step(carry, x):
        blanks, ends = carry
        blank, emit = x
        previous = ops.getitem(_shifted(ends), (slice(None), slice(0, -1)))  # [B, N]
        enter = ops.logaddexp(ops.getitem(blanks, (slice(None), slice(0, -1))), ops.add(previous, barred))
        return (
            ops.add(ops.logaddexp(blanks, _shifted(ends)), blank),
            ops.add(ops.logaddexp(enter, ends), emit),
        ), blank

    return ops.scan(step, (start, never), (blank, emit))[0]


def _shifted(ends):
    """The label before each blank: `[B, N]` to `[B, N + 1]`, none before the first."""
    return ops.pad(ends, ((0, 0), (1, 0)), "constant", _IMPOSSIBLE)


class CTC(Loss):
    """Loss of sequences whose alignment with the steps is not known, `ctc`."""

    integer_labels = True

    def call(self, y_true, y_pred):
        return ctc(y_true, y_pred)
