"""Attention with a single head and without projections.

B batch, T query positions, S key positions, C features, V features of the values. Inputs come one
after the other, `(query, value)` or `(query, value, key)`, because `key=` is the random key.
"""

from __future__ import annotations

from typing import Any

from kfun import dtypes, initializers, ops, random
from kfun.layer import Layer, known_size
from kfun.layers.checks import check_axes, check_rate, label, need_key
from kfun.weights import Weight


class _Attention(Layer):
    uses_mask = True

    def _check_inputs(self, inputs):
        if len(inputs) not in (2, 3):
            raise ValueError(
                f"{label(self)}: expected the inputs (query, value) or (query, value, key); received {len(inputs)}"
            )
        for x in inputs:
            check_axes(self, x.shape, 2, "[..., T, C]")

    def apply(
        self,
        params,
        state,
        *inputs,
        key=None,
        training=False,
        mask=None,
        return_attention_scores=False,
        use_causal_mask=False,
    ):
        """Attends from each query position to the key positions.

        Args:
            params, state, training: as in `Layer.apply`.
            inputs: query `[B, T, C]`, value `[B, S, V]`, and the key `[B, S, C]` unless it is the value.
            key: a random key; needed for dropout in training.
            mask: `(query mask [B, T], value mask [B, S])`, each bool or None; masked query positions give 0.
            return_attention_scores: whether to give `(outputs, scores [B, T, S])`.
            use_causal_mask: whether a position sees only those up to its own.
        """
        self._check_inputs(inputs)
        params, inputs = self.to_compute(params, inputs)
        query, value = inputs[:2]
        query_mask, value_mask = (None, None) if mask is None else mask[:2]
        scores = self._masked(self.scores(params, query, inputs[-1]), value_mask, use_causal_mask)
        scores = ops.softmax(scores, -1)
        if training and self.dropout:
            scores = random.dropout(need_key(self, key), scores, self.dropout)
        y = ops.matmul(scores, value)
        if query_mask is not None:
            y = ops.where(ops.expand_dims(ops.cast(query_mask, "bool"), -1), y, 0)
        return self.to_output((y, scores) if return_attention_scores else y), state

    def _masked(self, scores, value_mask, causal):
        seen = None
        if value_mask is not None:
            seen = ops.expand_dims(ops.cast(value_mask, "bool"), -2)
        if causal:
            ones = ops.ones_like(scores, "int32")
            past = ops.greater_equal(ops.cumsum(ones, -2), ops.cumsum(ones, -1))
            seen = past if seen is None else ops.logical_and(seen, past)
        if seen is None:
            return scores
        return ops.where(seen, scores, ops.subtract(scores, 65504.0 if dtypes.name(scores.dtype) == "float16" else 1e9))

    def compute_mask(self, *inputs, mask=None):
        return None if mask is None else mask[0]


class Attention(_Attention):
    """`softmax(query key^T) value` (Luong et al. 2015, arXiv:1508.04025).

    Args:
        use_scale: whether the scores are multiplied by a learned number.
        score_mode: `"dot"`, or `"concat"` for `sum(tanh(query + key))` times a learned number.
        dropout: the probability of dropping an attention weight in training, in [0, 1).
    """

    use_scale: bool = False
    score_mode: str = "dot"
    dropout: float = 0.0

    def check(self):
        check_rate(self, "dropout", self.dropout, below_one=True)
        if self.score_mode not in ("dot", "concat"):
            raise ValueError(f"{label(self)}: score_mode: expected 'dot' or 'concat'; received {self.score_mode!r}")

    def weights(self, *inputs):
        self._check_inputs(inputs)
        names = ["scale"] * self.use_scale + ["concat_score_weight"] * (self.score_mode == "concat")
        return {name: Weight((), initializers.Ones()) for name in names}

    def scores(self, params: dict, query: Any, key: Any) -> Any:
        """`[B, T, S]`."""
        if self.score_mode == "dot":
            scores = ops.matmul(query, ops.swapaxes(key, -2, -1))
            return ops.multiply(scores, params["scale"]) if self.use_scale else scores
        both = ops.add(ops.expand_dims(query, -2), ops.expand_dims(key, -3))  # [B, T, S, C]
        both = ops.multiply(both, params["scale"]) if self.use_scale else both
        return ops.multiply(ops.sum(ops.tanh(both), -1), params["concat_score_weight"])


class AdditiveAttention(_Attention):
    """`softmax(sum(scale * tanh(query + key))) value` (Bahdanau et al. 2014, arXiv:1409.0473).

    Args:
        use_scale: whether `scale` `[C]` is learned; else it is 1.
        dropout: the probability of dropping an attention weight in training, in [0, 1).
    """

    use_scale: bool = True
    dropout: float = 0.0

    def check(self):
        check_rate(self, "dropout", self.dropout, below_one=True)

    def weights(self, *inputs):
        self._check_inputs(inputs)
        if not self.use_scale:
            return {}
        return {"scale": Weight((known_size(self, inputs[0], -1),), initializers.GlorotUniform())}

    def scores(self, params: dict, query: Any, key: Any) -> Any:
        """`[B, T, S]`."""
        both = ops.tanh(ops.add(ops.expand_dims(query, -2), ops.expand_dims(key, -3)))  # [B, T, S, C]
        return ops.sum(ops.multiply(both, params["scale"]) if self.use_scale else both, -1)
