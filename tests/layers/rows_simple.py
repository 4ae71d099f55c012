"""Rows of dense, activation, normalization, regularization and reshaping layers."""

from __future__ import annotations

from kfun import ops, register_function
from tests.layers.rows import Case, Mask, Row, of, row


@register_function
def doubled(x):
    """Twice the input, for `Lambda`."""
    return ops.multiply(x, 2.0)


def at(*inputs, **case):
    """What differs in a case besides the config."""
    return {"inputs": inputs, **case} if inputs else case


_REVERSED = at((2, 4, 3), call={"reverse": True})

CORE = [
    row("Dense", {"units": 4}, (3, 5), more=[{"activation": "relu", "use_bias": False, "case": at((2, 3, 5))}]),
    row(
        "EinsumDense",
        {"equation": "abc,cde->abde", "output_shape": (None, 2, 3), "bias_axes": "de"},
        (2, 3, 4),
        more=[
            {"bias_axes": "e", "activation": "tanh"},
            {"equation": "...x,xy->...y", "output_shape": 3, "bias_axes": "y"},
        ],
    ),
    row("Embedding", {"input_dim": 7, "output_dim": 3}, ((2, 4), 7), more=[{"mask_zero": True}]),
    row(
        "ReversibleEmbedding",
        {"input_dim": 7, "output_dim": 3},
        ((2, 4), 7),
        more=[
            {"tie_weights": False, "mask_zero": True},
            {"case": _REVERSED},
            {"tie_weights": False, "logit_soft_cap": 1.5, "case": _REVERSED},
            {"reverse_dtype": "float32", "case": _REVERSED},
        ],
        options={"tie_weights": [True, False], "mask_zero": [True, False], "logit_soft_cap": [None, 2.0]},
    ),
    row(
        "SpectralNormalization",
        {"layer": of("Dense", units=3)},
        (4, 5),
        more=[
            {"power_iterations": 3},
            {"layer": of("Conv2D", filters=3, kernel_size=2), "case": at((2, 4, 5, 3))},
            {"layer": of("Conv1DTranspose", filters=3, kernel_size=2, use_bias=False), "case": at((2, 4, 3))},
        ],
        options={
            "layer": [of("Dense", units=3), of("Dense", units=2, activation="tanh", use_bias=False)],
            "power_iterations": [1, 2, 4],
        },
    ),
    row("Activation", {"activation": "tanh"}, (3, 5), more=[{"activation": a} for a in ("softmax", "gelu", "relu6")]),
    row("Identity", {}, (3, 5)),
    Row("Lambda", [Case(of("Lambda", function=doubled), ((3, 5),))], oracle=None),
    row("Masking", {}, (2, 4, 3)),
    row("Rescaling", {"scale": 0.5, "offset": -1.0}, (3, 5), more=[{"scale": [1.0, 2.0, 3.0, 4.0, 5.0]}]),
]

ACTIVATION = [
    row(
        "ReLU",
        {},
        (3, 5),
        more=[{"negative_slope": 0.2}, {"max_value": 0.5, "negative_slope": 0.1, "threshold": 0.3}, {"max_value": 0.7}],
        options={"max_value": [None, 0.5, 1.0], "negative_slope": [0.0, 0.2], "threshold": [0.0, 0.4]},
    ),
    row("LeakyReLU", {}, (3, 5), more=[{"negative_slope": 0.1}]),
    row("PReLU", {}, (3, 4, 5), more=[{"shared_axes": [1]}, {"shared_axes": 2}]),
    row("ELU", {}, (3, 5), more=[{"alpha": 0.5}]),
    row(
        "Softmax",
        {},
        (3, 4, 5),
        more=[{"axis": 1}, {"axis": [1, 2]}, {"case": at(call={"mask": Mask((3, 4, 5))})}],
    ),
]

