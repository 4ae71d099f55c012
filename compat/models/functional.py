"""`Functional`: a model that is a graph of layer calls between symbolic tensors."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

from compat.engine import row_independence
from compat.engine.call_context import call_plan
from compat.engine.input_layer import InputLayer
from compat.engine.layer import Layer
from compat.engine.operation import Operation
from compat.engine.tracebacks import filtered
from compat.models import compiled_call
from compat.models.functional_config import functional_config
from compat.models.graph_order import ordered
from compat.models.model import Model
from compat.state import masks, naming
from compat.state.keras_tensor import KerasTensor
from compat.training.matching import deep
from kfun import dtypes, ops
from kfun.graph import replace, tensors, trace, walk


class Step:
    """A node of the model in terms of the walk's places."""

    def __init__(self, node: Any, args: Any, kwargs: Any, outputs: Any):
        self.node, self.args, self.kwargs, self.outputs = node, args, kwargs, outputs


class Functional(Model):
    """A model between symbolic inputs and outputs.

    Args:
        inputs: one symbolic tensor, or a list, tuple or dict of them.
        outputs: likewise.
        name: of the model.
        trainable: whether its layers are trained.
    """

    supports_masking = True

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any):
        trainable = kwargs.pop("trainable", None)
        Layer.__init__(self, name=name, **kwargs)
        self._init_trainer()
        flat, ends = list(tensors(inputs)), list(tensors(outputs))
        for what, tree, found in (("inputs", inputs, flat), ("outputs", outputs, ends)):
            if not found:
                raise ValueError(f"Model: expected symbolic tensors as {what}, from keras.Input; received {tree!r}")
        self.__dict__["_kf_inputs"], self.__dict__["_kf_outputs"] = inputs, outputs
        steps, refs = trace(flat, outputs)
        self.__dict__["_kf_steps"] = [Step(*s) for s in steps]
        self.__dict__["_kf_refs"] = refs
        nodes = [node for node, *_ in steps]
        _check_connected(flat, nodes, ends)
        self.__dict__["_kf_operations"] = ordered(flat, ends, nodes)
        self.__dict__["_kf_names"] = [_name_of(t) for t in flat]
        self.built = True
        self._kf.built_in = naming.path_of(self.name)
        if trainable is not None and not trainable:
            self.trainable = False

    @property
    def inputs(self) -> list:
        """The symbolic inputs, flat."""
        return list(tensors(self._kf_inputs))

    @property
    def outputs(self) -> list:
        """The symbolic outputs, flat."""
        return list(tensors(self._kf_outputs))

    @property
    def input(self) -> Any:
        """The symbolic inputs in their structure."""
        return self._kf_inputs

    @property
    def output(self) -> Any:
        """The symbolic outputs in their structure."""
        return self._kf_outputs

    @property
    def input_shape(self) -> Any:
        """The shapes of the inputs in their structure."""
        flat = self.inputs
        return flat[0].shape if len(flat) == 1 else replace(self._kf_inputs, lambda t: t.shape, KerasTensor)

    @property
    def output_shape(self) -> Any:
        """The shapes of the outputs in their structure."""
        flat = self.outputs
        return flat[0].shape if len(flat) == 1 else replace(self._kf_outputs, lambda t: t.shape, KerasTensor)

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs, flat."""
        return self._kf_names

    @property
    def output_names(self) -> list[str]:
        """The names under which outputs appear in losses and metrics."""
        if isinstance(self._kf_outputs, dict) and not deep(self._kf_outputs):
            return list(self._kf_outputs)
        seen: dict[str, int] = {}
        names = []
        for tensor in self.outputs:
            base = _name_of(tensor)
            n = seen[base] = seen.get(base, -1) + 1
            names.append(base if n == 0 else f"{base}_{n}")
        return names

    @property
    def operations(self) -> list:
        """Layers and ops of the graph, in Keras's order."""
        return list(self._kf_operations)

    @property
    def layers(self) -> list[Layer]:
        """The layers of the graph, in Keras's order."""
        return [op for op in self._kf_operations if isinstance(op, Layer)]

    def _sublayers(self) -> list[Layer]:
        graph = self.layers
        return graph + [p for p in super()._sublayers() if not any(p is g for g in graph)]

    def _saved_parts(self) -> list[tuple[str, Any]]:
        return [("layers", self.layers), *Layer._saved_parts(self)]

    def _is_pure(self) -> bool:
        targets = [step.node.target for step in self._kf_steps]
        known = all(hasattr(t, "op") or (isinstance(t, Operation) and t._is_pure()) for t in targets)
        return type(self).call is Functional.call and known and all(x._is_pure() for x in self._sublayers())

    def _keeps_rows_apart(self) -> bool:
        return type(self).call is Functional.call and all(map(row_independence.in_step, self._kf_steps))

    def build(self, *shapes: Any) -> None:
        """Nothing: the graph is built already."""

    @filtered
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        found = compiled_call.run(self, args, kwargs)
        return super().__call__(*args, **kwargs) if found is None else found

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Runs the graph."""
        return self._walked(self._flat_inputs(inputs), training, mask)

    def _walked(self, flat: list, training: bool | None, mask: Any) -> Any:
        """The outputs of the graph for inputs in order."""
        if mask is not None:
            for x, m in zip(flat, mask if isinstance(mask, (list, tuple)) else [mask], strict=False):
                if m is not None:
                    masks.put(x, m)

        def run(step: Step, args: tuple, kwargs: dict) -> Any:
            target = step.node.target
            if training is not None and isinstance(target, Layer) and call_plan(type(target)).training:
                kwargs["training"] = training  # what the model is told counts more, as in Keras, than what was recorded
            return target(*args, **kwargs)

        return _only(walk(self._kf_steps, self._kf_refs, flat, run))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """None: the graph's own layers attach masks to its outputs."""
        return None

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shapes of the outputs for shapes of the inputs."""
        return Layer.compute_output_shape(self, input_shape)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """The model's own output specs if its input shapes are met, else found by an abstract run."""
        return self._run_abstract(args, kwargs) if self._differ(args) else self._specs()

    def _differ(self, args: Any) -> bool:
        """Whether symbolic tensors have other shapes than the model's inputs."""
        return [t.shape for t in tensors(args)] != [t.shape for t in self.inputs]

    def _specs(self) -> Any:
        return replace(self._kf_outputs, lambda t: t.spec, KerasTensor)

    def _converted(self, tree: Any) -> Any:
        return tree  # each input is converted to its own dtype in `_flat_inputs`

    def _flat_inputs(self, inputs: Any, of_any_size: bool = False) -> list:
        structure = self._kf_inputs
        if isinstance(inputs, dict):
            given = self._by_name(inputs)
        elif isinstance(structure, dict):
            given = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
            self._check_order(structure, given)
        else:
            given = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
            given = _flatten(given)
        wanted = self.inputs
        if len(given) != len(wanted):
            raise ValueError(
                f"Model {self.name!r} expects {len(wanted)} inputs {self.input_names}; received {len(given)}"
            )
        return [self._checked(x, t, n, of_any_size) for x, t, n in zip(given, wanted, self.input_names, strict=True)]

    def _check_order(self, structure: dict, given: list) -> None:
        """Several arrays without names for inputs with names: in the order of the sorted names, if that is theirs."""
        if len(given) < 2:
            return
        names = list(structure)
        if names != sorted(names):
            raise ValueError(
                f"Model {self.name!r} takes a dict with the keys {names}; received {len(given)} arrays without names, "
                "whose order is not clear"
            )
        warnings.warn(
            f"Model {self.name!r} takes a dict with the keys {names}; received arrays without names, which are taken "
            "in this order",
            stacklevel=2,
        )

    def _by_name(self, inputs: dict) -> list:
        structure = self._kf_inputs
        keys = list(structure) if isinstance(structure, dict) else self.input_names
        missing = [k for k in keys if k not in inputs]
        if missing:
            raise ValueError(f"Model {self.name!r}: missing inputs {missing}; received {sorted(inputs)}")
        unknown = [k for k in inputs if k not in keys]
        if unknown:
            warnings.warn(f"Model {self.name!r} has the inputs {keys}; {unknown} are left out", stacklevel=2)
        found = [inputs[k] for k in keys]
        return _flatten(found)

    def _checked(self, x: Any, tensor: Any, name: str, of_any_size: bool) -> Any:
        """An input in the dtype and rank that the model has it in.

        Raises:
            ValueError: if its rank is another one, or a size, but for that of the batch, unless `of_any_size`: the
                layers then see to it.
        """
        if x is None:
            if not getattr(getattr(tensor.node, "target", None), "optional", False):
                raise ValueError(f"Model {self.name!r}: input {name!r} is None; only Input(..., optional=True) may be")
            return x
        if not hasattr(x, "shape"):
            x = ops.convert_to_tensor(x)
        if dtypes.name(x.dtype) != tensor.dtype and not isinstance(x, KerasTensor):
            mask = masks.get(x)
            x = ops.cast(ops.convert_to_tensor(x), tensor.dtype)
            if mask is not None:
                masks.put(x, mask)
        elif type(x).__module__ == "numpy":
            x = ops.convert_to_tensor(x)
        wanted, shape = tensor.shape, tuple(x.shape)
        if len(shape) == len(wanted) + 1 and shape[-1] == 1:
            x, shape = ops.squeeze(x, -1), shape[:-1]
        elif len(shape) == len(wanted) - 1 and wanted[-1] == 1:
            x, shape = ops.expand_dims(x, -1), (*shape, 1)
        fits = len(shape) == len(wanted) and all(
            of_any_size or w is None or not isinstance(s, int) or s == w
            for s, w in zip(shape[1:], wanted[1:], strict=True)
        )
        if not fits:
            raise ValueError(
                f"Model {self.name!r}: input {name!r} expects shape {wanted}; received {shape}. "
                "Check the input pipeline, or build the model for these sizes."
            )
        return x

    def get_config(self) -> dict:
        """The graph as JSON data, in Keras's form."""
        if type(self) is Functional or type(self).__init__ is Functional.__init__:
            return functional_config(self)
        return super().get_config()


Model._graph_class = Functional


def _check_connected(inputs: list, nodes: list, outputs: list) -> None:
    """Raises ValueError if something that the outputs stand on comes from no input of the model."""
    given = {id(t) for t in inputs}
    for taken in itertools.chain(outputs, *[node.inputs for node in nodes]):
        if id(taken) not in given and taken.node is not None and isinstance(taken.node.target, InputLayer):
            raise ValueError(
                f"Model: the outputs need {taken.name or 'a tensor'!r} of shape {taken.shape}, which is not among the "
                f"inputs {[t.name for t in inputs]}: the graph is disconnected. Add it to the inputs"
            )


def _only(tree: Any) -> Any:
    """What a list of one holds: a model of one output gives an array even if it was made of a list."""
    return tree[0] if isinstance(tree, (list, tuple)) and len(tree) == 1 else tree


def _flatten(items: Any) -> list:
    found = []
    for item in items.values() if isinstance(items, dict) else items:
        found += _flatten(item) if isinstance(item, (list, tuple, dict)) else [item]
    return found


def _name_of(tensor: Any) -> str:
    node = tensor.node
    target = node.target if node is not None else None
    return target.name if isinstance(target, Layer) else getattr(target, "__name__", None) or tensor.name or "tensor"
