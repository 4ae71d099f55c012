"""`Graph`: an immutable DAG of layers and ops, that is a layer."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from kfun.composite import Composite, planner, runner
from kfun.fitting import refuse_others
from kfun.graph import Ref, Step, is_symbolic, tensors, trace, walk
from kfun.layer import Layer, by_name
from kfun.ops._dispatch import OPS


class Graph(Composite):
    """A directed acyclic graph of layers and ops, itself a layer; made by `Graph.of`.

    A layer that is called at several places has one set of weights.

    Args:
        steps: the calls in order; a step's target is the index of a layer, or an op's name.
        layers: the layers, each once.
        count: how many inputs.
        outputs: a pytree of `Ref`.

    Example:
        >>> from kfun import Input, Spec, layers
        >>> x = Input((8,))
        >>> net = Graph.of(x, layers.Dense(2)(layers.Dense(4, "relu")(x)))
        >>> net.output_spec(Spec((None, 8)))
        Spec(shape=(None, 2), dtype='float32')
    """

    steps: tuple
    layers: tuple
    count: int
    outputs: Any

    def check(self):
        for step in self.steps:
            known = step.target in OPS if isinstance(step.target, str) else step.target in range(len(self.layers))
            if not known or next(_refs((step.args, step.kwargs)), None) is None:
                raise ValueError(
                    f"Graph: each step calls one of the {len(self.layers)} layers, by number, or an op, by name, on "
                    f"values of the graph; received {step!r:.120}"
                )

    @classmethod
    def of(cls, inputs: Any, outputs: Any, name: str | None = None) -> Graph:
        """The graph between symbolic tensors.

        Args:
            inputs: one symbolic tensor or several; the inputs of the new layer, in order.
            outputs: a pytree of symbolic tensors.
            name: of the new layer.
        """
        inputs = list(tensors(inputs))
        nodes, refs = trace(inputs, outputs)
        layers: list[Any] = []
        steps = []
        for node, args, kwargs, out in nodes:
            target = node.target
            if isinstance(target, Layer):
                if not any(target is known for known in layers):
                    layers.append(target)
                target = next(i for i, known in enumerate(layers) if known is target)
            else:
                target = target.op.name
            steps.append(Step(target, args, kwargs, out))
        return cls(tuple(steps), tuple(layers), len(inputs), refs, name=name)

    @functools.cached_property
    def sublayers(self) -> dict[str, Layer]:
        return by_name(self.layers)

    def plan(self, *inputs):
        run, declared = planner()
        return declared, self._walk(inputs, run)

    def apply(self, params, state, *inputs, key=None, training=False):
        refuse_others(self, params, self.sublayers)
        params, inputs = self.to_compute(params, inputs)
        run, state, _ = runner(params, state, key, training)
        return self.to_output(self._walk(inputs, run)), state

    def _walk(self, inputs, run):
        if len(inputs) != self.count:
            raise ValueError(f"Graph: expected {self.count} inputs; received {len(inputs)}")
        names = list(self.sublayers)

        def call(step, args, kwargs):
            if isinstance(step.target, str):
                return OPS[step.target].public(*args, **kwargs)
            return run(names[step.target], self.layers[step.target], args, kwargs)

        return walk(self.steps, self.outputs, inputs, call)


def _pointing_to_of(init: Callable) -> Callable:
    @functools.wraps(init)
    def __init__(self: Graph, *args: Any, **kwargs: Any) -> None:
        if is_symbolic((args, kwargs)):
            raise TypeError(
                "Graph(...) takes steps and layers, as a file has them; received symbolic tensors. "
                "The graph between these is Graph.of(inputs, outputs)"
            )
        init(self, *args, **kwargs)

    return __init__


Graph.__init__ = _pointing_to_of(Graph.__init__)  # which the dataclass wrote


def _refs(values: Any) -> Iterator[Ref]:
    if isinstance(values, Ref):
        yield values
    elif isinstance(values, (tuple, dict)):
        for value in values.values() if isinstance(values, dict) else values:
            yield from _refs(value)
