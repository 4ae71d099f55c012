"""`Model`: a layer that can be trained, saved, summarized and exported."""

from __future__ import annotations

import functools
import json
from typing import Any

from compat.engine.abstract_build import build_model
from compat.engine.layer import Layer
from compat.engine.persistence import in_saved_order
from compat.engine.pure_net import ModelNet
from compat.models.functional_reading import functional_from_config
from compat.serialization.objects import serialize_keras_object
from compat.state.shapes import replace_shapes
from compat.training.trainer import Trainer
from kfun.errors import nearest
from kfun.graph import is_symbolic
from kfun.layer import Layer as Definition


class Model(Trainer, Layer):
    """A model: `Model(inputs, outputs)` of symbolic tensors, or a subclass with `call`.

    Args:
        inputs, outputs: symbolic tensors, lists or dicts of them; makes a functional model.
        name: of the model.
    """

    _masks_inside = True
    _graph_class: type  # the class of models made of symbolic tensors, which says so itself

    def __new__(cls, *args: Any, **kwargs: Any):
        if cls is Model and _is_functional(args, kwargs):
            return cls._graph_class.__new__(cls._graph_class, *args, **kwargs)  # Python goes on to call its __init__
        return super().__new__(cls, *args, **kwargs)

    def __init__(self, *args: Any, **kwargs: Any):
        if _is_functional(args, kwargs):
            if not isinstance(self, self._graph_class):
                self.__class__ = _with_graph(type(self))
            self._graph_class.__init__(self, *args, **kwargs)
            return
        if type(self) is Model and (args or "inputs" in kwargs or "outputs" in kwargs):
            given = [type(v).__name__ for v in (*args, *kwargs.values())]
            raise ValueError(
                f"Model: expected symbolic tensors as inputs and outputs, which begin with keras.Input; got {given}"
            )
        super().__init__(*args, **kwargs)
        self._init_trainer()

    def _refuse_layers(self, value: Any) -> None:
        raise AttributeError(
            f"{type(self).__name__}: `layers` lists all layers of a model and cannot be set; keep your own under "
            "another name (a Sequential changes by add() and pop())"
        )

    _kf_setters = Layer._kf_setters | {"layers": _refuse_layers}

    def _saved_parts(self) -> list[tuple[str, Any]]:
        return in_saved_order(dict(super()._saved_parts()) | {"layers": self.layers})

    @property
    def layers(self) -> list[Layer]:
        """The sublayers, in the order of the attributes."""
        return self._sublayers()

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A sublayer by name or index.

        Raises:
            ValueError: if there is none; names the nearest names.
        """
        layers = self.layers
        if (name is None) == (index is None):
            raise ValueError("get_layer: expected either a name or an index")
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ValueError(f"get_layer: index {index} of {len(layers)} layers")
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        raise ValueError(f"no layer {name!r} in model {self.name!r}; {nearest(name, [x.name for x in layers])}")

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Any = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
    ) -> None:
        """Prints a table of the layers, their output shapes and sizes."""
        from compat.models.summary import print_summary

        print_summary(self, line_length, positions, print_fn, expand_nested, show_trainable, layer_range)

    def _repr_html_(self) -> str:
        """A table of the layers, for notebooks."""
        from compat.models.notebook import model_html

        return model_html(self)

    def __reduce_ex__(self, protocol: Any) -> Any:
        from compat.models.pickling import reduced

        return reduced(self) or super().__reduce_ex__(protocol)

    def __getstate__(self) -> dict:
        """The attributes without compiled programs, which are made anew."""
        return {k: v for k, v in self.__dict__.items() if k != "_kf_feed"} | {"_kf_steps_made": {}}

    def functional(self) -> tuple[Definition, dict, dict]:
        """The model as a pure function: `(net, params, state)`.

        `net.apply(params, state, *inputs, training=False)` gives `(outputs, state)` and works
        under every JAX transformation; params and state are dicts of arrays by variable path.

        Raises:
            ValueError: if the model is not built.
        """
        net = ModelNet(self)
        return net, *net.values()

    def export(
        self, filepath: Any, format: str = "openvino", verbose: Any = None, input_signature: Any = None, **kwargs
    ):
        """Writes the model's inference for another runtime.

        Args:
            filepath: where to.
            format: `"openvino"`.
            verbose: whether to say where it was written.
            input_signature: specs of the inputs; by default the model's own.
            kwargs: options of the format's exporter.
        """
        from compat.models.export import export_model

        export_model(self, filepath, format, verbose, input_signature, **kwargs)

    def save(self, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any) -> None:
        """Writes architecture, weights and training state; see `saving.save_model`."""
        from compat.saving.files import save_model

        save_model(self, filepath, overwrite=overwrite, zipped=zipped, **kwargs)

    def save_weights(self, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
        """Writes the weights to a `.weights.h5` file."""
        from compat.saving.files import save_weights

        save_weights(self, filepath, overwrite=overwrite, **kwargs)

    def load_weights(self, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """Reads the weights of a `.weights.h5` or `.keras` file."""
        from compat.saving.files import load_weights

        load_weights(self, filepath, skip_mismatch=skip_mismatch, **kwargs)

    def to_json(self, **kwargs: Any) -> str:
        """The architecture as JSON, without weights."""
        return json.dumps(serialize_keras_object(self), **kwargs)

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> Any:
        """The model of a config."""
        if "layers" in config and "input_layers" in config:
            made = cls if issubclass(cls, cls._graph_class) else cls._graph_class
            return functional_from_config(made, config, custom_objects)
        return cls(**config)

    def build_from_config(self, config: dict) -> None:
        """Builds the model for the shapes of `get_build_config`; without a `build` of its own by an abstract run."""
        shapes = (config or {}).get("shapes_dict") or {k: v for k, v in (config or {}).items() if v is not None}
        if self.built or not shapes or type(self).build is not Layer.build:
            super().build_from_config(config)
            return
        build_model(self, tuple(replace_shapes(s, self.compute_dtype) for s in shapes.values()))

    def build_for(self, *inputs: Any) -> None:
        """Makes all variables by an abstract run on arrays, specs or symbolic tensors."""
        build_model(self, inputs)


def _is_functional(args: tuple, kwargs: dict) -> bool:
    if "inputs" in kwargs and "outputs" in kwargs:
        return True
    if len(args) >= 2:
        return is_symbolic(args[0]) or is_symbolic(args[1])
    return len(args) == 1 and "outputs" in kwargs


@functools.cache
def _with_graph(cls: type) -> type:
    """A model subclass that calls `super().__init__(inputs, outputs)`, made functional."""
    body = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "_kf_class": cls}
    return type(cls.__name__, (cls, cls._graph_class), body)
