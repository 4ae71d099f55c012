"""mixed_bfloat16 through a policy; the weights stay float32, the head is told to be float32."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(20)
keras.mixed_precision.set_global_policy("mixed_bfloat16")
inputs = keras.Input((10,))
dense = layers.Dense(16, activation="relu")
h = layers.LayerNormalization()(dense(inputs))
outputs = layers.Dense(3, dtype="float32", activation="softmax")(h)
model = keras.Model(inputs, outputs)
keras.mixed_precision.set_global_policy("float32")
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
x, y = np.random.normal(size=(64, 10)), np.random.randint(0, 3, 64)
history = model.fit(x, y, epochs=2, batch_size=24, verbose=0)
results = {
    "loss": history.history["loss"], "kernel": dense.kernel.dtype == "float32", "compute": dense.compute_dtype,
    "output": str(model(x[:2]).dtype),
}  # fmt: skip
tolerance = 2e-2
