"""TensorFlow SavedModels as layers: natively on TensorFlow tensors, through the host on JAX arrays."""

from __future__ import annotations

import functools
import pathlib
import threading
from typing import Any

import jax
import numpy as np

from kfun.bridges._callback import through_jax
from kfun.bridges._leaves import check_paths, given, require, same_draws
from kfun.errors import nearest
from kfun.layer import Layer
from kfun.ops._kinds import kind_of
from kfun.spec import Spec

_LOCK = threading.Lock()  # the model's variables are set for a call


class FromSavedModel(Layer):
    """An endpoint of a TensorFlow SavedModel as a layer, made by `from_saved_model`.

    Args:
        filepath: the folder of the SavedModel.
        call_endpoint: the function that is called.
        call_training_endpoint: the one that is called while training; by default the same.
    """

    loadable = "loading a SavedModel runs its code"

    filepath: str
    call_endpoint: str = "serve"
    call_training_endpoint: str | None = None

    def check(self):
        for endpoint in (self.call_endpoint, self.call_training_endpoint):
            if endpoint is not None:
                _endpoint(self.filepath, endpoint)

    def weights(self, *inputs: Spec) -> dict:
        _, variables, first = _load(self.filepath)
        refusal = same_draws("from_saved_model", "build the model of layers that draw")
        return {name: given(first[name], v.trainable, refusal) for name, v in variables.items()}

    def _function(self, training: bool) -> Any:
        chosen = self.call_training_endpoint if training and self.call_training_endpoint else self.call_endpoint
        return _endpoint(self.filepath, chosen)

    def apply(self, params, state, *inputs, key=None, training=False):
        """Calls the endpoint with the values of params and state in the model's variables.

        On TensorFlow tensors params and state are taken as numbers: gradients flow to the inputs alone.
        What the model draws follows TensorFlow's own random numbers.
        """
        variables = _load(self.filepath)[1]
        trained = {(name,) for name, v in variables.items() if v.trainable}
        check_paths(self, params, state, (trained, {(name,) for name in variables} - trained))
        kind = kind_of((params, state, inputs))
        name = "numpy" if kind is None else kind.name
        if name == "jax":
            return through_jax(self, params, state, inputs, key, training)
        if name == "numpy":
            return self.forward(params, state, inputs, None, training)
        if name == "tensorflow":
            with _LOCK:
                self._set({**params, **state})
                outputs = self._function(training)(*inputs)
                return outputs, self._values(state)
        raise TypeError(f"{self}: a SavedModel runs on TensorFlow tensors, JAX arrays and NumPy arrays, not on {name}")

    def _set(self, values: dict) -> None:
        for name, variable in _load(self.filepath)[1].items():
            variable.assign(np.asarray(values[name]).astype(variable.dtype.as_numpy_dtype))

    def _values(self, state: dict) -> dict:
        variables = _load(self.filepath)[1]
        return {name: variables[name].read_value() for name in state}

    # ---- as `through_jax` wants it ----

    def outputs_like(self, params: dict, state: dict, inputs: tuple, training: bool) -> Any:
        """Shapes and dtypes, as TensorFlow infers them."""
        tf = require("tensorflow", "tensorflow", "from_saved_model")
        specs = [tf.TensorSpec(tuple(x.shape), np.dtype(x.dtype).name) for x in inputs]
        function = self._function(training)
        traced = tf.function(function).get_concrete_function(*specs).structured_outputs
        return jax.tree.map(lambda t: _struct(t, self.filepath), traced)

    def forward(self, params: dict, state: dict, inputs: tuple, seed: Any, training: bool) -> tuple[Any, dict]:
        """`(outputs, new state)` in NumPy."""
        with _LOCK:
            self._set({**params, **state})
            outputs = self._function(training)(*inputs)
            return jax.tree.map(lambda t: t.numpy(), (outputs, self._values(state)))

    def backward(self, params, state, inputs, seed, training, cotangents):
        """The gradients by params and inputs in NumPy."""
        tf = require("tensorflow", "tensorflow", "from_saved_model")
        variables = _load(self.filepath)[1]
        trained = [variables[name] for name in params]
        with _LOCK, tf.GradientTape() as tape:
            self._set({**params, **state})
            inputs = tuple(map(tf.constant, inputs))
            watched = [x for x in inputs if x.dtype.is_floating]
            tape.watch([*trained, *watched])
            outputs = self._function(training)(*inputs)
        ys = jax.tree.leaves(outputs)
        upstreams = [tf.cast(u, y.dtype) for u, y in zip(jax.tree.leaves(cotangents), ys, strict=True)]
        grads = tape.gradient(ys, [*trained, *watched], upstreams, unconnected_gradients="zero")
        numbers = [tf.convert_to_tensor(g).numpy() for g in grads]
        by_input = iter(numbers[len(trained) :])
        return (
            dict(zip(params, numbers, strict=False)),
            tuple(next(by_input) if x.dtype.is_floating else np.zeros(x.shape, x.dtype.as_numpy_dtype) for x in inputs),
        )


