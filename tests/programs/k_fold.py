"""k-fold: the model is built anew for each fold, then its weights are reset instead."""

import keras
import numpy as np
from keras import layers
from sklearn.model_selection import KFold

keras.utils.set_random_seed(21)
x = np.random.normal(size=(60, 5)).astype("float32")
y = (x @ np.array([1, -2, 0.5, 0, 3.0]))[:, None]


def build():
    keras.backend.clear_session()
    model = keras.Sequential([layers.Dense(8, "relu", kernel_initializer="he_normal"), layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True), "mse", metrics=["mae"])
    return model


scores, names = [], []
for train, test in KFold(3, shuffle=True, random_state=0).split(x):
    model = build()
    model.fit(x[train], y[train], epochs=2, batch_size=16, verbose=0)
    scores.append(model.evaluate(x[test], y[test], verbose=0))
    names.append(model.layers[0].name)
start = model.get_weights()
model.fit(x, y, epochs=1, verbose=0)
model.set_weights(start)
results = {"scores": scores, "again": model.evaluate(x, y, verbose=0), "names": " ".join(names)}
