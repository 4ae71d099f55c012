"""The order in which `fit`, `evaluate` and `predict` take batches is Keras's, for the same seed."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"

import warnings

import jax
import keras
import numpy as np
import pytest

import compat

X = np.arange(12, dtype="float32")[:, None]


def _model(api, seen):
    class Watched(api.Model):
        def __init__(self):
            super().__init__()
            self.dense = api.layers.Dense(1)

        def call(self, x):
            value = getattr(x, "value", x)
            if isinstance(value, (np.ndarray, jax.Array)) and not isinstance(value, jax.core.Tracer):
                seen.append(np.asarray(value)[:, 0].astype(int).tolist())
            return self.dense(x)

    model = Watched()
    model.compile("sgd", "mse", run_eagerly=True)
    return model


def _dataset(api, log, endless=False, **kwargs):
    class Dataset(api.utils.PyDataset):
        def __len__(self):
            return 4

        if endless:
            num_batches = None

        def __getitem__(self, i):
            log.append(i)
            i %= 4
            return X[3 * i : 3 * i + 3], X[3 * i : 3 * i + 3]

        def on_epoch_begin(self):
            log.append("begin")

        def on_epoch_end(self):
            log.append("end")

    return Dataset(**kwargs)


def _generator(count=10**9):
    for i in range(count):
        yield X[3 * (i % 4) : 3 * (i % 4) + 3], X[3 * (i % 4) : 3 * (i % 4) + 3]


def _fit(**kwargs):
    return lambda m, api, log: m.fit(X, X, batch_size=5, **{"epochs": 2, "verbose": 0, **kwargs})


def _fit_dataset(endless=False, **kwargs):
    return lambda m, api, log: m.fit(_dataset(api, log, endless), **{"epochs": 2, "verbose": 0, **kwargs})


def _fit_generator(count=10**9, **kwargs):
    return lambda m, api, log: m.fit(_generator(count), **{"epochs": 2, "verbose": 0, **kwargs})


def _twice(run):
    def both(m, api, log):
        run(m, api, log)
        run(m, api, log)

    return both


CASES = {
    "arrays, twice": _twice(_fit()),
    "arrays, shuffled in their batches": _fit(shuffle="batch", epochs=3),
    "arrays, in order": _fit(shuffle=False),
    "arrays, steps": _fit(steps_per_epoch=1, epochs=4, shuffle=False),
    "arrays, steps that end with the data": _fit(steps_per_epoch=3, epochs=3),
    "arrays, steps that meet the end": _fit(steps_per_epoch=2, epochs=4),
    "arrays, more steps than batches": _fit(steps_per_epoch=5),
    "arrays, split": _fit(validation_split=0.25),
    "arrays, validation steps": _fit(validation_data=(X, X), validation_steps=1, validation_batch_size=4, epochs=3),
    "dataset, twice": _twice(_fit_dataset()),
    "dataset, in order": _fit_dataset(shuffle=False),
    "dataset, steps": _fit_dataset(steps_per_epoch=2, epochs=4),
    "dataset, steps that meet the end": _fit_dataset(steps_per_epoch=3, epochs=4),
    "dataset, endless": _fit_dataset(endless=True, steps_per_epoch=3, shuffle=False),
    "dataset, evaluated": lambda m, api, log: m.evaluate(_dataset(api, log), verbose=0),
    "dataset, predicted": lambda m, api, log: m.predict(_dataset(api, log), verbose=0),
    "dataset to validate": lambda m, api, log: m.fit(
        X, X, shuffle=False, epochs=2, verbose=0, validation_data=_dataset(api, log)
    ),
    "generator": _fit_generator(steps_per_epoch=3),
    "generator that ends": _fit_generator(5),
    "generator that ends within the steps": _fit_generator(5, steps_per_epoch=2, epochs=4),
    "generator to validate": lambda m, api, log: m.fit(
        X, X, shuffle=False, epochs=3, verbose=0, validation_data=_generator(), validation_steps=2
    ),
    "evaluated, steps": lambda m, api, log: m.evaluate(X, X, batch_size=5, steps=2, verbose=0),
}


def _batches(api, run):
    seen, log = [], []
    api.utils.set_random_seed(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run(_model(api, seen), api, log)
    return seen, log


@pytest.mark.parametrize("name", CASES)
def test_order_is_that_of_keras(name):
    expected, received = _batches(keras, CASES[name]), _batches(compat, CASES[name])
    if "predict" in name:  # Keras computes the first batch once more, to build the model
        expected[0].pop(0)
    assert received == expected
    assert len(received[0]) > 1


def test_orders_of_tf_data_and_torch_are_their_own():
    tf = pytest.importorskip("tensorflow", reason="needs the extra tensorflow")
    torch = pytest.importorskip("torch", reason="needs the extra torch")

    def of_tf(m, api, log):
        data = tf.data.Dataset.from_tensor_slices((X, X)).shuffle(12, seed=1).batch(5)
        m.fit(data, epochs=2, verbose=0)

    def of_torch(m, api, log):
        torch.manual_seed(0)
        rows = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(X))
        m.fit(torch.utils.data.DataLoader(rows, batch_size=5, shuffle=True), epochs=2, verbose=0)

    for run in (of_tf, of_torch):
        expected, received = _batches(keras, run)[0], _batches(compat, run)[0]
        assert received == expected
        assert sorted(i for batch in received[:3] for i in batch) == list(range(12))


def test_epochs_that_meet_the_end_of_the_data_warn():
    model = _model(compat, [])
    with pytest.warns(UserWarning, match="ended before the 5 steps"):
        model.fit(X, X, batch_size=5, steps_per_epoch=5, verbose=0)