NORMALIZATION = [
    row(
        "BatchNormalization",
        {},
        (6, 4, 3),
        more=[
            {"axis": 1, "momentum": 0.9, "epsilon": 1e-5},
            {"center": False, "scale": False},
            {"case": at(call={"mask": Mask((6, 4))})},
            {"renorm": True, "renorm_clipping": {"rmin": 0.5, "rmax": 2.0, "dmax": 1.0}},
            {"renorm": True, "scale": False, "renorm_momentum": 0.8},
        ],
        options={"axis": [-1, 1, 2], "center": [True, False], "scale": [True, False], "renorm": [True, False]},
    ),
    row(
        "LayerNormalization",
        {},
        (3, 4, 5),
        more=[
            {"axis": [1, 2]},
            {"axis": 1, "center": False},
            {"axis": [-1, -2], "scale": False, "epsilon": 1e-2},
            {"rms_scaling": True, "axis": [1, 2]},
        ],
        options={"axis": [-1, 1, [1, 2], [-2, -1]], "center": [True, False], "scale": [True, False]},
    ),
    row("RMSNormalization", {}, (3, 4, 5), more=[{"epsilon": 1e-2}, {"axis": [1, 2]}]),
    row("UnitNormalization", {}, (3, 4, 5), more=[{"axis": 1}, {"axis": [1, 2]}]),
    row(
        "GroupNormalization",
        {"groups": 2},
        (3, 4, 6),
        more=[{"groups": -1}, {"groups": 2, "axis": 1, "center": False}, {"case": at((2, 3, 4, 6))}],
        options={"groups": [1, 2, -1], "axis": [-1, 1], "center": [True, False], "scale": [True, False]},
    ),
]

REGULARIZATION = [
    row("Dropout", {"rate": 0.4}, (3, 5), more=[{"noise_shape": (None, 1)}, {"rate": 0.0}, {"rate": 1.0}], random=True),
    row("SpatialDropout1D", {"rate": 0.4}, (3, 4, 5), random=True),
    row(
        "SpatialDropout2D",
        {"rate": 0.4},
        (2, 4, 3, 5),
        more=[{"data_format": "channels_first"}],
        random=True,
    ),
    row("SpatialDropout3D", {"rate": 0.4}, (2, 2, 3, 2, 5), random=True),
    row("ActivityRegularization", {}, (3, 5), more=[{"l1": 0.1, "l2": 0.2}]),
    row("GaussianNoise", {"stddev": 0.4}, (3, 5), random=True),
    row("GaussianDropout", {"rate": 0.4}, (3, 5), random=True),
    row("AlphaDropout", {"rate": 0.4}, (3, 5), more=[{"noise_shape": (3, 1)}], random=True),
]

RESHAPING = [
    row("Flatten", {}, (2, 3, 4), more=[{"data_format": "channels_first"}, {"case": at((5,))}]),
    row("Reshape", {"target_shape": (6, -1)}, (2, 3, 4), more=[{"target_shape": [2, 6]}, {"target_shape": (-1,)}]),
    row("Permute", {"dims": (2, 1)}, (2, 3, 4), more=[{"dims": (3, 1, 2), "case": at((2, 3, 4, 5))}]),
    row("RepeatVector", {"n": 3}, (2, 4)),
    row("ZeroPadding1D", {}, (2, 3, 4), more=[{"padding": (0, 2)}, {"padding": 2, "data_format": "channels_first"}]),
    row(
        "ZeroPadding2D",
        {},
        (2, 3, 4, 5),
        more=[{"padding": ((1, 0), (2, 3))}, {"padding": 2, "data_format": "channels_first"}],
    ),
    row("ZeroPadding3D", {}, (2, 2, 3, 2, 3), more=[{"padding": 2, "data_format": "channels_first"}]),
    row("Cropping1D", {}, (2, 5, 3), more=[{"cropping": (0, 2)}, {"cropping": 2}]),
    row(
        "Cropping2D",
        {"cropping": 1},
        (2, 5, 6, 4),
        more=[
            {"cropping": ((1, 0), (0, 2))},
            {"cropping": (1, 2), "data_format": "channels_first", "case": at((2, 3, 5, 6))},
        ],
    ),
    row("Cropping3D", {}, (2, 4, 5, 3, 2), more=[{"cropping": ((1, 0), (0, 2), (0, 0))}]),
    row("UpSampling1D", {}, (2, 3, 4), more=[{"size": 3}]),
    row(
        "UpSampling2D",
        {},
        (2, 3, 4, 5),
        more=[
            {"size": (1, 3), "data_format": "channels_first"},
            {"interpolation": "bilinear"},
            {"size": 3, "interpolation": "bilinear", "data_format": "channels_first"},
        ],
    ),
    row("UpSampling3D", {}, (2, 2, 3, 2, 3), more=[{"size": (1, 2, 3), "data_format": "channels_first"}]),
]

ROWS = CORE + ACTIVATION + NORMALIZATION + REGULARIZATION + RESHAPING
