"""Symbolic tensors, and the nodes that they record.

An op, or a layer, that is given symbolic tensors infers its output specs and records a node.
`trace` puts the nodes between inputs and outputs in order, `walk` runs them; `Graph` and
compat's Functional model are both that one walk.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

from kfun import _shape_rules, abstract, ops
from kfun.definition import Definition
from kfun.errors import SymbolicCallError
from kfun.ops._dispatch import Op
from kfun.ops._kinds import Kind, register
from kfun.spec import Spec


class SymbolicTensor:
    """An array that is still to come: a shape, a dtype, and the node that makes it.

    Operators and `kfun.ops` work on it and record what they do. A size that is not known is None.
    """

    def __init__(self, spec: Spec, node: Node | None = None, index: int = 0, name: str | None = None):
        self.spec, self.node, self.index, self.name = spec, node, index, name

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Sizes, None where not known."""
        return self.spec.shape

    @property
    def dtype(self) -> str:
        """The canonical dtype name."""
        return self.spec.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.spec.shape)

    def reshape(self, newshape: Any) -> Any:
        """The tensor in another shape."""
        return ops.reshape(self, newshape)

    def squeeze(self, axis: Any = None) -> Any:
        """The tensor without axes of size 1."""
        return ops.squeeze(self, axis)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} shape={self.shape} dtype={self.dtype} name={self.name}>"

    def __bool__(self):
        if self.node is not None and self.node.target is ops.equal and len(self.node.inputs) == 2:
            return self.node.inputs[0] is self.node.inputs[1]  # so that `tensor in tensors` can be asked
        raise TypeError("a symbolic tensor has no value: use ops.where or ops.cond instead of if")

    def __array__(self, *args: Any, **kwargs: Any):
        raise TypeError("a symbolic tensor has no value: use kfun.ops in place of NumPy functions")

    def __len__(self):
        raise TypeError(f"a symbolic tensor has no length; its shape is {self.shape}")

    def __iter__(self):
        raise TypeError("a symbolic tensor cannot be iterated over; use ops.unstack")

    sparse = ragged = False  # arrays are dense

    def __getitem__(self, index: Any):
        return ops.getitem(self, index)

    def __neg__(self):
        return ops.negative(self)

    def __abs__(self):
        return ops.abs(self)

    def __invert__(self):
        return ops.logical_not(self)

    __hash__ = object.__hash__


def _operator(op: Callable, reflected: bool) -> Callable:
    return (lambda a, b: op(b, a)) if reflected else op


for _name, _op in {
    "add": ops.add, "sub": ops.subtract, "mul": ops.multiply, "truediv": ops.divide,
    "floordiv": ops.floor_divide, "mod": ops.mod, "pow": ops.power, "matmul": ops.matmul,
    "and": ops.logical_and, "or": ops.logical_or,
}.items():  # fmt: skip
    setattr(SymbolicTensor, f"__{_name}__", _operator(_op, False))
    setattr(SymbolicTensor, f"__r{_name}__", _operator(_op, True))
for _name, _op in {
    "lt": ops.less, "le": ops.less_equal, "gt": ops.greater, "ge": ops.greater_equal,
    "eq": ops.equal, "ne": ops.not_equal,
}.items():  # fmt: skip
    setattr(SymbolicTensor, f"__{_name}__", _operator(_op, False))


class Node:
    """One call of a layer or an op on symbolic tensors."""

    def __init__(self, target: Any, args: tuple, kwargs: dict):
        self.target, self.args, self.kwargs = target, args, kwargs
        self.outputs: Any = None

    @functools.cached_property
    def inputs(self) -> list[SymbolicTensor]:
        """The symbolic tensors among the arguments, in order."""
        return list(tensors((self.args, self.kwargs)))


def tensors(tree: Any) -> Iterator[SymbolicTensor]:
    """The symbolic tensors in nested lists, tuples and dicts, in order."""
    found: list[SymbolicTensor] = []
    waiting = [tree]
    while waiting:
        item = waiting.pop()
        if isinstance(item, SymbolicTensor):
            found.append(item)
        elif isinstance(item, (list, tuple)):
            waiting += reversed(item)
        elif isinstance(item, dict):
            waiting += reversed(item.values())
    return iter(found)


def is_symbolic(tree: Any) -> bool:
    """Whether there is a symbolic tensor in nested lists, tuples and dicts."""
    return next(tensors(tree), None) is not None


def replace(tree: Any, function: Callable, leaf: type | tuple[type, ...]) -> Any:
    """The tree with `function` of each value of type `leaf`."""
    if isinstance(tree, leaf):
        return function(tree)
    if isinstance(tree, dict):
        return {k: replace(v, function, leaf) for k, v in tree.items()} if tree else {}
    if isinstance(tree, (list, tuple)):
        items = [replace(v, function, leaf) for v in tree]
        return type(tree)(*items) if isinstance(tree, tuple) and hasattr(tree, "_fields") else type(tree)(items)
    return tree


def Input(shape: tuple, dtype: str = "float32", batch_size: int | None = None, name: str | None = None):
    """A symbolic tensor to begin a graph with.

    Args:
        shape: sizes without the batch axis; None where not known.
        dtype: of the arrays to come.
        batch_size: None if not known.
        name: of the input.
    """
    return SymbolicTensor(Spec((batch_size, *shape), dtype), name=name)


def record(target: Any, args: tuple, kwargs: dict, outputs: Any = None) -> Any:
    """Records a call and gives its symbolic outputs.

    Args:
        target: a layer definition, an op, or any object that a walker knows how to call.
        args, kwargs: what it is called with; symbolic tensors anywhere inside.
        outputs: a pytree of `Spec`; found by an abstract run of `target` if None.
    """
    node = Node(target, args, kwargs)
    if outputs is None:
        outputs = infer(target, args, kwargs)
    index = iter(range(1 << 30))
    node.outputs = replace(outputs, lambda s: SymbolicTensor(s, node, next(index)), Spec)
    return node.outputs


