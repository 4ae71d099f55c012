"""The catalogue against real Keras on JAX: same weights, then forward, state updates and gradients."""

from __future__ import annotations

import functools
import itertools

import jax
import numpy as np
import pytest

from kfun import Spec, layers, tree
from kfun.layer import Layer
from kfun.weights import Weight, split
from tests.layers import rows_spatial
from tests.layers.catalogue import ROWS
from tests.layers.rows import Case, of

pytestmark = pytest.mark.filterwarnings("ignore:You passed .rms_scaling:UserWarning")  # Keras's own advice
SEED = 5
KEY = np.array([SEED, 0], np.uint32)  # what Keras's seed generator gives first
CASES = [(name, case) for name, row in ROWS.items() if row.oracle for case in row.cases]


@functools.lru_cache(maxsize=1024)
def weights_of(layer: Layer, *specs: Spec) -> dict:
    return layer.weights(*specs)


def declared(layer: Layer, inputs: list) -> list[tuple[str, Weight]]:
    """The declared weights in order, those in `params` first, as Keras lists them."""
    found: list = []

    def visit(weights, path=()):
        for name, w in weights.items():
            if isinstance(w, Weight):
                found.append(("/".join((*path, name)), w))
            else:
                visit(w, (*path, name))

    visit(weights_of(layer, *map(Spec.of, inputs)))
    return sorted(found, key=lambda item: not item[1].trainable)


def filled(layer: Layer, inputs: list) -> tuple[dict, dict, list[np.ndarray]]:
    """Random params and state, and the same arrays in Keras's order; variances are positive."""
    generator = np.random.default_rng(1)
    values = {}
    for path, w in declared(layer, inputs):
        value = generator.normal(size=w.shape).astype("float32") * 0.5
        values[path] = np.abs(value) + 0.5 if path.endswith(("variance", "stddev")) else value

    def named(weights, path=()):
        return {
            k: values["/".join((*path, k))] if isinstance(v, Weight) else named(v, (*path, k))
            for k, v in weights.items()
        }

    weights = weights_of(layer, *map(Spec.of, inputs))
    params, state = split(named(weights), weights)
    return params, state, [values[path] for path, w in declared(layer, inputs) if "states/" not in path]


class Oracle:
    """Keras's layer with the same weights, as a pure function."""

    def __init__(self, case: Case, call: str, inputs: list, call_args: dict):
        self.layer = case.of.keras(SEED if case.random and "seed" not in case.of.config else None)
        self.call, self.call_args = call, call_args
        self.stateless(inputs, False, build=True)

    def arguments(self, inputs):
        if self.call == "list":
            return (list(inputs),)
        if self.call == "states":
            return inputs[0], list(inputs[1:])
        return tuple(inputs)

    def kwargs(self, training):
        kwargs = dict(self.call_args)
        if isinstance(kwargs.get("initial_state"), tuple):
            kwargs["initial_state"] = list(kwargs["initial_state"])
        if self.layer._call_has_training_arg:
            kwargs["training"] = training
        return kwargs

    def stateless(self, inputs, training, trainable=None, others=None, build=False):
        if build:
            return self.layer(*self.arguments(inputs), **self.kwargs(training))
        return self.layer.stateless_call(trainable, others, *self.arguments(inputs), **self.kwargs(training))

    def weights(self):
        return sorted(self.layer.weights, key=lambda v: not v.trainable)

    def assign(self, values):
        for variable, value in zip(self.weights(), values, strict=True):
            variable.assign(value)
        for variable in self.layer.non_trainable_variables:
            if "seed_generator_state" in variable.path:
                variable.assign(KEY)
        if getattr(self.layer, "stateful", False):
            self.layer.reset_state()


def leaves(outputs):
    return [np.asarray(x) for x in jax.tree.leaves(outputs)]


def assert_close(received, expected, rtol, atol, what):
    assert len(received) == len(expected), what
    for i, (a, b) in enumerate(zip(received, expected, strict=True)):
        assert a.shape == b.shape, f"{what} {i}"
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol, err_msg=f"{what} {i}")


def weighted(outputs):
    """A sum in which no two elements have the same weight."""
    total = 0.0
    for x in jax.tree.leaves(outputs):
        if x.dtype.kind == "f":
            total = total + (x * np.random.default_rng(2).normal(size=x.shape).astype("float32")).sum()
    return total


