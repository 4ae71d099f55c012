"""`class_weight` for targets of every form; with equal logits the loss is `mean(weights) * log(C)`, by hand."""

from __future__ import annotations

import numpy as np
import pytest

import compat

WEIGHTS = {0: 1, 1: 7, 2: 100}
LABELS = {
    "positions": np.array([[0, 0, 1], [0, 0, 0]]),
    "positions that look one-hot": np.array([[0, 1, 0], [1, 0, 0]]),
    "positions with an axis more": np.array([[0, 0, 1], [0, 2, 0]])[..., None],
    "pixels": np.array([[[0, 1], [1, 1]], [[2, 0], [0, 0]]]),
    "rows": np.array([0, 1]),
    "floats": np.array([[0.0, 1.0, 2.0], [0.0, 0.0, 1.0]]),
}


def _model(shape, loss, classes=3, activation=None):
    """Equal logits, whatever comes in."""
    size = int(np.prod(shape, dtype=int))
    model = compat.Sequential(
        [
            compat.Input((4,)),
            compat.layers.Dense(size * classes, kernel_initializer="zeros"),
            compat.layers.Reshape((*shape, classes)),
            compat.layers.Activation(activation or "linear"),
        ]
    )
    model.compile(compat.optimizers.SGD(0.0), loss)
    return model


def _sparse():
    return compat.losses.SparseCategoricalCrossentropy(from_logits=True)


def _loss(model, y, how="arrays", class_weight=WEIGHTS):
    x = np.ones((2, 4), "float32")
    if how == "batch":
        return model.train_on_batch(x, y, class_weight=class_weight)
    if how == "stream":
        batches = ((x, y) for _ in range(3))
        return model.fit(batches, steps_per_epoch=1, class_weight=class_weight, verbose=0).history["loss"][0]
    return model.fit(x, y, class_weight=class_weight, verbose=0).history["loss"][0]


@pytest.mark.parametrize("how", ["arrays", "batch", "stream"])
@pytest.mark.parametrize("name", LABELS)
def test_class_numbers_weigh_where_they_stand(name, how):
    y = LABELS[name]
    plain = y[..., 0] if y.shape[-1] == 1 else y
    wanted = np.mean([WEIGHTS[int(label)] for label in plain.ravel()]) * np.log(3)
    np.testing.assert_allclose(_loss(_model(plain.shape[1:], _sparse()), y, how), wanted, rtol=1e-5)


@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", compat.losses.sparse_categorical_crossentropy])
def test_losses_by_name_and_by_function_tell_of_their_targets(loss):
    model = _model((3,), loss, activation="softmax")
    np.testing.assert_allclose(_loss(model, LABELS["positions that look one-hot"]), 3 * np.log(3), rtol=1e-5)


@pytest.mark.parametrize("positions", [(), (3,), (2, 2)])
def test_one_hot_vectors_weigh_by_their_class(positions):
    labels = np.arange(2 * int(np.prod(positions, dtype=int))).reshape(2, *positions) % 3
    wanted = np.mean([WEIGHTS[int(label)] for label in labels.ravel()]) * np.log(3)
    model = _model(positions, compat.losses.CategoricalCrossentropy(from_logits=True))
    np.testing.assert_allclose(_loss(model, np.eye(3)[labels]), wanted, rtol=1e-5)


def test_soft_labels_weigh_by_their_largest_part():
    model = _model((), compat.losses.CategoricalCrossentropy(from_logits=True))
    wanted = (1 + 100) / 2 * np.log(3)
    np.testing.assert_allclose(_loss(model, np.array([[0.6, 0.3, 0.1], [0.1, 0.2, 0.7]])), wanted, rtol=1e-5)


def test_a_column_of_two_classes():
    model = _model((), compat.losses.BinaryCrossentropy(from_logits=True), classes=1)
    np.testing.assert_allclose(_loss(model, np.array([[0], [1]])), (1 + 7) / 2 * np.log(2), rtol=1e-5)


def test_a_loss_of_ones_own_goes_by_the_numbers():
    def own(y, z):
        return compat.losses.sparse_categorical_crossentropy(y, z, from_logits=True)

    np.testing.assert_allclose(_loss(_model((3,), own), LABELS["positions with an axis more"]), 18.5 * np.log(3), 1e-5)
    np.testing.assert_allclose(_loss(_model((3,), own), np.array([[0, 0, 2], [0, 0, 0]])), 105 / 6 * np.log(3), 1e-5)


@pytest.mark.parametrize("y", [[[1, 1, 0], [0, 1, 0]], [[0, 0, 0], [1, 0, 0]], [[0.5, 0.9, 0.0], [1.0, 0.0, 0.0]]])
@pytest.mark.parametrize("own", [False, True])
def test_targets_of_several_labels_are_refused(y, own):
    loss = (lambda y, z: (y - z) ** 2) if own else "binary_crossentropy"
    with pytest.raises(ValueError, match=r"one class for each target; y of shape \(2, 3\).*pass sample_weight"):
        _loss(_model((), loss, activation="sigmoid"), np.array(y))


@pytest.mark.parametrize(
    ("class_weight", "said"),
    [
        ({0: 1, "cat": 2}, r"as keys; received the key 'cat'"),
        ({0.5: 1}, r"as keys; received the key 0.5"),
        ({True: 1}, r"as keys; received the key True"),
        ({0: 1, 1: "heavy"}, r"a number for class 1; received 'heavy'"),
        ([1, 2], r"expected a dict .*; received a list"),
    ],
)
@pytest.mark.parametrize("how", ["arrays", "batch", "stream"])
def test_bad_arguments_are_named(class_weight, said, how):
    with pytest.raises(ValueError, match=said):
        _loss(_model((), _sparse()), LABELS["rows"], how, class_weight)


def test_keys_of_other_number_types_are_class_numbers():
    keys = {np.int64(0): np.float32(1), 1.0: 7}
    np.testing.assert_allclose(_loss(_model((), _sparse()), LABELS["rows"], "arrays", keys), 4 * np.log(3), rtol=1e-5)
