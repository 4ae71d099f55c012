"""Wrong configurations and inputs: the message names the class, what was received, and the fix."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import kfun
from kfun import Spec, layers

CONFIGS = [
    (
        lambda: layers.Conv2D(4, 3, strides=2, dilation_rate=2),
        ValueError,
        r"strides and dilation_rate cannot both.*\(2, 2\)",
    ),
    (lambda: layers.Conv2D(5, 3, groups=2), ValueError, "Conv2D: filters must be a multiple of groups.*5.*2"),
    (lambda: layers.Conv2D(0, 3), ValueError, "Conv2D: argument `filters` must be a positive integer; received 0"),
    (lambda: layers.Conv2D(4, (3, 3, 3)), ValueError, "Conv2D: kernel_size: expected an integer or 2 of them"),
    (lambda: layers.Conv2D(4, 0), ValueError, "Conv2D: kernel_size: expected positive integers; received 0"),
    (lambda: layers.Conv2D(4, 3, padding="causal"), ValueError, "Conv2D: padding: expected one of 'valid', 'same'"),
    (lambda: layers.Conv1D(4, 3, data_format="first"), ValueError, "Conv1D: data_format: expected 'channels_last'"),
    (lambda: layers.Conv1DTranspose(4, 3, strides=2, output_padding=2), ValueError, "output_padding must be below"),
    (lambda: layers.MaxPooling2D((2, 2, 2)), ValueError, "MaxPooling2D: pool_size: expected an integer or 2"),
    (lambda: layers.Dropout(1.5), ValueError, r"Dropout: rate: expected a probability of dropping in \[0, 1\].*1.5"),
    (lambda: layers.Dropout(0.5, noise_shape=(0, 1)), ValueError, "Dropout: noise_shape: expected positive sizes"),
    (lambda: layers.GaussianNoise(2.0), ValueError, "GaussianNoise: stddev: expected a number in"),
    (lambda: layers.Reshape((-1, -1)), ValueError, "non-negative integer, and at most one -1"),
    (lambda: layers.Permute((0, 1)), ValueError, "Permute: Invalid permutation: dims must hold"),
    (
        lambda: layers.UpSampling2D(interpolation="cubic"),
        ValueError,
        "interpolation: expected one of 'nearest'",
    ),
    (lambda: layers.ReLU(max_value=-1.0), ValueError, "max_value: expected a number of at least 0"),
    (lambda: layers.LSTM(0), ValueError, "LSTM: argument `units` must be a positive integer; received 0"),
    (lambda: layers.LSTM(3, dropout=1.0), ValueError, r"LSTMCell: dropout: .*in \[0, 1\); received 1.0"),
    (lambda: layers.RNN(3), TypeError, "RNN: cell: expected a kfun.layers.Cell"),
    (lambda: layers.Bidirectional(layers.Dense(3)), TypeError, "Bidirectional: layer: expected a recurrent layer"),
    (lambda: layers.Bidirectional(layers.LSTM(3), "join"), ValueError, "merge_mode: expected one of 'concat'.*'join'"),
    (lambda: layers.Bidirectional(layers.LSTM(3, go_backwards=True)), ValueError, "one layer must go backwards"),
    (lambda: layers.MultiHeadAttention(0, 3), ValueError, "argument `num_heads` must be a positive"),
    (
        lambda: layers.MultiHeadAttention(2, 3, dropout=0.1, flash_attention=True),
        ValueError,
        "goes without dropout",
    ),
    (lambda: layers.GroupQueryAttention(3, 4, 3), ValueError, "must be divisible by `num_key_value_heads`"),
    (lambda: layers.BatchNormalization(renorm_clipping={"max": 1}), ValueError, "Received invalid keys"),
    (lambda: layers.AdaptiveMaxPooling2D((2, 0)), ValueError, "AdaptiveMaxPooling2D: output_size: expected positive"),
    (lambda: layers.AdaptiveMaxPooling1D(None), ValueError, "AdaptiveMaxPooling1D: output_size: expected an integer"),
    (
        lambda: layers.ConvLSTM2D(0, 3),
        ValueError,
        "ConvLSTM2D: argument `filters` must be a positive",
    ),
    (lambda: layers.ConvLSTM2D(2, 3, 2, dilation_rate=2), ValueError, "strides and dilation_rate cannot both"),
    (lambda: layers.ReversibleEmbedding(3, 2, logit_soft_cap=-1.0), ValueError, "logit_soft_cap: expected a positive"),
    (lambda: layers.ReversibleEmbedding(3, 2, reverse_dtype="int8"), ValueError, "reverse_dtype: expected a floating"),
    (lambda: layers.ActivityRegularization(l1=-1.0), ValueError, "l1: expected a finite number of at least 0"),
    (lambda: layers.SpectralNormalization(3), TypeError, "SpectralNormalization: layer: expected a layer"),
    (
        lambda: layers.SpectralNormalization(layers.Dense(3), 0),
        ValueError,
        "`power_iterations` must be a positive",
    ),
    (lambda: layers.StackedRNNCells([]), TypeError, "StackedRNNCells: cells: expected one cell or more"),
    (lambda: layers.TimeDistributed(3), TypeError, "TimeDistributed: layer: expected a layer; received 3"),
]


@pytest.mark.parametrize(("make", "error", "message"), CONFIGS, ids=[message[:40] for _, _, message in CONFIGS])
def test_a_wrong_configuration(make, error, message):
    with pytest.raises(error, match=message):
        make()


INPUTS = [
    (layers.Conv2D(4, 3, name="stem"), [(2, 5, 3)], r'Conv2D "stem": expected an input with 4 axes \[B, D1, D2, C\]'),
    (layers.Conv2D(4, 3, groups=2), [(2, 5, 5, 3)], "the input's channels must be a multiple of groups; received 3"),
    (layers.MaxPooling1D(), [(2, 5)], r"MaxPooling1D: expected an input with 3 axes \[B, D1, C\]"),
    (layers.LayerNormalization(3), [(2, 5)], "LayerNormalization: axis 3 is out of range"),
    (layers.GroupNormalization(4), [(2, 5, 6)], "groups must be a divisor of the number of channels; received 6"),
    (layers.Reshape((7,)), [(2, 3, 4)], r"Reshape: an example of shape \(3, 4\) has 12 elements"),
    (layers.Cropping1D(3), [(2, 5, 3)], "Cropping1D: .*must be smaller.* leaves nothing of axis 1"),
    (layers.LSTM(3), [(2, 5)], r"LSTM: expected an input with 3 axes \[B, T, C\]"),
    (layers.LSTM(3, stateful=True), [(None, 5, 2)], "LSTM: axis 0 of the input must have a known size"),
    (layers.ConvLSTM1D(3, 2), [(2, 5, 4)], r"ConvLSTM1D: expected an input with 4 axes \[B, T, D1, C\]"),
    (layers.AdaptiveMaxPooling1D(3), [(2, 5)], r"AdaptiveMaxPooling1D: expected an input with 3 axes"),
    (layers.SpectralNormalization(layers.ReLU()), [(2, 5)], "expected a layer with a weight 'kernel' or 'embeddings'"),
    (layers.Add(), [(2, 3), (2, 4)], r"Add: Inputs have incompatible shapes.*: \(2, 3\), \(2, 4\)"),
    (layers.Subtract(), [(2, 3)], "Subtract: .*on exactly 2 inputs; received 1"),
    (layers.Concatenate(), [(2, 3, 4), (2, 5, 4)], r"Concatenate: .*agree on all axes.*\(2, 3, 4\), \(2, 5, 4\)"),
    (layers.Dot(1), [(2, 3), (2, 4)], r"Dot: .*axes 1 must name axes of one size.*\(2, 3\), \(2, 4\)"),
    (layers.MultiHeadAttention(2, 3), [(2, 5, 4)], r"expected the inputs \(query, value\)"),
    (layers.MultiHeadAttention(2, 3), [(2, 5, 4), (2, 6, 4), (2, 7, 4)], "agree on all axes but the last"),
    (layers.PReLU(shared_axes=[4]), [(2, 3)], "PReLU: shared_axes .* out of range"),
    (layers.Dense(3), [(2, None)], "must have a known size"),
]


@pytest.mark.parametrize(("layer", "shapes", "message"), INPUTS, ids=[type(layer).__name__ for layer, _, _ in INPUTS])
def test_a_wrong_input(layer, shapes, message):
    def use():
        layer.init(kfun.random.key(0), *map(Spec, shapes))
        layer.output_spec(*map(Spec, shapes))

    with pytest.raises(ValueError, match=message):
        use()


def test_another_width_than_the_weights_were_made_for():
    layer = layers.Conv2D(4, 3)
    params, state = layer.init(kfun.random.key(0), Spec((None, 8, 8, 3)))
    with pytest.raises(ValueError, match=r"expected an input with 3 channels \(kernel \(3, 3, 3, 4\)\); received 5"):
        layer.apply(params, state, np.ones((2, 8, 8, 5), "float32"))
    layer = layers.LSTM(4)
    params, state = layer.init(kfun.random.key(0), Spec((None, None, 3)))
    with pytest.raises(ValueError, match="expected input with 3 features"):
        layer.apply(params, state, np.ones((2, 8, 5), "float32"))


@pytest.mark.parametrize(
    "layer",
    [layers.Dropout(0.5), layers.SpatialDropout1D(0.5), layers.GaussianNoise(0.5), layers.LSTM(3, dropout=0.5)],
    ids=lambda layer: type(layer).__name__,
)
def test_training_without_a_key(layer):
    x = np.ones((2, 3, 4), "float32")
    params, state = layer.init(kfun.random.key(0), Spec.of(x))
    layer.apply(params, state, x)
    with pytest.raises(ValueError, match="pass key= to apply"):
        layer.apply(params, state, x, training=True)


def test_a_stateful_layer_keeps_its_batch_size():
    layer = layers.GRU(3, stateful=True)
    params, state = layer.init(kfun.random.key(0), Spec((2, 5, 4)))
    with pytest.raises(ValueError, match="made for batches of 2 and received one of 3"):
        layer.apply(params, state, np.ones((3, 5, 4), "float32"))


def test_flash_attention_that_cannot_be():
    layer, x = layers.MultiHeadAttention(2, 3, flash_attention=True), np.ones((2, 4, 6), "float32")
    if jax.default_backend() == "cpu":
        with pytest.raises(ValueError, match="flash_attention=True, but JAX has none on a cpu"):
            layer.init(kfun.random.key(0), Spec.of(x), Spec.of(x))
    params, state = layer.replace(flash_attention=None).init(kfun.random.key(0), Spec.of(x), Spec.of(x))
    with pytest.raises(ValueError, match="does not give its scores"):
        layer.apply(params, state, x, x, return_attention_scores=True)
