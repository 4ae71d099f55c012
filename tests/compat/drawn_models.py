"""Models to show in tables and pictures, written once for both APIs, with names of their own."""

from __future__ import annotations

import numpy as np


def several_ends(api):
    layers = api.layers
    a, b = api.Input((8,), name="a"), api.Input((4,), name="b", dtype="int32")
    inner = api.Sequential(
        [api.Input((4,)), layers.Dense(3, name="first"), layers.BatchNormalization(name="norm")], name="inner"
    )
    inner.layers[0].trainable = False
    x = inner(layers.Dense(4, activation="relu", name="head")(a))
    y = layers.Flatten(name="flat")(layers.Embedding(10, 4, name="table")(b))
    z = api.ops.relu(layers.Concatenate(name="both")([x, y])) * 2.0
    ends = {"p": layers.Dense(1, name="p")(z), "q": layers.Dense(2, activation="softmax", name="q")(z)}
    return api.Model({"a": a, "b": b}, ends, name="several_ends")


def stack(api):
    layers = api.layers
    parts = [
        api.Input((28, 28, 1)),
        layers.Conv2D(8, 3, activation="relu", name="conv"),
        layers.MaxPooling2D(name="pool"),
        layers.Flatten(name="flat"),
        layers.Dense(10, name="out"),
    ]
    model = api.Sequential(parts, name="stack")
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def nested(api):
    layers = api.layers
    x = api.Input((4,), name="x")
    h = layers.Dense(4, name="one")(x)
    shared = api.Model(x, [h, layers.Dense(4, name="two")(h)], name="shared")
    m = api.Input((4,), name="m")
    middle = api.Model(m, shared(m)[1], name="middle")
    p, q = api.Input((4,), name="p"), api.Input((4,), name="q")
    first, second = shared(p), shared(q)
    return api.Model([p, q], layers.Add(name="sum")([first[0], second[1], middle(p)]), name="nested")


def recurrent(api):
    layers = api.layers
    x = api.Input((3, 4), name="steps")
    y, h, c = layers.LSTM(4, return_state=True, name="encoder")(x)
    z = layers.LSTM(4, name="decoder")(api.ops.expand_dims(y, 1), initial_state=[h, c])
    return api.Model(x, z, name="recurrent")


def of_ops(api):
    x = api.Input((6,), name="x")
    y = api.layers.Dense(3, name="y")(x)
    mean = api.ops.mean(y, axis=-1, keepdims=True)
    return api.Model(x, [y, api.ops.concatenate([y, mean], axis=-1)], name="of_ops")


def subclassed(api):
    layers = api.layers

    class Inner(api.Model):
        def __init__(self):
            super().__init__(name="subclassed")
            self.first = layers.Dense(4, name="first")
            self.more = [layers.Dense(2, name="more"), layers.LSTM(3, return_state=True, name="states")]

        def call(self, x):
            return self.more[1](self.more[0](self.first(x)))

    model = Inner()
    model(np.zeros((2, 3, 4), "float32"))
    return model


def unbuilt(api):
    return api.Sequential([api.layers.Dense(3, name="a"), api.layers.Dense(2, name="b")], name="unbuilt")


MODELS = {f.__name__: f for f in (several_ends, stack, nested, recurrent, of_ops, subclassed, unbuilt)}
