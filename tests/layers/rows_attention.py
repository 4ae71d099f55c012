"""Rows of attention layers."""

from __future__ import annotations

from tests.layers.rows import Mask, row

_QUERY, _VALUE = (2, 4, 6), (2, 5, 7)
_CAUSAL = {"call": {"use_causal_mask": True}}
_MASKS = {"call": {"value_mask": Mask((2, 5)), "attention_mask": Mask((2, 4, 5))}}
_SCORES = {"call": {"return_attention_scores": True, "use_causal_mask": True}}

_COMMON = [
    {"case": {"inputs": (_QUERY, _VALUE, (2, 5, 3))}},
    {"use_bias": False, "case": _CAUSAL},
    {"case": _MASKS},
    {"case": _SCORES},
    {"dropout": 0.3, "case": {"random": True}},
    {"sliding_window": 2, "case": _CAUSAL},
    {"use_gate": True},
]

ROWS = [
    row(
        "MultiHeadAttention",
        {"num_heads": 2, "key_dim": 3},
        _QUERY,
        _VALUE,
        more=[
            *_COMMON,
            # Keras's fused op on JAX refuses values of another width; with scores it does not use it.
            {"value_dim": 4, "output_shape": 5, "use_gate": True, "case": _SCORES},
            {"attention_axes": (1, 2), "case": {"inputs": ((2, 3, 2, 4), (2, 2, 3, 4))}},
            {"attention_axes": 2, "case": {"inputs": ((2, 3, 4, 5), (2, 3, 2, 5))}},
            {"attention_axes": -2, "output_shape": (2, 3), "case": {"inputs": ((2, 3, 4, 5), (2, 3, 2, 5))}},
        ],
        options={
            "use_bias": [True, False],
            "output_shape": [None, 5],
            "use_gate": [False, True],
            "sliding_window": [None, 2],
            "dropout": [0.0, 0.3],
        },
    ),
    row(
        "GroupQueryAttention",
        {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2},
        _QUERY,
        _VALUE,
        more=_COMMON,
        options={"num_key_value_heads": [1, 2, 4], "use_bias": [True, False], "use_gate": [False, True]},
    ),
    row(
        "Attention",
        {},
        (2, 4, 6),
        (2, 5, 6),
        more=[
            {"use_scale": True, "case": {"call": {"mask": [Mask((2, 4)), Mask((2, 5))]}}},
            {"score_mode": "concat", "use_scale": True, "case": _CAUSAL},
            {"case": {"inputs": ((2, 4, 6), (2, 5, 3), (2, 5, 6)), **_SCORES}},
            {"dropout": 0.3, "case": {"random": True}},
        ],
        options={"use_scale": [True, False], "score_mode": ["dot", "concat"]},
        oracle="list",
    ),
    row(
        "AdditiveAttention",
        {},
        (2, 4, 6),
        (2, 5, 6),
        more=[
            {"use_scale": False, "case": _CAUSAL},
            {"case": {"call": {"mask": [None, Mask((2, 5))]}}},
        ],
        oracle="list",
    ),
]
