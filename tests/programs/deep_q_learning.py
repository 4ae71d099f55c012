"""DQN on a toy chain: replay memory, a target network, a compiled gradient step on masked actions."""

import jax
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(33)


def create():
    return keras.Sequential([layers.Input((3,)), layers.Dense(12, activation="relu"), layers.Dense(2, "linear")])


model, target = create(), create()
target.set_weights(model.get_weights())
optimizer = keras.optimizers.Adam(learning_rate=0.01, clipnorm=1.0)
optimizer.build(model.trainable_variables)
loss_function = keras.losses.Huber()


def loss_of(trainable, states, masks, wanted):
    q, _ = model.stateless_call(trainable, [], states)
    return loss_function(wanted, ops.sum(q * masks, axis=1))


step = jax.jit(jax.value_and_grad(loss_of))
memory, losses, state = [], [], np.zeros(3, "float32")
for frame in range(60):
    if frame < 10 or np.random.rand() < 0.2:
        action = np.random.choice(2)
    else:
        action = int(ops.argmax(model(state[None], training=False)[0]))
    new = np.clip(state + np.array([0.1 if action else -0.1, 0.05, -0.02], "float32"), -1, 1)
    memory.append((state, action, float(new[0]), new))
    state = new
    if frame % 4 == 0 and len(memory) > 12:
        picked = [memory[i] for i in np.random.choice(len(memory), size=12)]
        s, a, r, n = (np.array(v, "float32") for v in zip(*picked))
        wanted = r + 0.9 * ops.amax(target.predict(n, verbose=0), axis=1)
        loss, grads = step([v.value for v in model.trainable_variables], s, ops.one_hot(a.astype("int32"), 2), wanted)
        optimizer.apply_gradients(zip(grads, model.trainable_variables))
        losses.append(float(loss))
    if frame % 20 == 0:
        target.set_weights(model.get_weights())
results = {"loss": losses, "q": model.predict(np.eye(3, dtype="float32"), verbose=0), "state": state}
