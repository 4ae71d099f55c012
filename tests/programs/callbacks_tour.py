"""Callbacks at every level, a schedule by epoch, LambdaCallback, a CSV log and checkpoints."""

import os
import tempfile

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(23)
events = []


class Watch(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        events.append("train_begin")

    def on_epoch_end(self, epoch, logs=None):
        events.append(f"epoch {epoch} {' '.join(sorted(logs))}")

    def on_train_batch_end(self, batch, logs=None):
        losses.append(logs["loss"])

    def on_test_batch_begin(self, batch, logs=None):
        events.append(f"test {batch}")


losses = []
model = keras.Sequential([layers.Dense(4, "elu"), layers.Dense(1)])
model.compile(keras.optimizers.Adam(0.01), "mse")
x, y = np.random.normal(size=(50, 3)), np.random.normal(size=(50, 1))
with tempfile.TemporaryDirectory() as folder:
    callbacks = [
        Watch(),
        keras.callbacks.LearningRateScheduler(lambda epoch, lr: lr * 0.5 if epoch else lr),
        keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: events.append(f"lambda {epoch}")),
        keras.callbacks.CSVLogger(os.path.join(folder, "log.csv")),
        keras.callbacks.ModelCheckpoint(os.path.join(folder, "w.{epoch:02d}.weights.h5"), save_weights_only=True),
        keras.callbacks.TerminateOnNaN(),
    ]
    history = model.fit(
        x, y, epochs=5, initial_epoch=2, batch_size=20, validation_data=(x[:30], y[:30]), validation_freq=2,
        callbacks=callbacks, verbose=0,
    )  # fmt: skip
    files = sorted(os.listdir(folder))
    with open(os.path.join(folder, "log.csv")) as file:
        rows = len(file.read().splitlines())
results = {
    **history.history, "epochs": history.epoch, "events": "|".join(events), "batch_losses": losses, "rows": rows,
    "files": " ".join(files), "rate": float(np.asarray(model.optimizer.learning_rate)),
}  # fmt: skip
