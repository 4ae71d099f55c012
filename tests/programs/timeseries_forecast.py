"""Windows of a series into a GRU with recurrent dropout; a learning rate that follows the plateau."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(9)
series = np.sin(np.arange(260) / 9.0) + 0.1 * np.random.normal(size=260)
windows = np.stack([series[i : i + 12] for i in range(240)])[..., None].astype("float32")
targets = series[12:252].astype("float32")
model = keras.Sequential()
model.add(layers.GRU(8, recurrent_dropout=0.1, return_sequences=True))
model.add(layers.SimpleRNN(5))
model.add(layers.Dense(1))
model.compile(keras.optimizers.RMSprop(0.01), loss="mse", metrics=["mae"])
callbacks = [
    keras.callbacks.ReduceLROnPlateau(patience=1, factor=0.5, monitor="val_loss", min_delta=0.5),
    keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True, min_delta=0.2),
]
history = model.fit(
    windows[:200], targets[:200], epochs=5, batch_size=33, validation_data=(windows[200:], targets[200:]),
    callbacks=callbacks, verbose=0, shuffle=False,
)  # fmt: skip
results = {**history.history, "predictions": model.predict(windows[200:205], verbose=0)}