# Step by step: small operations compile once for all cases, whole layers would for each.
@jax.disable_jit()
def compare(case: Case, oracle: str, modes: tuple, gradients: bool):
    layer = case.of.kfun()
    inputs, call_args = case.drawn()
    theirs = Oracle(case, oracle, inputs, call_args)
    ours = [(path, w) for path, w in declared(layer, inputs) if "states/" not in path]
    assert [(p.split("/")[-1], w.shape) for p, w in ours] == [(v.name, tuple(v.shape)) for v in theirs.weights()]
    params, state, values = filled(layer, inputs)
    state = jax.tree.map(lambda x: x * 0, state) if case.of.config.get("stateful") else state
    theirs.assign(values)
    trainable = [v.value for v in theirs.layer.trainable_variables]
    others = [v.value for v in theirs.layer.non_trainable_variables]
    chosen = [i for i, x in enumerate(inputs) if x.dtype.kind == "f"]

    def merged(xs):
        given = list(inputs)
        for i, x in zip(chosen, xs, strict=True):
            given[i] = x
        return given

    def our_call(params, xs, training):
        return layer.apply(params, state, *merged(xs), key=KEY, training=training, **call_args)

    def their_call(trainable, xs, training):
        return theirs.stateless(merged(xs), training, trainable, others)

    floats = [jax.numpy.asarray(inputs[i]) for i in chosen]
    gradients = gradients and bool(chosen or trainable)
    received = run(our_call, params, floats, modes, gradients)
    expected = run(their_call, trainable, floats, modes, gradients)
    for training, (y, new, g, gx), (wanted, updates, k, kx) in zip(modes, received, expected, strict=True):
        assert_close(leaves(y), leaves(wanted), 1e-5, 1e-5, f"outputs, training={training}")
        assert_close(*states(theirs, layer, inputs, new, updates), 1e-5, 1e-6, f"state, training={training}")
        if gradients:
            flat = tree.flatten(g)
            ordered = [np.asarray(flat[path]) for path, w in declared(layer, inputs) if w.trainable]
            assert_close(ordered, leaves(k), 1e-4, 1e-5, f"gradient of weights, training={training}")
            assert_close(leaves(gx), leaves(kx), 1e-4, 1e-5, f"gradient of inputs, training={training}")


def run(call, weights, floats, modes, gradients):
    """For each mode the outputs, the new state and the gradients."""

    def one(weights, xs, training):
        def loss(weights, xs):
            y, state = call(weights, xs, training)
            return weighted(y), (y, state)

        if not gradients:
            return (*loss(weights, xs)[1], None, None)
        (_, out), g = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(weights, xs)
        return (*out, *g)

    return [one(weights, floats, training) for training in modes]


def states(theirs, layer, inputs, new, updates):
    """Our new state and Keras's, in its order."""
    flat = tree.flatten(new)
    names = [path for path, w in declared(layer, inputs) if not w.trainable and "states/" not in path]
    kept = [
        np.asarray(u)
        for v, u in zip(theirs.layer.non_trainable_variables, updates, strict=True)
        if "seed_generator_state" not in v.path
    ]
    return [np.asarray(flat[path]) for path in names], kept


# Each new shape costs a compilation: of the spatial layers the further cases are for the slow sweep.
SPATIAL = {row.name for row in rows_spatial.ROWS}
FIRST = [(name, row.cases[0]) for name, row in ROWS.items() if row.oracle]
REST = [(name, case) for name, case in CASES if case is not ROWS[name].cases[0]]
QUICK = [(name, case) for name, case in REST if name not in SPATIAL]


@pytest.mark.parametrize(("name", "case"), FIRST, ids=[case.id for _, case in FIRST])
def test_same_as_keras(name, case):
    compare(case, ROWS[name].oracle, case.modes(), gradients=True)


@pytest.mark.parametrize(("name", "case"), QUICK, ids=[case.id for _, case in QUICK])
def test_options_forward(name, case):
    compare(case, ROWS[name].oracle, case.modes(), gradients=False)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "case"), REST, ids=[case.id for _, case in REST])
