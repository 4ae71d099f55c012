"""A convnet on images of digits, with dropout, as the first vision tutorial has it."""

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(812)
digits = load_digits()
x = np.expand_dims(digits.images.astype("float32") / 16, -1)[:400]
y = keras.utils.to_categorical(digits.target[:400], 10)
model = keras.Sequential(
    [
        keras.Input(shape=(8, 8, 1)),
        layers.Conv2D(8, kernel_size=(3, 3), activation="relu"),
        layers.MaxPooling2D(pool_size=(2, 2)),
        layers.Flatten(),
        layers.Dropout(0.5),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
history = model.fit(x, y, batch_size=64, epochs=3, validation_split=0.1, verbose=0)
score = model.evaluate(x, y, verbose=0)
results = {**history.history, "score": score, "predictions": model.predict(x[:5], verbose=0)}
