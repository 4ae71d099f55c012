"""What steps that users write are given for a batch: the form that Keras gives on JAX."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np
import pytest

import compat

X, Y, W = np.ones((4, 3), "float32"), np.ones((4, 1), "float32"), np.ones(4, "float32")
ARRAY = "array"


def form(batch):
    if isinstance(batch, dict):
        return {key: form(value) for key, value in batch.items()}
    if isinstance(batch, (list, tuple)):
        return tuple(map(form, batch))
    return None if batch is None else ARRAY


def inputs_of(batch):
    while isinstance(batch, (list, tuple, dict)):
        batch = batch["a"] if isinstance(batch, dict) else batch[0]
    return batch


def seeing(api, seen):
    class Seeing(api.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = api.layers.Dense(2)

        def call(self, x):
            return self.dense(inputs_of(x))

        def train_step(self, state, images):
            seen.append(form(images))
            return {"loss": api.ops.mean(inputs_of(images))}, state

        def test_step(self, state, images):
            seen.append(form(images))
            return {"loss": api.ops.mean(inputs_of(images))}, state

        def predict_step(self, state, images):
            seen.append(form(images))
            return inputs_of(images), state[1]

    model = Seeing()
    model.compile("sgd")
    model(X)
    return model


def dataset(api, batch):
    class Two(api.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return batch

    return Two()


def tensors(api, batch):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices(batch).batch(2)


CALLS = {
    "fit of an array": (lambda m, api: m.fit(X, verbose=0), ARRAY),
    "fit of an array in smaller batches": (lambda m, api: m.fit(X, batch_size=3, verbose=0), ARRAY),
    "fit of a dict": (lambda m, api: m.fit({"a": X}, verbose=0), {"a": ARRAY}),
    "fit of a list": (lambda m, api: m.fit([X, X], verbose=0), ((ARRAY, ARRAY),)),
    "fit of a list of one": (lambda m, api: m.fit([X], verbose=0), ((ARRAY,),)),
    "fit with targets": (lambda m, api: m.fit(X, Y, verbose=0), (ARRAY, ARRAY)),
    "fit with weights": (lambda m, api: m.fit(X, Y, sample_weight=W, verbose=0), (ARRAY, ARRAY, ARRAY)),
    "fit of bare tensors": (lambda m, api: m.fit(tensors(api, X), shuffle=False, verbose=0), ARRAY),
    "fit of bare dicts": (lambda m, api: m.fit(tensors(api, {"a": X}), shuffle=False, verbose=0), {"a": ARRAY}),
    "fit of tensors in tuples": (lambda m, api: m.fit(tensors(api, (X,)), shuffle=False, verbose=0), (ARRAY,)),
    "fit of a PyDataset of arrays": (lambda m, api: m.fit(dataset(api, X), verbose=0), (ARRAY,)),
    "fit of a PyDataset of dicts": (lambda m, api: m.fit(dataset(api, {"a": X}), verbose=0), {"a": ARRAY}),
    "evaluate an array": (lambda m, api: m.evaluate(X, verbose=0), ARRAY),
    "evaluate bare tensors": (lambda m, api: m.evaluate(tensors(api, X), verbose=0), ARRAY),
    "predict an array": (lambda m, api: m.predict(X, verbose=0), ARRAY),
    "predict an array in batches": (lambda m, api: m.predict(X, batch_size=2, verbose=0), ARRAY),
    "predict bare tensors": (lambda m, api: m.predict(tensors(api, X), verbose=0), ARRAY),
    "predict pairs": (lambda m, api: m.predict(tensors(api, (X, Y)), verbose=0), (ARRAY, ARRAY)),
    "train on an array": (lambda m, api: m.train_on_batch(X), (ARRAY, None, None)),
    "train on a pair": (lambda m, api: m.train_on_batch(X, Y), (ARRAY, ARRAY, None)),
    "test on an array": (lambda m, api: m.test_on_batch(X), (ARRAY, None, None)),
    "predict on an array": (lambda m, api: m.predict_on_batch(X), (ARRAY,)),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("api", [keras, compat], ids=["keras", "compat"])
def test_the_form_of_a_batch(name, api):
    call, expected = CALLS[name]
    seen: list = []
    call(seeing(api, seen), api)
    assert seen
    assert set(map(str, seen)) == {str(expected)}


@pytest.mark.parametrize("eager", [False, True])
def test_a_step_of_data_alone_is_given_the_array(eager, tmp_path):
    """Also by a model from a file."""

    @compat.saving.register_keras_serializable("steps_batches")
    class Auto(compat.Sequential):
        def train_step(self, images):
            loss = compat.ops.mean(compat.ops.square(self(images) - images))
            self.seen = images.shape
            return {"loss": loss}

    model = Auto([compat.Input((3,)), compat.layers.Dense(3, use_bias=False)])
    model.compile("sgd", run_eagerly=eager)
    model.layers[0].set_weights([2 * np.eye(3, dtype="float32")])
    model.save(tmp_path / "model.keras")
    for one in (model, compat.saving.load_model(tmp_path / "model.keras")):
        assert one.fit(X, batch_size=2, verbose=0).history["loss"] == [1.0]
        assert tuple(one.seen) == (2, 3)


def test_bare_batches_of_a_generator_and_of_a_loader():
    """Keras refuses the one, and takes the rows of the other for inputs and targets."""
    torch = pytest.importorskip("torch")
    for batches in (iter([X, X]), torch.utils.data.DataLoader(list(X), batch_size=2)):
        seen: list = []
        seeing(compat, seen).fit(batches, verbose=0)
        assert set(seen) == {ARRAY}
