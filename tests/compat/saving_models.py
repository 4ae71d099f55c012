"""Small models written once for both APIs, to be saved by one and loaded by the other.

Each function takes `keras` or `compat` as `k` and gives `(model, inputs)`; `build` compiles it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

MODELS: dict[str, Callable] = {}


def model(function: Callable) -> Callable:
    """Puts a builder into the matrix."""
    MODELS[function.__name__] = function
    return function


def floats(*shape: int) -> np.ndarray:
    """Seeded normal numbers."""
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


def tokens(rows: int, length: int, size: int = 9) -> np.ndarray:
    """Seeded indices; the last of each row are the padding 0."""
    found = np.random.default_rng(length).integers(1, size, (rows, length)).astype("int32")
    found[::2, -2:] = 0
    return found


def build(name: str, k: Any) -> tuple[Any, Any, Any]:
    """`(model, inputs, targets)`, the model compiled and built.

    Args:
        name: of the model.
        k: `keras` or `compat`.
    """
    k.utils.set_random_seed(7)
    k.utils.clear_session()
    made, x = MODELS[name](k)
    y = as_arrays(made(x))
    rng = np.random.default_rng(5)
    y = {n: rng.random(v.shape).astype("float32") for n, v in y.items()} if isinstance(y, dict) else (
        [rng.random(v.shape).astype("float32") for v in y] if isinstance(y, list)
        else rng.random(y.shape).astype("float32"))  # fmt: skip
    if not getattr(made, "compiled", False):
        loss = dict.fromkeys(y, "mse") if isinstance(y, dict) else ["mse"] * len(y) if isinstance(y, list) else "mse"
        made.compile(k.optimizers.SGD(0.05, momentum=0.9), loss)
    return made, x, y


def as_arrays(outputs: Any) -> Any:
    """Outputs as NumPy arrays in their structure."""
    if isinstance(outputs, dict):
        return {n: np.asarray(v, "float32") for n, v in outputs.items()}
    if isinstance(outputs, (list, tuple)):
        return [np.asarray(v, "float32") for v in outputs]
    return np.asarray(outputs, "float32")


def sequential(name: str, shape: tuple, layers: Callable, x: Any = None, dtype: str = "float32") -> None:
    """A row of the matrix: a Sequential of `layers(k)` on inputs of `shape`."""

    def make(k: Any) -> tuple:
        data = floats(4, *shape) if x is None else x
        return k.Sequential([k.Input(shape, dtype=dtype), *layers(k)], name="stack"), data

    MODELS[name] = make


# fmt: off
sequential("dense", (5,), lambda k: [k.layers.Dense(4, "relu"), k.layers.Dense(2, use_bias=False)])
sequential("conv_norm", (8, 8, 2), lambda k: [
    k.layers.Conv2D(4, 3, padding="same", activation="relu"), k.layers.BatchNormalization(),
    k.layers.MaxPooling2D(), k.layers.Flatten(), k.layers.Dense(2)])
sequential("conv1d", (9, 3), lambda k: [
    k.layers.Conv1D(4, 3, padding="causal", dilation_rate=2), k.layers.AveragePooling1D(2),
    k.layers.Conv1DTranspose(2, 3, strides=2), k.layers.GlobalMaxPooling1D()])
sequential("conv3d", (4, 4, 4, 2), lambda k: [
    k.layers.Conv3D(3, 2), k.layers.Conv3DTranspose(2, 2), k.layers.GlobalAveragePooling3D()])
sequential("separable", (7, 7, 3), lambda k: [
    k.layers.SeparableConv2D(4, 3, depth_multiplier=2), k.layers.DepthwiseConv2D(2),
    k.layers.Conv2DTranspose(2, 2), k.layers.GlobalAveragePooling2D()])
sequential("separable1d", (7, 3), lambda k: [
    k.layers.SeparableConv1D(4, 3), k.layers.DepthwiseConv1D(2), k.layers.GlobalAveragePooling1D()])
sequential("padding", (6, 6, 2), lambda k: [
    k.layers.ZeroPadding2D(((1, 0), (2, 1))), k.layers.Cropping2D(1), k.layers.UpSampling2D((2, 1)),
    k.layers.Conv2D(2, 2)])
sequential("shapes", (6,), lambda k: [
    k.layers.RepeatVector(3), k.layers.Permute((2, 1)), k.layers.Reshape((3, 6)), k.layers.Flatten(),
    k.layers.Dense(2)])
sequential("lstm_masked", (6,), lambda k: [
    k.layers.Embedding(9, 4, mask_zero=True), k.layers.LSTM(3, return_sequences=True), k.layers.LSTM(2)],
    tokens(4, 6), "int32")
sequential("gru", (5, 3), lambda k: [
    k.layers.GRU(4, return_sequences=True, reset_after=False), k.layers.GRU(2, recurrent_dropout=0.2, dropout=0.1)])
sequential("simple_rnn", (5, 3), lambda k: [k.layers.SimpleRNN(4, go_backwards=True), k.layers.Dense(1)])
sequential("convlstm2d", (3, 5, 5, 2), lambda k: [k.layers.ConvLSTM2D(2, 3, return_sequences=True),
                                                  k.layers.GlobalAveragePooling3D()])
sequential("convlstm1d", (3, 6, 2), lambda k: [k.layers.ConvLSTM1D(2, 3), k.layers.Flatten(), k.layers.Dense(1)])
sequential("bidirectional", (5, 3), lambda k: [
    k.layers.Bidirectional(k.layers.LSTM(3, return_sequences=True), merge_mode="sum"),
    k.layers.Bidirectional(k.layers.GRU(2))])
sequential("bidirectional_given", (5, 3), lambda k: [k.layers.Bidirectional(
    k.layers.LSTM(3), backward_layer=k.layers.LSTM(3, activation="relu", go_backwards=True))])
sequential("rnn_cell", (5, 3), lambda k: [k.layers.RNN(k.layers.LSTMCell(4, unit_forget_bias=False))])
sequential("stacked_cells", (5, 3), lambda k: [
    k.layers.RNN([k.layers.GRUCell(4), k.layers.SimpleRNNCell(3)], return_sequences=True), k.layers.Dense(1)])
sequential("time_distributed", (4, 5), lambda k: [
    k.layers.TimeDistributed(k.layers.Dense(3, "tanh")), k.layers.TimeDistributed(k.layers.LayerNormalization())])
sequential("time_distributed_model", (3, 4, 4, 2), lambda k: [k.layers.TimeDistributed(k.Sequential(
    [k.Input((4, 4, 2)), k.layers.Conv2D(2, 3), k.layers.Flatten()], name="frame")), k.layers.LSTM(2)])
sequential("noise", (6,), lambda k: [
    k.layers.GaussianNoise(0.2, seed=2), k.layers.Dense(4), k.layers.Dropout(0.4, seed=3),
    k.layers.AlphaDropout(0.1), k.layers.GaussianDropout(0.2), k.layers.Dense(2)])
sequential("spatial_dropout", (5, 3), lambda k: [k.layers.SpatialDropout1D(0.3), k.layers.Conv1D(2, 2)])
sequential("normalizations", (4, 6), lambda k: [
    k.layers.LayerNormalization(axis=[-1, -2], epsilon=1e-2), k.layers.GroupNormalization(3),
    k.layers.RMSNormalization(), k.layers.UnitNormalization(), k.layers.Dense(2)])
sequential("batch_norm_options", (6,), lambda k: [
    k.layers.BatchNormalization(momentum=0.8, center=False), k.layers.Dense(3),
    k.layers.BatchNormalization(scale=False, epsilon=1e-2)])
sequential("spectral_norm", (5,), lambda k: [k.layers.SpectralNormalization(k.layers.Dense(4), 2), k.layers.Dense(1)])
sequential("activations", (5,), lambda k: [
    k.layers.Dense(4), k.layers.PReLU(shared_axes=None), k.layers.Dense(4), k.layers.LeakyReLU(0.2),
    k.layers.ELU(0.5), k.layers.ReLU(max_value=6.0, negative_slope=0.1), k.layers.Dense(3, "gelu"),
    k.layers.Activation("silu"), k.layers.Softmax(axis=1)])
sequential("regularized", (5,), lambda k: [
    k.layers.Dense(4, kernel_regularizer=k.regularizers.L1L2(1e-3, 1e-2), bias_regularizer="l2",
                   activity_regularizer=k.regularizers.L1(1e-3)),
    k.layers.ActivityRegularization(l2=1e-2),
    k.layers.Dense(2, kernel_regularizer=k.regularizers.OrthogonalRegularizer(0.1))])
sequential("constrained", (5,), lambda k: [
    k.layers.Dense(4, kernel_constraint=k.constraints.MaxNorm(0.5), bias_constraint="non_neg"),
    k.layers.Dense(2, kernel_constraint=k.constraints.MinMaxNorm(0.2, 0.9, rate=0.5, axis=0)),
    k.layers.Dense(2, kernel_constraint=k.constraints.UnitNorm())])
sequential("initialized", (5,), lambda k: [
    k.layers.Dense(4, kernel_initializer=k.initializers.VarianceScaling(2.0, "fan_out", "uniform", seed=1),
                   bias_initializer=k.initializers.Constant(0.3)),
    k.layers.Dense(4, kernel_initializer=k.initializers.Orthogonal(0.5, seed=2)),
    k.layers.Dense(4, kernel_initializer=k.initializers.TruncatedNormal(0.1, 0.2, seed=3)),
    k.layers.Dense(2, kernel_initializer="he_normal", bias_initializer="ones")])
sequential("layer_policies", (5,), lambda k: [
    k.layers.Dense(4, dtype="mixed_bfloat16"), k.layers.Dense(4, dtype="bfloat16"),
    k.layers.Dense(3, dtype=k.DTypePolicy("float16")), k.layers.Dense(2, dtype="float32")])
sequential("frozen", (5,), lambda k: [
    k.layers.Dense(4, trainable=False), k.layers.BatchNormalization(trainable=False), k.layers.Dense(2)])
sequential("nested", (5,), lambda k: [
    k.Sequential([k.layers.Dense(4), k.layers.Dropout(0.2, seed=1)], name="one"),
    k.Sequential([k.Input((4,)), k.Sequential([k.layers.Dense(3)], name="inner"), k.layers.Dense(2)], name="two")])
sequential("einsum_dense", (4, 6), lambda k: [
    k.layers.EinsumDense("abc,cde->abde", (4, 2, 3), bias_axes="de"), k.layers.Flatten(), k.layers.Dense(1)])
sequential("masking", (5, 3), lambda k: [k.layers.Masking(0.5), k.layers.LSTM(3, return_sequences=True),
                                         k.layers.TimeDistributed(k.layers.Dense(2))])
sequential("stateful", (4, 3), lambda k: [k.layers.GRU(3, return_state=False, unroll=True), k.layers.Dense(1)])
# fmt: on


@model
def deferred(k):
    return k.Sequential([k.layers.Dense(4), k.layers.Dense(2)]), floats(4, 5)


def _lora(k, layer, x):
    made = k.Sequential([layer, k.layers.Dense(2)])
    made(x)
    layer.enable_lora(2)
    return made, x


@model
def lora_dense(k):
    return _lora(k, k.layers.Dense(4, name="adapted"), floats(4, 5))


@model
def lora_embedding(k):
    return _lora(k, k.layers.Embedding(9, 6), tokens(4, 3))


def _mixed(k, policy):
    before = k.config.dtype_policy()
    k.config.set_dtype_policy(policy)
    try:
        made = k.Sequential([k.Input((5,)), k.layers.Dense(4, "relu"), k.layers.BatchNormalization(),
                             k.layers.Dense(2, dtype="float32")])  # fmt: skip
        made.compile(k.optimizers.Adam(1e-2), "mse")
    finally:
        k.config.set_dtype_policy(before)
    return made, floats(4, 5)


@model
def mixed_float16(k):
    return _mixed(k, "mixed_float16")


@model
def mixed_bfloat16(k):
    return _mixed(k, "mixed_bfloat16")
