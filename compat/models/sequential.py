"""`Sequential`: layers one after the other."""

from __future__ import annotations

from typing import Any

from compat.engine.input_layer import Input, InputLayer
from compat.engine.layer import Layer
from compat.engine.tracebacks import filtered
from compat.models import compiled_call
from compat.models.functional import Functional
from compat.models.model import Model
from compat.serialization.objects import deserialize_as, serialize_keras_object
from compat.serialization.parts import part
from compat.serialization.registry import CustomObjectScope, reading
from compat.state import naming, policy
from compat.state.changes import note_assignment
from compat.state.shapes import is_data, replace_shapes, tuples
from kfun.graph import SymbolicTensor, replace
from kfun.spec import Spec


class Sequential(Model):
    """A stack of layers, each on the output of the one before.

    Args:
        layers: layers, the first of which may be an `Input`.
        trainable: whether the layers are trained.
        name: of the model.
    """

    supports_masking = True

    def __init__(self, layers: Any = None, trainable: bool = True, name: str | None = None):
        Layer.__init__(self, trainable=trainable, name=name)
        self._init_trainer()
        self.__dict__["_kf_layers"], self.__dict__["_kf_graph"] = [], None
        for layer in layers or []:
            self.add(layer, rebuild=False)
        self._rebuild()
        if not trainable:
            self.trainable = False

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Puts a layer at the end.

        Raises:
            ValueError: if it is no layer, or its name is taken.
        """
        if isinstance(layer, SymbolicTensor):
            layer = layer.node.target
        if not isinstance(layer, Layer):
            hint = f"; did you mean {layer.__name__}()?" if isinstance(layer, type) else ""
            raise ValueError(f"Sequential: expected a layer; received {layer!r}{hint}")
        if layer.name in [known.name for known in self._kf_layers]:
            raise ValueError(f"Sequential: two layers are named {layer.name!r}; names within a model are unique")
        if isinstance(layer, InputLayer) and self._kf_layers:
            raise ValueError("Sequential: an Input can only be the first layer")
        shape = layer.__dict__.get("_input_shape_arg")
        if shape is not None and not self._kf_layers:
            self._kf_layers.append(InputLayer(batch_shape=shape))
        self._kf_layers.append(layer)
        note_assignment()
        if rebuild:
            self._rebuild()

    def pop(self, rebuild: bool = True) -> Layer:
        """Takes the last layer off and gives it."""
        if not self._kf_layers:
            raise ValueError("Sequential: there is no layer to take off")
        layer = self._kf_layers.pop()
        note_assignment()
        self.__dict__["_kf_graph"], self.built = None, False
        if rebuild:
            self._rebuild()
        return layer

    def _rebuild(self) -> None:
        """Makes the graph if the input's shape is known."""
        self.__dict__["_kf_graph"] = None
        self.built = False
        layers = self._kf_layers
        if layers and isinstance(layers[0], InputLayer) and len(layers) > 1:
            self._make_graph(layers[0].output)
        elif layers and isinstance(layers[0], (Functional, Sequential)) and getattr(layers[0], "inputs", None):
            first = layers[0].inputs
            if len(first) == 1:
                self._make_graph(Input(batch_shape=first[0].shape, dtype=first[0].dtype))

    def _make_graph(self, x: Any) -> None:
        inputs = x
        if isinstance(x, SymbolicTensor) and not isinstance(self._kf_layers[0], InputLayer):
            self._kf_layers.insert(0, x.node.target)  # so that layers may come and go
            note_assignment()
        for layer, nodes in self.__dict__.get("_kf_calls", []):  # those of the graph before
            layer._kf.nodes[:] = [n for n in layer._kf.nodes if n not in nodes]
        layers = self.layers
        known = [(layer, list(layer._kf.nodes)) for layer in layers]
        self._kf.built_in = naming.path_of(self.name)
        with naming.at(self._kf.built_in):
            for layer in layers:
                x = layer(x)
        self.__dict__["_kf_calls"] = [(layer, [n for n in layer._kf.nodes if n not in old]) for layer, old in known]
        self.__dict__["_kf_graph"] = Functional(inputs, x, name=self.name)
        self.built = True

    def build(self, input_shape: Any = None) -> None:
        """Builds the layers for an input of a shape, or a list or dict of shapes, the batch axis included.

        Raises:
            ValueError: if there are no layers, or they are built for another shape.
        """
        self._check_layers()
        if self._kf_graph is not None:
            known = self._kf_graph.input_shape
            if isinstance(known, tuple) and isinstance(input_shape, (tuple, list)) and tuple(input_shape) != known:
                raise ValueError(
                    f"Sequential {self.name!r} is built for inputs of shape {known}; received {tuple(input_shape)}"
                )
        else:
            if not isinstance(input_shape, (tuple, list, dict)):
                raise ValueError(f"Sequential.build: expected a shape; received {input_shape!r}")
            shapes = replace_shapes(tuples(input_shape), policy.floatx())
            self._make_graph(replace(shapes, lambda t: Input(batch_shape=t.shape, dtype=t.dtype), SymbolicTensor))

    def _check_layers(self) -> None:
        if not self.layers:
            raise ValueError(f"Sequential {self.name!r} has no layers: call `add(layer)` first")

    def _build_for(self, args: tuple, kwargs: dict) -> None:
        if self._kf_graph is not None or self.built:
            return
        if not self.layers and self._kf_layers:  # an input alone
            return
        self._check_layers()
        if not args or not is_data(args[0]):
            received = type(args[0]).__name__ if args else "nothing"
            raise ValueError(f"Sequential {self.name!r} takes arrays as its first argument; received {received}")
        try:
            self._make_graph(_inputs_for(args[0]))
        except NotImplementedError:  # a layer tells its shapes by running only
            self.built = True

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the input."""
        return [layer for layer in self._kf_layers if not isinstance(layer, InputLayer)]

    def _sublayers(self) -> list[Layer]:
        return self.layers

    def _saved_parts(self) -> list[tuple[str, Any]]:
        return [("layers", self.layers), *Layer._saved_parts(self)]

    def _is_pure(self) -> bool:
        return type(self).call is Sequential.call and all(layer._is_pure() for layer in self._sublayers())

    def _keeps_rows_apart(self) -> bool:
        graph = self._kf_graph
        return type(self).call is Sequential.call and graph is not None and graph._keeps_rows_apart()

    @filtered
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        found = compiled_call.run(self, args, kwargs)
        return super().__call__(*args, **kwargs) if found is None else found

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None, **kwargs: Any) -> Any:
        """Runs the layers in order."""
        if self._kf_graph is not None:
            graph = self._kf_graph
            return graph._walked(graph._flat_inputs(inputs, of_any_size=True), training, mask)
        for layer in self.layers:
            inputs = layer(inputs, **kwargs)
        return inputs

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """None: the layers attach masks to what they give."""
        return None

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the output for a shape of the input."""
        for layer in self.layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """The specs of the outputs for symbolic tensors."""
        graph = self._kf_graph
        return self._run_abstract(args, kwargs) if graph is None or graph._differ(args) else graph._specs()

    def _converted(self, tree: Any) -> Any:
        return tree if self._kf_graph is not None else super()._converted(tree)

    def __getattr__(self, name: str) -> Any:
        if name in ("inputs", "outputs", "input", "output", "input_shape", "output_shape", "operations",
                    "input_names", "output_names"):  # fmt: skip
            graph = self.__dict__.get("_kf_graph")
            if graph is not None:
                return getattr(graph, name)
            raise AttributeError(
                f"Sequential {self.__dict__.get('name')!r} has no {name} yet: begin it with keras.Input, "
                "or call it on data"
            )
        raise AttributeError(f"{type(self).__name__} object has no attribute {name!r}", name=name, obj=self)

    _functional = property(lambda self: self._kf_graph)  # Keras's name for it, which published packages read
    input = property(lambda self: self.__getattr__("input"))
    output = property(lambda self: self.__getattr__("output"))

    def get_config(self) -> dict:
        """The layers as JSON data, in Keras's form."""
        config: dict[str, Any] = {"name": self.name, "trainable": self.trainable}
        config["dtype"] = serialize_keras_object(self.dtype_policy)
        config["layers"] = [serialize_keras_object(layer) for layer in self._kf_layers]
        if self._kf_graph is not None:
            config["build_input_shape"] = self._kf_graph.input_shape
        return config

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> Sequential:
        """The model of a config."""
        model = cls(name=config.get("name"))
        if isinstance(config.get("dtype"), dict):  # so that training goes on with the scale of the loss
            model.dtype_policy = policy.get(config["dtype"])
        with CustomObjectScope(custom_objects), reading():
            for i, data in enumerate(config["layers"]):
                with part(f"layer {i} of the Sequential {model.name!r}"):
                    model.add(deserialize_as("layer", data), rebuild=False)
        model._rebuild()
        shape = config.get("build_input_shape")
        if model._kf_graph is None and shape and isinstance(shape, (list, tuple, dict)):
            model.build(shape)
        if config.get("trainable") is False:
            model.trainable = False
        return model


def _inputs_for(x: Any) -> Any:
    """Symbolic inputs for an array, or for those in a list, tuple or dict."""
    if isinstance(x, dict):
        return {k: _inputs_for(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return type(x)(_inputs_for(v) for v in x)
    spec = Spec.of(x)
    return Input(batch_shape=(None, *spec.shape[1:]), dtype=spec.dtype)
