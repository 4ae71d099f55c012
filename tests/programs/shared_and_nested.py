"""A layer shared by branches, models in models, a clone with other layers, sub-models by layer."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(26)
shared = layers.Dense(5, activation="tanh", name="shared")
a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
inner_in = keras.Input((5,))
inner = keras.Model(inner_in, layers.Dropout(0.5)(layers.Dense(3)(inner_in)), name="inner")
h = ops.abs(shared(a) - shared(b)) * 2.0 + ops.maximum(shared(a), 0.1)
outputs = keras.Sequential([layers.Dense(4, "relu"), layers.Dense(1)], name="head")(inner(h))
model = keras.Model([a, b], outputs, name="whole")
model.compile("adadelta", "mse")
x = [np.random.normal(size=(30, 4)).astype("float32") for _ in range(2)]
y = np.random.normal(size=(30, 1)).astype("float32")
history = model.fit(x, y, epochs=2, batch_size=8, verbose=0).history


def wider(layer):
    config = layer.get_config()
    if isinstance(layer, layers.Dense) and layer.name == "shared":
        config["activation"] = "relu"
    return type(layer).from_config(config)


clone = keras.models.clone_model(model, clone_function=wider)
clone.set_weights(model.get_weights())
sub = keras.Model(model.inputs, h)
again = keras.Model.from_config(model.get_config())
again.set_weights(model.get_weights())
results = {
    "loss": history["loss"], "clone": clone.predict(x, verbose=0)[:3], "sub": sub.predict(x, verbose=0)[:3],
    "again": again.predict(x, verbose=0)[:3] - model.predict(x, verbose=0)[:3],
    "layers": len(model.layers),
    "paths": " ".join(v.path for v in model.variables if "seed" not in v.path),
}  # fmt: skip
