"""Functional models of the matrix, and one model for each optimizer."""

from __future__ import annotations

from typing import Any

from tests.compat.saving_models import MODELS, floats, model, tokens


@model
def two_inputs(k):
    a, b = k.Input((4,), name="a"), k.Input((3,), name="b")
    h = k.layers.Concatenate()([k.layers.Dense(3)(a), b])
    return k.Model([a, b], k.layers.Dense(2)(h)), [floats(4, 4), floats(4, 3)]


@model
def two_outputs(k):
    x = k.Input((4,))
    h = k.layers.Dense(5, "tanh")(x)
    made = k.Model(x, [k.layers.Dense(2, name="left")(h), k.layers.Dense(1, name="right")(h)])
    made.compile("adam", ["mse", "mae"], loss_weights=[0.3, 1.0], metrics=[["mae"], ["mse"]])
    return made, floats(4, 4)


@model
def dict_io(k):
    a, b = k.Input((4,), name="a"), k.Input((4,), name="b")
    h = k.layers.Add()([a, b])
    made = k.Model({"a": a, "b": b}, {"p": k.layers.Dense(2, name="p")(h), "q": k.layers.Dense(1, name="q")(h)})
    made.compile("rmsprop", {"p": "mse", "q": k.losses.Huber(0.5)}, metrics={"p": ["mae"]})
    return made, {"a": floats(4, 4), "b": floats(4, 4) + 1}


@model
def shared_layer(k):
    a, b = k.Input((4,)), k.Input((4,))
    shared = k.layers.Dense(3, "relu", name="shared")
    h = k.layers.Subtract()([shared(a), shared(b)])
    return k.Model([a, b], k.layers.Dense(1)(h)), [floats(4, 4), floats(4, 4) * 2]


def _inner(k, name="inner"):
    x = k.Input((4,))
    return k.Model(x, k.layers.Dense(4)(k.layers.Dense(3, "relu")(x)), name=name)


@model
def nested_graph(k):
    x = k.Input((4,))
    return k.Model(x, k.layers.Dense(2)(_inner(k)(x))), floats(4, 4)


@model
def nested_twice(k):
    x, inner = k.Input((4,)), _inner(k)
    y = inner(k.layers.Dense(4)(inner(x)))
    outer = k.Model(x, y, name="outer")
    z = k.Input((4,))
    return k.Model(z, outer(k.layers.Dense(4)(outer(z)))), floats(4, 4)


@model
def inner_layers(k):
    """A model over another model's tensors."""
    base = _inner(k)
    return k.Model(base.inputs, k.layers.Dense(2)(base.layers[1].output)), floats(4, 4)


@model
def ops_of_tensors(k):
    x = k.Input((4, 3))
    h = k.ops.transpose(x, (0, 2, 1)) * 2.0 + 1.0
    h = k.ops.concatenate([k.ops.relu(h), h[:, :, :2], k.ops.expand_dims(k.ops.mean(h, axis=-1), -1)], axis=-1)
    h = k.layers.Dense(3)(k.ops.reshape(h, (-1, 21)))
    return k.Model(x, k.ops.softmax(h / 2.0)), floats(4, 4, 3)


@model
def matmul_ops(k):
    x = k.Input((4, 3))
    h = k.ops.matmul(x, k.ops.swapaxes(x, 1, 2)) - k.ops.sum(x, axis=(1, 2), keepdims=True)
    h = k.ops.clip(k.ops.power(h, 2), 0.0, 5.0)
    return k.Model(x, k.layers.Dense(2)(k.ops.squeeze(k.ops.max(h, axis=1, keepdims=True), 1))), floats(4, 4, 3)


@model
def attention(k):
    q, v = k.Input((4, 3)), k.Input((5, 3))
    h = k.layers.Attention(use_scale=True, score_mode="concat")([q, v])
    h = k.layers.Add()([h, k.layers.AdditiveAttention()([q, v])])
    return k.Model([q, v], k.layers.Dense(2)(h)), [floats(2, 4, 3), floats(2, 5, 3)]


@model
def multi_head_attention(k):
    x = k.Input((6,), dtype="int32")
    h = k.layers.Embedding(9, 8, mask_zero=True)(x)
    h = k.layers.MultiHeadAttention(2, 3, value_dim=4, dropout=0.1, seed=1)(h, h, use_causal_mask=True)
    return k.Model(x, k.layers.GlobalAveragePooling1D()(h)), tokens(4, 6)


@model
def grouped_attention(k):
    x = k.Input((5, 8))
    h, scores = k.layers.GroupQueryAttention(4, 4, 2)(x, x, return_attention_scores=True)
    return k.Model(x, [k.layers.Dense(2)(h), scores]), floats(2, 5, 8)


@model
def merging(k):
    a, b = k.Input((4,)), k.Input((4,))
    parts = [k.layers.Maximum()([a, b]), k.layers.Minimum()([a, b]), k.layers.Average()([a, b]),
             k.layers.Multiply()([a, b]), k.layers.Dot(1, normalize=True)([a, b])]  # fmt: skip
    return k.Model([a, b], k.layers.Dense(2)(k.layers.concatenate(parts))), [floats(4, 4), floats(4, 4) - 1]


