"""Actor and critic heads on a toy control task, gradients by jax.grad through stateless_call."""

import jax
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(15)
inputs = layers.Input(shape=(4,))
common = layers.Dense(16, activation="relu")(inputs)
model = keras.Model(inputs=inputs, outputs=[layers.Dense(2, activation="softmax")(common), layers.Dense(1)(common)])
optimizer = keras.optimizers.Adam(learning_rate=0.01)
optimizer.build(model.trainable_variables)
huber = keras.losses.Huber()
rewards_seen, losses = [], []
for _episode in range(3):
    state, states, actions, rewards = np.random.uniform(-0.05, 0.05, 4), [], [], []
    for _t in range(12):
        probabilities, _ = model(ops.convert_to_tensor(state[None], dtype="float32"))
        p = np.asarray(probabilities, dtype="float64")[0]
        action = int(np.random.uniform() > p[0] / p.sum())
        states.append(state)
        actions.append(action)
        state = state + (0.1 if action else -0.1) * np.array([1, -0.5, 0.2, 0.1])
        rewards.append(1.0 - abs(state[0]))
    returns, total = [], 0.0
    for r in rewards[::-1]:
        total = r + 0.9 * total
        returns.insert(0, total)
    returns = np.array(returns, "float32")
    returns = (returns - returns.mean()) / (returns.std() + 1e-7)

    states, actions = np.array(states, "float32"), np.array(actions)

    def loss_fn(trainable, states=states, actions=actions, returns=returns):
        (probabilities, values), _ = model.stateless_call(trainable, [], states)
        chosen = ops.sum(probabilities * ops.one_hot(actions, 2), axis=1)
        advantage = returns - jax.lax.stop_gradient(values[:, 0])
        return ops.sum(-ops.log(chosen) * advantage) + huber(returns[:, None], values)

    loss, grads = jax.value_and_grad(loss_fn)([v.value for v in model.trainable_variables])
    optimizer.apply(grads, model.trainable_variables)
    losses.append(float(loss))
    rewards_seen.append(sum(rewards))
results = {"loss": losses, "reward": rewards_seen, "iterations": int(optimizer.iterations.numpy())}
