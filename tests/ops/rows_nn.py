"""Rows of convolution, pooling, normalization, attention and whole recurrences, against Keras."""

from __future__ import annotations

import numpy as np
import scipy.special

from kfun import ops
from tests.ops.rows import case, keras_op, row


def _convolutions(draw):
    image, kernel = draw.normal(2, 6, 7, 4), draw.normal(3, 2, 4, 5)
    return [
        case(image, kernel),
        case(image, kernel, strides=2, padding="same"),
        case(image, kernel, (2, 1), "valid"),
        case(image, kernel, 1, "same", dilation_rate=2),
        case(draw.normal(2, 4, 6, 5), kernel, 2, "same", "channels_first"),
        case(image, draw.normal(3, 3, 2, 6), padding="same"),
        case(draw.normal(2, 9, 3), draw.normal(4, 3, 2), strides=3, padding="same"),
        case(draw.normal(2, 9, 3), draw.normal(2, 3, 2), dilation_rate=3),
        case(draw.normal(1, 4, 5, 4, 2), draw.normal(2, 3, 2, 2, 3), strides=(1, 2, 1), padding="same"),
    ]


def _depthwise(draw):
    image, kernel = draw.normal(2, 6, 7, 3), draw.normal(3, 2, 3, 2)
    return [
        case(image, kernel),
        case(image, kernel, 2, "same"),
        case(image, kernel, padding="same", dilation_rate=2),
        case(draw.normal(2, 3, 6, 7), kernel, 2, "valid", "channels_first"),
        case(draw.normal(2, 9, 3), draw.normal(4, 3, 1), strides=2, padding="same"),
    ]


def _separable(draw):
    image, depthwise, pointwise = draw.normal(2, 6, 7, 3), draw.normal(3, 2, 3, 2), draw.normal(1, 1, 6, 4)
    return [
        case(image, depthwise, pointwise),
        case(image, depthwise, pointwise, 2, "same"),
        case(image, depthwise, pointwise, padding="same", dilation_rate=2),
        case(draw.normal(2, 3, 6, 7), depthwise, pointwise, data_format="channels_first"),
        case(draw.normal(2, 9, 3), draw.normal(4, 3, 1), draw.normal(1, 3, 5), 2, "same"),
    ]


