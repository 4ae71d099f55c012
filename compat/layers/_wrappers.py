"""Layers around other layers: `Bidirectional`, `TimeDistributed`, `SpectralNormalization`."""

from __future__ import annotations

import abc
from typing import Any

from compat.engine.generated import Generated
from compat.engine.layer import Layer, call_plan
from compat.engine.layer_factory import layer_class
from compat.layers._cells import flat
from compat.serialization.objects import deserialize_as, serialize_keras_object
from compat.state.shapes import replace_shapes
from kfun import dtypes, ops
from kfun import layers as _kfun
from kfun.layer import Layer as Definition
from kfun.layers.spectral_normalization import spectrally_normalized


class Wrapper(Layer, metaclass=abc.ABCMeta):
    """Base of user-written layers around one layer.

    Args:
        layer: the inner layer.
    """

    def __init__(self, layer: Layer, **kwargs: Any):
        if not isinstance(layer, Layer):
            raise ValueError(
                f"{type(self).__name__}: the layer must be a Keras layer, an instance of `keras.layers.Layer`; "
                f"received {layer!r}"
            )
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape: Any = None) -> None:
        """Builds the inner layer."""
        build_inner(self.layer, input_shape)
        self.built = True

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return super().get_config() | {"layer": serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> Any:
        """The layer of a config, the inner one included."""
        return cls(**_with_layers(config, custom_objects))


def build_inner(layer: Layer, shape: Any) -> None:
    """Builds a layer that another one holds, for inputs of this shape."""
    if not layer.built:
        layer._build_for((replace_shapes(shape, layer.compute_dtype),), {})


def _with_layers(config: dict, custom_objects: dict | None = None) -> dict:
    names = ("layer", "backward_layer")
    return {
        k: deserialize_as("layer", v, custom_objects) if k in names and isinstance(v, dict) else v
        for k, v in config.items()
    }


class UserLayer(Definition):
    """A layer that a user wrote, as a definition. Its variables are its own, and are read as they are when it runs."""

    layer: Any

    @property
    def uses_mask(self) -> bool:  # type: ignore[override]
        """Whether its `call` takes a mask."""
        return call_plan(type(self.layer)).mask

    def weights(self, *inputs):
        """Nothing: the layer is built here, and holds its variables."""
        build_inner(self.layer, inputs[0].shape)
        return {}

    def apply(self, params, state, *inputs, key=None, training=False, **call_args):
        return self.layer(*inputs, **call_args), state

    def compute_mask(self, *inputs, mask=None):
        return self.layer.compute_mask(inputs[0], mask)


class _Around(Generated):
    """Base of generated wrappers: the definition of the inner layer goes into the wrapper's."""

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> Any:
        """The layer of a config, the inner one included."""
        return cls(**_with_layers(config, custom_objects))

    def _field(self, value: Any) -> Any:
        return UserLayer(value) if isinstance(value, Layer) and not _is_ours(value) else super()._field(value)

    def _key(self, training: bool) -> Any:
        return self.layer._key(training) if isinstance(self.layer, Generated) else None


def _is_ours(layer: Layer) -> bool:
    """Whether a layer is its definition and no more: a generated one whose call nobody has overridden."""
    return isinstance(layer, Generated) and type(layer).__module__.partition(".")[0] == "compat"


TimeDistributed = Wrapper.register(layer_class(_kfun.TimeDistributed, "compat.layers", base=_Around))


class SpectralNormalization(Wrapper):
    """Divides a layer's kernel by its spectral norm in training (Miyato et al. 2018, arXiv:1802.05957).

    A call in training also puts the divided kernel in the kernel's place. Inside of `fit`, where the
    optimizer has the kernel, that lasts for the step, as in Keras on JAX.

    Args:
        layer: the layer, with a weight `kernel` or `embeddings`.
        power_iterations: how often a call in training improves the estimate of the norm.

    Raises:
        ValueError: if `power_iterations` is not positive, or the layer has no such weight.
    """

    def __init__(self, layer: Layer, power_iterations: int = 1, **kwargs: Any):
        super().__init__(layer, **kwargs)
        if power_iterations <= 0:
            raise ValueError(
                f"SpectralNormalization: expected 1 or more `power_iterations`; received {power_iterations}"
            )
        self.power_iterations = power_iterations

    def build(self, input_shape: Any = None) -> None:
        """Builds the layer, and makes the vector of the estimate."""
        super().build(input_shape)
        kernel = getattr(self.layer, "kernel", None)
        kernel = getattr(self.layer, "embeddings", None) if kernel is None else kernel
        if kernel is None:
            raise ValueError(
                f"SpectralNormalization: {type(self.layer).__name__!r} has neither a 'kernel' nor "
                f"'embeddings'; expected a layer that has one of them; received {self.layer!r}"
            )
        self.kernel = kernel
        self.vector_u = self.add_weight(
            (1, kernel.shape[-1]), _kfun.SpectralNormalization.start, kernel.dtype, trainable=False, name="vector_u"
        )

    def call(self, inputs: Any, training: bool = False) -> Any:
        """The layer's output, in the type of the input if that is floating."""
        if training:
            vector, kernel = self.normalized_weights()
            self.vector_u.assign(vector)
            self.kernel.assign(kernel)
        outputs = self.layer(inputs)
        return ops.cast(outputs, inputs.dtype) if dtypes.is_float(dtypes.name(inputs.dtype)) else outputs

    def normalized_weights(self) -> tuple[Any, Any]:
        """`(vector_u, kernel)` after a step, neither put in its place."""
        kernel, vector = spectrally_normalized(self.kernel.value, self.vector_u.value, self.power_iterations)
        return vector, kernel

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return super().get_config() | {"power_iterations": self.power_iterations}


class Bidirectional(Generated):
    """A recurrent layer forwards and a copy of it backwards, their outputs merged.

    Args:
        layer: the recurrent layer, which is copied.
        merge_mode: `"concat"`, `"sum"`, `"mul"`, `"ave"`, or None for a pair of outputs.
        weights: first weights, of the forward then of the backward layer.
        backward_layer: runs backwards in place of the copy.
    """

    definition_class = _kfun.Bidirectional
    _parameters = {"layer": None, "merge_mode": "concat", "weights": None, "backward_layer": None}

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        weights: Any = None,
        backward_layer: Any = None,
        **kwargs: Any,
    ):
        if not isinstance(layer, Generated):
            raise ValueError(f"Bidirectional: expected a recurrent layer; received {layer!r}")
        Layer.__init__(self, **kwargs)
        self.merge_mode, self._first_weights = merge_mode, weights
        self.layer = layer
        self.forward_layer = _copy(layer, "forward_", False)
        self.backward_layer = _copy(layer, "backward_", True) if backward_layer is None else backward_layer
        self.__dict__.pop("layer")  # the copies hold the weights
        if layer.return_sequences:  # so that what is merged has the zeros of both at the same steps
            self.forward_layer.zero_output_for_mask = self.backward_layer.zero_output_for_mask = True
        self.definition.check()

    @property
    def definition(self) -> Any:
        """The kfun definition of the layers' present arguments."""
        return _kfun.Bidirectional(self.forward_layer.definition, self.merge_mode, self.backward_layer.definition)

    return_sequences = property(lambda self: self.forward_layer.return_sequences, doc="Whether all steps are given.")
    return_state = property(lambda self: self.forward_layer.return_state, doc="Whether last states are given too.")
    stateful = property(lambda self: self.forward_layer.stateful, doc="Whether a batch begins where one ended.")

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        """Makes the variables of both layers."""
        self._make_variables(sequences_shape)
        if self._first_weights is not None:
            self.set_weights(self._first_weights)

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool | None = None) -> Any:
        """Runs both layers and merges their outputs."""
        states = None if initial_state is None else flat(initial_state)
        outputs = self._apply((sequences,), {"initial_state": states, "mask": mask, "training": training})
        for layer in (self.forward_layer, self.backward_layer):
            layer._after_run()
        return outputs

    def _key(self, training: bool) -> Any:
        return self.forward_layer._key(training), self.backward_layer._key(training)

    @property
    def states(self) -> Any:
        """The states that stateful layers keep, those of the forward layer first; else None."""
        if self.forward_layer.states is None:
            return None
        return (*self.forward_layer.states, *self.backward_layer.states)

    def reset_state(self) -> None:
        """Sets the states that stateful layers keep to 0."""
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    reset_states = reset_state

    def get_config(self) -> dict:
        """The constructor's arguments."""
        config = Layer.get_config(self) | {"merge_mode": self.merge_mode}
        config["layer"] = serialize_keras_object(self.forward_layer)
        config["backward_layer"] = serialize_keras_object(self.backward_layer)
        return config

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> Any:
        """The layer of a config, the inner ones included."""
        return cls(**_with_layers(config, custom_objects))


def _copy(layer: Any, prefix: str, turned: bool) -> Any:
    config = layer.get_config()
    config["name"] = prefix + layer.name.removeprefix(prefix)
    if turned:
        config["go_backwards"] = not config["go_backwards"]
    return type(layer).from_config(config)
