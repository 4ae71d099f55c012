"""Scopes, rematerialization, devices, dtype policies by path, and trees, against real Keras."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"

import collections
import functools
import json

import jax
import keras
import numpy as np
import pytest

import compat

X = np.ones((4, 3), "float32")


def _rematerialized(layer):
    """Whether the gradient of a layer computes something again."""
    layer(X)
    values = [v.value for v in layer.trainable_variables]
    others = [v.value for v in layer.non_trainable_variables]

    def loss(values):
        return layer.stateless_call(values, others, X, training=True)[0].sum()

    return "remat" in str(jax.make_jaxpr(jax.grad(loss))(values))


def test_remat_scope():
    layers = compat.layers
    with compat.RematScope("full"):
        full = layers.Dense(3)
        with compat.RematScope(None):
            off = layers.Dense(3)
    with compat.RematScope("larger_than", output_size_threshold=13):
        small, large = layers.Dense(3), layers.Dense(4)
    with compat.RematScope("list_of_layers", layer_names=["named"]):
        named, other = layers.Dense(3, name="named"), layers.Dense(3, name="other")
    with compat.RematScope("activations"):
        activated = layers.Dense(3, "relu")
    after = layers.Dense(3)
    made = (full, off, small, large, named, other, activated, after)
    assert [_rematerialized(layer) for layer in made] == [True, False, False, True, True, False, True, False]
    assert activated.get_config()["activation"] == "relu"
    with pytest.raises(ValueError, match="unknown mode 'most'"):
        compat.RematScope("most")


def test_remat_changes_no_number():
    """State, losses and random masks inside a rematerialized model go on as outside."""
    histories, states = [], []
    for mode in (None, "full", "activations"):
        compat.utils.set_random_seed(0)
        with compat.RematScope(mode):
            model = compat.Sequential(
                [
                    compat.Input((3,)),
                    compat.layers.Dense(4, "relu", activity_regularizer="l2"),
                    compat.layers.BatchNormalization(),
                    compat.layers.Dropout(0.5, seed=1),
                    compat.layers.Dense(1),
                ]
            )
        model.compile("sgd", "mse")
        x = np.random.default_rng(0).normal(size=(8, 3))
        histories.append(model.fit(x, np.ones((8, 1)), epochs=3, verbose=0, shuffle=False).history["loss"])
        states.append(model.get_weights())
    for history, state in zip(histories[1:], states[1:], strict=True):
        np.testing.assert_allclose(history, histories[0], rtol=1e-5)
        for a, b in zip(state, states[0], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_remat_of_a_function():
    f = compat.remat(lambda a, b=2.0: compat.ops.sin(a) * b)
    np.testing.assert_allclose(f(3.0, b=4.0), np.sin(3.0) * 4, rtol=1e-6)
    assert "remat" in str(jax.make_jaxpr(jax.grad(f))(3.0))


def _stateless(api):
    variable = api.Variable(np.ones(3, "float32"))
    found = []
    with api.StatelessScope([(variable, np.zeros(3, "float32"))]) as scope:
        found.append(np.asarray(variable.value))
        variable.assign(np.full(3, 5.0))
        found += [np.asarray(variable.value), np.asarray(scope.get_current_value(variable))]
        scope.add_update((variable, np.full(3, 7.0)))
        found.append(np.asarray(variable.value))
    found.append(np.asarray(variable.value))
    with api.StatelessScope() as scope:
        found.append(scope.get_current_value(variable) is None)
    api.utils.set_random_seed(0)
    for collect in (True, False):
        with api.StatelessScope(collect_losses=collect) as scope:
            api.layers.Dense(3, activity_regularizer="l2")(X)
        found.append([float(loss) for loss in scope.losses])
    return found


def test_stateless_scope():
    for a, b in zip(_stateless(compat), _stateless(keras), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)
    variable = compat.Variable(np.ones(3))
    with pytest.raises(ValueError, match=r"has shape \(3,\); received a value of shape \(2,\)"):
        compat.StatelessScope([(variable, np.ones(2))])
    with pytest.raises(ValueError, match="Received instead: 3"):
        compat.StatelessScope([(3, 4)])


def test_symbolic_scope():
    variable = compat.Variable("ones", shape=(2,))
    with compat.SymbolicScope():
        np.testing.assert_array_equal(variable.value, [0, 0])
        variable.assign([5, 5])
    np.testing.assert_array_equal(variable.numpy(), [1, 1])


def _named(api):
    def path():
        return api.Variable(np.ones(2), name="k").path

    found = []
    with api.name_scope("foo"):
        found.append(path())
        with api.name_scope("x", override_parent="p/q"):
            found.append(path())
        with api.name_scope("x", override_parent=""):
            found.append(path())
        caller = object()
        with api.name_scope("y", caller=caller):
            for arguments in ({"caller": caller}, {"caller": caller, "deduplicate": False}, {}):
                with api.name_scope("y", **arguments):
                    found.append(path())

    class Outer(api.layers.Layer):
        def build(self, shape):
            with api.name_scope("inner"):
                self.w = self.add_weight((2,), name="w")
                self.dense = api.layers.Dense(2, name="dense")
                self.dense.build((None, 3))

        def call(self, x):
            return x

    with api.name_scope("around"):
        layer = Outer(name="outer")
        layer(X)
    return found + [v.path for v in layer.variables]


def test_name_scope():
    assert _named(compat) == _named(keras)
    for name in ("a/b", 3):
        with pytest.raises(ValueError, match="a text without `/`"):
            compat.name_scope(name)


def test_device():
    for name in ("cpu:0", "cpu", jax.devices("cpu")[0]):
        with compat.device(name):
            assert next(iter(compat.ops.ones(2).devices())).platform == "cpu"
    with pytest.raises(ValueError, match=r"no 'cpu:5'; known: .*cpu:0"):
        compat.device("cpu:5")
    with pytest.raises(ValueError, match="a name like 'gpu:0'"):
        compat.device(3)


def test_dtype_policy_map(tmp_path):
    policies = compat.dtype_policies
    half = policies.DTypePolicy("mixed_bfloat16")
    by_path = policies.DTypePolicyMap(policy_map={"encoder/.*": policies.DTypePolicy("float16"), "head": half})
    assert by_path["encoder/dense"].name == "float16"
    assert by_path["decoder"].name == "float32"
    assert (by_path.name, by_path.compute_dtype, len(by_path), "head" in by_path) == ("map_float32", "float32", 2, True)
    layer = compat.layers.Dense(3, dtype=by_path, name="head")
    assert layer(X).dtype == "bfloat16"
    assert layer.variable_dtype == "float32"
    again = compat.layers.Dense.from_config(json.loads(json.dumps(layer.get_config())))
    assert again.dtype_policy == by_path
    assert again.compute_dtype == "bfloat16"
    theirs = keras.layers.Dense.from_config(layer.get_config())
    theirs.build((None, 3))
    assert theirs.compute_dtype == "bfloat16"
    by_path["encoder/d.*"] = "float32"
    with pytest.raises(ValueError, match="several keys"):
        _ = by_path["encoder/dense"]
    with pytest.raises(ValueError, match="has 'head' already"):
        by_path["head"] = half
    with pytest.raises(TypeError, match="expected a dict"):
        policies.DTypePolicyMap(policy_map=[1])
    assert isinstance(policies.get({"class_name": "DTypePolicyMap", "config": by_path.get_config()}), type(by_path))


Point = collections.namedtuple("Point", ["x", "y"])
NESTED = [
    {"b": [1, {"c": None}], "a": Point(2, 3)}, collections.OrderedDict([("b", 1), ("a", 2)]), (1, [2, ()]), 5, None,
    collections.deque([1, 2]), {"b": 1, "a": {"z": 2}},
]  # fmt: skip
FUNCTIONS = {
    "flatten": lambda t, x: t.flatten(x),
    "flatten_with_path": lambda t, x: t.flatten_with_path(x),
    "is_nested": lambda t, x: t.is_nested(x),
    "map_structure": lambda t, x: t.map_structure(lambda v: ("got", v), x),
    "map_structure of two": lambda t, x: t.map_structure(lambda v, w: (v, w), x, x),
    "map_structure past None": lambda t, x: t.map_structure(lambda v: v * 2, x, none_is_leaf=False),
    "map_shape_structure": lambda t, x: t.map_shape_structure(lambda s: ("shape", s), x),
    "pack_sequence_as": lambda t, x: t.pack_sequence_as(x, list(range(len(t.flatten(x))))),
    "lists_to_tuples": lambda t, x: t.lists_to_tuples(x),
    "traverse": lambda t, x: t.traverse(lambda v: t.MAP_TO_NONE if v == 1 else None, x),
    "traverse up": lambda t, x: t.traverse(lambda v: v + 1 if isinstance(v, int) else None, x, top_down=False),
}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("nested", NESTED, ids=repr)
def test_tree(function, nested):
    ours, theirs = (functools.partial(FUNCTIONS[function], api.tree) for api in (compat, keras))
    assert ours(nested) == theirs(nested)
    assert type(ours(nested)) is type(theirs(nested))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        (name, (a, b))
        for name in ("assert_same_structure", "assert_same_paths")
        for a, b in [
            ([1], (1,)), ({"a": 1}, {"b": 1}), ([1], [1, 2]), (Point(1, 2), [1, 2]), ([None], [1]), ([[]], [1]),
            ({"a": 1}, collections.OrderedDict(a=1)), (Point(1, 2), Point(3, 4)), ([1], [[1]]), (1, 2),
        ]
    ]
    + [
        ("map_structure", (3, [1])), ("map_structure", (lambda: 0,)), ("map_structure", (max, [1], (2,))),
        ("map_structure_up_to", ([1], repr, [1, 2])), ("map_structure_up_to", ({"a": 1}, repr, {"b": 1})),
        ("map_structure_up_to", ([1, [2]], lambda a, b: (a, b), [1, [2]], [{"a": 1}, ["x"]])),
        ("pack_sequence_as", ([1], [3, 4])), ("pack_sequence_as", ([1, 2], 3)), ("traverse", (3, [1])),
    ],
)  # fmt: skip
def test_tree_refuses_as_keras_does(name, arguments):
    try:
        expected = getattr(keras.tree, name)(*arguments)
    except (TypeError, ValueError) as error:
        with pytest.raises(type(error)):
            getattr(compat.tree, name)(*arguments)
    else:
        assert getattr(compat.tree, name)(*arguments) == expected
