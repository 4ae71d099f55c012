"""`kfun.testing.check_layer`: what a layer promises, as assertions that say how to mend it."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import jax
import numpy as np

from kfun import dtypes, ops, random, transforms, tree
from kfun.definition import from_config
from kfun.layer import Layer
from kfun.precision import Policy
from kfun.spec import Spec
from kfun.testing_layers import _mode, _stacked, _weighted_sum

_BATCH = 3  # of what is drawn for a spec whose batch size is not known
_SIZES = (1, 2, 5)  # batch sizes that `output_spec` is held to
_DRAWS = {"random_bits", "threefry2x32", "rng_bit_generator", "random_gamma"}  # what JAX draws numbers with


def check_layer(
    layer: Layer,
    *inputs: Any,
    call_args: dict[str, Any] | None = None,
    training: Sequence[bool] = (False, True),
    batched: bool = True,
    without_gradient: str | None = None,
    as_json: bool = True,
    low_precision: bool = True,
    rtol: float = 1e-4,
    atol: float = 1e-5,
) -> None:
    """Holds a layer of your own to what `Layer` promises, in the order in which failures explain each other.

    - The definition: a pickled copy, and one from its JSON, are equal to it and have its hash; another is not equal.
    - `init`: nested dicts of arrays, params floating; the same key gives the same, traced it gives the same form.
    - `apply`: the state keeps structure, shapes and dtypes from `init` on through the steps; arguments stay as they
      were; the same key gives the same outputs; eager, compiled and under `vmap` they agree; no tracer outlives it.
    - Randomness: where it draws in training, another key gives other numbers; in inference none are drawn, and
      no key is needed.
    - Gradients: finite, and not zero for any of the params.
    - `output_spec`: right for batches of several sizes, and None where the size is not known.
    - Precision: a policy that computes in bfloat16 gives bfloat16 outputs, and leaves params, their gradients and
      the state in their own types.

    Args:
        layer: the layer.
        inputs: a `Spec` or an array for each input; for specs numbers are drawn, normal ones or integers 0 and 1.
        call_args: further arguments of `apply`, such as a mask.
        training: the modes that it is run in.
        batched: whether the first axis of the inputs is a batch axis, of any size.
        without_gradient: a pattern; params whose path it is found in need no gradient.
        as_json: whether the definition can be written as JSON (not if it holds functions that have no registered name).
        low_precision: whether to check the bfloat16 policy.
        rtol, atol: tolerances between eager, compiled and vectorized outputs.

    Raises:
        AssertionError: with the layer, what was expected, what was found, and how to mend it.

    Example:
        >>> from kfun import Spec, layers
        >>> check_layer(layers.Dense(3, "tanh"), Spec((None, 4)))
    """
    contract = _Contract(layer, inputs, call_args or {}, rtol, atol)
    contract.definition(as_json)
    contract.init()
    for mode in training:
        contract.steps(mode)
        contract.purity(mode)
        contract.compiled(mode)
        contract.vectorized(mode)
        contract.leaks(mode)
    contract.randomness(training)
    contract.gradients(training, without_gradient)
    if batched and not call_args:
        contract.specs()
    if low_precision:
        contract.precision(training)


class _Contract:
    """One layer with its inputs, and the checks on it."""

    def __init__(self, layer: Layer, inputs: tuple, call_args: dict, rtol: float, atol: float):
        if not isinstance(layer, Layer):
            raise TypeError(f"check_layer: expected a layer and its inputs; received {layer!r:.80}")
        generator = np.random.default_rng(0)
        self.layer, self.call_args, self.rtol, self.atol = layer, call_args, rtol, atol
        self.inputs = [_drawn(x, generator) for x in inputs]
        self.given = [Spec.of(x) for x in inputs]
        self.keys = random.key(7), random.key(8)
        self.params: Any = {}
        self.state: Any = {}

    def fail(self, prop: str, found: str, mend: str) -> NoReturn:
        raise AssertionError(f"{self.layer!r}: {prop}: {found}. Mend: {mend}")

    def run(self, prop: str, mend: str, function: Callable, *args: Any) -> Any:
        """The function's result; an error of the layer becomes a failure."""
        try:
            return function(*args)
        except Exception as error:
            first = (str(error).splitlines() or [""])[0]
            message = f"{self.layer!r}: {prop}: raised {type(error).__name__}: {first:.300}. Mend: {mend}"
            raise AssertionError(message) from error

    def apply(self, training: bool, key: Any = None, layer: Layer | None = None) -> Callable:
        """`apply` as a function of params, state and inputs."""
        layer = layer or self.layer

        def run(params, state, *inputs):
            return layer.apply(params, state, *inputs, key=key, training=training, **self.call_args)

        return run

    def definition(self, as_json: bool) -> None:
        layer = self.layer
        mend = "keep all configuration in annotated fields, and derive the rest from them"
        copies = {"pickling": self.run("pickling", mend, lambda: pickle.loads(pickle.dumps(layer)))}
        if as_json:
            mend_json = (
                "name functions by kfun.register_function, and keep fields to JSON's types (or pass as_json=False)"
            )
            copies["JSON"] = self.run("JSON", mend_json, lambda: from_config(json.loads(json.dumps(layer.to_config()))))
        for prop, copy in copies.items():
            if copy != layer:
                self.fail(prop, f"expected an equal copy; received {copy!r}", mend)
            if hash(copy) != hash(layer):
                self.fail(prop, "expected the copy to have the same hash", "leave __hash__ to Definition")
        if layer.replace(name="another") == layer:
            self.fail("equality", "a layer of another name is equal to it", "leave __eq__ to Definition")

    def init(self) -> None:
        prop, mend = "init", "declare weights by `weights`, or return (params, state), nested dicts of arrays"
        made = self.run(prop, mend, self.layer.init, self.keys[0], *self.given)
        if not (isinstance(made, tuple) and len(made) == 2 and all(isinstance(part, dict) for part in made)):
            self.fail(prop, f"expected a pair of dicts; received {made!r:.120}", mend)
        for path, x in tree.flatten(made).items():
            if not isinstance(x, jax.Array):
                self.fail(prop, f"expected arrays; received {type(x).__name__} at {path!r}", mend)
        self.params, self.state = made
        for path, x in tree.flatten(self.params).items():
            if not dtypes.is_float(dtypes.name(x.dtype)):
                move = "keep it in the state: Weight(..., trainable=False)"
                self.fail(prop, f"expected params to be floating; received {x.dtype} at {path!r}", move)
        again = self.layer.init(self.keys[0], *self.given)
        mend = "draw all numbers from the key that init is given"
        self.same("init with the same key", again, made, mend, exact=True)
        traced = jax.eval_shape(lambda key: self.layer.init(key, *self.given), self.keys[0])
        self.same_form("init while traced", traced, made, mend)

    def steps(self, training: bool) -> None:
        prop = f"the state {_mode(training)}"
        mend = "return every entry of the state that init made, cast to the type that it had"
        run, state = self.apply(training, self.keys[0]), self.state
        for _ in range(2):
            result = self.run(f"apply {_mode(training)}", "see the error", run, self.params, state, *self.inputs)
            if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict)):
                self.fail(prop, f"expected (outputs, state); received {type(result).__name__}", "return outputs, state")
            state = result[1]
            self.same_form(prop, state, self.state, mend)

    def purity(self, training: bool) -> None:
        before = jax.tree.map(np.array, (self.params, self.state))
        run = self.apply(training, self.keys[0])
        first = run(self.params, self.state, *self.inputs)
        mend = "do not write into params or state: make a new dict, {**state, name: value}"
        self.same(f"arguments after apply {_mode(training)}", (self.params, self.state), before, mend, exact=True)
        again = run(self.params, self.state, *self.inputs)
        mend = "let apply depend on its arguments alone: no counters, no generators outside of it"
        self.same(f"outputs for the same key {_mode(training)}", again, first, mend, exact=True)

    def compiled(self, training: bool) -> None:
        prop = f"compiled apply {_mode(training)}"
        mend = "write it on kfun.ops (where, cond, scan in place of if and for on values), without NumPy on arrays"
        run = self.apply(training, self.keys[0])
        received = self.run(prop, mend, jax.jit(run), self.params, self.state, *self.inputs)
        self.same(prop, received, run(self.params, self.state, *self.inputs), mend)

    def vectorized(self, training: bool) -> None:
        prop, mend = f"apply under vmap {_mode(training)}", "use ops that know axes, and sizes of the inputs' shapes"
        run = self.apply(training, self.keys[0])
        other = [ops.flip(x, 0) if x.ndim else x for x in self.inputs]
        looped = _stacked([run(self.params, self.state, *xs) for xs in (self.inputs, other)])
        axes = (None, None, *(0 for _ in self.inputs))
        stacked = _stacked([self.inputs, other])
        received = self.run(prop, mend, jax.jit(transforms.vmap(run, in_axes=axes)), self.params, self.state, *stacked)
        self.same(prop, received, looped, mend)

    def leaks(self, training: bool) -> None:
        prop, mend = f"tracers {_mode(training)}", "keep no array of a call anywhere but in what apply returns"
        key = self.keys[0]

        def traced(params, state, *inputs):  # new each time, so that nothing comes from a cache
            return self.apply(training, key)(params, state, *inputs)

        with jax.checking_leaks():
            self.run(prop, mend, jax.jit(traced), self.params, self.state, *self.inputs)
        self.run(prop, mend, lambda: jax.tree.map(np.asarray, traced(self.params, self.state, *self.inputs)))

    def randomness(self, training: Sequence[bool]) -> None:
        if False in training:
            prop, mend = "inference", "draw numbers only where `training` is True"
            first, second, none = (
                self.run(prop, "need no key where `training` is False", run, self.params, self.state, *self.inputs)
                for run in (self.apply(False, key) for key in (*self.keys, None))
            )
            for other in (second, none):
                self.same("outputs in inference for another key, and for none", other, first, mend, exact=True)
            if self._draws(False):
                self.fail(prop, "random numbers are drawn", mend)
        if True in training and self._draws(True):
            first, second = (self.apply(True, key)(self.params, self.state, *self.inputs) for key in self.keys)
            if all(map(np.array_equal, jax.tree.leaves(first), jax.tree.leaves(second))):
                mend = "draw from the key that apply is given (f.key() in a Block), not from one of its own"
                self.fail("training", "random numbers are drawn, and they are the same for two keys", mend)

    def _draws(self, training: bool) -> bool:
        jaxpr = jax.make_jaxpr(lambda key, *args: self.apply(training, key)(*args))
        return _draws(jaxpr(self.keys[0], self.params, self.state, *self.inputs).jaxpr)

    def gradients(self, training: Sequence[bool], without: str | None) -> None:
        generator = np.random.default_rng(1)

        def moved(x):  # away from where gradients vanish by chance, as zeros in a product
            return ops.add(x, ops.cast(generator.normal(0, 0.1, x.shape), x.dtype))

        waiting = {path for path in tree.flatten(self.params) if not (without and re.search(without, path))}
        for mode in training:
            gradient = jax.jit(self._gradient(mode))
            found = self.run("the gradient", "write it on kfun.ops", gradient, self.params)
            for path, g in tree.flatten(found).items():
                if not np.all(np.isfinite(np.asarray(g, "float32"))):
                    mend = "guard divisions, roots and logarithms inside of ops.where, before they are taken"
                    self.fail(f"the gradient {_mode(mode)}", f"expected finite numbers at {path!r}", mend)
            generic = gradient(jax.tree.map(moved, self.params))
            waiting -= {path for path, g in tree.flatten(generic).items() if np.any(np.asarray(g, "float32") != 0)}
        if waiting:
            mend = "use them in apply, without stop_gradient or a rounding; keep what is not trained in the state"
            self.fail("the gradient", f"expected one for all params; {sorted(waiting)} change no output", mend)

    def _gradient(self, training: bool, layer: Layer | None = None) -> Callable:
        def loss(params):
            return _weighted_sum(self.apply(training, self.keys[0], layer)(params, self.state, *self.inputs)[0])

        return transforms.grad(loss)

    def specs(self) -> None:
        prop, mend = "output_spec", "leave it to Layer, or give the shape and dtype that apply gives"
        if not all(x.ndim for x in self.inputs):
            return
        wanted: Any = ()
        for size in _SIZES:
            inputs = [ops.take(x, np.arange(size) % x.shape[0], 0) for x in self.inputs]
            label = f"{prop} for a batch of {size}"
            outputs = self.run(label, mend, jax.eval_shape, self.apply(False), self.params, self.state, *inputs)[0]
            wanted = jax.tree.map(Spec.of, outputs)
            found = self.run(label, mend, self.layer.output_spec, *map(Spec.of, inputs))
            self._same_specs(label, found, wanted, mend)
        open_ = [Spec((None, *x.shape[1:]), x.dtype) for x in self.inputs]
        found = self.run(f"{prop} of an unknown batch", mend, self.layer.output_spec, *open_)
        wanted = jax.tree.map(lambda s: Spec((None, *s.shape[1:]), s.dtype), wanted, is_leaf=_is_spec)
        self._same_specs(f"{prop} of an unknown batch", found, wanted, mend)

    def _same_specs(self, prop: str, found: Any, wanted: Any, mend: str) -> None:
        leaves = [jax.tree.leaves(specs, is_leaf=_is_spec) for specs in (found, wanted)]
        if leaves[0] != leaves[1]:
            self.fail(prop, f"expected {wanted}; received {found}", mend)

    def precision(self, training: Sequence[bool]) -> None:
        half = self.layer.replace(policy=Policy(compute="bfloat16"))
        prop = "a policy that computes in bfloat16"
        mend = "begin apply with `params, inputs = self.to_compute(params, inputs)`, end it with "
        mend += "`self.to_output(outputs)`, and cast no constants to float32"
        made = self.run(prop, mend, jax.eval_shape, lambda key: half.init(key, *self.given), self.keys[0])
        self.same_form(
            f"{prop}: weights", made, (self.params, self.state), "store weights in the policy's `params` type"
        )
        wide = any(dtypes.is_float(dtypes.name(x.dtype)) for x in jax.tree.leaves((self.inputs, self.params)))
        for mode in training:
            run = self.apply(mode, self.keys[0], half)
            outputs, state = self.run(prop, mend, jax.eval_shape, run, *made, *self.inputs)
            self.same_form(f"{prop}: the state", state, self.state, "cast new state to the type that it had")
            types = {dtypes.name(x.dtype) for x in jax.tree.leaves(outputs)}
            if wide and any(dtypes.is_float(t) and t != "bfloat16" for t in types):
                self.fail(f"{prop}: outputs", f"expected bfloat16; received {', '.join(sorted(types))}", mend)
            gradient = self.run(prop, mend, jax.eval_shape, self._gradient(mode, half), made[0])
            self.same_form(f"{prop}: gradients", gradient, self.params, mend)

    def same_form(self, prop: str, received: Any, expected: Any, mend: str) -> None:
        """Structure, shapes and dtypes agree."""
        ours, theirs = (_form(t) for t in (received, expected))
        if ours != theirs:
            paths = [p for p in (*theirs, *ours) if ours.get(p) != theirs.get(p)]
            path = paths[0]
            shown = [f.get(path, "nothing") for f in (theirs, ours)]
            self.fail(prop, f"expected {shown[0]} at {path!r}; received {shown[1]}", mend)

    def same(self, prop: str, received: Any, expected: Any, mend: str, exact: bool = False) -> None:
        """Structure, shapes, dtypes and values agree."""
        self.same_form(prop, received, expected, mend)
        for (path, x), wanted in zip(tree.flatten(received).items(), jax.tree.leaves(expected), strict=True):
            x, wanted = (np.asarray(v) for v in (x, wanted))
            loose = not exact and dtypes.is_float(dtypes.name(x.dtype))
            x, wanted = (v.astype("float64") if v.dtype.kind not in "c" else v for v in (x, wanted))
            rtol, atol = (self.rtol, self.atol) if loose else (0, 0)
            if not np.allclose(x, wanted, rtol, atol, equal_nan=True):
                gap = np.nanmax(np.abs(x - wanted))
                self.fail(prop, f"expected the same numbers at {path!r}; received such that differ by {gap:.3g}", mend)


def _drawn(x: Any, generator: np.random.Generator) -> Any:
    if not isinstance(x, Spec):
        return ops.convert_to_tensor(x)
    shape = tuple(_BATCH if size is None else size for size in x.shape)
    numbers = generator.normal(size=shape) if dtypes.is_float(x.dtype) else generator.integers(0, 2, shape)
    return ops.cast(ops.convert_to_tensor(numbers.astype("float32")), x.dtype)


def _is_spec(x: Any) -> bool:
    return isinstance(x, Spec)


def _form(values: Any) -> dict[str, tuple]:
    return {path: (tuple(np.shape(x)), _dtype(x)) for path, x in tree.flatten(values).items()}


def _dtype(x: Any) -> str:
    return dtypes.name(x.dtype) if hasattr(x, "dtype") else type(x).__name__


def _draws(jaxpr: Any) -> bool:
    """Whether a program draws random numbers, in the programs inside of it too."""
    for equation in jaxpr.eqns:
        if equation.primitive.name in _DRAWS:
            return True
        for value in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda v: hasattr(v, "eqns")):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns") and _draws(inner):
                return True
    return False
