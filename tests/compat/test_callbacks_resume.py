"""What callbacks know goes on with a training that `BackupAndRestore` takes up again."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import compat
from tests.compat.callback_tools import BoomInBatch as Boom
from tests.compat.callback_tools import X, Y, logs_of

CALLBACKS = compat.callbacks


def fitted(values, callbacks, optimizer="sgd", epochs=8):
    """A model trained with values of `m` in the logs of its epochs; and the training's history."""
    compat.utils.set_random_seed(3)
    model = compat.Sequential([compat.Input((3,)), compat.layers.Dropout(0.5), compat.layers.Dense(1)])
    model.compile(optimizer if isinstance(optimizer, str) else optimizer(), "mse")
    history = model.fit(X, Y, batch_size=5, epochs=epochs, verbose=0, callbacks=[logs_of(compat, values), *callbacks])
    return model, history


def resumed(values, make, boom, tmp_path, before, save_freq="epoch", optimizer="sgd"):
    """The model and the history of a training that goes on after an interruption, and its callbacks."""
    made = []
    for interrupted in (True, False):
        backup = CALLBACKS.BackupAndRestore(tmp_path / "backup", save_freq=save_freq)
        made = make()
        listed = [*made, backup] if before else [backup, *made]
        if not interrupted:
            return *fitted(values, listed, optimizer), made
        with pytest.raises(RuntimeError, match="boom"):
            fitted(values, [*listed, boom], optimizer)
    raise AssertionError


FALLING = [1.0, 0.5, 0.9, 0.8, 0.7, 0.7, 0.7, 0.7]


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize(("boom", "save_freq"), [(Boom(1), "epoch"), (Boom(2, 1), "epoch"), (Boom(2, 1), 1)])
def test_the_best_of_before_is_not_lost(boom, save_freq, before, tmp_path):
    def checkpoint(name):
        return CALLBACKS.ModelCheckpoint(
            tmp_path / f"{name}.weights.h5", "m", save_best_only=True, save_weights_only=True, mode="min"
        )

    fitted(FALLING, [checkpoint("whole")])
    _, _, (callback,) = resumed(FALLING, lambda: [checkpoint("parts")], boom, tmp_path, before, save_freq)
    assert callback.best == 0.5
    with h5py.File(tmp_path / "whole.weights.h5") as whole, h5py.File(tmp_path / "parts.weights.h5") as parts:
        kernel = "layers/dense/vars/0"
        np.testing.assert_allclose(parts[kernel][()], whole[kernel][()], 1e-6)


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize(("boom", "save_freq"), [(Boom(2), "epoch"), (Boom(3, 2), 2)])
def test_early_stopping_counts_on(boom, save_freq, before, tmp_path):
    def stopping():
        return [CALLBACKS.EarlyStopping("m", patience=3, mode="min", restore_best_weights=True)]

    whole, history = fitted(FALLING, stopping())
    assert history.epoch == [0, 1, 2, 3, 4]
    parts, rest, (callback,) = resumed(FALLING, stopping, boom, tmp_path, before, save_freq)
    assert rest.epoch == [3, 4]
    assert (callback.stopped_epoch, callback.best_epoch, callback.best, callback.wait) == (4, 1, 0.5, 3)
    for ours, wanted in zip(parts.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(ours, wanted, 1e-6)


@pytest.mark.parametrize("before", [True, False])
def test_a_training_that_was_told_to_stop_stops(before, tmp_path):
    def stopping():
        return [CALLBACKS.EarlyStopping("m", patience=1, mode="min", restore_best_weights=True)]

    whole, _ = fitted(FALLING, stopping())
    parts, rest, _ = resumed(FALLING, stopping, Boom(2), tmp_path, before)
    assert rest.epoch == []
    np.testing.assert_allclose(parts.get_weights()[0], whole.get_weights()[0], 1e-6)
    assert not (tmp_path / "backup").exists()


@pytest.mark.parametrize("before", [True, False])
def test_rates_fall_as_they_would_have(before, tmp_path):
    def plateau():
        return [CALLBACKS.ReduceLROnPlateau("m", 0.5, patience=2, mode="min", cooldown=1)]

    whole, _ = fitted(FALLING, plateau())
    parts, _, _ = resumed(FALLING, plateau, Boom(3), tmp_path, before)
    assert float(whole.optimizer.learning_rate) < 0.01
    assert float(parts.optimizer.learning_rate) == float(whole.optimizer.learning_rate)
    np.testing.assert_allclose(parts.get_weights()[0], whole.get_weights()[0], 1e-6)


@pytest.mark.parametrize("before", [True, False])
def test_averages_in_the_weights_place_are_swapped_back(before, tmp_path):
    def averaged():
        return compat.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)

    def swapping():
        return [CALLBACKS.SwapEMAWeights(swap_on_epoch=True)]

    whole, _ = fitted(FALLING, swapping(), averaged)
    parts, _, _ = resumed(FALLING, swapping, Boom(3), tmp_path, before, optimizer=averaged)
    np.testing.assert_allclose(parts.get_weights()[0], whole.get_weights()[0], 1e-6)


class Sums(CALLBACKS.Callback):
    """Of the user's: adds up a metric, and keeps the weights of every epoch's end."""

    kept_in_backups = ("total", "kernels", "nothing")

    def __init__(self, name="m"):
        super().__init__()
        self.monitor = name

    def on_train_begin(self, logs=None):
        self.total, self.kernels, self.nothing = 0.0, [], None

    def on_epoch_end(self, epoch, logs=None):
        self.total += logs["m"]
        self.kernels.append(self.model.get_weights()[0])


@pytest.mark.parametrize("before", [True, False])
def test_a_callback_of_the_users_says_what_is_kept(before, tmp_path):
    whole = Sums()
    fitted(FALLING, [whole])
    _, _, (parts, other) = resumed(FALLING, lambda: [Sums(), Sums()], Boom(4), tmp_path, before)
    assert (parts.total, parts.nothing) == (other.total, None) == (pytest.approx(sum(FALLING)), None)
    np.testing.assert_allclose(parts.kernels, whole.kernels, 1e-6)


def test_callbacks_that_are_new_begin_anew(tmp_path):
    with pytest.raises(RuntimeError, match="boom"):
        fitted(FALLING, [CALLBACKS.BackupAndRestore(tmp_path), Sums("one"), Boom(4)])
    new = Sums("other")
    fitted(FALLING, [CALLBACKS.BackupAndRestore(tmp_path), new])
    assert len(new.kernels) == 3


@pytest.mark.parametrize("part", ["metadata", "callback_0.best.0"])
def test_a_damaged_state_is_told(part, tmp_path):
    stopping = CALLBACKS.EarlyStopping("m", patience=9, mode="min")
    with pytest.raises(RuntimeError, match="boom"):
        fitted(FALLING, [CALLBACKS.BackupAndRestore(tmp_path), stopping, Boom(4)])
    with h5py.File(tmp_path / "latest.weights.h5", "r+") as file:
        group = file["__training__"]
        content = group[part][()]
        del group[part]
        if part == "metadata":
            text = content.tobytes().replace(b'"lengths"', b'"length"')
            group[part] = np.frombuffer(text, np.uint8)
    with pytest.raises(ValueError, match=r"the backup in .* cannot be used"):
        fitted(FALLING, [CALLBACKS.BackupAndRestore(tmp_path), stopping])
