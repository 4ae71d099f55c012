"""Models of the matrix with classes that a user writes and registers."""

from __future__ import annotations

import functools
import types
from typing import Any

from tests.compat.saving_models import floats, model, tokens


@functools.cache
def classes(k: Any) -> types.SimpleNamespace:
    """The user's classes for an API, registered in it once."""
    register = k.saving.register_keras_serializable("Mine")
    found = types.SimpleNamespace()

    def keep(cls: Any) -> Any:
        setattr(found, cls.__name__, register(cls))
        return cls

    @keep
    class Scale(k.layers.Layer):
        """A weight made in `build`, a config of its own."""

        def __init__(self, factor=2.0, **kwargs):
            super().__init__(**kwargs)
            self.factor = factor

        def build(self, input_shape):
            self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")
            self.count = self.add_weight(shape=(), initializer="zeros", trainable=False, name="count")

        def call(self, x, training=False):
            if training:
                self.count.assign(self.count + 1)
            return x * self.scale * self.factor

        def get_config(self):
            return {**super().get_config(), "factor": self.factor}

    @keep
    class Block(k.layers.Layer):
        """Sublayers made in `__init__`, built by hand in `build`, private ones, lists and dicts of them."""

        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self._hidden = k.layers.Dense(units, name="hidden")
            self.many = [k.layers.Dense(units), k.layers.Dense(units), Scale()]
            self.named = {"b": k.layers.Dense(units), "a": k.layers.LayerNormalization()}

        def build(self, input_shape):
            inner = (*input_shape[:-1], self.units)
            self._hidden.build(input_shape)
            for layer in (*self.many, *self.named.values()):
                layer.build(inner)
            self.late = k.layers.Dense(self.units, activation="tanh", name="late")
            self.late.build(inner)
            self.built = True

        def call(self, x):
            x = self._hidden(x)
            for layer in self.many:
                x = layer(x)
            return self.late(self.named["a"](self.named["b"](x)))

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    @keep
    class Stochastic(k.layers.Layer):
        """Holds a seed generator."""

        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.seed_generator = k.random.SeedGenerator(11)
            self.supports_masking = True

        def call(self, x, training=False):
            return x + k.random.normal(k.ops.shape(x), seed=self.seed_generator) * 0.1 if training else x

    @keep
    class Wrapped(k.layers.Wrapper):
        """A wrapper of the user's own."""

        def call(self, x):
            return self.layer(x) * 0.5

    @keep
    class Cell(k.layers.Layer):
        """A recurrent cell of the user's own."""

        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = self.state_size = self.output_size = units

        def build(self, input_shape):
            self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")
            self.recurrent = self.add_weight(shape=(self.units, self.units), name="recurrent")

        def call(self, x, states):
            h = k.ops.tanh(k.ops.matmul(x, self.kernel) + k.ops.matmul(states[0], self.recurrent))
            return h, [h]

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    @keep
    class TwoShapes(k.layers.Layer):
        """Says itself what it is built for."""

        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.sizes = None

        def setup(self, a, b):
            self.sizes = (a, b)
            self.w = self.add_weight(shape=(a, b), name="w")
            self.built = True

        def build(self, input_shape):
            self.setup(input_shape[-1], 3)

        def call(self, x):
            return k.ops.matmul(x, self.w)

        def get_build_config(self):
            return {"a": self.sizes[0], "b": self.sizes[1]}

        def build_from_config(self, config):
            self.setup(config["a"], config["b"])

    @keep
    class OwnVariables(k.layers.Layer):
        """Writes its variable in a form of its own."""

        def build(self, input_shape):
            self.w = self.add_weight(shape=(input_shape[-1],), initializer="uniform", name="w")

        def call(self, x):
            return x + self.w

        def save_own_variables(self, store):
            store["doubled"] = k.ops.convert_to_numpy(self.w) * 2.0

        def load_own_variables(self, store):
            self.w.assign(store["doubled"][()] / 2.0)

    @keep
    class Assets(k.layers.Layer):
        """Has a file beside its weights."""

        words = ("none",)

        def build(self, input_shape):
            self.built = True

        def call(self, x):
            return x + float(len(self.words))

        def save_assets(self, inner_path):
            with open(f"{inner_path}/words.txt", "w", encoding="utf-8") as file:
                file.write("\n".join(self.words))

        def load_assets(self, inner_path):
            with open(f"{inner_path}/words.txt", encoding="utf-8") as file:
                self.words = tuple(file.read().split("\n"))

    @keep
    class Net(k.Model):
        """A subclassed model with a metric and nested layers."""

        def __init__(self, units=3, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.block = Block(units)
            self.heads = [k.layers.Dense(2, name="one"), k.layers.Dense(2, name="two")]
            self.seen = k.metrics.Mean(name="seen")

        def call(self, x, training=False):
            x = self.block(x)
            return self.heads[0](x) + self.heads[1](x)

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    @keep
    class Outer(k.Model):
        """A model of models."""

        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.net = Net(4)
            self.tail = k.Sequential([k.layers.Dense(3), Scale(0.5)], name="tail")

        def call(self, x, training=False):
            return self.tail(self.net(x, training=training), training=training)

    @keep
    class Graph(k.Model):
        """A functional model by `super().__init__(inputs, outputs)`."""

        def __init__(self, units=4, **kwargs):
            x = k.Input((5,))
            super().__init__(x, k.layers.Dense(2)(Scale()(k.layers.Dense(units)(x))), **kwargs)
            self.units = units

        def get_config(self):
            return {"units": self.units, "name": self.name}

    @keep
    class Error(k.losses.Loss):
        def __init__(self, power=2.0, reduction="sum_over_batch_size", name="error"):
            super().__init__(reduction=reduction, name=name)
            self.power = power

        def call(self, y_true, y_pred):
            return k.ops.mean(k.ops.abs(y_true - y_pred) ** self.power, axis=-1)

        def get_config(self):
            return {**super().get_config(), "power": self.power}

    @keep
    class Largest(k.metrics.Metric):
        def __init__(self, name="largest", **kwargs):
            super().__init__(name=name, **kwargs)
            self.value = self.add_weight(shape=(), initializer="zeros", name="value")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.value.assign(k.ops.maximum(self.value, k.ops.max(k.ops.abs(y_true - y_pred))))

        def result(self):
            return k.ops.convert_to_tensor(self.value)

    @keep
    def swash(x):
        return x * k.ops.sigmoid(2.0 * x)

    @keep
    def distance(y_true, y_pred):
        return k.ops.mean(k.ops.abs(y_true - y_pred), axis=-1)

    @keep
    class Spread(k.initializers.Initializer):
        def __init__(self, width=0.1):
            self.width = width

        def __call__(self, shape, dtype=None, **kwargs):
            return k.ops.full(shape, self.width, dtype=dtype)

        def get_config(self):
            return {"width": self.width}

    @keep
    class Cubic(k.regularizers.Regularizer):
        def __init__(self, factor):
            self.factor = factor

        def __call__(self, x):
            return self.factor * k.ops.sum(k.ops.abs(x) ** 3)

        def get_config(self):
            return {"factor": self.factor}

    @keep
    class Below(k.constraints.Constraint):
        def __init__(self, top):
            self.top = top

        def __call__(self, w):
            return k.ops.minimum(w, self.top)

        def get_config(self):
            return {"top": self.top}

    return found


def _stack(k: Any, *layers: Any, shape: tuple = (5,), x: Any = None) -> tuple:
    return k.Sequential([k.Input(shape), *layers], name="mine"), floats(4, *shape) if x is None else x


@model
def custom_layer(k):
    return _stack(k, classes(k).Scale(3.0), k.layers.Dense(2))


@model
def custom_block(k):
    return _stack(k, classes(k).Block(4, name="first"), classes(k).Block(3))


@model
def custom_seeds(k):
    return _stack(k, classes(k).Stochastic(), k.layers.Dense(2))


@model
def custom_wrapper(k):
    return _stack(k, classes(k).Wrapped(k.layers.Dense(3)), classes(k).Wrapped(classes(k).Scale()))


@model
def custom_cell(k):
    return _stack(k, k.layers.RNN(classes(k).Cell(3), return_sequences=True), k.layers.Dense(1), shape=(4, 5))


@model
def custom_build_config(k):
    return _stack(k, classes(k).TwoShapes(), k.layers.Dense(2))


@model
def custom_variables(k):
    return _stack(k, classes(k).OwnVariables(), k.layers.Dense(2))


@model
def custom_assets(k):
    layer = classes(k).Assets()
    layer.words = ("three", "of", "them")
    return _stack(k, layer, k.layers.Dense(2))


@model
def custom_time_distributed(k):
    return _stack(k, k.layers.TimeDistributed(classes(k).Scale(0.5)), k.layers.Dense(1), shape=(4, 5))


@model
def subclassed(k):
    return classes(k).Net(), floats(4, 5)


@model
def subclassed_nested(k):
    return classes(k).Outer(name="outer"), floats(4, 5)


@model
def subclassed_graph(k):
    return classes(k).Graph(3), floats(4, 5)


@model
def subclass_in_graph(k):
    x = k.Input((5,))
    return k.Model(x, k.layers.Dense(2)(classes(k).Net(name="net")(x))), floats(4, 5)


@model
def custom_training(k):
    own = classes(k)
    made, x = _stack(k, k.layers.Dense(
        4, activation=own.swash, kernel_initializer=own.Spread(0.2), kernel_regularizer=own.Cubic(0.01),
        kernel_constraint=own.Below(0.3)), k.layers.Activation(own.swash), k.layers.Dense(2))  # fmt: skip
    made.compile("adam", own.Error(1.5), metrics=[own.Largest(), own.distance])
    return made, x


@model
def custom_loss_function(k):
    made, x = _stack(k, k.layers.Dense(2))
    made.compile(k.optimizers.Adam(0.02), classes(k).distance, metrics=[classes(k).distance])
    return made, x


@model
def embedded_subclass(k):
    x = k.Input((5,), dtype="int32")
    h = k.layers.Embedding(9, 5, mask_zero=True)(x)
    h = classes(k).Stochastic()(h)
    return k.Model(x, k.layers.LSTM(2)(h)), tokens(4, 5)
