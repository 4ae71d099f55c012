"""Rows of cells, recurrent layers and their wrappers."""

from __future__ import annotations

from tests.layers.rows import Floats, Mask, of, row

_X = (2, 5, 3)
_MASK = {"call": {"mask": Mask((2, 5))}}


def _cell(name, states, *more):
    shapes = ((2, 4),) * states
    return row(
        name,
        {"units": 4},
        (2, 3),
        *shapes,
        more=[
            *more,
            {"use_bias": False},
            {"dropout": 0.3, "case": {"random": True}},
            {"dropout": 0.3, "recurrent_dropout": 0.4, "case": {"random": True}},
        ],
        oracle="states",
    )


def _layer(name, states, *more):
    first = tuple(Floats((2, 4)) for _ in range(states))
    return row(
        name,
        {"units": 4, "return_sequences": True},
        _X,
        more=[
            *more,
            {"return_sequences": False, "return_state": True, "use_bias": False},
            {"return_state": True, "case": _MASK},
            {"go_backwards": True, "return_state": True, "case": _MASK},
            {"return_sequences": False, "go_backwards": True, "case": {"call": {"initial_state": first}}},
            {"return_sequences": False, "zero_output_for_mask": True, "case": _MASK},
            {"unroll": True, "go_backwards": True},
            {"dropout": 0.3, "case": {"random": True}},
            {"dropout": 0.3, "recurrent_dropout": 0.4, "case": {"random": True, **_MASK}},
            {"recurrent_dropout": 0.4, "return_sequences": False, "case": {"random": True}},
            {"stateful": True, "case": {"known_batch": True}},
        ],
        options={
            "activation": ["tanh", "relu"],
            "use_bias": [True, False],
            "return_sequences": [True, False],
            "return_state": [True, False],
            "go_backwards": [True, False],
            "unroll": [True, False],
            "stateful": [True, False],
        },
    )


CELLS = [
    _cell("SimpleRNNCell", 1, {"activation": "relu"}),
    _cell("LSTMCell", 2, {"unit_forget_bias": False, "recurrent_activation": "hard_sigmoid"}),
    _cell(
        "GRUCell",
        1,
        {"reset_after": False},
        {"reset_after": False, "recurrent_dropout": 0.4, "case": {"random": True}},
    ),
    row(
        "StackedRNNCells",
        {"cells": [of("GRUCell", units=4), of("SimpleRNNCell", units=2)]},
        (2, 3),
        (2, 4),
        (2, 2),
        more=[{"cells": [of("SimpleRNNCell", units=4), of("GRUCell", units=2, reset_after=False, use_bias=False)]}],
        oracle="states",
    ),
]

LAYERS = [
    row(
        "RNN",
        {"cell": of("LSTMCell", units=4), "return_sequences": True},
        _X,
        more=[
            {"return_state": True, "case": _MASK},
            {"zero_output_for_mask": True, "go_backwards": True, "case": _MASK},
            {"cell": of("GRUCell", units=4, reset_after=False), "return_sequences": False},
            {"cell": of("SimpleRNNCell", units=4), "unroll": True, "case": _MASK},
            {"cell": [of("LSTMCell", units=4), of("LSTMCell", units=3)], "case": _MASK},
            {
                "cell": of("StackedRNNCells", cells=[of("LSTMCell", units=4), of("GRUCell", units=2)]),
                "return_state": True,
                "case": _MASK,
            },
        ],
    ),
    _layer("SimpleRNN", 1),
    _layer("LSTM", 2, {"unit_forget_bias": False, "recurrent_activation": "hard_sigmoid"}),
    _layer("GRU", 1, {"reset_after": False, "case": _MASK}, {"reset_after": False, "use_bias": False}),
]


def _conv_lstm(name, shape):
    """`shape` is that of a step, the batch axis included."""
    x, mask = (shape[0], 3, *shape[1:]), {"call": {"mask": Mask((shape[0], 3))}}
    # With a mask Keras on JAX computes these layers unrolled only; test_conv_lstm.py has the loop.
    return row(
        name,
        {"filters": 2, "kernel_size": 2, "return_sequences": True},
        x,
        more=[
            {"return_sequences": False, "return_state": True, "use_bias": False, "padding": "same"},
            {"return_state": True, "strides": 2, "activation": "relu", "unroll": True, "case": mask},
            {"go_backwards": True, "dilation_rate": 2, "unit_forget_bias": False, "unroll": True, "case": mask},
            {"zero_output_for_mask": True, "recurrent_activation": "hard_sigmoid"},
            {"data_format": "channels_first", "unroll": True, "return_state": True},
            {
                "return_sequences": False,
                "padding": "same",
                "case": {"call": {"initial_state": [Floats((*shape[:-1], 2)) for _ in range(2)]}},
            },
            {"dropout": 0.3, "case": {"random": True}},
            {"dropout": 0.3, "recurrent_dropout": 0.4, "unroll": True, "case": {"random": True, **mask}},
            {"recurrent_dropout": 0.4, "data_format": "channels_first", "case": {"random": True}},
            {"stateful": True, "return_sequences": False, "case": {"known_batch": True}},
        ],
        options={
            "kernel_size": [2, 3],
            "strides": [1, 2],
            "padding": ["valid", "same"],
            "data_format": ["channels_last", "channels_first"],
            "dilation_rate": [1, 2],
            "use_bias": [True, False],
            "return_sequences": [True, False],
            "go_backwards": [True, False],
        }
        if name == "ConvLSTM1D"  # the options do not tell the ranks apart
        else {},
    )


CONVOLUTIONAL = [
    _conv_lstm("ConvLSTM1D", (2, 6, 5)),
    _conv_lstm("ConvLSTM2D", (2, 5, 4, 3)),
    _conv_lstm("ConvLSTM3D", (2, 3, 4, 3, 5)),
]

_INNER = of("LSTM", units=4, return_sequences=True)
_TWO = of("GRU", units=4, return_sequences=True, go_backwards=True)

WRAPPERS = [
    row(
        "Bidirectional",
        {"layer": _INNER},
        _X,
        more=[
            *({"merge_mode": m, "case": _MASK} for m in ("sum", "mul", "ave", "concat", None)),
            {"layer": of("GRU", units=4)},
            {"layer": of("LSTM", units=4, return_state=True), "case": _MASK},
            {"layer": of("GRU", units=4, return_sequences=True), "backward_layer": _TWO},
            {"case": {"call": {"initial_state": [Floats((2, 4)) for _ in range(4)]}}},
        ],
        options={
            "layer": [
                of(name, units=4, return_sequences=s, return_state=r)
                for name in ("SimpleRNN", "LSTM", "GRU")
                for s in (True, False)
                for r in (True, False)
            ],
            "merge_mode": ["concat", "sum", "ave", "mul", None],
        },
    ),
    row(
        "TimeDistributed",
        {"layer": of("Dense", units=4)},
        _X,
        more=[
            {"layer": of("Conv1D", filters=2, kernel_size=2), "case": {"inputs": ((2, 3, 5, 4),)}},
            {"layer": of("BatchNormalization", momentum=0.8), "case": {"inputs": ((4, 3, 5),)}},
            {"layer": of("LSTM", units=3), "case": {"inputs": ((2, 3, 4, 3),), "call": {"mask": Mask((2, 3, 4))}}},
        ],
    ),
]

ROWS = CELLS + LAYERS + CONVOLUTIONAL + WRAPPERS
