"""Rows of convolutions and pooling."""

from __future__ import annotations

from tests.layers.rows import Mask, row

_FIRST = {"data_format": "channels_first"}
_FORMATS = ["channels_last", "channels_first"]


def _conv(name, n, shape, **config):
    return row(
        name,
        {"filters": 4, "kernel_size": 3, **config},
        shape,
        more=[
            {"strides": 2, "padding": "same", "activation": "relu"},
            {"dilation_rate": 2, "use_bias": False, **_FIRST},
            {"groups": 2, "kernel_size": (2, 3, 1)[:n]},
        ],
        options={
            "kernel_size": [1, 2, 3],
            "strides": [1, 2],
            "padding": ["valid", "same", *(["causal"] if n == 1 else [])],
            "dilation_rate": [1, 2],
            "groups": [1, 2],
            "data_format": _FORMATS,
        },
    )


def _transpose(name, n, shape):
    return row(
        name,
        {"filters": 3, "kernel_size": 3},
        shape,
        more=[
            {"strides": 2, "padding": "same", "activation": "relu"},
            {"strides": 2, "output_padding": 1, "use_bias": False},
            {"strides": 3, "kernel_size": (2, 3, 1)[:n], **_FIRST},
        ],
        options={
            "kernel_size": [1, 2, 3, 4],
            "strides": [1, 2, 3],
            "padding": ["valid", "same"],
            "output_padding": [None, 0, 1],
            "dilation_rate": [1, 2],
            "data_format": _FORMATS,
        },
    )


def _depthwise(name, shape, **config):
    return row(
        name,
        {**config, "kernel_size": 3},
        shape,
        more=[
            {"strides": 2, "padding": "same", "depth_multiplier": 2, "activation": "relu"},
            {"dilation_rate": 2, "use_bias": False, **_FIRST},
        ],
        options={
            "kernel_size": [1, 2, 3],
            "strides": [1, 2],
            "padding": ["valid", "same"],
            "depth_multiplier": [1, 2],
            "dilation_rate": [1, 2],
            "data_format": _FORMATS,
        },
    )


CONVOLUTION = [
    _conv("Conv1D", 1, (2, 8, 6)),
    _conv("Conv2D", 2, (2, 7, 8, 6)),
    _conv("Conv3D", 3, (1, 6, 5, 5, 6)),
    _transpose("Conv1DTranspose", 1, (2, 5, 4)),
    _transpose("Conv2DTranspose", 2, (2, 4, 5, 3)),
    _transpose("Conv3DTranspose", 3, (1, 3, 2, 4, 2)),
    _depthwise("DepthwiseConv1D", (2, 8, 6)),
    _depthwise("DepthwiseConv2D", (2, 7, 8, 6)),
    _depthwise("SeparableConv1D", (2, 8, 6), filters=4),
    _depthwise("SeparableConv2D", (2, 7, 8, 6), filters=4),
]


def _pool(name, shape):
    return row(
        name,
        {"pool_size": 2},
        shape,
        more=[{"pool_size": 3, "strides": 2, "padding": "same"}, {"strides": 1, **_FIRST}],
        options={
            "pool_size": [1, 2, 3],
            "strides": [None, 1, 2],
            "padding": ["valid", "same"],
            "data_format": _FORMATS,
        },
    )


_SHAPES = {1: (2, 6, 4), 2: (2, 6, 5, 4), 3: (2, 4, 5, 4, 3)}
_GLOBAL = {"more": [_FIRST, {"keepdims": True}], "options": {"data_format": _FORMATS, "keepdims": [False, True]}}
_MASKED = [
    {"case": {"call": {"mask": Mask((2, 6))}}},
    {"keepdims": True, **_FIRST, "case": {"call": {"mask": Mask((2, 4))}}},
]


def _adaptive(name, n, shape):
    return row(
        name,
        {"output_size": 2},
        shape,
        more=[
            {"output_size": (3, 2, 4)[:n]},
            {"output_size": 3, **_FIRST},
        ],
        options={"output_size": [1, 2, 3, 4], "data_format": _FORMATS},
        open_axes=(0, 1),  # ONNX has no such pooling: windows are worked out from known sizes
    )


POOLING = [
    *(_pool(f"{kind}Pooling{n}D", _SHAPES[n]) for kind in ("Max", "Average") for n in (1, 2, 3)),
    *(_adaptive(f"Adaptive{kind}Pooling{n}D", n, _SHAPES[n]) for kind in ("Average", "Max") for n in (1, 2, 3)),
    *(row(f"GlobalMaxPooling{n}D", {}, _SHAPES[n], **_GLOBAL) for n in (1, 2, 3)),
    row("GlobalAveragePooling1D", {}, _SHAPES[1], **{**_GLOBAL, "more": _GLOBAL["more"] + _MASKED}),
    *(row(f"GlobalAveragePooling{n}D", {}, _SHAPES[n], **_GLOBAL) for n in (2, 3)),
]

ROWS = CONVOLUTION + POOLING
