"""A layer's tree is read once and kept, and every way of changing it is seen."""

from __future__ import annotations

import copy
import os
import pickle
import sys

import numpy as np
import pytest

import compat as keras
from compat import layers

PROJECT = tuple(os.path.dirname(os.path.abspath(sys.modules[name].__file__)) + os.sep for name in ("compat", "kfun"))


def _dense():
    layer = layers.Dense(2)
    layer.build((None, 3))
    return layer


class Holder(layers.Layer):
    """A layer with a list, a dict and a long list."""

    def __init__(self):
        super().__init__()
        self.blocks = [_dense()]
        self.named = {"a": _dense()}
        self.words = ["w"] * 1000
        self.nested = [[_dense()], ({"b": _dense()},)]
        self.nothing = None
        self.built = True


def _append(holder):
    holder.blocks.append(_dense())
    return holder.blocks[-1]


def _replace(holder):
    holder.blocks[0] = _dense()
    return holder.blocks[0]


def _name(holder):
    holder.named["c"] = _dense()
    return holder.named["c"]


def _rename(holder):
    holder.named["a"] = _dense()
    return holder.named["a"]


def _long(holder):
    holder.words.append(_dense())
    return holder.words[-1]


def _deep(holder):
    holder.nested[0].append(_dense())
    return holder.nested[0][-1]


def _in_tuple(holder):
    holder.nested[1][0]["c"] = _dense()
    return holder.nested[1][0]["c"]


def _assign(holder):
    holder.nothing = _dense()
    return holder.nothing


def _assign_list(holder):
    holder.nothing = [_dense()]
    return holder.nothing[0]


def _past_setattr(holder):
    object.__setattr__(holder, "other", _dense())
    return holder.other


def _below(holder):
    holder.blocks[0].extra = _dense()
    return holder.blocks[0].extra


CHANGES = [
    _append, _replace, _name, _rename, _long, _deep, _in_tuple, _assign, _assign_list, _past_setattr, _below,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("depth", [0, 2])
def test_what_comes_is_found(change, depth):
    holder = root = Holder()
    for _ in range(depth):
        outer = layers.Layer()
        outer.inner = root
        root = outer
    before = root.variables, root.weights, root._all_layers()
    added = change(holder)
    assert any(layer is added for layer in root._all_layers())
    for variable in added.variables:
        assert any(v is variable for v in root.variables)
        assert any(v is variable for v in root.weights)
        assert not any(v is variable for v in before[0])


@pytest.mark.parametrize("remove", [
    lambda h: h.blocks.pop(), lambda h: h.named.clear(), lambda h: delattr(h, "blocks"),
    lambda h: setattr(h, "nested", None), lambda h: h.nested[0].pop(), lambda h: h.__dict__.pop("named"),
])  # fmt: skip
def test_what_goes_is_gone(remove):
    holder = Holder()
    count = len(holder._all_layers()), len(holder.variables)
    remove(holder)
    assert len(holder._all_layers()) < count[0]
    left = {id(v) for layer in holder._all_layers() for v in layer._own()[0]}
    assert {id(v) for v in holder.trainable_variables} >= left & {id(v) for v in holder.variables}
    assert all(any(layer is known for known in holder._all_layers()) for layer in holder._sublayers())


def test_lists_that_are_given_out_are_the_callers_own():
    holder = Holder()
    for attribute in ("variables", "weights", "trainable_variables", "metrics"):
        given = getattr(holder, attribute)
        given.append("mine")
        assert len(getattr(holder, attribute)) == len(given) - 1


def test_freezing_is_seen():
    holder = Holder()
    assert len(holder.trainable_variables) == 8
    holder.blocks[0].trainable = False
    assert len(holder.trainable_variables) == 6
    holder.variables[-1].trainable = False
    assert len(holder.trainable_variables) == 5


def test_metrics_that_come_are_found():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    model.compile("sgd", "mse")
    x, y = np.ones((4, 3), "float32"), np.ones((4, 2), "float32")
    model.train_on_batch(x, y)
    model.layers[0].seen = keras.metrics.Mean(name="seen")
    assert [m.name for m in model.metrics] == ["loss", "seen"]
    assert len(model.metrics_variables) == 4


def test_a_class_may_say_what_its_metrics_are():
    class Own(layers.Layer):
        chosen = ()

        @property
        def metrics(self):
            return list(self.chosen)

    outer = layers.Layer()
    outer.inner = Own()
    assert outer.metrics == []
    outer.inner.chosen = (keras.metrics.Mean(),)
    assert outer.metrics == list(outer.inner.chosen)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_read_themselves(copied):
    layer = layers.Dense(2)
    layer.build((None, 3))
    assert len(layer.variables) == 2
    other = copied(layer)
    assert not {id(v) for v in other.variables} & {id(v) for v in layer.variables}
    other.extra = _dense()
    assert len(other.variables) == 4
    assert len(layer.variables) == 2


def test_layers_that_come_between_batches_are_trained():
    class Grown(keras.Model):
        def __init__(self):
            super().__init__()
            self.blocks = [layers.Dense(3)]

        def call(self, x):
            for block in self.blocks:
                x = block(x)
            return x

    model = Grown()
    model.compile("sgd", "mse")
    x = np.ones((4, 3), "float32")
    model.train_on_batch(x, 0 * x)
    model.blocks.append(layers.Dense(3))
    model.compile("sgd", "mse")
    model.train_on_batch(x, 0 * x)
    before = model.blocks[1].kernel.numpy()
    model.train_on_batch(x, 0 * x)
    assert np.any(model.blocks[1].kernel.numpy() != before)


def _calls(function):
    """How many functions of the project a call calls."""
    count = 0

    def profile(frame, event, argument):
        nonlocal count
        count += event == "call" and frame.f_code.co_filename.startswith(PROJECT)

    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


def test_a_second_fit_of_two_batches_takes_few_calls():
    model = keras.Sequential([keras.Input((8,)), layers.Dense(8, "relu"), layers.Dense(8)])
    model.compile("adam", "mse", metrics=["mae"])
    x = np.zeros((64, 8), "float32")
    first = _calls(lambda: model.fit(x, x, verbose=0))
    assert _calls(lambda: model.fit(x, x, verbose=0)) < 400 < first


@pytest.mark.parametrize("method", ["train_on_batch", "test_on_batch"])
def test_a_batch_takes_calls_as_there_are_layers_and_no_more(method):
    counts = []
    for n in (10, 100):
        model = keras.Sequential([keras.Input((8,)), *(layers.Dense(8) for _ in range(n))])
        model.compile("sgd", "mse")
        x = np.zeros((4, 8), "float32")
        getattr(model, method)(x, x)
        counts.append(_calls(lambda m=model, x=x: getattr(m, method)(x, x)))
    assert counts[1] < 4 * counts[0]


def test_values_that_are_held_outlast_a_batch():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    model.compile("adam", "mse")
    x, y = np.ones((4, 3), "float32"), np.ones((4, 2), "float32")
    model.train_on_batch(x, y)
    held = [v.value for v in (*model.variables, *model.optimizer.variables)]
    copies = [np.asarray(v) for v in held]
    model.train_on_batch(x, y)
    model.test_on_batch(x, y)
    for value, expected in zip(held, copies, strict=True):
        np.testing.assert_array_equal(value, expected)
