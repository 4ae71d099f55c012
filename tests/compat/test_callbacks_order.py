"""When callbacks are called and what they are given, beside Keras; and what they change stays changed."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np
import pytest

import compat
from tests.compat.callback_tools import X, Y, diary, model

APIS = (keras, compat)


def _generator(count):
    for _ in range(count):
        yield X[:4], Y[:4]


@pytest.mark.filterwarnings("ignore:Your input ran out of data", "ignore:.shuffle=True. was passed")
@pytest.mark.parametrize("per_execution", [1, 2, 3])
def test_calls_are_those_of_keras(per_execution):
    def run(api):
        watch, seen = diary(api)
        trained = model(api, steps_per_execution=per_execution)
        trained.fit(X, Y, batch_size=4, epochs=2, verbose=0, validation_data=(X[:8], Y[:8]), callbacks=[watch])
        params = [watch.params]
        trained.evaluate(X, Y, batch_size=8, verbose=0, callbacks=[watch])
        params.append(watch.params)
        trained.predict(X, batch_size=8, verbose=0, callbacks=[watch])
        params.append(watch.params)
        trained.fit(_generator(4), epochs=1, verbose=0, callbacks=[watch])
        return seen, [*params, watch.params]

    (theirs, their_params), (ours, our_params) = run(keras), run(compat)
    assert ours == theirs
    assert our_params == their_params


@pytest.mark.filterwarnings("ignore:Your input ran out of data", "ignore:the data ended before")
@pytest.mark.parametrize("steps", [4, 5, 7])
@pytest.mark.parametrize("source", ["arrays", "dataset"])
def test_no_batch_is_begun_that_the_data_do_not_have(source, steps):
    def run(api):
        class Batches(api.utils.PyDataset):
            def __len__(self):
                return 5

            def __getitem__(self, i):
                return X[4 * i : 4 * i + 4], Y[4 * i : 4 * i + 4]

        watch, seen = diary(api)
        data = {"x": X, "y": Y, "batch_size": 4} if source == "arrays" else {"x": Batches()}
        model(api).fit(**data, steps_per_epoch=steps, epochs=3, verbose=0, callbacks=[watch])
        return seen

    assert run(compat) == run(keras)


@pytest.mark.parametrize("mode", ["fit", "evaluate", "predict"])
def test_batches_stop_when_told(mode):
    def run(api):
        watch, seen = diary(api)

        def stop(batch, logs):
            if batch == 1:
                trained.stop_training = trained.stop_evaluating = trained.stop_predicting = True

        hook = {"fit": "on_train_batch_end", "evaluate": "on_test_batch_end", "predict": "on_predict_batch_end"}[mode]
        trained = model(api)
        data = (X,) if mode == "predict" else (X, Y)
        callbacks = [api.callbacks.LambdaCallback(**{hook: stop}), watch]
        result = getattr(trained, mode)(*data, batch_size=4, verbose=0, callbacks=callbacks)
        return seen, np.shape(result) if mode == "predict" else None

    assert run(compat) == run(keras)


def test_batch_logs_have_the_numbers_of_keras():
    def run(api):
        numbers = []

        class Note(api.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                numbers.append((logs["loss"], dict(logs)["mae"], len(logs), float(self.model.optimizer.iterations)))

            def on_predict_batch_end(self, batch, logs=None):
                numbers.append(tuple(logs["outputs"].ravel()))

        trained = model(api)
        trained.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0, callbacks=[Note()])
        trained.predict(X, batch_size=8, verbose=0, callbacks=[Note()])
        return [n for row in numbers for n in row]

    np.testing.assert_allclose(run(compat), run(keras), rtol=1e-4, atol=1e-6)


def test_what_a_batch_callback_writes_is_trained_on():
    def run(api):
        class Change(api.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                if batch == 1:
                    self.model.optimizer.learning_rate = 0.0
                if batch == 3:
                    self.model.layers[-1].kernel.assign(np.full((3, 1), 2.0, "float32"))
                    self.model.stop_training = True

        trained = model(api, api.optimizers.SGD(0.1))
        trained.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0, callbacks=[Change()])
        return [*trained.get_weights(), float(np.asarray(trained.optimizer.learning_rate))]

    for ours, theirs in zip(run(compat), run(keras), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_what_a_callback_of_validation_writes_stays():
    class Change(compat.callbacks.Callback):
        def on_test_batch_end(self, batch, logs=None):
            self.model.optimizer.learning_rate = 0.25
            self.model.layers[-1].bias.assign([7.0])

    trained = model(compat)
    trained.fit(X, Y, epochs=1, verbose=0, validation_data=(X, Y), callbacks=[Change()])
    assert float(trained.optimizer.learning_rate.numpy()) == 0.25
    assert trained.layers[-1].bias.numpy() == 7.0


def test_steps_run_in_groups_unless_a_callback_looks_at_batches():
    callbacks = compat.callbacks

    class Looks(callbacks.ModelCheckpoint):
        def on_train_batch_end(self, batch, logs=None):
            super().on_train_batch_end(batch, logs)

    grouped = [
        callbacks.EarlyStopping(), callbacks.ModelCheckpoint("a.keras"), callbacks.ProgbarLogger(), callbacks.History(),
        callbacks.TensorBoard(), callbacks.BackupAndRestore("a"),
        callbacks.CSVLogger("a"), callbacks.SwapEMAWeights(), callbacks.OrbaxCheckpoint("a"),
    ]  # fmt: skip
    assert not callbacks.CallbackList(grouped).wants_batches("train")
    for looking in (
        Looks("a.keras"), callbacks.ModelCheckpoint("a.keras", save_freq=3), callbacks.TensorBoard(update_freq="batch"),
        callbacks.TensorBoard(profile_batch=2), callbacks.BackupAndRestore("a", save_freq=2),
        callbacks.LambdaCallback(on_train_batch_end=print), callbacks.LambdaCallback(on_batch_begin=print),
        callbacks.TerminateOnNaN(),
    ):  # fmt: skip
        assert callbacks.CallbackList([looking]).wants_batches("train"), looking
        assert not callbacks.CallbackList([looking]).wants_batches("test")


def test_callback_list():
    for api in APIS:
        one, two = api.callbacks.Callback(), api.callbacks.Callback()
        calls = api.callbacks.CallbackList([one, two], add_history=True, add_progbar=True, verbose=1, epochs=2, steps=3)
        assert [type(c).__name__ for c in calls.callbacks] == ["Callback", "Callback", "History", "ProgbarLogger"]
        assert one.params == {"verbose": 1, "epochs": 2, "steps": 3}
        assert api.callbacks.CallbackList(one).callbacks == [one]
        assert api.callbacks.CallbackList().callbacks == []
        trained = model(api)
        calls = api.callbacks.CallbackList([one], add_history=True, model=trained)
        assert one.model is trained
        assert calls.model is trained
        assert calls.callbacks[-1] is trained.history
        assert trained.fit(X, Y, verbose=0, callbacks=calls).history["loss"]
    assert model(compat).fit(X, Y, verbose=0, callbacks=compat.callbacks.CallbackList([one])).history["loss"]
    for bad in ([one, [two]], [compat.callbacks.Callback], ["x"]):
        with pytest.raises(TypeError, match=r"expected keras\.callbacks\.Callback"):
            compat.callbacks.CallbackList(bad)


@pytest.mark.filterwarnings("ignore:the data ended before")
def test_epochs_take_whole_executions():
    def run(api):
        watch, seen = diary(api)
        trained = model(api, steps_per_execution=3)
        history = trained.fit(
            X, Y, batch_size=2, steps_per_epoch=4, epochs=3, shuffle=False, verbose=0, callbacks=[watch]
        )
        return seen, history.history["loss"]

    (ours, our_losses), (theirs, their_losses) = run(compat), run(keras)
    assert ours == theirs
    np.testing.assert_allclose(our_losses, their_losses, rtol=1e-5)


def test_a_dataset_may_tell_the_number_of_its_batches_alone():
    class Batches(compat.utils.PyDataset):
        num_batches = 5

        def __getitem__(self, i):
            return X[4 * i : 4 * i + 4], Y[4 * i : 4 * i + 4]

    watch, seen = diary(compat)
    model(compat).fit(Batches(), verbose=0, callbacks=[watch])
    assert sum(call[0] == "on_train_batch_end" for call in seen) == 5
