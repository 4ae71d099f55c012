"""A stateful LSTM called eagerly, a GRU that runs backwards from given states, a model of one batch size."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(27)
x = np.random.normal(size=(4, 30, 2)).astype("float32")
y = np.cumsum(x, 1).mean(-1, keepdims=True)
lstm = layers.LSTM(5, stateful=True, return_sequences=True)
first = lstm(x[:, :10])
second = lstm(x[:, :10])
lstm.reset_state()
third = lstm(x[:, :10])
gru = layers.GRU(3, return_sequences=True, return_state=True, go_backwards=True)
sequence, state = gru(x[:, :5], initial_state=np.ones((4, 3), "float32"))
inputs = keras.Input(batch_shape=(4, 10, 2))
model = keras.Model(inputs, layers.Dense(1)(layers.SimpleRNN(4, unroll=True, return_sequences=True)(inputs)))
model.compile("adam", "mse")
losses = [model.train_on_batch(x[:, i : i + 10], y[:, i : i + 10]) for i in (0, 10, 20)]
results = {
    "loss": losses, "first": first[0, :3], "second": second[0, :3], "third": third[0, :3],
    "sequence": sequence[0], "state": state, "p": model.predict(x[:, :10], batch_size=4, verbose=0)[0, :3],
}  # fmt: skip
