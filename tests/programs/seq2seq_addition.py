"""Encoder and decoder LSTMs with states handed over, and inference models cut from the trained one."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(17)
tokens, latent = 7, 8
encoder_in = keras.Input(shape=(None, tokens))
encoder = layers.LSTM(latent, return_state=True)
_, h, c = encoder(encoder_in)
decoder_in = keras.Input(shape=(None, tokens))
decoder = layers.LSTM(latent, return_sequences=True, return_state=True)
decoded, _, _ = decoder(decoder_in, initial_state=[h, c])
dense = layers.Dense(tokens, activation="softmax")
model = keras.Model([encoder_in, decoder_in], dense(decoded))
model.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["accuracy"])
x = np.eye(tokens, dtype="float32")[np.random.randint(0, tokens, (60, 6))]
shifted = np.concatenate([np.zeros((60, 1, tokens), "float32"), x[:, ::-1][:, :-1]], 1)
history = model.fit([x, shifted], x[:, ::-1], batch_size=25, epochs=2, validation_split=0.2, verbose=0)
encoder_model = keras.Model(encoder_in, encoder(encoder_in)[1:])
sh, sc = keras.Input((latent,)), keras.Input((latent,))
d, dh, dc = decoder(decoder_in, initial_state=[sh, sc])
decoder_model = keras.Model([decoder_in, sh, sc], [dense(d), dh, dc])
states = encoder_model.predict(x[:2], verbose=0)
token, text = np.zeros((2, 1, tokens), "float32"), []
for _ in range(4):
    out, *states = decoder_model.predict([token, *states], verbose=0)
    best = out[:, -1].argmax(-1)
    text.append(best)
    token = np.eye(tokens, dtype="float32")[best][:, None]
results = {**history.history, "text": np.array(text)}
