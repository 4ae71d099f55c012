"""Attention whose query heads share key and value heads in groups."""

from __future__ import annotations

import functools
from typing import Any

from kfun import ops, random
from kfun.initializers import InitializerField
from kfun.layers.activation import masked_softmax
from kfun.layers.attention import HeadedAttention
from kfun.layers.checks import Count, CountOrNone, label
from kfun.layers.core import EinsumDense


class GroupQueryAttention(HeadedAttention):
    """Grouped-query attention (Ainslie et al. 2023, arXiv:2305.13245).

    Args:
        head_dim: H.
        num_query_heads: N, a multiple of K.
        num_key_value_heads: K.
        dropout, use_bias, sliding_window, flash_attention, kernel_initializer, bias_initializer,
            use_gate: as in `MultiHeadAttention`.

    Keyword Args:
        cache_size, rope: as in `MultiHeadAttention`.

    Shapes:
        query `[B, T, C]`, value `[B, S, C']`, key `[B, S, C'']`; kernels `[C, N, H]` (query),
        `[C, K, H]` (key, value), `[N, H, C]` (attention_output); result `[B, T, C]`.
    """

    head_dim: Count
    num_query_heads: Count
    num_key_value_heads: Count
    dropout: float = 0.0
    use_bias: bool = True
    sliding_window: CountOrNone = None
    flash_attention: bool | None = None
    kernel_initializer: InitializerField = "glorot_uniform"
    bias_initializer: InitializerField = "zeros"
    use_gate: bool = False

    def check(self):
        super().check()
        if self.num_query_heads % self.num_key_value_heads:
            raise ValueError(
                f"{label(self)}: `num_query_heads` must be divisible by `num_key_value_heads`; received "
                f"{self.num_query_heads} and {self.num_key_value_heads}"
            )

    def key_sizes(self):
        return self.num_key_value_heads, self.head_dim, self.head_dim

    def attend(
        self,
        run,
        inputs,
        state,
        dropout_key=None,
        query_mask=None,
        value_mask=None,
        key_mask=None,
        attention_mask=None,
        return_attention_scores=False,
        use_causal_mask=False,
    ):
        query, value, key = self.split_inputs(inputs)
        fused = self.fused(True, dropout_key, return_attention_scores)
        pieces = _pieces(self, query.shape[-1] if isinstance(query.shape[-1], int) else None)
        q = run("query", pieces["query"], (query,), {})  # [B, T, N, H]
        k = run("key", pieces["key"], (key,), {})  # [B, S, K, H]
        gate = run("gate", pieces["gate"], (query,), {}) if self.use_gate else None  # [B, T, N, H]
        v = run("value", pieces["value"], (value,), {})  # [B, S, K, H]
        q, k, v, given, places = self.placed(state, q, k, v, (query_mask, value_mask, key_mask, attention_mask))
        alone = fused and use_causal_mask and self.sliding_window is None and all(m is None for m in given)
        mask = self.joint_mask(query, value, *given, causal=use_causal_mask and not alone, places=places)
        if mask is not None and len(mask.shape) == 3:
            mask = ops.expand_dims(mask, 1)
        scores = None
        if fused:
            y = ops.dot_product_attention(q, k, v, None, mask, self.head_dim**-0.5, alone, self.flash_attention)
        else:
            y, scores = self._products(q, k, v, mask, dropout_key)
        y = y if gate is None else ops.multiply(y, gate)
        y = run("attention_output", pieces["attention_output"], (y,), {})
        return (y, scores) if return_attention_scores else y

    def pieces(self, query_ndim: int, value_ndim: int, features: int | None) -> dict[str, EinsumDense]:
        """The projections by the name of their parameters, for a query of these features; all ranks are 3."""
        if (query_ndim, value_ndim) != (3, 3):
            raise ValueError(
                f"{label(self)}: expected inputs with 3 axes [B, T, C]; received {query_ndim} and {value_ndim}"
            )
        found = _pieces(self, features)
        return found if self.use_gate else {k: v for k, v in found.items() if k != "gate"}

    def _products(self, q, k, v, mask, dropout_key):
        repeats = self.num_query_heads // self.num_key_value_heads
        k, v = (ops.repeat(x, repeats, 2) if repeats > 1 else x for x in (k, v))
        scores = ops.einsum("btnh,bsnh->bnts", ops.multiply(q, self.head_dim**-0.5), k)
        scores = masked_softmax(scores, mask, -1)
        kept = scores if dropout_key is None else random.dropout(dropout_key, scores, self.dropout)
        return ops.einsum("bnts,bsnh->btnh", kept, v), scores


@functools.lru_cache(maxsize=1024)
def _pieces(layer: GroupQueryAttention, features: int | None) -> dict[str, EinsumDense]:
    """The projections, by the name of their parameters."""
    n, k, h = layer.num_query_heads, layer.num_key_value_heads, layer.head_dim

    def dense(equation: str, sizes: tuple, bias: str, activation: Any = None) -> EinsumDense:
        initializers = layer.kernel_initializer, layer.bias_initializer
        return EinsumDense(equation, (None, *sizes), activation, bias if layer.use_bias else None, *initializers)

    return {
        "query": dense("btc,cnh->btnh", (n, h), "nh"),
        "key": dense("bsc,ckh->bskh", (k, h), "kh"),
        "gate": dense("btc,cnh->btnh", (n, h), "nh", "sigmoid"),
        "value": dense("bsc,ckh->bskh", (k, h), "kh"),
        "attention_output": dense("btnh,nhc->btc", (features,), "c"),
    }
