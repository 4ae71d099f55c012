"""What notebooks do: eager calls, weights by name, config round trips, run_eagerly, sequential pop and add."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(29)
model = keras.Sequential(name="stack")
model.add(keras.Input((4,)))
model.add(layers.Dense(6, activation="relu", name="one"))
model.add(layers.Dense(5, name="two"))
model.pop()
model.add(layers.Dense(2, name="three"))
model.compile("sgd", "mse", metrics=[keras.metrics.RootMeanSquaredError(), keras.metrics.R2Score()], run_eagerly=True)
x, y = np.random.normal(size=(20, 4)).astype("float32"), np.random.normal(size=(20, 2)).astype("float32")
history = model.fit(x, y, epochs=2, batch_size=8, verbose=0).history
lines = []
model.summary(print_fn=lambda line, **_: lines.append(line))
layer = model.get_layer("one")
activations = keras.Model(model.inputs, [m.output for m in model.layers])
outs = activations(x[:2])
copy = keras.Sequential.from_config(model.get_config())
function = keras.Function(model.inputs, model.get_layer("three").output)
results = {
    **history, "params": model.count_params(), "shape": model.output_shape[1], "mean": ops.mean(outs[0]),
    "outs": outs[1], "copy": len(copy.layers), "names": " ".join(m.name for m in model.layers),
    "function": function([x[:2]])[0] if isinstance(function([x[:2]]), list) else function([x[:2]]),
    "lines": "three (Dense)" in "\n".join(lines), "norm": ops.norm(layer.kernel), "trainable": layer.trainable,
}  # fmt: skip
