"""Cross-entropies of targets and predicted probabilities or logits, per element or per row, unreduced.

Probabilities are kept within [1e-7, 1 - 1e-7]; half precision is computed in float32.
"""

from __future__ import annotations

from kfun.ops import activation as a
from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops import reduction as r
from kfun.ops import shaping as s
from kfun.ops._dispatch import Array, derived
from kfun.ops._precision import dtype_of, narrowed, widened
from kfun.ops.encoding import one_hot

_EPSILON = 1e-7  # Keras's backend.epsilon()


@derived
def binary_crossentropy(target: Array, output: Array, from_logits: bool = False) -> Array:
    """`-(target * log(output) + (1 - target) * log(1 - output))`, elementwise.

    Args:
        target: in [0, 1], of the shape of `output`.
        output: probabilities, or logits if `from_logits`.
        from_logits: whether `output` are logits.

    Raises:
        ValueError: if the shapes differ.
    """
    _check_same("binary_crossentropy", target, output)
    wide = widened(output)
    if from_logits:
        log_p, log_q = a.log_sigmoid(wide), a.log_sigmoid(e.negative(wide))
    else:
        wide = e.clip(wide, _EPSILON, 1.0 - _EPSILON)
        log_p, log_q = e.log(wide), e.log(e.subtract(1.0, wide))
    total = e.add(e.multiply(target, log_p), e.multiply(e.subtract(1.0, target), log_q))
    return narrowed(e.negative(total), output)


@derived
def categorical_crossentropy(target: Array, output: Array, from_logits: bool = False, axis=-1) -> Array:
    """`-sum(target * log(output))` along `axis`.

    Args:
        target: a distribution over the classes, of the shape of `output`.
        output: probabilities, scaled here to sum 1, or logits if `from_logits`.
        from_logits: whether `output` are logits.
        axis: the axis of the classes.

    Returns:
        The shape of `output` without `axis`.

    Raises:
        ValueError: if the shapes differ, or are scalar.
    """
    _check_same("categorical_crossentropy", target, output)
    if not len(c.shape(output)):
        raise ValueError("ops.categorical_crossentropy: expected an axis of classes; received scalars")
    picked = r.sum(e.multiply(target, _log_probability(output, from_logits, axis)), axis)
    return narrowed(e.negative(picked), output)


@derived
def sparse_categorical_crossentropy(target: Array, output: Array, from_logits: bool = False, axis=-1) -> Array:
    """`-log(output[target])` for class numbers.

    Args:
        target: class numbers, of the shape of `output` without `axis`, or with size 1 there. The
            result is 0 for a number that is no class.
        output: probabilities, scaled here to sum 1, or logits if `from_logits`.
        from_logits: whether `output` are logits.
        axis: the axis of the classes.

    Returns:
        The shape of `output` without `axis`.

    Raises:
        ValueError: if the shapes do not fit.
    """
    sizes, given = c.shape(output), c.shape(target)
    if not len(sizes):
        raise ValueError("ops.sparse_categorical_crossentropy: expected an axis of classes; received a scalar output")
    if len(given) == len(sizes) and (given[axis] == 1 if isinstance(given[axis], int) else True):
        target = s.squeeze(target, axis)
        given = c.shape(target)
    place = axis % len(sizes)
    expected = (*sizes[:place], *sizes[place + 1 :])
    if not _fit(given, expected):
        raise ValueError(
            f"ops.sparse_categorical_crossentropy: expected class numbers of shape {_known(expected)} for an output "
            f"of shape {_known(sizes)}; received target of shape {_known(given)}. For one-hot targets use "
            "ops.categorical_crossentropy"
        )
    scores = _log_probability(output, from_logits, axis)
    hot = one_hot(c.cast(target, "int32"), sizes[place], place, dtype_of(scores))
    return narrowed(e.negative(r.sum(e.multiply(hot, scores), axis)), output)


def _log_probability(output, from_logits, axis):
    wide = widened(output)
    if from_logits:
        return a.log_softmax(wide, axis)
    scaled = e.divide(wide, r.sum(wide, axis, True))
    return e.log(e.clip(scaled, _EPSILON, 1.0 - _EPSILON))


def _check_same(name, target, output):
    first, second = c.shape(target), c.shape(output)
    if not _fit(first, second):
        raise ValueError(
            f"ops.{name}: expected target and output of one shape; received {_known(first)} and {_known(second)}"
        )


def _fit(first, second):
    """Whether two shapes are equal where both are known."""
    pairs = zip(first, second, strict=len(first) == len(second))
    return len(first) == len(second) and all(m == n for m, n in pairs if isinstance(m, int) and isinstance(n, int))


def _known(shape):
    return tuple(n if isinstance(n, int) else None for n in shape)