@model
def residual(k):
    x = k.Input((8, 8, 3))
    h = k.layers.Conv2D(4, 3, padding="same", use_bias=False)(x)
    h = k.layers.ReLU()(k.layers.BatchNormalization()(h))
    y = k.layers.Conv2D(4, 3, padding="same", groups=2)(h)
    h = k.layers.add([h, y])
    return k.Model(x, k.layers.Dense(2)(k.layers.GlobalAveragePooling2D()(h)), name="res"), floats(4, 8, 8, 3)


@model
def reversible_embedding(k):
    x = k.Input((5,), dtype="int32")
    table = k.layers.ReversibleEmbedding(9, 4, tie_weights=False, mask_zero=True)
    h = k.layers.Dense(4)(table(x))
    return k.Model(x, table(h, reverse=True)), tokens(4, 5)


@model
def tied_embedding(k):
    x = k.Input((5,), dtype="int32")
    table = k.layers.ReversibleEmbedding(9, 4)
    return k.Model(x, table(k.layers.LayerNormalization()(table(x)), reverse=True)), tokens(4, 5)


@model
def encoder_decoder(k):
    a, b = k.Input((4, 3)), k.Input((5, 2))
    _, h, c = k.layers.LSTM(3, return_state=True)(a)
    y = k.layers.LSTM(3, return_sequences=True)(b, initial_state=[h, c])
    return k.Model([a, b], k.layers.Dense(2)(y)), [floats(3, 4, 3), floats(3, 5, 2)]


@model
def bidirectional_states(k):
    x = k.Input((4, 3))
    y, *states = k.layers.Bidirectional(k.layers.GRU(2, return_state=True, return_sequences=True))(x)
    return k.Model(x, [k.layers.Dense(1)(y), k.layers.Concatenate()(states)]), floats(3, 4, 3)


@model
def frozen_base(k):
    base = _inner(k, "base")
    base.trainable = False
    x = k.Input((4,))
    return k.Model(x, k.layers.Dense(2)(base(x, training=False))), floats(4, 4)


@model
def dense_mask_call(k):
    """A call with a mask tensor as argument."""
    x, m = k.Input((5, 3)), k.Input((5,), dtype="bool")
    h = k.layers.LSTM(3)(x, mask=m)
    return k.Model([x, m], k.layers.Dense(1)(h)), [floats(4, 5, 3), tokens(4, 5) > 0]


@model
def integer_outputs(k):
    x = k.Input((4,))
    made = k.Model(x, k.layers.Dense(3, "softmax")(x))
    made.compile(k.optimizers.Nadam(1e-2), "categorical_crossentropy", metrics=[
        "accuracy", k.metrics.TopKCategoricalAccuracy(2, name="top"), k.metrics.AUC(num_thresholds=20)],
        weighted_metrics=["mse"])  # fmt: skip
    return made, floats(4, 4)


@model
def bilinear(k):
    """Layers named by hand, one name in another's."""
    x = k.Input((4,), name="in")
    a = k.layers.Dense(3, name="block_a")(x)
    b = k.layers.Dense(3, name="block")(a)
    return k.Model(x, k.layers.Dot(-1, name="dot")([a, b]), name="m"), floats(4, 4)


def optimizer(name: str, make: Any) -> None:
    """A row of the matrix: a small model with this optimizer."""

    def made(k: Any) -> tuple:
        net = k.Sequential([k.Input((5,)), k.layers.Dense(4, "relu", name="first"), k.layers.Dense(3, name="second")])
        net.compile(make(k.optimizers), k.losses.MeanSquaredError(name="loss_name"), metrics=["mae"])
        return net, floats(6, 5)

    MODELS[f"optimizer_{name}"] = made


optimizer("sgd_nesterov", lambda o: o.SGD(0.1, momentum=0.8, nesterov=True, weight_decay=0.01))
optimizer("sgd_plain", lambda o: o.SGD(0.1))
optimizer("rmsprop", lambda o: o.RMSprop(0.01, centered=True, momentum=0.3))
optimizer("adam_amsgrad", lambda o: o.Adam(0.01, amsgrad=True, clipnorm=1.0))
optimizer("adamw_ema", lambda o: o.AdamW(0.01, use_ema=True, ema_momentum=0.9, global_clipnorm=0.5))
optimizer("adadelta", lambda o: o.Adadelta(0.5))
optimizer("adagrad", lambda o: o.Adagrad(0.1))
optimizer("adamax", lambda o: o.Adamax(0.01, clipvalue=0.3))
optimizer("nadam", lambda o: o.Nadam(0.01))
optimizer("ftrl", lambda o: o.Ftrl(0.1, l1_regularization_strength=0.01))
optimizer("lion", lambda o: o.Lion(0.01))
optimizer("lamb", lambda o: o.Lamb(0.01))
optimizer("adafactor", lambda o: o.Adafactor(0.05))
optimizer("muon", lambda o: o.Muon(0.02))
optimizer("loss_scale", lambda o: o.LossScaleOptimizer(o.Adam(0.01), initial_scale=8.0))
optimizer("exponential", lambda o: o.SGD(o.schedules.ExponentialDecay(0.1, 2, 0.5, staircase=True)))
optimizer("cosine", lambda o: o.Adam(o.schedules.CosineDecay(0.01, 5, warmup_target=0.05, warmup_steps=2)))
optimizer("piecewise", lambda o: o.RMSprop(o.schedules.PiecewiseConstantDecay([1, 3], [0.1, 0.05, 0.01])))
optimizer("accumulating", lambda o: o.Adam(0.01, gradient_accumulation_steps=2))
