"""Torch modules and TensorFlow SavedModels as layers, against the frameworks themselves."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import compat
import kfun
from tests.compat.test_ecosystem import X, Y, fitted

# ---- torch ----


def _torch_net(torch, dropout=0.0):
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Dropout(dropout), torch.nn.Linear(4, 2)
    )


def test_torch_module_trains_in_fit_as_in_torch():
    torch = pytest.importorskip("torch")
    module = _torch_net(torch)
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    layer = compat.layers.TorchModuleWrapper(_torch_net(torch), name="wrapped")
    model, losses = fitted(compat, layer)
    expected = []
    for _ in range(3):
        optimizer.zero_grad()
        loss = ((module(torch.tensor(X)) - torch.tensor(Y)) ** 2).mean()
        loss.backward()
        optimizer.step()
        expected.append(loss.item())
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    assert [v.path for v in layer.trainable_variables[:2]] == [
        "sequential/wrapped/0.weight".replace("sequential", model.name),
        f"{model.name}/wrapped/0.bias",
    ]
    for name, value in module.state_dict().items():
        np.testing.assert_allclose(layer.module.state_dict()[name], value, rtol=1e-5, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(
        model.predict(X, verbose=0), module.eval()(torch.tensor(X)).detach(), rtol=1e-5, atol=1e-6
    )
    native = layer(torch.tensor(X))
    assert isinstance(native, torch.Tensor)
    np.testing.assert_allclose(native.detach(), module(torch.tensor(X)).detach(), rtol=1e-5, atol=1e-6)


def test_torch_weights_go_through_files_and_code_does_not(tmp_path):
    torch = pytest.importorskip("torch")
    model, _ = fitted(compat, compat.layers.TorchModuleWrapper(_torch_net(torch)))
    model.save_weights(tmp_path / "w.weights.h5")
    other, _ = fitted(compat, compat.layers.TorchModuleWrapper(_torch_net(torch)), epochs=1)
    other.load_weights(tmp_path / "w.weights.h5")
    np.testing.assert_array_equal(other.predict(X, verbose=0), model.predict(X, verbose=0))
    with pytest.raises(ValueError, match="cannot be written as JSON"):
        model.save(tmp_path / "m.keras")
    with pytest.raises(ValueError, match="pickled torch module"):
        compat.layers.TorchModuleWrapper.from_config({"module": "UEsDBA=="})
    with pytest.raises(ValueError, match="lazy"):
        compat.layers.TorchModuleWrapper(torch.nn.LazyLinear(2))
    assert compat.layers.TorchModuleWrapper(_torch_net(torch), output_shape=(None, 2)).compute_output_shape((5, 3)) == (
        None,
        2,
    )


def test_torch_module_is_a_kfun_layer():
    """JAX gradients through the host are torch's, dropout included; jit, vmap, composites, torch tensors."""
    torch = pytest.importorskip("torch")
    module = _torch_net(torch, 0.5)
    layer = kfun.from_torch(module)
    params, state = layer.init(kfun.random.key(0), kfun.Spec((None, 3)))
    key = kfun.random.key(1)

    def loss(params, x):
        y, new = layer.apply(params, state, x, key=key, training=True)
        return (y**2).sum(), new

    (by_params, by_x), new = jax.jit(jax.grad(loss, (0, 1), has_aux=True))(params, jnp.asarray(X))
    x = torch.tensor(X, requires_grad=True)
    high, low = np.asarray(key)
    torch.manual_seed(int(high) << 32 | int(low))
    (module(x) ** 2).sum().backward()
    np.testing.assert_allclose(by_x, x.grad, rtol=1e-4, atol=1e-5)
    for name, p in module.named_parameters():
        np.testing.assert_allclose(by_params[name], p.grad, rtol=1e-4, atol=1e-4, err_msg=name)
    np.testing.assert_allclose(new["1.running_mean"], module[1].running_mean, rtol=1e-5)
    assert jax.tree.structure(new) == jax.tree.structure(state)
    assert module.training
    assert layer.output_spec(kfun.Spec((None, 3))) == kfun.Spec((None, 2))

    y = layer.apply(params, state, jnp.asarray(X))[0]
    rows = jax.vmap(lambda row: layer.apply(params, state, row[None])[0][0])(jnp.asarray(X))
    np.testing.assert_allclose(rows, y, rtol=1e-5, atol=1e-6)
    given = kfun.convert((params, state), "torch")
    native = layer.apply(*given, torch.tensor(X))[0]
    np.testing.assert_allclose(native, y, rtol=1e-6)
    by_torch = torch.func.grad(lambda p: layer.apply(p, given[1], torch.tensor(X))[0].sum())(given[0])
    np.testing.assert_allclose(by_torch["3.bias"], [8.0, 8.0])
    plain = kfun.to_numpy((params, state))
    np.testing.assert_allclose(layer.apply(*plain, X)[0], y, rtol=1e-6)
    net = kfun.Sequential([kfun.layers.Dense(3), layer])
    assert net.apply(*net.init(key, kfun.Spec((None, 5))), jnp.ones((2, 5)))[0].shape == (2, 2)


