"""Two inputs, three outputs, losses and metrics by name, weights, and intermediate outputs."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(19)
title, body = keras.Input((5,), name="title"), keras.Input((7,), name="body")
h = layers.concatenate([layers.Dense(6, "relu", name="t")(title), layers.Dense(6, "tanh", name="b")(body)])
priority = layers.Dense(1, activation="sigmoid", name="priority")(h)
department = layers.Dense(4, name="department")(h)
aux = layers.Dense(2, name="aux")(layers.Dropout(0.3)(h))
model = keras.Model(inputs=[title, body], outputs={"priority": priority, "department": department, "aux": aux})
model.compile(
    optimizer=keras.optimizers.RMSprop(1e-2),
    loss={
        "priority": keras.losses.BinaryCrossentropy(),
        "department": keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
        "aux": "huber",
    },
    loss_weights={"priority": 1.0, "department": 0.2, "aux": 0.5},
    metrics={"priority": ["accuracy", "mae"], "department": "accuracy"},
    weighted_metrics={"aux": ["mse"]},
)
n = 60
x = {"title": np.random.normal(size=(n, 5)), "body": np.random.normal(size=(n, 7))}
y = {
    "priority": np.random.randint(0, 2, (n, 1)), "department": np.eye(4)[np.random.randint(0, 4, n)],
    "aux": np.random.normal(size=(n, 2)),
}  # fmt: skip
history = model.fit(x, y, epochs=3, batch_size=25, validation_split=0.25, verbose=0)
middle = keras.Model(model.inputs, [model.get_layer("t").output, model.get_layer("b").output])
out = model.predict(x, verbose=0)
results = {
    **history.history, "middle": middle.predict([x["title"], x["body"]], verbose=0)[1][:2], "out": out["aux"][:3],
    "evaluate": model.evaluate(x, y, verbose=0), "keys": sorted(out) == ["aux", "department", "priority"],
}  # fmt: skip
