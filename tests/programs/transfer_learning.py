"""A base model trained, frozen, used under a new head, then partly unfrozen at a low rate."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(14)
x = np.random.normal(size=(64, 10, 10, 3)).astype("float32")
y = (x.mean((1, 2, 3)) > 0).astype("float32")
i = keras.Input((10, 10, 3))
h = layers.Conv2D(4, 3, padding="same", use_bias=False, name="conv1")(i)
h = layers.BatchNormalization(name="bn1")(h)
h = layers.ReLU()(h)
h = layers.SeparableConv2D(6, 3, name="conv2")(h)
base = keras.Model(i, h, name="base")
base.trainable = False
inputs = keras.Input((10, 10, 3))
features = base(layers.Rescaling(0.5, offset=0.1)(inputs), training=False)
pooled = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(features))
model = keras.Model(inputs, layers.Dense(1)(pooled))
loss = keras.losses.BinaryCrossentropy(from_logits=True)
model.compile(keras.optimizers.Adam(0.01), loss, metrics=[keras.metrics.BinaryAccuracy()])
first = model.fit(x, y, epochs=2, batch_size=20, verbose=0).history
frozen = [np.sum(w) for w in base.get_weights()]
base.trainable = True
base.get_layer("bn1").trainable = False
model.compile(keras.optimizers.Adam(1e-3), loss, metrics=[keras.metrics.BinaryAccuracy()])
second = model.fit(x, y, epochs=2, batch_size=20, verbose=0).history
results = {f"first_{k}": v for k, v in first.items()} | {f"second_{k}": v for k, v in second.items()}
results |= {"frozen": frozen, "after": [np.sum(w) for w in base.get_weights()], "n": len(model.trainable_weights)}