def test_options_with_gradients(name, case):
    compare(case, ROWS[name].oracle, case.modes(), gradients=True)


def combinations():
    for name, row in ROWS.items():
        if row.oracle and row.options:
            for values in itertools.product(*row.options.values()):
                case = row.cases[0]
                changed = dict(zip(row.options, values, strict=True))
                drawing = any(changed.get(k) for k in ("dropout", "recurrent_dropout"))
                yield name, Case(case.of.but(**changed), case.inputs, case.call, case.random or drawing)


SLOW = list(combinations())


@pytest.mark.slow
@pytest.mark.parametrize(("name", "case"), SLOW, ids=[case.id for _, case in SLOW])
def test_every_combination(name, case):
    inputs, call_args = case.drawn()
    try:
        Oracle(case, ROWS[name].oracle, inputs, call_args)
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011 - each message has tests of its own
            case.of.kfun().init(KEY, *map(Spec.of, inputs))
        return
    compare(case, ROWS[name].oracle, (True,), gradients=True)


@pytest.mark.parametrize("name", ["SimpleRNN", "LSTM", "GRU"])
def test_a_stateful_layer_goes_on_where_it_ended(name):
    case = Case(of(name, units=4, stateful=True, return_state=True), ((2, 5, 3),))
    layer, (inputs, _) = case.of.kfun(), case.drawn()
    theirs = Oracle(case, "inputs", inputs, {})
    params, state, values = filled(layer, inputs)
    state = jax.tree.map(np.zeros_like, state)
    theirs.assign(values)
    for _ in range(2):
        y, state = layer.apply(params, state, *inputs)
        assert_close(leaves(y), leaves(theirs.layer(*inputs)), 1e-5, 1e-5, "outputs")
        assert_close(leaves(state["states"]), leaves([v.value for v in theirs.layer.states]), 1e-5, 1e-5, "states")


MERGES = ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Dot"]


@pytest.mark.parametrize("name", MERGES)
def test_masks_of_merged_inputs(name):
    case = ROWS[name].cases[0]
    layer, theirs, (inputs, _) = case.of.kfun(), case.of.keras(), case.drawn()
    generator = np.random.default_rng(3)
    masks = [np.asarray(generator.integers(0, 2, size=x.shape[:2]), "bool") for x in inputs]
    for given in (masks, [masks[0], None], [None, None]):
        passed, expected = layer.compute_mask(*inputs, mask=given), theirs.compute_mask(inputs, given)
        assert (passed is None) == (expected is None)
        if passed is not None:
            np.testing.assert_array_equal(passed, expected)


@pytest.mark.parametrize("name", ["Maximum", "Minimum"])
def test_extremes_where_inputs_are_masked(name):
    from keras.src.backend import set_keras_mask

    case = Case(of(name), ((2, 3, 4), (2, 3, 4), (2, 3, 4)))
    inputs, _ = case.drawn()
    generator = np.random.default_rng(3)
    masks = [np.asarray(generator.integers(0, 2, size=(2, 3)), "bool") for _ in inputs]
    for given in (masks, [masks[0], None, masks[2]], [None, masks[1], None]):
        arrays = [jax.numpy.asarray(x) for x in inputs]
        for x, mask in zip(arrays, given, strict=True):
            if mask is not None:
                set_keras_mask(x, jax.numpy.asarray(mask))
        expected = case.of.keras()(arrays)
        received, _ = case.of.kfun().apply({}, {}, *inputs, mask=given)
        np.testing.assert_allclose(received, expected, rtol=1e-6)


MASKED = [name for name, row in ROWS.items() if row.oracle == "inputs" and hasattr(layers, name)]


@pytest.mark.parametrize("name", MASKED)
def test_masks_stop_where_keras_stops_them(name):
    case = ROWS[name].cases[0]
    if len(case.inputs) != 1 or name in ("Embedding", "Masking"):
        return
    layer, theirs = case.of.kfun(), case.of.keras()
    inputs, _ = case.drawn()
    mask = np.ones(inputs[0].shape[:2], bool)
    passed = layer.compute_mask(*inputs, mask=mask)
    if not theirs.supports_masking:
        assert passed is None
    else:
        expected = theirs.compute_mask(inputs[0], mask)
        assert (passed is None) == (expected is None)