def test_torch_module_of_integers_and_several_outputs():
    torch = pytest.importorskip("torch")

    class Looked(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Embedding(5, 3)
            self.table.weight.requires_grad_(False)
            self.scale = torch.nn.Parameter(torch.ones(3))

        def forward(self, ids, x):
            found = self.table(ids) * self.scale
            return {"sum": found + x, "ids": ids}

    layer = kfun.from_torch(Looked())
    params, state = layer.init(kfun.random.key(0), kfun.Spec((None,), "int32"), kfun.Spec((None, 3)))
    assert list(params) == ["scale"]
    assert list(state) == ["table.weight"]
    ids, x = jnp.asarray([1, 4]), jnp.ones((2, 3))
    grads = jax.grad(lambda p: layer.apply(p, state, ids, x)[0]["sum"].sum())(params)
    np.testing.assert_allclose(grads["scale"], state["table.weight"][ids].sum(0), rtol=1e-6)
    np.testing.assert_array_equal(layer.apply(params, state, ids, x)[0]["ids"], ids)
    with pytest.raises(TypeError, match="expected a torch module"):
        kfun.from_torch(3)


# ---- TensorFlow ----


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory):
    tf = pytest.importorskip("tensorflow")
    root = tf.Module()
    root.kernel = tf.Variable(np.ones((3, 2), "float32"), name="kernel")
    root.calls = tf.Variable(0, trainable=False, name="calls")
    spec = tf.TensorSpec((None, 3), "float32")

    @tf.function(input_signature=[spec])
    def serve(x):
        return tf.tanh(x @ root.kernel)

    @tf.function(input_signature=[spec])
    def train(x):
        root.calls.assign_add(1)
        return 2 * tf.tanh(x @ root.kernel)

    root.serve, root.train = serve, train
    path = tmp_path_factory.mktemp("saved")
    tf.saved_model.save(root, str(path), signatures={"serving_default": serve})
    return path


def test_saved_model_runs_and_trains(saved_model):
    import tensorflow as tf

    layer = compat.layers.TFSMLayer(saved_model, call_training_endpoint="train")
    expected = np.tanh(X @ np.ones((3, 2), "float32"))
    np.testing.assert_allclose(layer(X), expected, rtol=1e-5)
    np.testing.assert_allclose(layer(X, training=True), 2 * expected, rtol=1e-5)
    native = layer(tf.constant(X))
    assert isinstance(native, tf.Tensor)
    np.testing.assert_allclose(native, expected, rtol=1e-5)
    model = compat.Sequential([compat.Input((3,)), compat.layers.Dense(3, kernel_initializer="identity"), layer])
    model.compile("sgd", "mse")
    before = [v.numpy() for v in model.trainable_variables]
    losses = model.fit(X, Y, epochs=3, verbose=0, shuffle=False).history["loss"]
    assert losses[-1] < losses[0]
    assert all(np.any(v.numpy() != old) for v, old in zip(model.trainable_variables, before, strict=True))
    assert int(layer.non_trainable_variables[0].numpy()) == 4  # once above, three times in fit
    signature = compat.layers.TFSMLayer(saved_model, "serving_default")
    np.testing.assert_allclose(signature(X), expected, rtol=1e-5)


def test_saved_model_gradient_and_messages(saved_model):
    layer = kfun.from_saved_model(saved_model)
    params, state = layer.init(kfun.random.key(0), kfun.Spec((None, 3)))
    given = jax.grad(lambda p, x: layer.apply(p, state, x)[0].sum(), (0, 1))(params, jnp.asarray(X))
    expected = jax.grad(lambda k, x: jnp.tanh(x @ k).sum(), (0, 1))(params["kernel"], jnp.asarray(X))
    np.testing.assert_allclose(given[0]["kernel"], expected[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(given[1], expected[1], rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match=r"no endpoint 'serv'; did you mean .*'serve'"):
        compat.layers.TFSMLayer(saved_model, "serv")
    with pytest.raises(ValueError, match="is no SavedModel"):
        compat.layers.TFSMLayer("nowhere")
    with pytest.raises(ValueError, match="make the layer in Python"):
        compat.layers.TFSMLayer.from_config(compat.layers.TFSMLayer(saved_model).get_config())
