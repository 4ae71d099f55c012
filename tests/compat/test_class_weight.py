"""Class weights: which class a target is of, and what is no class."""

from __future__ import annotations

import numpy as np
import pytest

import compat
from compat.training.data import ClassWeight

WEIGHTS = {0: 1, 1: 7, 2: 100}
TAGS = np.array([[0, 0, 1], [0, 0, 0]])  # weights 1, 1, 7 and 1, 1, 1: 12 over 6 places
EXPECTED = 2 * np.log(2)
X = np.ones((2, 3, 4), "float32")


def own(y_true, y_pred):
    return compat.losses.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)


SPARSE = compat.losses.SparseCategoricalCrossentropy(from_logits=True)


class Tagger(compat.Model):
    def __init__(self):
        super().__init__()
        self.dense = compat.layers.Dense(2, kernel_initializer="zeros")

    def call(self, x):
        return self.dense(x)


def tagger(loss, subclass=False):
    """A model of equal logits for two classes at each place."""
    dense = compat.layers.Dense(2, kernel_initializer="zeros")
    model = Tagger() if subclass else compat.Sequential([compat.Input((None, 4)), dense])
    model.compile("sgd", loss)
    return model


def streamed(y):
    return ([X, y] for _ in range(3))


FITS = {
    "arrays": lambda m, y: m.fit(X, y, class_weight=WEIGHTS, verbose=0).history["loss"][0],
    "a generator": lambda m, y: m.fit(
        streamed(y), steps_per_epoch=1, class_weight=WEIGHTS, verbose=0
    ).history["loss"][0],
    "a batch": lambda m, y: m.train_on_batch(X, y, class_weight=WEIGHTS),
}  # fmt: skip


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
@pytest.mark.parametrize("subclass", [False, True])
def test_rows_of_class_numbers_are_not_one_hot(fit, subclass):
    """Keras takes the largest of a row for its class: 35.0."""
    np.testing.assert_allclose(fit(tagger(SPARSE, subclass), TAGS), EXPECTED, 1e-6)


@pytest.mark.parametrize("eager", [False, True])
def test_of_the_last_smaller_batch_and_of_a_model_from_a_file(eager, tmp_path):
    model = tagger(SPARSE)
    model.compile(compat.optimizers.SGD(0.0), SPARSE, run_eagerly=eager)
    model.save(tmp_path / "model.keras")
    y = np.concatenate([TAGS, [[1, 0, 1]]])  # 27 over 9 places
    for one in (model, compat.saving.load_model(tmp_path / "model.keras")):
        logs = one.fit(np.ones((3, 3, 4)), y, batch_size=2, shuffle=False, class_weight=WEIGHTS, verbose=0).history
        np.testing.assert_allclose(logs["loss"], 27 / 9 * np.log(2), 1e-6)


def test_the_outputs_tell_what_a_loss_of_the_users_does_not():
    """And numbers above 1 do where the outputs are not known yet."""
    np.testing.assert_allclose(FITS["arrays"](tagger(own), TAGS), EXPECTED, 1e-6)
    numbers = np.array([[0, 0, 2], [0, 0, 0]])
    found = ClassWeight(WEIGHTS).of(numbers)
    np.testing.assert_array_equal(found, [[1, 1, 100], [1, 1, 1]])


@pytest.mark.parametrize("dtype", ["int64", "bool", "float32"])
def test_one_hot_rows_of_any_type_in_any_place(dtype):
    y = np.eye(3)[[[0, 1], [2, 2]]].astype(dtype)
    np.testing.assert_array_equal(ClassWeight(WEIGHTS, rank=3).of(y), [[1, 7], [100, 100]])


def test_shares_of_classes_weigh_as_the_largest():
    y = np.eye(3)[[1, 0]] * 0.9 + 0.1 / 3
    np.testing.assert_array_equal(ClassWeight(WEIGHTS).of(y), [7, 1])


@pytest.mark.parametrize("y", [[[1, 1, 0], [0, 0, 1]], [[0, 0, 0], [0, 1, 0]], [[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]]])
@pytest.mark.parametrize("streams", [False, True])
def test_targets_of_several_labels_are_refused(y, streams):
    model = compat.Sequential([compat.Input((4,)), compat.layers.Dense(3, "sigmoid")])
    model.compile("sgd", "binary_crossentropy")
    y = np.array(y)
    batches = iter([(X[:, 0], y)] * 3)
    given = {"x": batches, "steps_per_epoch": 1} if streams else {"x": X[:, 0], "y": y}
    with pytest.raises(ValueError, match=r"tells no one class.*sample_weight"):
        model.fit(**given, class_weight=WEIGHTS, verbose=0)


@pytest.mark.parametrize(
    ("given", "error", "named"),
    [
        ({"cat": 1.0}, ValueError, "'cat'"),
        ({"1": 1.0}, ValueError, "'1'"),
        ({1.5: 2.0}, ValueError, "1.5"),
        ({None: 2.0}, ValueError, "None"),
        ({1: "heavy"}, ValueError, r"\[1\].*'heavy'"),
        ({1: [2.0, 3.0]}, ValueError, r"\[1\].*\[2.0, 3.0\]"),
        ([1.0, 2.0], TypeError, r"\[1.0, 2.0\]"),
        ("balanced", TypeError, "'balanced'"),
    ],
)
def test_what_is_no_class_weight_is_named(given, error, named):
    model = compat.Sequential([compat.Input((4,)), compat.layers.Dense(1)])
    model.compile("sgd", "mse")
    for train in (model.train_on_batch, model.fit):
        with pytest.raises(error, match=f"class_weight.*{named}"):
            train(X[:, 0], np.ones(2), class_weight=given)


def test_keys_of_numpys_numbers():
    found = ClassWeight({np.int64(1): np.float32(7), 2.0: 3}).of(np.array([0, 1, 2]))
    np.testing.assert_array_equal(found, [1, 7, 3])