def _adaptive(reduce):
    def windows(inputs, output_size, data_format=None):
        for axis, parts in enumerate(output_size, 2):
            size = inputs.shape[axis]
            ends = [(i * size // parts, -(-(i + 1) * size // parts)) for i in range(parts)]
            inputs = np.stack([reduce(np.take(inputs, range(*end), axis), axis) for end in ends], axis)
        return inputs

    def make(draw):
        image = draw.distinct(2, 7, 6, 3)
        return [
            case(image, (3, 2)),
            case(image, 3),
            # Keras 3.15 gives NaN where an axis keeps its size
            case(draw.distinct(2, 3, 7, 5), (7, 1), "channels_first").but(reference=windows),
            case(draw.distinct(2, 9, 3), 4, data_format="channels_last"),
            case(draw.distinct(1, 4, 5, 6, 2), (2, 3, 4)),
            case(-1 - np.abs(image), (5, 4)),
        ]

    return make


def _unfoldings(draw):
    image = draw.normal(2, 3, 6, 7)
    return [
        case(image, 2),
        case(image, (3, 2), 1, 1, 2),
        case(image, (2, 3), dilation=2, padding=(0, 1), stride=(1, 2)),
        case(image, kernel_size=6),
        case(draw.normal(1, 1, 4, 4), 2, stride=2),
    ]


def _foldings(draw):
    return [
        case(draw.normal(2, 12, 30), (6, 7), 2),
        case(draw.normal(2, 18, 12), (6, 7), (3, 2), 1, 1, 2),
        case(draw.normal(2, 6, 12), (6, 7), (2, 3), dilation=2, padding=(0, 1), stride=(1, 2)),
        case(draw.normal(1, 4, 4), 4, 2, stride=2),
    ]


def _to_space(draw):
    return [
        case(draw.normal(2, 3, 4, 8), 2),
        case(draw.normal(2, 12, 3, 4), 2, "channels_first"),
        case(draw.normal(1, 2, 2, 9), block_size=3),
    ]


def _to_depth(draw):
    return [
        case(draw.normal(2, 4, 6, 3), 2),
        case(draw.normal(2, 3, 6, 4), 2, "channels_first"),
        case(draw.normal(1, 6, 3, 1), block_size=3),
    ]


def _transposed(draw):
    image, kernel = draw.normal(2, 4, 5, 3), draw.normal(3, 2, 2, 3)
    return [
        case(image, kernel),
        case(image, kernel, 2, "same"),
        case(image, kernel, strides=(3, 2), padding="valid"),
        case(image, kernel, 2, "same", output_padding=1),
        case(image, kernel, 1, "same", dilation_rate=2),
        case(draw.normal(2, 3, 4, 5), kernel, 2, "same", None, "channels_first"),
        case(draw.normal(2, 6, 3), draw.normal(5, 2, 3), 3, "same"),
        case(draw.normal(2, 6, 3), draw.normal(2, 2, 3), 4, "valid"),
        case(draw.normal(1, 3, 3, 2, 2), draw.normal(2, 3, 2, 1, 2), 2, "same"),
    ]


def _pools(draw):
    image = draw.distinct(2, 6, 7, 3)
    return [
        case(image, 2),
        case(image, (2, 3), (1, 2), "same"),
        case(image, 3, 2),
        case(draw.distinct(2, 3, 6, 7), 2, 1, "same", "channels_first"),
        case(draw.distinct(2, 9, 3), 3, strides=2, padding="same"),
        case(draw.distinct(1, 4, 4, 6, 2), 2, padding="same"),
        case(-1 - np.abs(image), 3, 1, "same"),
    ]


def _keras_pool(name):
    """Keras's op, which on JAX takes no int for both sizes at once."""

    def reference(inputs, pool_size, strides=None, padding="valid", data_format=None):
        pool_size = (pool_size,) * (inputs.ndim - 2) if isinstance(pool_size, int) else pool_size
        return keras_op(name)(inputs, pool_size, strides or pool_size, padding, data_format)

    return reference


def _encodings(draw):
    return [
        case(draw.integers(0, 5, 2, 3), 5),
        case(draw.integers(0, 5, 4), 5, 0),
        case(np.int32([0, -1, 5, 3]), 4),
        case(draw.integers(0, 3, 4), 3, dtype="int32"),
        case(draw.integers(0, 3, 2, 2), num_classes=3, axis=1),
        case(draw.integers(0, 3), 3),
    ]


def _moments(draw):
    x = draw.normal(2, 3, 4)
    return [
        case(x, [1]),
        case(x, (0, 2), True),
        case(x, axes=[0, 1, 2]),
        case(1e4 + draw.normal(100, 2), [0]),
        case(np.float16([[6e4, -6e4, 3e4]]), [1], synchronized=False).but(grad=False, rtol=2e-3),
    ]


def _batch_norms(draw):
    x = draw.normal(4, 3, 5)
    return [
        case(x, draw.normal(5), draw.uniform(0.5, 2, 5), -1, draw.normal(5), draw.normal(5)),
        case(x, draw.normal(3), draw.uniform(0.5, 2, 3), 1),
        case(x, draw.normal(5), draw.uniform(0.5, 2, 5), axis=2, scale=draw.normal(5), epsilon=0.1),
        case(x, draw.normal(5), draw.uniform(0.5, 2, 5), axis=2, offset=draw.normal(5)),
    ]


def _layer_norms(draw):
    x = draw.normal(4, 3, 5)
    return [
        case(x, draw.normal(5), draw.normal(5), epsilon=1e-3),
        case(x),
        case(x, draw.normal(3, 5), draw.normal(3, 5), axis=(1, 2), epsilon=1e-3),
        case(x, draw.normal(3), axis=1, epsilon=1e-3),
        case(x, beta=draw.normal(5), epsilon=1e-3),
        case(draw.normal(2, 6).astype("float16"), epsilon=1e-3).but(grad=False, rtol=2e-3, atol=2e-3),
    ]


def _rms_norms(draw):
    x = draw.normal(4, 3, 5)
    return [
        case(x, draw.normal(5)),
        case(x),
        case(1e-3 * x),
        case(x, axis=1, epsilon=0.1),
        case(x, draw.normal(5), -1, 1e-3),
    ]


def _attentions(draw):
    q, k, v = draw.normal(2, 5, 4, 3), draw.normal(2, 6, 4, 3), draw.normal(2, 6, 4, 3)
    mask = draw.bools(2, 1, 5, 6)
    mask[..., 0] = True
    square = [draw.normal(2, 5, 4, 3) for _ in range(3)]
    return [
        case(q, k, v),
        case(q, k, v, mask=mask),
        case(*square, is_causal=True),
        case(q, k, v, draw.normal(2, 4, 5, 6), scale=0.3),
        case(q, draw.normal(2, 6, 2, 3), draw.normal(2, 6, 2, 3)),
        case(*square, mask=np.ones((1, 1, 5, 5), "bool"), is_causal=True),
        case(q, k, v, bias=draw.normal(1, 4, 5, 6), mask=mask),
        case(q, draw.normal(2, 6, 1, 3), draw.normal(2, 6, 1, 3), is_causal=True, flash_attention=False),
        case(q, k, v, attn_logits_soft_cap=0.5).but(reference=_capped),
        case(q, k, v, draw.normal(2, 4, 5, 6), mask, attn_logits_soft_cap=3.0).but(reference=_capped),
    ]


def _steps(gates, states, inner_bias=False):
    """Cases of a recurrence: B = 2, T = 4, C = 3, H = 5."""

    def make(draw):
        x, first = draw.normal(2, 4, 3), [draw.normal(2, 5) for _ in range(states)]
        kernels = draw.normal(3, 5 * gates, scale=0.5), draw.normal(5, 5 * gates, scale=0.5)
        bias = draw.normal(2, 5 * gates) if inner_bias else draw.normal(5 * gates)
        mask = np.bool_([[1, 1, 0, 1], [0, 1, 1, 0]])
        more = [case(x, *first, *kernels, draw.normal(15), reset_after=False)] if inner_bias else []
        return [
            case(x, *first, *kernels, bias),
            case(x, *first, *kernels),
            case(x, *first, *kernels, bias, reverse=True),
            case(x, *first, *kernels, bias, mask),
            case(x, *first, *kernels, bias, mask=mask, reverse=True),
            case(x, *first, *kernels, bias, activation=ops.softsign),
            *more,
        ]

    return make


def _keras_rnn(layer, **fixed):
    """Keras's layer given the op's weights and states, as a function of the op's arguments."""

    def reference(x, *rest, bias=None, mask=None, activation=None, reverse=False, **extra):
        import keras

        states = 2 if layer == "LSTM" else 1
        first, (kernel, recurrent, *more) = rest[:states], rest[states:]
        bias, mask = (more[0] if more else bias), (more[1] if len(more) > 1 else mask)
        cell = getattr(keras.layers, layer)(
            first[0].shape[-1],
            activation="tanh" if activation is None else "softsign",
            return_sequences=True,
            return_state=True,
            go_backwards=reverse,
            use_bias=bias is not None,
            **{**fixed, **extra},
        )
        cell.build(x.shape)
        cell.set_weights([kernel, recurrent] + ([] if bias is None else [bias]))
        ys, *last = cell(x, initial_state=list(first), mask=mask)
        ys = np.asarray(ys)
        return (ys[:, ::-1] if reverse else ys, *map(np.asarray, last))

    return reference


def _keras_attention(*args, flash_attention=None, **kwargs):
    return keras_op("dot_product_attention")(*args, flash_attention=False, **kwargs)


def _capped(q, k, v, bias=None, mask=None, attn_logits_soft_cap=None):
    """Keras has the cap on TPUs alone."""
    logits = np.einsum("btnh,bsnh->bnts", q, k) / np.sqrt(q.shape[-1])
    logits = attn_logits_soft_cap * np.tanh(logits / attn_logits_soft_cap) + (0 if bias is None else bias)
    weights = scipy.special.softmax(np.where(True if mask is None else mask, logits, -1e30), -1)
    return np.einsum("bnts,bsnh->btnh", weights, v).astype("float32")


ROWS = [
    row("conv", _convolutions, keras_op("conv")),
    row("separable_conv", _separable, keras_op("separable_conv")),
    row("adaptive_average_pool", _adaptive(np.mean), keras_op("adaptive_average_pool")),
    row("adaptive_max_pool", _adaptive(np.max), keras_op("adaptive_max_pool")),
    row("unfold", _unfoldings, keras_op("unfold")),
    row("fold", _foldings, keras_op("fold")),
    row("depth_to_space", _to_space, keras_op("depth_to_space")),
    row("space_to_depth", _to_depth, keras_op("space_to_depth")),
    row("depthwise_conv", _depthwise, keras_op("depthwise_conv")),
    row("conv_transpose", _transposed, keras_op("conv_transpose")),
    row("max_pool", _pools, _keras_pool("max_pool")),
    row("average_pool", _pools, _keras_pool("average_pool")),
    row("one_hot", _encodings, keras_op("one_hot"), grad=False),
    row("moments", _moments, keras_op("moments")),
    row("batch_normalization", _batch_norms, keras_op("batch_normalization")),
    row("layer_normalization", _layer_norms, keras_op("layer_normalization")),
    row("rms_normalization", _rms_norms, keras_op("rms_normalization")),
    row("dot_product_attention", _attentions, _keras_attention),
    row("lstm", _steps(4, 2), _keras_rnn("LSTM")),
    row("gru", _steps(3, 1, inner_bias=True), _keras_rnn("GRU")),
    row("simple_rnn", _steps(1, 1), _keras_rnn("SimpleRNN")),
]
