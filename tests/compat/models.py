"""Models written once for both APIs: each is called with `keras` or `compat` and gives a compiled model."""

from __future__ import annotations

import numpy as np


def mlp(api):
    layers = api.layers
    x = api.Input((6,))
    h = layers.Dense(8, activation="tanh", kernel_regularizer=api.regularizers.L2(1e-3))(x)
    y = layers.Dense(3, activation="softmax")(h)
    model = api.Model(x, y)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def cnn(api):
    layers = api.layers
    model = api.Sequential(
        [
            api.Input((8, 8, 2)),
            layers.Conv2D(4, 3, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.DepthwiseConv2D(3),
            layers.Conv2DTranspose(3, 2, strides=2),
            layers.UpSampling2D(),
            layers.ZeroPadding2D(1),
            layers.GlobalAveragePooling2D(),
            layers.Dense(1),
        ]
    )
    model.compile(api.optimizers.SGD(0.05, momentum=0.9, nesterov=True), "mse", metrics=["mae"])
    return model


def recurrent(api):
    layers = api.layers
    x = api.Input((7,), dtype="int32")
    h = layers.Embedding(11, 5, mask_zero=True)(x)
    h = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(h)
    h = layers.GRU(3)(h)
    model = api.Model(x, layers.Dense(1, activation="sigmoid")(h))
    model.compile("rmsprop", "binary_crossentropy", metrics=["accuracy"])
    return model


def transformer(api):
    layers = api.layers
    x = api.Input((5, 8))
    h = layers.LayerNormalization()(x)
    h = layers.Add()([x, layers.MultiHeadAttention(2, 4)(h, h)])
    h = layers.Conv1D(6, 3, padding="causal", activation="gelu")(h)
    h = layers.GlobalAveragePooling1D()(h)
    model = api.Model(x, layers.Dense(2)(h))
    model.compile(api.optimizers.AdamW(0.01, weight_decay=0.02, clipnorm=1.0), "mae")
    return model


def branched(api):
    """Two inputs, two outputs, a shared layer, a nested model, ops on symbolic tensors."""
    layers = api.layers
    a, b = api.Input((4,), name="a"), api.Input((4,), name="b")
    shared = layers.Dense(5, activation="relu")
    h = layers.Concatenate()([shared(a), shared(b)])
    h = api.ops.tanh(h * 2.0 - 1.0)
    inner = api.Sequential([layers.Dense(4), layers.Dense(3)], name="inner")
    first = inner(h)
    second = layers.Dense(1, name="second")(layers.Multiply()([first, first]))
    model = api.Model({"a": a, "b": b}, {"first": first, "second": second})
    model.compile(
        "adam",
        {"first": "mse", "second": "mae"},
        loss_weights={"first": 0.5, "second": 2.0},
        metrics={"first": ["mae"]},
    )
    return model


def data(name: str):
    """`(x, y)` for a model."""
    rng = np.random.default_rng(3)
    n = 48
    if name == "mlp":
        return rng.normal(size=(n, 6)).astype("float32"), rng.integers(0, 3, n)
    if name == "cnn":
        return rng.normal(size=(n, 8, 8, 2)).astype("float32"), rng.normal(size=(n, 1)).astype("float32")
    if name == "recurrent":
        x = rng.integers(1, 11, (n, 7)).astype("int32")
        x[:, 5:] *= rng.integers(0, 2, (n, 1)).astype("int32")
        return x, rng.integers(0, 2, (n, 1)).astype("float32")
    if name == "transformer":
        return rng.normal(size=(n, 5, 8)).astype("float32"), rng.normal(size=(n, 2)).astype("float32")
    x = {k: rng.normal(size=(n, 4)).astype("float32") for k in "ab"}
    return x, {"first": rng.normal(size=(n, 3)).astype("float32"), "second": rng.normal(size=(n, 1)).astype("float32")}


MODELS = {"mlp": mlp, "cnn": cnn, "recurrent": recurrent, "transformer": transformer, "branched": branched}