def _struct(tensor: Any, filepath: str) -> jax.ShapeDtypeStruct:
    if None in tensor.shape:
        raise ValueError(f"SavedModel {filepath!r}: TensorFlow does not tell the sizes of the output {tensor}")
    return jax.ShapeDtypeStruct(
        tuple(tensor.shape), jax.dtypes.canonicalize_dtype(np.dtype(tensor.dtype.as_numpy_dtype))
    )


def _load(filepath: str) -> tuple[Any, dict[str, Any], dict[str, np.ndarray]]:
    """`(model, variables, their first values)` of a folder, loaded once as long as it stays the same."""
    graph = pathlib.Path(filepath) / "saved_model.pb"
    if not graph.is_file():
        raise ValueError(f"{filepath!r} is no SavedModel: there is no {graph.name} in it")
    return _loaded(filepath, graph.stat().st_mtime_ns)


@functools.lru_cache(maxsize=16)
def _loaded(filepath: str, changed: int) -> tuple[Any, dict[str, Any], dict[str, np.ndarray]]:
    model = require("tensorflow", "tensorflow", "from_saved_model").saved_model.load(filepath)
    variables = _variables(model)
    return model, variables, {name: v.numpy() for name, v in variables.items()}


def _endpoint(filepath: str, name: str) -> Any:
    """A function of a SavedModel: one of its methods, else one of its signatures."""
    model = _load(filepath)[0]
    function = getattr(model, name, None)
    if callable(function):
        return function
    if name in model.signatures:
        signature = model.signatures[name]
        names = list(signature.structured_input_signature[1])

        def call(*inputs: Any) -> Any:
            tf = require("tensorflow", "tensorflow", "from_saved_model")
            one = len(inputs) == 1 and isinstance(inputs[0], dict)
            given = inputs[0] if one else dict(zip(names, inputs, strict=True))
            outputs = signature(**{k: tf.convert_to_tensor(v) for k, v in given.items()})
            return next(iter(outputs.values())) if len(outputs) == 1 else outputs

        return call
    hint = nearest(name, [*_methods(model), *model.signatures])
    raise ValueError(f"the SavedModel {filepath!r} has no endpoint {name!r}; {hint}")


def _methods(model: Any) -> list[str]:
    """The names of a SavedModel's functions, apart from its signatures."""
    return [n for n in dir(model) if hasattr(getattr(model, n, None), "concrete_functions")]


def _variables(model: Any) -> dict[str, Any]:
    """A SavedModel's variables, those that it lists and those that its functions use, by name, numbered if equal."""
    listed = [getattr(model, n, None) or [] for n in ("trainable_variables", "non_trainable_variables", "variables")]
    functions = [f for n in _methods(model) for f in getattr(model, n).concrete_functions]
    used = [f.variables for f in (*functions, *model.signatures.values())]
    found: dict[str, Any] = {}
    for variable in [v for group in (*listed, *used) for v in group]:
        if any(variable is v for v in found.values()):
            continue
        base = variable.name.partition(":")[0].replace("/", ".")
        name, n = base, 0
        while name in found:
            n += 1
            name = f"{base}_{n}"
        found[name] = variable
    return found


def from_saved_model(
    filepath: Any, call_endpoint: str = "serve", call_training_endpoint: str | None = None
) -> FromSavedModel:
    """A kfun layer of a TensorFlow SavedModel.

    On JAX arrays TensorFlow computes on the host inside the compiled program, gradients included. The
    model's variables are params and state, so that it can be trained further.

    Args:
        filepath: the folder of the SavedModel. It is code: load only what you trust.
        call_endpoint: a function of the model: `"serve"` in Keras's exports, often `"serving_default"`.
        call_training_endpoint: the one to call while training; by default the same.

    Raises:
        ValueError: if there is no such endpoint; names those that there are.
        MissingExtraError: if TensorFlow is not installed.
    """
    require("tensorflow", "tensorflow", "from_saved_model")
    return FromSavedModel(str(filepath), call_endpoint, call_training_endpoint)
