"""Multi-head attention.

B batch, T query positions, S key positions, N heads, H key size per head, V value size per head,
C features. Inputs come one after the other, `(query, value)` or `(query, value, key)`, because
`key=` is the random key.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import string
from typing import Any

from kfun import ops, random
from kfun.composite import Composite, planner, runner
from kfun.initializers import InitializerField
from kfun.layers.activation import masked_softmax
from kfun.layers.attention_positions import Wavelength, appended, cache_weights, check_room, positions, rotated
from kfun.layers.checks import Count, CountOrNone, Several, check_rate, label, need_key, positive, shown
from kfun.layers.core import EinsumDense
from kfun.weights import blank


class HeadedAttention(Composite):
    """What attentions with heads share: masks, positions, and the choice between a fused op and plain products."""

    cache_size: CountOrNone = dataclasses.field(default=None, kw_only=True)
    rope: Wavelength = dataclasses.field(default=None, kw_only=True)

    def check(self):
        check_rate(self, "dropout", self.dropout, below_one=True)
        if self.rope and self.key_sizes()[1] % 2:
            raise ValueError(
                f"{label(self)}: rope turns pairs of features, so the key size per head must be even; received "
                f"{self.key_sizes()[1]}"
            )
        if self.flash_attention and self.dropout:
            raise ValueError(
                f"{label(self)}: the fused kernel goes without dropout. Set dropout=0.0, or "
                f"flash_attention=None to compute without it; received dropout={self.dropout}"
            )

    def key_sizes(self) -> tuple[int, int, int]:
        """Heads of the keys, size of a key and of a value per head."""
        raise TypeError(f"{type(self).__name__} must define key_sizes()")

    def plan(self, *inputs, **call_args):
        run, declared = planner()
        kept = {}
        if self.cache_size is not None:
            kept = {"cache": cache_weights(self, self.cache_size, inputs[-1], *self.key_sizes())}
        outputs = self.attend(run, inputs, blank(kept)[1], **call_args)
        declared |= kept
        return declared, outputs

    def apply(self, params, state, *inputs, key=None, training=False, **call_args):
        """Attends from each query position to the key positions.

        Args:
            params, state, training: as in `Layer.apply`.
            inputs: query `[B, T, C]`, value `[B, S, C']`, and the key `[B, S, C'']` unless it is the value.
            key: a random key; needed for dropout in training.
            query_mask: bool `[B, T]` or None.
            value_mask, key_mask: bool `[B, S]` or None.
            attention_mask: bool `[B, T, S]` (or with an axis for heads) or None: where True, T sees S.
            return_attention_scores: whether to give `(outputs, scores [B, N, T, S])`.
            use_causal_mask: whether a position sees only those up to its own.

        With a cache S is `cache_size` in attention_mask and scores, and T in the other masks, which
        tell of the new positions.

        Raises:
            ValueError: if the new positions do not fit into the cache, where the position is known:
                not while it is traced, nor on backends that do not tell. The outputs are NaN there.
        """
        params, inputs = self.to_compute(params, inputs)
        run, state, _ = runner(params, state, None, training)
        dropout_key = need_key(self, key) if training and self.dropout else None
        return self.to_output(self.attend(run, inputs, state, dropout_key, **call_args)), state

    def compute_mask(self, *inputs, mask=None):
        return mask[0] if isinstance(mask, (list, tuple)) else mask

    def split_inputs(self, inputs: tuple) -> tuple:
        """`(query, value, key)`."""
        if len(inputs) not in (2, 3):
            raise ValueError(
                f"{label(self)}: expected the inputs (query, value) or (query, value, key); received {len(inputs)}"
            )
        query, value = inputs[:2]
        key = inputs[2] if len(inputs) == 3 else value
        self.check_shapes(query.shape, value.shape, key.shape)
        return query, value, key

    def check_shapes(self, query: tuple, value: tuple, key: tuple) -> None:
        """Raises ValueError unless inputs of these shapes go together."""
        if len(key) != len(value) or any(
            isinstance(a, int) and isinstance(b, int) and a != b for a, b in zip(key[1:-1], value[1:-1], strict=True)
        ):
            raise ValueError(
                f"{label(self)}: value and key must agree on all axes but the last; received "
                f"value {shown(value)} and key {shown(key)}"
            )

    def placed(self, state: dict, q: Any, k: Any, v: Any, masks: tuple) -> tuple:
        """`(q, k, v, masks, places)`: queries and keys at their positions, and all that the cache holds by then.

        Args:
            state: a dict whose cache is replaced.
            q, k, v: the projected inputs, with an axis of heads.
            masks: of query, value, key and attention.

        Returns:
            `places` are the positions of queries `[1, T]` and keys `[1, S]`, None where both count from 0.
        """
        if self.cache_size is None and self.rope is None:
            return q, k, v, masks, None
        if len(q.shape) != 4:
            raise ValueError(f"{label(self)}: rope and cache_size are for inputs with 3 axes [B, T, C]")
        if self.cache_size is None:
            return rotated(q, positions(q), self.rope), rotated(k, positions(k), self.rope), v, masks, None
        query_mask, *key_masks, attention_mask = masks
        check_room(self, state.get("cache"), tuple(q.shape), tuple(k.shape), attention_mask)
        rows = ops.add(positions(q), state["cache"]["position"])
        if self.rope is not None:
            q, k = (rotated(x, rows, self.rope) for x in (q, k))
        seen = ops.ones_like(ops.getitem(k, (..., 0, 0)), "bool")
        seen = functools.reduce(ops.logical_and, [ops.cast(m, "bool") for m in key_masks if m is not None], seen)
        cache = state["cache"] = appended(state["cache"], k, v, seen)
        # Beyond the cache's end what it holds is wrong, and so must be seen to be whatever is made of it.
        q = ops.where(ops.greater(cache["position"], self.cache_size), math.nan, q)
        masks = (query_mask, cache["seen"], None, attention_mask)
        k, v = ops.cast(cache["key"], k.dtype), ops.cast(cache["value"], v.dtype)
        return q, k, v, masks, (rows, positions(k))

    def joint_mask(self, query, value, query_mask, value_mask, key_mask, attention_mask, causal, places=None):
        """All masks as one `[B, T, S]`, or None."""
        masks = []
        if query_mask is not None:
            masks.append(ops.expand_dims(ops.cast(query_mask, "bool"), -1))
        masks += [ops.expand_dims(ops.cast(m, "bool"), -2) for m in (value_mask, key_mask) if m is not None]
        if causal or self.sliding_window is not None:
            rows, columns = places or (positions(query), positions(value))
            rows, columns = ops.expand_dims(rows, 2), ops.expand_dims(columns, 1)
            if causal:
                masks.append(ops.greater_equal(rows, columns))
            if self.sliding_window is not None:
                masks.append(ops.less(ops.abs(ops.subtract(rows, columns)), self.sliding_window))
        if attention_mask is not None:
            masks.append(ops.cast(attention_mask, "bool"))
        return functools.reduce(ops.logical_and, masks) if masks else None

    def fused(self, one_axis: bool, dropout_key: Any, scores: bool) -> bool:
        """Whether the fused op serves; raises ValueError if it was asked for and does not."""
        possible = one_axis and dropout_key is None and not scores
        if self.flash_attention and not possible:
            raise ValueError(
                f"{label(self)}: the fused kernel does not give its scores, nor does it do "
                "attention over several axes. Set flash_attention=None to compute without it."
            )
        return possible and self.flash_attention is not False


def _heads_axis(mask: Any, ndim: int, axes: int) -> Any:
    """The mask `[B, T, S]` with axes of size 1 before its `2 * axes` last, up to `ndim`."""
    for _ in range(ndim - len(mask.shape)):
        mask = ops.expand_dims(mask, -2 * axes - 1)
    return mask


class MultiHeadAttention(HeadedAttention):
    """`concat_n(softmax(q_n k_n^T / sqrt(H)) v_n)`, all four projected (Vaswani et al. 2017, arXiv:1706.03762).

    Args:
        num_heads: N.
        key_dim: H.
        value_dim: V; H if None.
        dropout: the probability of dropping an attention weight in training, in [0, 1).
        use_bias: whether the projections have biases.
        output_shape: features of the output, an int or several; C if None.
        attention_axes: axes of the inputs that are attended over; all but the first and last if None.
        sliding_window: positions at this distance or farther are not seen; None for no limit.
        flash_attention: None for the backend's fused op where it can serve, True to insist on it,
            False for plain products.
        kernel_initializer, bias_initializer: of every projection.
        use_gate: whether to multiply the heads' outputs by a sigmoid of a projection of the query.

    Keyword Args:
        cache_size: how many positions the state holds the keys and values of, for decoding: each
            `apply` adds its T positions at `state["cache"]["position"]` and attends to all that are
            held. The batch size must be known to `init`. Params are those of the layer without it.
        rope: the base wavelength of rotary embeddings of queries and keys (Su et al. 2021,
            arXiv:2104.09864), True for 10000.0; None for none. Positions go on from the cache's.

    Shapes:
        query `[B, T, C]`, value `[B, S, C']`, key `[B, S, C'']`; kernels `[C, N, H]` (query, key),
        `[C', N, V]` (value), `[N, V, C]` (attention_output); result `[B, T, C]`.

    Example:
        >>> from kfun import Spec
        >>> layer, x = MultiHeadAttention(4, 8), Spec((None, None, 32))
        >>> layer.output_spec(x, x)
        Spec(shape=(None, None, 32), dtype='float32')
    """

    num_heads: Count
    key_dim: Count
    value_dim: CountOrNone = None
    dropout: float = 0.0
    use_bias: bool = True
    output_shape: Several = None
    attention_axes: Several = None
    sliding_window: CountOrNone = None
    flash_attention: bool | None = None
    kernel_initializer: InitializerField = "glorot_uniform"
    bias_initializer: InitializerField = "zeros"
    use_gate: bool = False

    def check(self):
        super().check()
        for size in self.output_shape or ():
            positive(size, f"{type(self).__name__}: output_shape")
        if self.value_dim is None:
            object.__setattr__(self, "value_dim", self.key_dim)

    def key_sizes(self):
        return self.num_heads, self.key_dim, self.value_dim or self.key_dim

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
        axes = self._axes(len(query.shape))
        fused = self.fused(len(query.shape) == 3, dropout_key, return_attention_scores)
        features = query.shape[-1] if isinstance(query.shape[-1], int) else None
        pieces = _pieces(self, len(query.shape), len(value.shape), features)
        q = run("query", pieces["query"], (query,), {})  # [B, T, N, H]
        k = run("key", pieces["key"], (key,), {})  # [B, S, N, H]
        gate = run("gate", pieces["gate"], (query,), {}) if self.use_gate else None  # [B, T, N, V]
        v = run("value", pieces["value"], (value,), {})  # [B, S, N, V]
        q, k, v, given, places = self.placed(state, q, k, v, (query_mask, value_mask, key_mask, attention_mask))
        alone = fused and use_causal_mask and self.sliding_window is None and all(m is None for m in given)
        mask = self.joint_mask(query, value, *given, causal=use_causal_mask and not alone, places=places)
        scores = None
        if fused:
            mask = None if mask is None else _heads_axis(mask, 4, 1)
            y = ops.dot_product_attention(q, k, v, None, mask, self.key_dim**-0.5, alone, self.flash_attention)
        else:
            y, scores = self._products(q, k, v, mask, axes, dropout_key)
        y = y if gate is None else ops.multiply(y, gate)
        y = run("attention_output", pieces["attention_output"], (y,), {})
        return (y, scores) if return_attention_scores else y

    def pieces(self, query_ndim: int, value_ndim: int, features: int | None) -> dict[str, EinsumDense]:
        """The projections by the name of their parameters, for inputs of these ranks and a query of these features."""
        found = _pieces(self, query_ndim, value_ndim, features)
        return found if self.use_gate else {k: v for k, v in found.items() if k != "gate"}

    def _axes(self, ndim: int) -> tuple[int, ...]:
        given = self.attention_axes
        if given is None:
            return tuple(range(1, ndim - 1))
        axes = tuple(a if a >= 0 else ndim + a for a in given)
        if any(not 1 <= a <= ndim - 2 for a in axes):
            raise ValueError(
                f"{label(self)}: attention_axes {given} must be among the inputs' axes 1 to {ndim - 2}, between the "
                "batch axis and the features"
            )
        return axes

    def _products(self, q, k, v, mask, axes, dropout_key):
        """`(outputs, scores)` by two products; any number of attention axes."""
        ndim = len(q.shape)
        target = list(string.ascii_lowercase[:ndim])
        source = [c.upper() if i in axes else c for i, c in enumerate(target)]
        rest = [c for i, c in enumerate(target[:-1]) if i not in axes]
        seen = "".join([*rest, *(target[a] for a in axes), *(source[a] for a in axes)])
        source, target = "".join(source), "".join(target)
        scores = ops.einsum(f"{source},{target}->{seen}", k, ops.multiply(q, self.key_dim**-0.5))
        if mask is not None:
            mask = _heads_axis(mask, len(seen), len(axes))
        scores = masked_softmax(scores, mask, tuple(range(-len(axes), 0)))
        # The scores that are returned are those before dropout.
        kept = scores if dropout_key is None else random.dropout(dropout_key, scores, self.dropout)
        values = source[:-1] + "Z"
        return ops.einsum(f"{seen},{values}->{target[:-1]}Z", kept, v), scores


@functools.lru_cache(maxsize=1024)
def _pieces(
    layer: MultiHeadAttention, query_ndim: int, value_ndim: int, features: int | None
) -> dict[str, EinsumDense]:
    """The projections, by the name of their parameters."""
    heads, h, v = layer.num_heads, layer.key_dim, layer.value_dim
    output = layer.output_shape or (features,)

    def dense(ndim, bound, sizes, activation=None):
        letters = iter(string.ascii_lowercase)
        free = "".join(next(letters) for _ in range(ndim - 1))
        summed = "".join(next(letters) for _ in range(bound))
        made = "".join(next(letters) for _ in sizes)
        return EinsumDense(
            f"{free}{summed},{summed}{made}->{free}{made}",
            (*(None,) * (ndim - 2), *sizes),
            activation,
            made if layer.use_bias else None,
            layer.kernel_initializer,
            layer.bias_initializer,
        )

    return {
        "query": dense(query_ndim, 1, (heads, h)),
        "key": dense(value_ndim, 1, (heads, h)),
        "gate": dense(query_ndim, 1, (heads, v), "sigmoid"),
        "value": dense(value_ndim, 1, (heads, v)),
        "attention_output": dense(query_ndim, 2, output),
    }
