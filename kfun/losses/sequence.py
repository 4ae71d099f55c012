"""Connectionist temporal classification (Graves et al. 2006). B batch, T steps, N labels at most, C classes."""

from __future__ import annotations

from kfun import ops
from kfun.losses._base import Loss
from kfun.losses._shapes import as_arrays, sizes


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
    labels = ops.cast(y_true, "int32")
    length = ops.sum(ops.cast(ops.not_equal(labels, 0), "int32"), 1)
    steps = ops.sum(ops.ones_like(ops.max(y_pred, 2), "int32"), 1)
    return ops.ctc_loss(labels, y_pred, length, steps)


class CTC(Loss):
    """Loss of sequences whose alignment with the steps is not known, `ctc`."""

    integer_labels = True

    def call(self, y_true, y_pred):
        return ctc(y_true, y_pred)
