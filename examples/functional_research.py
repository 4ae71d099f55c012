"""What the pure core gives a researcher, on real data and without the Keras face.

    python examples/functional_research.py

An ensemble of 16 networks trained in one mapped step, per-example gradients, a Hessian-vector
product, and the same layers run on Torch tensors and through `torch.func`, the numbers compared.
"""

import time

import numpy as np
from sklearn.datasets import load_breast_cancer

import kfun
from kfun import layers, losses, ops, optim, tree

NETWORKS, STEPS, BATCH = 16, 300, 64


def load() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Standardized features and 0/1 labels: train and test."""
    x, y = load_breast_cancer(return_X_y=True)
    x = ((x - x.mean(0)) / x.std(0)).astype("float32")
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order], y[order].astype("int32")
    return x[:400], y[:400], x[400:], y[400:]


def main() -> dict[str, float]:
    """Runs everything; gives the numbers that it prints."""
    x, y, x_test, y_test = load()
    net = kfun.Sequential([layers.Dense(32, "tanh"), layers.Dropout(0.1), layers.Dense(2)])
    loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    adam = optim.adam(1e-2)
    spec = kfun.Spec((None, x.shape[1]))
    numbers: dict[str, float] = {}

    # An ensemble: init, step and prediction of one network, mapped over 16 keys.
    def begin(key):
        params, state = net.init(key, spec)
        return params, state, adam.init(params)

    def step(carry, key, xb, yb):
        params, state, opt = carry

        def objective(params):
            outputs, new = net.apply(params, state, xb, key=key, training=True)
            return loss(yb, outputs), new

        (value, state), grads = kfun.value_and_grad(objective, has_aux=True)(params)
        updates, opt = adam.update(grads, opt, params)
        return (optim.apply_updates(params, updates), state, opt), value

    carry = kfun.vmap(begin)(kfun.random.split(kfun.random.key(0), NETWORKS))
    run = kfun.jit(kfun.vmap(step, in_axes=(0, 0, None, None)))
    generator = np.random.default_rng(1)
    start = time.perf_counter()
    for i in range(STEPS):
        rows = generator.integers(0, len(x), BATCH)
        keys = kfun.random.split(kfun.random.fold_in(kfun.random.key(1), i), NETWORKS)
        carry, values = run(carry, keys, x[rows], y[rows])
    values = np.asarray(values)
    spent = time.perf_counter() - start
    params, state, _ = carry

    def predict(params, state, inputs):
        return ops.softmax(net.apply(params, state, inputs)[0])

    each = np.asarray(kfun.vmap(predict, in_axes=(0, 0, None))(params, state, x_test))
    numbers["single"] = float((each.argmax(-1) == y_test).mean())
    numbers["ensemble"] = float((each.mean(0).argmax(-1) == y_test).mean())
    print(
        f"{NETWORKS} networks, {STEPS} mapped steps in {spent:.1f} s; "
        f"last losses {values.min():.3f} to {values.max():.3f}"
    )
    print(f"test accuracy: {numbers['single']:.2%} a network, {numbers['ensemble']:.2%} the ensemble")

    # One network of the ensemble from here on.
    one = {name: {k: w[0] for k, w in weights.items()} for name, weights in params.items()}

    def objective(params, inputs, labels):
        return loss(labels, net.apply(params, {}, inputs)[0])

    # Per-example gradients: the gradient of each example alone, all at once.
    def single(params, xi, yi):
        return objective(params, ops.expand_dims(xi, 0), ops.expand_dims(yi, 0))

    grads = kfun.vmap(kfun.grad(single), in_axes=(None, 0, 0))(one, x[:BATCH], y[:BATCH])
    whole = kfun.grad(objective)(one, x[:BATCH], y[:BATCH])
    norms = np.sqrt(sum(np.square(np.asarray(g)).reshape(BATCH, -1).sum(1) for g in tree.flatten(grads).values()))
    gap = max(
        float(np.abs(np.asarray(g).mean(0) - np.asarray(w)).max())
        for g, w in zip(tree.flatten(grads).values(), tree.flatten(whole).values(), strict=True)
    )
    numbers["per_example_gap"] = gap
    print(
        f"per-example gradient norms: {norms.min():.1e} to {norms.max():.1e}; "
        f"their mean is the gradient within {gap:.1e}"
    )

    # A Hessian-vector product: the derivative of the gradient along the gradient.
    def hvp(params):
        return kfun.jvp(lambda p: kfun.grad(objective)(p, x, y), (params,), (kfun.grad(objective)(params, x, y),))[1]

    product = hvp(one)
    size = np.sqrt(sum(float((np.asarray(v) ** 2).sum()) for v in tree.flatten(product).values()))
    print(f"Hessian-vector product along the gradient: norm {size:.3e}")

    # The same layers on Torch tensors, and through torch.func.
    try:
        import torch
    except ImportError:
        print("torch is not installed: pip install 'kfun[torch]' to see the same layers on its tensors")
        return numbers
    torch_params, xt, yt = kfun.convert(one, "torch"), torch.from_numpy(x[:BATCH]), torch.from_numpy(y[:BATCH])
    outputs = net.apply(torch_params, {}, xt)[0]
    numbers["torch_outputs"] = float(np.abs(outputs.numpy() - np.asarray(net.apply(one, {}, x[:BATCH])[0])).max())
    torch_grads = torch.func.vmap(torch.func.grad(single), in_dims=(None, 0, 0))(torch_params, xt, yt)
    numbers["torch_gradients"] = max(
        float(np.abs(a.numpy() - np.asarray(b)).max())
        for a, b in zip(tree.flatten(torch_grads).values(), tree.flatten(grads).values(), strict=True)
    )
    torch_product = torch.func.jvp(
        lambda p: torch.func.grad(objective)(p, torch.from_numpy(x), torch.from_numpy(y)),
        (torch_params,),
        (torch.func.grad(objective)(torch_params, torch.from_numpy(x), torch.from_numpy(y)),),
    )[1]
    numbers["torch_hvp"] = max(
        float(np.abs(a.numpy() - np.asarray(b)).max())
        for a, b in zip(tree.flatten(torch_product).values(), tree.flatten(product).values(), strict=True)
    )
    print(
        f"the same on Torch, largest differences: outputs {numbers['torch_outputs']:.1e}, per-example gradients "
        f"{numbers['torch_gradients']:.1e}, Hessian-vector product {numbers['torch_hvp']:.1e}"
    )
    return numbers


if __name__ == "__main__":
    main()
