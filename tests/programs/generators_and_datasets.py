"""Batches from a generator with steps, a PyDataset, and steps_per_execution."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(25)
x = np.random.normal(size=(70, 4)).astype("float32")
y = x.sum(1, keepdims=True)


def batches():
    while True:
        for i in range(0, 64, 16):
            yield x[i : i + 16], y[i : i + 16]


class Data(keras.utils.PyDataset):
    def __len__(self):
        return 5

    def __getitem__(self, index):
        return x[index * 14 : index * 14 + 14], y[index * 14 : index * 14 + 14]


def build(**kwargs):
    model = keras.Sequential([layers.Dense(6, "gelu"), layers.Dropout(0.1), layers.Dense(1)])
    model.compile(keras.optimizers.Lion(0.003), "log_cosh", metrics=["mape"], **kwargs)
    return model


a = build().fit(batches(), steps_per_epoch=3, epochs=2, verbose=0).history
b = build(steps_per_execution=2).fit(Data(), epochs=2, validation_data=Data(), shuffle=False, verbose=0).history
c = build(steps_per_execution=3).fit(x, y, epochs=2, batch_size=9, verbose=0).history
results = {f"{n}_{k}": v for n, h in (("a", a), ("b", b), ("c", c)) for k, v in h.items()}