def infer(target: Callable, args: tuple, kwargs: dict) -> Any:
    """The output specs of an op, or of a function like one, for arguments with symbolic tensors.

    Raises:
        SymbolicCallError: if it refuses what it is given.
    """
    try:
        return specs_of(target, args, kwargs)
    except (TypeError, IndexError) as error:
        if isinstance(error, ValueError):
            raise
        shapes = ", ".join(str(t.shape) for t in tensors((args, kwargs)))
        raise SymbolicCallError(f"{error}. The op was called on symbolic tensors of shape {shapes}") from error


def specs_of(function: Callable, args: tuple, kwargs: dict) -> Any:
    """The specs of what `function` gives for arguments with symbolic tensors, whose errors come as they are."""

    def call(*arrays):
        filled, named = _fill(args, kwargs, arrays)
        return function(*filled, **named)

    return abstract.evaluate(call, *(t.spec for t in tensors((args, kwargs))), constants=list(_shapes((args, kwargs))))


def _shapes(tree: Any) -> Iterator[tuple]:
    """The shapes of the arrays, not the symbolic tensors, in nested lists, tuples and dicts."""
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, (list, tuple)):
        for item in tree:
            yield from _shapes(item)
    elif not isinstance(tree, (SymbolicTensor, type)) and isinstance(shape := getattr(tree, "shape", None), tuple):
        yield shape


def _fill(args: tuple, kwargs: dict, arrays: Any) -> tuple[tuple, dict]:
    arrays = iter(arrays)
    filled = replace((args, kwargs), lambda _: next(arrays), SymbolicTensor)
    return filled


_RULES = _shape_rules.RULES | _shape_rules.SIZED_BY_VALUES


def _recording(op: Op) -> Callable:
    if op.name == "shape":
        return lambda x: x.shape
    target, rule = op.public, _RULES.get(op.name)

    def recording(*args):
        outputs = None if rule is None else rule(*replace(args, _spec, SymbolicTensor))
        return record(target, args, {}, outputs)

    return recording


def _spec(tensor: SymbolicTensor) -> Spec:
    return tensor.spec


def _no_conversion(x: Any) -> Any:
    return x


KIND = register(Kind("symbolic", (SymbolicTensor,), {}, _no_conversion, priority=30, fallback=_recording))


class Ref(Definition):
    """The place of a value in a walk: the inputs first, then each step's outputs in order."""

    index: int


class Step(Definition):
    """One step of a graph: what is called, and on which values."""

    holds_arrays = True  # constants that ops were called on

    target: Any
    args: Any = ()
    kwargs: Any = dataclasses.field(default_factory=dict)
    outputs: Any = ()


def trace(inputs: list[SymbolicTensor], outputs: Any) -> tuple[list[tuple[Node, Any, Any, Any]], Any]:
    """Orders the nodes that lead from `inputs` to `outputs`.

    Returns:
        `(steps, outputs)`: each step is `(node, args, kwargs, outputs)` with a `Ref` for every
        symbolic tensor, and so are the outputs.

    Raises:
        ValueError: if an output depends on a tensor that is not among the inputs.
    """
    place = {id(t): Ref(i) for i, t in enumerate(inputs)}
    steps: list[tuple[Node, Any, Any, Any]] = []
    done: set[int] = set()

    def ref(t: SymbolicTensor) -> Ref:
        return place[id(t)]

    stack = [(t, False) for t in reversed(list(tensors(outputs)))]
    while stack:  # depth first without recursion: graphs may be thousands of nodes deep
        tensor, expanded = stack.pop()
        node = tensor.node
        if id(tensor) in place or (node is not None and id(node) in done):
            continue
        if node is None:
            raise ValueError(
                f"graph: an output depends on {tensor!r}, which is not among the inputs "
                f"{[t.name or t.shape for t in inputs]}; pass it as an input"
            )
        if not expanded:
            stack.append((tensor, True))
            stack.extend((t, False) for t in reversed(node.inputs) if id(t) not in place)
            continue
        args, kwargs = replace((node.args, node.kwargs), ref, SymbolicTensor)
        for out in tensors(node.outputs):
            place.setdefault(id(out), Ref(len(place)))
        steps.append((node, args, kwargs, replace(node.outputs, ref, SymbolicTensor)))
        done.add(id(node))
    return steps, replace(outputs, ref, SymbolicTensor)


def walk(steps: Any, outputs: Any, inputs: Any, call: Callable) -> Any:
    """Runs steps over values.

    Args:
        steps: objects with `args`, `kwargs` and `outputs` in terms of `Ref`.
        outputs: what to return, in terms of `Ref`.
        inputs: the values of the first refs.
        call: `call(step, args, kwargs)` gives the values of the step's outputs.
    """
    values: dict[int, Any] = dict(enumerate(inputs))

    def value(ref: Ref) -> Any:
        return values[ref.index]

    for step in steps:
        args, kwargs = replace((step.args, dict(step.kwargs)), value, Ref)
        _store(step.outputs, call(step, args, kwargs), values)
    return replace(outputs, value, Ref)


def _store(refs: Any, results: Any, values: dict[int, Any]) -> None:
    if isinstance(refs, Ref):
        values[refs.index] = results
    elif isinstance(refs, dict):
        for key, ref in refs.items():
            _store(ref, results[key], values)
    elif isinstance(refs, (list, tuple)):
        for ref, result in zip(refs, results, strict=True):
            _store(ref, result, values)
