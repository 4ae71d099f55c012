"""`model(x)` compiled whole: the same answers as op by op, whatever happens to the model between calls."""

import copy
import itertools
import pickle
import subprocess
import sys

import jax
import numpy as np
import pytest

import compat
from compat.models import compiled_call
from compat.state import masks

L, ops = compat.layers, compat.ops
X = np.random.default_rng(0).normal(size=(3, 6)).astype("float32")


def made(*layers):
    compat.utils.set_random_seed(1)
    return compat.Sequential([compat.Input((6,)), *layers])


def plain():
    return made(L.Dense(5, activation="relu"), L.Dropout(0.5), L.BatchNormalization(), L.Dense(2, name="last"))


def op_by_op(model, *args, **kwargs):
    return super(type(model), model).__call__(*args, **kwargs)


def compiled(model):
    """How many programs of the model as it is now were compiled."""
    program = model.__dict__.get("_kf_program")
    return 0 if program is None else program.__dict__.get("traced", 0)


def check(model, x=X, **kwargs):
    """Calls until a program runs, and compares each answer."""
    for _ in range(3):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, 1e-5, 1e-6), model(x, **kwargs), op_by_op(model, x, **kwargs)
        )
    assert compiled(model)


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """The second call of a form is compiled, and each compilation is counted.

    JAX's own count is of no use: it keeps no more than some thousand functions in a process.
    """
    monkeypatch.setattr(compiled_call, "_CALLS", 1)
    trace = compiled_call.Program._call

    def counted(self, *args, **kwargs):
        self.traced = self.__dict__.get("traced", 0) + 1
        return trace(self, *args, **kwargs)

    monkeypatch.setattr(compiled_call.Program, "_call", counted)


def test_a_model_that_is_called_often_is_compiled(monkeypatch):
    monkeypatch.setattr(compiled_call, "_CALLS", 5)
    model = plain()
    for _ in range(5):
        assert not compiled(model)
        model(X)
    model(X)
    assert compiled(model)


def test_each_form_is_compiled():
    model = plain()
    model(X)
    assert not compiled(model)
    check(model)
    check(model, X[:1])
    check(model, training=False)
    assert compiled(model) == 3
    assert isinstance(model(X), jax.Array)


def assign(model):
    model.get_layer("last").kernel.assign(np.ones((5, 2)))


def set_weights(model):
    model.set_weights([w + 1 for w in model.get_weights()])


def activation(model):
    model.layers[0].activation = compat.activations.tanh


def lora(model):
    model.layers[0].enable_lora(2)
    model.layers[0].lora_kernel_b.assign(np.ones((2, 5)))


def pop(model):
    model.pop()


def add(model):
    model.add(L.Dense(4))


def policy(model):
    model.layers[0].dtype_policy = "bfloat16"


def trained(model):
    model.compile("sgd", "mse")
    model.fit(X, X[:, :2], verbose=0)


@pytest.mark.parametrize("change", [assign, set_weights, activation, lora, pop, add, policy, trained])
def test_changes_are_seen(change):
    model = plain()
    check(model)
    before = np.asarray(model(X))
    change(model)
    after = np.asarray(model(X))
    assert before.shape != after.shape or np.abs(before - after).max() > 1e-3
    check(model)
    assert np.asarray(model(X)).shape == after.shape
    np.testing.assert_allclose(model(X), after, 1e-5, 1e-6)


def test_several_inputs_and_outputs():
    a, b = compat.Input((6,)), compat.Input((6,), dtype="int32")
    h = L.Concatenate()([L.Dense(3)(a), ops.cast(b, "float32") * 2.0])
    model = compat.Model([a, b], [L.Dense(2)(h), h])
    check(model, [X, np.arange(18).reshape(3, 6)])
    check(model, [X.astype("float64"), jax.numpy.zeros((3, 6), "int32")])


def test_wrong_shapes_are_refused_by_the_model():
    model = plain()
    check(model)
    for _ in range(3):
        with pytest.raises(ValueError, match="expected input with 6 features"):
            model(X[:, :5])


