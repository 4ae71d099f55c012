"""Embeddings: a table of vectors, looked up by index; and the table used backwards, for scores of the indices.

B batch, T positions, F features, V vocabulary.
"""

from __future__ import annotations

from typing import Annotated, Any

from kfun import dtypes, ops
from kfun.definition import Convert
from kfun.initializers import InitializerField
from kfun.layer import Layer
from kfun.layers.checks import Count, label
from kfun.layers.core import check_width
from kfun.weights import Weight


class Embedding(Layer):
    """A row of `embeddings` for each index.

    Args:
        input_dim: V, the number of rows.
        output_dim: F.
        embeddings_initializer: a name or an initializer.
        mask_zero: whether index 0 is padding, to be masked in the layers that follow.

    Shapes:
        x `[B, ...]` integers in `[0, V)`; result `[B, ..., F]`.
    """

    input_dim: Count
    output_dim: Count
    embeddings_initializer: InitializerField = "uniform"
    mask_zero: bool = False

    def weights(self, x):
        return {"embeddings": Weight((self.input_dim, self.output_dim), self.embeddings_initializer)}

    def forward(self, params, x):
        return _looked_up(params["embeddings"], x)

    def compute_mask(self, *inputs, mask=None):
        return ops.not_equal(inputs[0], 0) if self.mask_zero else None


def _float_type(value: Any) -> str | None:
    if value is None:
        return None
    name = dtypes.name(value)
    if not dtypes.is_float(name):
        raise ValueError(f"expected a floating type or None; received {value!r}")
    return name


class ReversibleEmbedding(Layer):
    """An embedding that can be applied backwards, from features to a score for each index.

    Forwards it is `Embedding`. With the call argument `reverse=True` it is `x kernel`, where the
    kernel is the transposed table (Press & Wolf 2016, arXiv:1608.05859) or has weights of its own.

    Args:
        input_dim: V, the number of rows.
        output_dim: F.
        tie_weights: whether both directions share the table; if not, there is a `reverse_embeddings`.
        embeddings_initializer: a name or an initializer, of both tables.
        mask_zero: whether index 0 is padding, to be masked in the layers that follow.
        reverse_dtype: the floating type of the scores and of their computation; None for that of
            the input and the table.
        logit_soft_cap: a positive c that keeps scores within (-c, c), by `c tanh(score / c)`; None
            for scores as they are.

    Shapes:
        x `[B, ...]` integers in `[0, V)`, result `[B, ..., F]`; in reverse x `[B, ..., F]`, result
        `[B, ..., V]`. embeddings `[V, F]`, reverse_embeddings `[F, V]`.

    Raises:
        ValueError: if `logit_soft_cap` is not positive, `reverse_dtype` is not floating, or x in
            reverse has another width than F.

    Example:
        >>> import kfun
        >>> layer = ReversibleEmbedding(7, 3)
        >>> tokens = kfun.ops.ones((2, 4), "int32")
        >>> params, state = layer.init(kfun.random.key(0), tokens)
        >>> x, _ = layer.apply(params, state, tokens)
        >>> layer.apply(params, state, x, reverse=True)[0].shape
        (2, 4, 7)
    """

    input_dim: Count
    output_dim: Count
    tie_weights: bool = True
    embeddings_initializer: InitializerField = "uniform"
    mask_zero: bool = False
    reverse_dtype: Annotated[Any, Convert(_float_type)] = None
    logit_soft_cap: float | None = None

    def check(self):
        if self.logit_soft_cap is not None and self.logit_soft_cap <= 0:
            raise ValueError(
                f"{label(self)}: logit_soft_cap: expected a positive number or None; received {self.logit_soft_cap}"
            )

    def weights(self, x):
        weights = {"embeddings": Weight((self.input_dim, self.output_dim), self.embeddings_initializer)}
        if not self.tie_weights:
            weights["reverse_embeddings"] = Weight((self.output_dim, self.input_dim), self.embeddings_initializer)
        return weights

    def apply(self, params, state, x, *, key=None, training=False, reverse=False):
        """Looks up the vectors of indices, or with `reverse` scores the indices for vectors."""
        params, (x,) = self.to_compute(params, (x,))
        if not reverse:
            return self.to_output(_looked_up(params["embeddings"], x)), state
        kernel = ops.transpose(params["embeddings"]) if self.tie_weights else params["reverse_embeddings"]
        check_width(self, x, self.output_dim, tuple(kernel.shape))
        if self.reverse_dtype is not None:
            x, kernel = ops.cast(x, self.reverse_dtype), ops.cast(kernel, self.reverse_dtype)
        scores = ops.matmul(x, kernel)
        if self.logit_soft_cap is not None:
            scores = ops.multiply(ops.tanh(ops.divide(scores, self.logit_soft_cap)), self.logit_soft_cap)
        return (self.to_output(scores) if self.reverse_dtype is None else scores), state

    def compute_mask(self, *inputs, mask=None):
        if not self.mask_zero or dtypes.is_float(dtypes.name(inputs[0].dtype)):
            return None  # in reverse the input is features, which tell nothing of padding
        return ops.not_equal(inputs[0], 0)


def _looked_up(table: Any, x: Any) -> Any:
    x = x if dtypes.is_integer(dtypes.name(x.dtype)) else ops.cast(x, "int32")
    return ops.take(table, x, 0)
