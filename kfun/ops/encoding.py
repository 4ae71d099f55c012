"""Class numbers as vectors of zeros and ones.

`sparse=True` gives a `jax.experimental.sparse.BCOO` on JAX and a `tf.SparseTensor` on TensorFlow;
the other backends have dense arrays only.
"""

from __future__ import annotations

from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops import reduction as r
from kfun.ops import shaping as s
from kfun.ops._dispatch import Array, DType, derived
from kfun.ops._like import counted, refuse_sparse, shaped


@derived
def one_hot(x: Array, num_classes: int, axis=-1, dtype: DType = None, sparse: bool = False) -> Array:
    """A new axis that is 1 at the index `x` and 0 elsewhere; all 0 for an index out of range.

    Args:
        x: integers, of any shape.
        num_classes: the size of the new axis.
        axis: where it is put, a position in the result.
        dtype: of the result, float32 by default.
        sparse: whether to give a sparse array, on JAX and TensorFlow.

    Raises:
        ValueError: if `sparse` is asked of a backend without sparse arrays.
    """
    refuse_sparse("one_hot", sparse)
    rank = len(c.shape(x)) + 1
    classes = shaped(counted(num_classes), [num_classes if i == axis % rank else 1 for i in range(rank)])
    return c.cast(e.equal(s.expand_dims(x, axis), classes), dtype or "float32")


@derived
def multi_hot(
    inputs: Array, num_classes: int | None = None, axis=-1, dtype: DType = None, sparse: bool = False
) -> Array:
    """Rows of labels as one vector each: 1 at every label that the row holds, 0 elsewhere.

    Args:
        inputs: integers, `[L]` or `[B, L]` (or `[B, L, ...]`); those out of range count for nothing.
        num_classes: N, the number of labels.
        axis: where the axis of the labels is put before axis 1 of the inputs (0 if they have one) vanishes.
        dtype: of the result, float32 by default.
        sparse: whether to give a sparse array, on JAX and TensorFlow, with `axis=-1`.

    Returns:
        `[N]` or `[B, N]`.

    Raises:
        ValueError: if `num_classes` is missing, or `sparse` is asked of a backend without sparse arrays.
    """
    if num_classes is None:
        raise ValueError("ops.multi_hot: expected num_classes, the number of labels; received None")
    refuse_sparse("multi_hot", sparse)
    hot = one_hot(inputs, num_classes, axis, "bool")
    return c.cast(r.any(hot, 1 if len(c.shape(inputs)) > 1 else 0), dtype or "float32")