def test_inside_transformations():
    model = plain()
    check(model)
    alone = np.asarray(model(X))
    np.testing.assert_allclose(jax.jit(model)(X), alone, 1e-5, 1e-6)
    np.testing.assert_allclose(jax.vmap(lambda x: model(x[None])[0])(X), alone, 1e-5, 1e-6)
    assert jax.jacobian(model)(X).shape == (3, 2, 3, 6)
    shifted = [w * 0 for w in model.trainable_variables]
    outputs, _ = model.stateless_call(shifted, model.non_trainable_variables, X)
    np.testing.assert_array_equal(outputs, 0)


def test_calls_in_callbacks_see_the_running_weights():
    model = plain()
    check(model)
    seen = []
    note = compat.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(np.asarray(model(X))))
    model.compile("sgd", "mse")
    model.fit(X, X[:, :2], epochs=4, verbose=0, callbacks=[note])
    assert all(np.abs(a - b).max() > 1e-4 for a, b in itertools.pairwise(seen))
    np.testing.assert_allclose(seen[-1], op_by_op(model, X), 1e-5, 1e-6)


def test_copies_and_pickles():
    model = plain()
    check(model)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), compat.models.clone_model(model)):
        other.set_weights(model.get_weights())
        check(other)
        np.testing.assert_allclose(other(X), model(X), 1e-5, 1e-6)


class Counting(L.Layer):
    calls = 0

    def call(self, x):
        type(self).calls += 1
        return x


def monte_carlo():
    inputs = compat.Input((6,))
    return compat.Model(inputs, L.Dropout(0.5)(inputs, training=True))


NOT = {
    "user layer": lambda: made(Counting()),
    "lambda": lambda: made(L.Lambda(lambda x: x * 2)),
    "user activation": lambda: made(L.Dense(2, activation=lambda x: x)),
    "activity": lambda: made(L.Dense(2, activity_regularizer="l2")),
    "eager": lambda: (m := plain(), m.compile("sgd", "mse", run_eagerly=True))[0],
    "nested": lambda: made(compat.Sequential([Counting()])),
}


@pytest.mark.parametrize("name", NOT)
def test_what_is_not_ours_runs_op_by_op(name):
    model = NOT[name]()
    Counting.calls = 0
    for _ in range(5):
        model(X)
    assert not compiled(model)
    if name in ("user layer", "nested"):
        assert Counting.calls == 5
    if name == "activity":
        assert len(model.losses) == 1
        check(plain())  # losses that another model keeps are no matter


def test_losses_of_the_last_call_are_forgotten():
    model = plain()
    check(model)
    model.layers[0].add_loss(np.float32(3))
    assert len(model.losses) == 1
    model(X)
    assert not model.losses
    check(model)


def test_what_a_call_leaves_is_kept():
    model = monte_carlo()
    drawn = [np.asarray(model(X)) for _ in range(5)]
    assert all(np.abs(a - b).max() > 0 for a, b in itertools.pairwise(drawn))
    embedding = compat.Sequential([compat.Input((4,)), L.Embedding(5, 3, mask_zero=True)])
    ids = np.array([[1, 0, 2, 0]])
    for _ in range(4):
        np.testing.assert_array_equal(masks.get(embedding(ids)), ids != 0)
    state = plain()
    for _ in range(4):
        before = np.asarray(state.non_trainable_variables[-1])
        state(X, training=True)
        assert np.abs(before - np.asarray(state.non_trainable_variables[-1])).max() > 0


def test_imports_start_no_backend():
    """A program that imports compat may still choose devices, or begin a distributed run."""
    code = (
        "import compat; from jax._src import xla_bridge; compat.layers.Dense, compat.Model, compat.Sequential; "
        "assert not xla_bridge.backends_are_initialized()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_forms_are_bounded():
    model = plain()
    for n in range(1, compiled_call._FORMS + 10):
        model(np.zeros((n, 6), "float32"))
    assert len(model._kf_program.seen) == compiled_call._FORMS
    assert not compiled(model)
