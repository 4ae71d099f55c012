"""The invariants of layers, as assertions to which a new layer can be held."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from kfun import dtypes, ops, random, transforms, tree
from kfun.definition import from_config
from kfun.layer import Layer
from kfun.ops import _kinds
from kfun.ops._kinds import kind_named
from kfun.spec import Spec
from kfun.testing_ops import installed_backends


def sweep_layer(
    layer: Layer,
    *inputs: np.ndarray,
    call_args: dict[str, Any] | None = None,
    training: Sequence[bool] = (False, True),
    backends: Sequence[str] | None = None,
    known_batch: bool = False,
    json_round_trip: bool = True,
    rtol: float = 1e-5,
    atol: float = 1e-5,
) -> None:
    """Checks the layers of the library on small inputs, hundreds of them in a minute: it compiles next to nothing.

    A layer of your own is held to more by `kfun.testing.check_layer`, whose messages say how to mend it.

    - The definition hashes, compares, prints and pickles by value, and comes back from JSON.
    - `init` gives the same for the same key: nested dicts of arrays, params floating.
    - `apply` is pure: repeated calls agree, its arguments stay as they were, and the state keeps
      structure, shapes and dtypes; compiled it gives the same.
    - Under `vmap` over stacked weights, or over stacked inputs, it equals a loop.
    - Gradients with respect to params and floating inputs are finite.
    - `output_spec` tells the shapes and dtypes of the outputs, also where the batch size is not known.
    - Every other backend gives the outputs and the new state that JAX gives.

    Args:
        layer: the layer.
        inputs: NumPy arrays with the batch axis first.
        call_args: further arguments of `apply`; NumPy arrays, also in lists and tuples, become arrays.
        training: the modes in which `apply` is run.
        backends: names of the backends to compare with JAX; by default all that compute eagerly.
        known_batch: whether the layer needs to know the batch size (a stateful recurrence).
        json_round_trip: whether the definition can be written as JSON (it cannot if it holds
            functions that are not registered).
        rtol, atol: tolerances of comparisons.

    Raises:
        AssertionError: naming the layer and the property.

    Example:
        >>> from kfun import layers
        >>> sweep_layer(layers.Dense(3, "tanh"), np.ones((2, 4), "float32"), backends=())
    """
    check = _Check(layer, inputs, call_args or {}, rtol, atol)
    check.definition(json_round_trip)
    check.init()
    for mode in training:
        check.purity(mode)
    with jax.disable_jit():  # loops step by step, which compiles nothing for this layer alone
        for mode in training:
            check.gradient(mode)
        check.vectorized(training[-1])
    check.specs(known_batch)
    check_layer_backends(
        layer, *inputs, call_args=call_args, training=training, backends=backends, rtol=rtol, atol=atol
    )


def check_layer_backends(
    layer: Layer,
    *inputs: np.ndarray,
    call_args: dict[str, Any] | None = None,
    training: Sequence[bool] = (False, True),
    backends: Sequence[str] | None = None,
    rtol: float = 1e-5,
    atol: float = 1e-5,
) -> None:
    """Checks that a layer gives on other backends the outputs and the new state that JAX gives.

    Args:
        layer: the layer.
        inputs: NumPy arrays with the batch axis first.
        call_args: further arguments of `apply`; NumPy arrays, also in lists and tuples, become arrays.
        training: the modes in which `apply` is run.
        backends: names of the backends to compare with JAX; by default all that compute eagerly.
        rtol, atol: tolerances of comparisons.

    Raises:
        AssertionError: naming the layer, the backend and what differs.
    """
    if backends is None:
        backends = [b for b in installed_backends() if "evaluate" not in kind_named(b).transforms]
    check = _Check(layer, inputs, call_args or {}, rtol, atol)
    check.params, check.state = layer.init(check.key, *check.specs_in)
    for mode in training:
        check.backends([name for name in backends if name != "jax"], mode)


class _Check:
    """One layer with its inputs, and the checks on it."""

    def __init__(self, layer: Layer, inputs: tuple, call_args: dict, rtol: float, atol: float):
        self.layer, self.rtol, self.atol = layer, rtol, atol
        self.inputs, self.call_args = _arrays(inputs, "jax"), _arrays(call_args, "jax")
        self.key = random.key(7)
        self.specs_in = [Spec.of(x) for x in inputs]

    def fail(self, prop: str, message: str) -> None:
        raise AssertionError(f"{self.layer!r}: {prop}: {message}")

    def require(self, holds: bool, prop: str, message: str) -> None:
        if not holds:
            self.fail(prop, message)

    def apply(self, params, state, inputs, call_args, training, key):
        """`apply`, with a failure that names the layer."""
        return self.layer.apply(params, state, *inputs, key=key, training=training, **call_args)

    def definition(self, json_round_trip: bool) -> None:
        layer = self.layer
        copies = {"pickle": pickle.loads(pickle.dumps(layer))}
        if json_round_trip:
            copies["JSON round trip"] = from_config(json.loads(json.dumps(layer.to_config())))
        for prop, copy in copies.items():
            self.require(copy == layer, prop, f"the copy {copy!r} is not equal")
            self.require(hash(copy) == hash(layer), prop, "the copy has another hash")
            self.require(repr(copy) == repr(layer), prop, f"the copy prints as {copy!r}")
        self.require(layer.replace(name="another") != layer, "equality", "a layer of another name is equal")

    def init(self) -> None:
        self.params, self.state = self.layer.init(self.key, *self.specs_in)
        again = self.layer.init(self.key, *self.specs_in)
        self.same("init for the same key", again, (self.params, self.state), exact=True)
        for part, name in ((self.params, "params"), (self.state, "state")):
            _walk(part, lambda path, x, name=name: self._weight(name, path, x))
        for path, x in tree.flatten(self.params).items():
            is_float = dtypes.is_float(dtypes.name(x.dtype))
            self.require(is_float, "init", f"params must be floating; {path!r} is {x.dtype}")

    def _weight(self, part: str, path: str, x: Any) -> None:
        self.require(isinstance(x, jax.Array), "init", f"{part} {path!r} is no array but {type(x).__name__}")

    def purity(self, training: bool) -> None:
        mode = _mode(training)
        before = _snapshot((self.params, self.state))
        run = self._runner(training)
        with jax.disable_jit():
            first = run(self.params, self.state, self.inputs)
        self.same_form(f"state after apply {mode}", first[1], self.state)
        compiled = jax.jit(run)(self.params, self.state, self.inputs)
        self.same(f"compiled apply {mode}", compiled, first)
        with jax.disable_jit():
            again = run(self.params, self.state, self.inputs)
        self.same(f"repeated apply {mode}", again, first, exact=True)
        self.same(f"arguments after apply {mode}", (self.params, self.state), before, exact=True)

    def _runner(self, training: bool) -> Callable:
        return lambda params, state, inputs: self.apply(params, state, inputs, self.call_args, training, self.key)

    def gradient(self, training: bool) -> None:
        floating = [i for i, x in enumerate(self.inputs) if dtypes.is_float(dtypes.name(x.dtype))]
        if not floating and not self.params:
            return

        def loss(params, chosen):
            inputs = list(self.inputs)
            for i, x in zip(floating, chosen, strict=True):
                inputs[i] = x
            outputs, _ = self.apply(params, self.state, inputs, self.call_args, training, self.key)
            return _weighted_sum(outputs)

        chosen = [self.inputs[i] for i in floating]
        gradients = transforms.grad(loss, argnums=(0, 1))(self.params, chosen)
        for path, g in tree.flatten(gradients).items():
            self.require(bool(np.all(np.isfinite(g))), f"gradient {_mode(training)}", f"not finite at {path!r}")
        self.same_form("gradient", gradients[0], self.params)

    def vectorized(self, training: bool) -> None:
        other = self.layer.init(random.key(11), *self.specs_in)
        weights = [(self.params, self.state), other]
        run = self._runner(training)
        if jax.tree.leaves(weights):
            looped = _stacked([run(p, s, self.inputs) for p, s in weights])
            mapped = transforms.vmap(run, in_axes=(0, 0, None))(*_stacked(weights), self.inputs)
            self.same("vmap over weights", mapped, looped)
        turned = [ops.flip(x, 0) for x in self.inputs]
        looped = _stacked([run(self.params, self.state, xs) for xs in (self.inputs, turned)])
        inputs = _stacked([list(self.inputs), turned])
        mapped = transforms.vmap(run, in_axes=(None, None, 0))(self.params, self.state, inputs)
        self.same("vmap over inputs", mapped, looped)

    def specs(self, known_batch: bool) -> None:
        if self.call_args:
            return  # output_spec is of a call without further arguments
        outputs, _ = self.apply(self.params, self.state, self.inputs, {}, False, None)
        wanted = [Spec.of(x) for x in jax.tree.leaves(outputs)]
        found = jax.tree.leaves(self.layer.output_spec(*self.specs_in))
        self.require(found == wanted, "output_spec", f"expected {wanted}; received {found}")
        if known_batch or any(s.ndim == 0 for s in self.specs_in):
            return
        unknown = [Spec((None, *s.shape[1:]), s.dtype) for s in self.specs_in]
        found = jax.tree.leaves(self.layer.output_spec(*unknown))
        wanted = [Spec((None, *s.shape[1:]), s.dtype) for s in wanted]
        self.require(found == wanted, "output_spec of an unknown batch", f"expected {wanted}; received {found}")

    def backends(self, names: Sequence[str], training: bool) -> None:
        expected = self._runner(training)(self.params, self.state, self.inputs) if names else None
        for name in names:
            with _kinds.backend(name):
                given = (self.params, self.state, list(self.inputs), self.call_args, self.key)
                params, state, inputs, call_args, key = (_arrays(tree.to_numpy(v), name) for v in given)
                received = self.apply(params, state, inputs, call_args, training, key)
                self.same(f"{name} {_mode(training)}", tree.to_numpy(received), expected)

    def same_form(self, prop: str, received: Any, expected: Any) -> None:
        """Structure, shapes and dtypes agree."""
        ours, theirs = (_form(t) for t in (received, expected))
        self.require(ours == theirs, prop, f"expected {theirs}; received {ours}")

    def same(self, prop: str, received: Any, expected: Any, exact: bool = False) -> None:
        """Structure, shapes, dtypes and values agree."""
        self.same_form(prop, received, expected)
        paths = tree.flatten(expected)
        for (path, wanted), x in zip(paths.items(), jax.tree.leaves(received), strict=True):
            wanted, x = np.asarray(wanted), np.asarray(x)
            rtol, atol = (0, 0) if exact or wanted.dtype.kind in "biu" else (self.rtol, self.atol)
            if not np.allclose(x.astype("float64"), wanted.astype("float64"), rtol, atol, equal_nan=True):
                gap = np.max(np.abs(x.astype("float64") - wanted.astype("float64")))
                self.fail(prop, f"values differ by up to {gap:.3g} at {path!r} (rtol {rtol}, atol {atol})")


def _mode(training: bool) -> str:
    return "in training" if training else "in inference"


def _arrays(values: Any, backend: str) -> Any:
    """NumPy arrays in nested dicts, lists and tuples as arrays of a backend; other values stay."""
    if isinstance(values, dict):
        return {k: _arrays(v, backend) for k, v in values.items()}
    if isinstance(values, (list, tuple)):
        return type(values)(_arrays(v, backend) for v in values)
    return kind_named(backend).convert(values) if isinstance(values, np.ndarray) else values


def _walk(values: Any, visit: Callable, path: str = "") -> None:
    if isinstance(values, dict):
        for name, value in values.items():
            _walk(value, visit, f"{path}/{name}" if path else str(name))
    else:
        visit(path, values)


def _snapshot(values: Any) -> Any:
    return jax.tree.map(np.array, values)


def _stacked(trees: list) -> Any:
    return jax.tree.map(lambda *xs: ops.stack(xs), *trees)


def _form(values: Any) -> dict[str, tuple]:
    return {path: (tuple(x.shape), dtypes.name(x.dtype)) for path, x in tree.flatten(values).items()}


def _weighted_sum(outputs: Any) -> Any:
    """The sum of the floating outputs, each element with a weight of its own, so that none cancel."""
    total: Any = 0.0
    for x in jax.tree.leaves(outputs):
        if dtypes.is_float(dtypes.name(x.dtype)):
            weights = np.random.default_rng(0).normal(size=x.shape).astype("float32")
            total = ops.add(total, ops.sum(ops.multiply(x, weights)))
    return total
