"""Models of other libraries as layers: kfun's, equinox's, torch's, TensorFlow's SavedModels."""

from __future__ import annotations

from typing import Any

from compat.engine.generated import Generated
from compat.engine.layer import Layer
from compat.variables.seeds import SeedGenerator
from compat.variables.variable import Variable
from kfun import tree
from kfun.bridges.saved_model import from_saved_model
from kfun.bridges.torch import from_torch
from kfun.definition import from_config, refusal
from kfun.layer import Layer as Definition
from kfun.ops._kinds import current_backend, kind_of


class KfunLayer(Generated):
    """Any kfun layer with its weights as variables: also those of `kfun.from_equinox`, `from_flax`, `from_torch`.

        layer = KfunLayer(kfun.from_equinox(equinox.nn.MLP(4, 2, 8, 1, key=key)))

    Params are trainable variables, the state is the others. A model with it can be saved if the
    definition can be written as JSON, which it can if it is made of kfun's own parts; its weights always.

    Args:
        definition: a `kfun.Layer`.
        seed: of what it draws while training.
    """

    def __init__(self, definition: Any, seed: int | None = None, **kwargs: Any):
        if not isinstance(definition, Definition):
            raise TypeError(f"{type(self).__name__}: expected a kfun layer; received {definition!r:.80}")
        Layer.__init__(self, **kwargs)
        self.__dict__["_definition"] = definition
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)

    @property
    def definition(self) -> Any:
        """The kfun layer."""
        return self.__dict__["_definition"]

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Applies the kfun layer; a tuple or list of inputs are its inputs."""
        return self._apply(tuple(inputs) if isinstance(inputs, (list, tuple)) else (inputs,), {"training": training})

    def _flat_shapes(self, shapes: tuple) -> list[tuple]:
        first = shapes[0]
        several = isinstance(first, (list, tuple)) and any(isinstance(s, (list, tuple)) for s in first)
        return [tuple(s) for s in (first if several else shapes)]

    def _attribute(self, name: str) -> str:
        # Another library names the weights: they must not take the place of what a layer has.
        taken = hasattr(type(self), name) or not isinstance(vars(self).get(name, self), Layer | Variable)
        return f"own_{name}" if taken else name

    def get_config(self) -> dict:
        """The constructor's arguments.

        Raises:
            ValueError: if the definition holds what JSON cannot, such as a module of another library.
        """
        return Layer.get_config(self) | {"definition": self.definition.to_config(), "seed": self.seed}

    @classmethod
    def from_config(cls, config: dict) -> Any:
        """The layer of a config."""
        return cls(**config | {"definition": from_config(config["definition"])})

    @classmethod
    def _refusal(cls, config: dict) -> str | None:
        return refusal(config.get("definition"))


class EquinoxLayer(KfunLayer):
    """An equinox module as a layer: its floating arrays are trainable variables.

    Args:
        module: an `eqx.Module` that is called on arrays.
        batched: whether it takes single examples (equinox's habit) and is mapped over the batch axis.
        takes_key: whether it is called with a `key=`, as dropout is.
        seed: of the keys.
    """

    def __init__(
        self, module: Any, batched: bool = True, takes_key: bool = False, seed: int | None = None, **kwargs: Any
    ):
        from kfun.bridges.equinox import from_equinox  # importing equinox costs as much as JAX

        super().__init__(from_equinox(module, batched, takes_key), seed, **kwargs)
        object.__setattr__(self, "module", module)

    def get_config(self) -> dict:
        """Not possible: a module is made of code and arrays."""
        raise ValueError(_NO_CONFIG.format(layer=type(self).__name__, what="an equinox module"))

    @classmethod
    def _refusal(cls, config: dict) -> str | None:
        return "an equinox module is code"


class _Native(KfunLayer):
    """Base of layers of another framework, which also run on its tensors as they are, with the variables' values."""

    _framework: str

    def _apply(self, inputs: tuple, call_args: dict) -> Any:
        kind = kind_of(inputs)
        if kind is None or kind.name != self._framework:
            return super()._apply(inputs, call_args)
        training = bool(call_args.get("training"))
        params, state, key = tree.convert((*self.gather(), self._key(training)), self._framework)
        outputs, new = self.definition.apply(params, state, *inputs, key=key, training=training)
        if new:
            self.put(tree.convert(new, current_backend()))
        return outputs


class TorchModuleWrapper(_Native):
    """A torch module as a layer.

    Its parameters are trainable variables, its buffers others. On JAX arrays, `fit` included, the module
    and its gradient run on the host, in the middle of the compiled step. On torch tensors it runs as it is,
    with the variables' values as numbers: gradients flow to the inputs.

    Args:
        module: a `torch.nn.Module`. A lazy one must have been called once.
        name: of the layer.
        output_shape: what `compute_output_shape` gives; by default found on torch's meta device.

    Saving: `save_weights` writes the variables under torch's names, as Keras does on its Torch backend. The
    module itself is code, so that a model with it has no config: build it in Python and load its weights.
    """

    _framework = "torch"

    def __init__(self, module: Any, name: str | None = None, output_shape: Any = None, **kwargs: Any):
        super().__init__(from_torch(module), name=name, **kwargs)
        self.__dict__["_output_shape"] = output_shape

    @property
    def module(self) -> Any:
        """The torch module, with the variables' present values in it."""
        return self.definition.filled({v.name: v.numpy() for v in self.weights})

    def parameters(self, recurse: bool = True) -> Any:
        """The module's own parameters, as torch's optimizers take them."""
        return self.module.parameters(recurse)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The given output shape, or the one that torch's meta device finds."""
        if self._output_shape is None:
            return super().compute_output_shape(input_shape)
        return tuple(self._output_shape)

    def compute_output_spec(self, inputs: Any, **kwargs: Any) -> Any:
        """The specs of the outputs for symbolic tensors."""
        if self._output_shape is None:
            return self._run_abstract((inputs,), kwargs)
        return super().compute_output_spec(inputs, **kwargs)

    def save_own_variables(self, store: Any) -> None:
        """Writes the variables into a mapping under torch's names."""
        for v in self.weights:
            store[v.name] = v._array()

    def load_own_variables(self, store: Any) -> None:
        """Reads the variables from a mapping by torch's names.

        Raises:
            ValueError: if the names differ.
        """
        own = {v.name: v for v in self.weights}
        if set(own) != set(store.keys()):
            raise ValueError(
                f"layer {self.name!r} has the variables {sorted(own)}; the file has {sorted(store.keys())}"
            )
        for name, v in own.items():
            v.assign(store[name])

    def get_config(self) -> dict:
        """Not possible: a module is code."""
        raise ValueError(_NO_CONFIG.format(layer="TorchModuleWrapper", what="a torch module"))

    @classmethod
    def from_config(cls, config: dict) -> Any:
        """The layer of a config whose module is an object; what a file holds of one is refused."""
        if isinstance(config.get("module"), (str, bytes, dict)):
            raise ValueError(f"TorchModuleWrapper: {cls._refusal(config)}. Make the layer in Python")
        return cls(**config)

    @classmethod
    def _refusal(cls, config: dict) -> str | None:
        return "a pickled torch module may run any code"


class TFSMLayer(_Native):
    """A TensorFlow SavedModel as a layer.

    Its variables are the layer's. On JAX arrays TensorFlow computes on the host in the middle of the compiled
    program, its gradient included; on TensorFlow tensors it runs as it is.

    Args:
        filepath: the folder of the SavedModel.
        call_endpoint: the function that is called: `"serve"` in Keras's exports, often `"serving_default"`.
        call_training_endpoint: the one that is called while training; by default the same.
        trainable: whether the variables that the SavedModel says are trainable are trained.
        name: of the layer.
        dtype: a dtype or a policy; the SavedModel's own dtypes stay.

    Raises:
        ValueError: if there is no such endpoint.
    """

    _framework = "tensorflow"

    def __init__(
        self,
        filepath: Any,
        call_endpoint: str = "serve",
        call_training_endpoint: str | None = None,
        trainable: bool = True,
        name: str | None = None,
        dtype: Any = None,
    ):
        definition = from_saved_model(filepath, call_endpoint, call_training_endpoint)
        super().__init__(definition, trainable=trainable, name=name, dtype=dtype)
        self._adopt(definition.weights(), set())
        self.built = True

    def get_config(self) -> dict:
        """The constructor's arguments."""
        own = self.definition
        return Layer.get_config(self) | {
            "filepath": own.filepath,
            "call_endpoint": own.call_endpoint,
            "call_training_endpoint": own.call_training_endpoint,
        }

    @classmethod
    def from_config(cls, config: dict) -> Any:
        """Not possible: a config may be a file's."""
        raise ValueError(f"TFSMLayer: {cls._refusal(config)}. If you trust it, make the layer in Python")

    @classmethod
    def _refusal(cls, config: dict) -> str | None:
        return f"loading the SavedModel {config.get('filepath')!r} runs code"


_NO_CONFIG = (
    "{layer}: {what} cannot be written as JSON. Save the weights with save_weights, and load them into a model that "
    "is made in Python"
)
