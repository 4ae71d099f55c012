"""`Function`: a graph of layer and op calls between symbolic tensors, as one operation."""

from __future__ import annotations

from typing import Any

from compat.engine.operation import Operation
from compat.state.keras_tensor import KerasTensor
from compat.state.shapes import replace_shapes
from kfun import abstract, ops
from kfun.graph import SymbolicTensor, is_symbolic, replace, tensors, trace, walk


class Function(Operation):
    """A function from symbolic inputs to symbolic outputs; it owns no variables, the layers in it do.

    Args:
        inputs: one symbolic tensor, or nested lists, tuples and dicts of them.
        outputs: likewise; computed from the inputs by layers and ops.
        name: by default "function", numbered.

    Raises:
        ValueError: if there are no symbolic tensors, or the outputs need others than the inputs.
    """

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None):
        self._init_name(name)
        for what, tree in (("inputs", inputs), ("outputs", outputs)):
            if next(tensors(tree), None) is None:
                raise ValueError(f"Function: expected symbolic tensors as {what}, from keras.Input; received {tree!r}")
        self._inputs_struct, self._outputs_struct = inputs, outputs
        nodes, self._refs = trace(list(tensors(inputs)), outputs)
        self._steps = [_Step(*n) for n in nodes]

    @property
    def inputs(self) -> list:
        """The symbolic inputs, flat."""
        return list(tensors(self._inputs_struct))

    @property
    def outputs(self) -> list:
        """The symbolic outputs, flat."""
        return list(tensors(self._outputs_struct))

    @property
    def operations(self) -> list:
        """Layers and ops of the graph, each once, in the order in which they run."""
        found = [t.node.target for t in self.inputs if t.node is not None] + [s.node.target for s in self._steps]
        return list({id(op): op for op in found}.values())

    @property
    def input_shape(self) -> Any:
        """The shapes of the inputs in their structure."""
        return replace(self._inputs_struct, lambda t: t.shape, KerasTensor)

    @property
    def output_shape(self) -> Any:
        """The shapes of the outputs in their structure."""
        return replace(self._outputs_struct, lambda t: t.shape, KerasTensor)

    def call(self, inputs: Any) -> Any:
        """Runs the graph on values in the structure of the inputs, or a flat list of them."""
        return walk(self._steps, self._refs, self._flat(inputs), lambda s, a, k: s.node.target(*a, **k))

    def compute_output_spec(self, inputs: Any) -> Any:
        """Symbolic tensors of the outputs for symbolic inputs."""
        given = self._flat(inputs)
        if [t.shape for t in given] == [t.shape for t in self.inputs]:
            return replace(self._outputs_struct, lambda t: SymbolicTensor(t.spec), KerasTensor)
        specs = abstract.evaluate(lambda *arrays: self.call(list(arrays)), *(t.spec for t in given))
        return replace(specs, SymbolicTensor, type(given[0].spec))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shapes of the outputs for shapes of the inputs."""
        made = self.compute_output_spec(replace_shapes(input_shape, self.inputs[0].dtype))
        return replace(made, lambda t: t.shape, KerasTensor)

    def _flat(self, inputs: Any) -> list:
        given = _leaves(inputs, self._inputs_struct)
        if len(given) != len(self.inputs):
            raise ValueError(f"Function {self.name!r} expects {len(self.inputs)} inputs; received {len(given)}")
        return [x if is_symbolic(x) or x is None else ops.convert_to_tensor(x) for x in given]


class _Step:
    def __init__(self, node: Any, args: Any, kwargs: Any, outputs: Any):
        self.node, self.args, self.kwargs, self.outputs = node, args, kwargs, outputs


def _leaves(tree: Any, like: Any) -> list:
    """The values of a tree in the order of another one of its structure, or of a flat list as they are."""
    if isinstance(tree, dict):
        keys = like if isinstance(like, dict) else tree
        return [x for k in keys for x in _leaves(tree[k], like[k] if isinstance(like, dict) else None)]
    if isinstance(tree, (list, tuple)):
        inner = like if isinstance(like, (list, tuple)) and len(like) == len(tree) else [None] * len(tree)
        return [x for t, i in zip(tree, inner, strict=True) for x in _leaves(t, i)]
    return [tree]
