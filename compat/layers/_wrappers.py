"""Layers around other layers: `RNN` over a cell, `Bidirectional`, `TimeDistributed`."""

from __future__ import annotations

from typing import Any

from compat.core.generated import Generated, layer_class
from compat.core.layer import Layer
from kfun import layers as _kfun


class Wrapper(Layer):
    """Base of user-written layers around one layer.

    Args:
        layer: the inner layer.
    """

    def __init__(self, layer: Layer, **kwargs: Any):
        if not isinstance(layer, Layer):
            raise TypeError(f"{type(self).__name__}: expected a layer; received {layer!r}")
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape: Any = None) -> None:
        """Builds the inner layer."""
        if not self.layer.built:
            self.layer.build(input_shape)
            self.layer.built = True
        self.built = True

    def get_config(self) -> dict:
        """The constructor's arguments."""
        from compat.saving import serialize_keras_object

        return super().get_config() | {"layer": serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> Any:
        """The layer of a config, the inner one included."""
        return cls(**_with_layers(config, custom_objects))


def _with_layers(config: dict, custom_objects: dict | None = None) -> dict:
    from compat.saving import deserialize_keras_object

    names = ("layer", "backward_layer", "cell")
    return {
        k: deserialize_keras_object(v, custom_objects=custom_objects) if k in names and isinstance(v, dict) else v
        for k, v in config.items()
    }


class _Around(Generated):
    """Base of generated wrappers: the inner layer is one of compat's, whose definition goes into the wrapper's."""

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> Any:
        """The layer of a config, the inner one included."""
        return cls(**_with_layers(config, custom_objects))

    def _field(self, value: Any) -> Any:
        if isinstance(value, Layer) and not isinstance(value, Generated):
            raise TypeError(
                f"{type(self).__name__}: expected one of the built-in layers inside; received {value!r}. "
                "Write the loop over a layer of your own with ops.scan in its call"
            )
        return super()._field(value)


RNN = layer_class(_kfun.RNN, "compat.layers", base=_Around)
TimeDistributed = layer_class(_kfun.TimeDistributed, "compat.layers", base=_Around)


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
        object.__setattr__(self, "_backward_given", backward_layer is not None)
        self.__dict__.pop("layer")  # the copies hold the weights
        object.__setattr__(self, "_kf_layer", layer)
        self.definition.check()

    @property
    def definition(self) -> Any:
        """The kfun definition of the layers' present arguments."""
        return _kfun.Bidirectional(self.forward_layer.definition, self.merge_mode, self.backward_layer.definition)

    def build(self, *shapes: Any) -> None:
        """Makes the variables of both layers."""
        super().build(*shapes)
        if self._first_weights is not None:
            self.set_weights(self._first_weights)

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool | None = None) -> Any:
        """Runs both layers and merges their outputs."""
        return self._apply((sequences,), {"initial_state": initial_state, "mask": mask, "training": training})

    def get_config(self) -> dict:
        """The constructor's arguments."""
        from compat.saving import serialize_keras_object

        config = Layer.get_config(self) | {"merge_mode": self.merge_mode}
        config["layer"] = serialize_keras_object(self._kf_layer)
        if self._backward_given:
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
