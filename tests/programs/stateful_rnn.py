"""A stateful LSTM over slices of long sequences, states reset between epochs; predictions go on from states."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(27)
x = np.random.normal(size=(4, 30, 2)).astype("float32")
y = np.cumsum(x, 1).mean(-1, keepdims=True)
inputs = keras.Input(batch_shape=(4, 10, 2))
lstm = layers.LSTM(5, stateful=True, return_sequences=True)
model = keras.Model(inputs, layers.Dense(1)(lstm(inputs)))
model.compile("adam", "mse")
losses = []
for _epoch in range(2):
    for i in range(3):
        losses.append(model.train_on_batch(x[:, i * 10 : i * 10 + 10], y[:, i * 10 : i * 10 + 10]))
    lstm.reset_states() if hasattr(lstm, "reset_states") else lstm.reset_state()
first = model.predict(x[:, :10], batch_size=4, verbose=0)
second = model.predict(x[:, :10], batch_size=4, verbose=0)
lstm.reset_state()
third = model.predict(x[:, :10], batch_size=4, verbose=0)
results = {"loss": losses, "first": first[0, :3], "second": second[0, :3], "third": third[0, :3]}
