"""Graph values of ONNX: arrays and sizes that exist only when the model runs.

A `Value` stands for an array, a `Dim` for a size. Nodes are linked by their values and belong to
the `Body` (of a loop or branch) in which they were made; `graph` collects those that a
result needs. Bodies may use the values of the graphs around them, as ONNX allows.
"""

from __future__ import annotations

import contextvars
import functools
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx import helper, numpy_helper, shape_inference

from kfun import dtypes, ops
from kfun.backends.common.promotion import from_python
from kfun.backends.graphs.operand_types import known_size as _known_size
from kfun.backends.graphs.operand_types import operand_types
from kfun.backends.onnx.constants import NAMES, described, initializer, native, shared_constants
from kfun.backends.onnx.kernels import computed_in, governed
from kfun.errors import MixedBackendsError
from kfun.ops import _kinds

OPSET = 21  # the newest that every onnxruntime from 1.20 on runs
_body: contextvars.ContextVar[Body | None] = contextvars.ContextVar("onnx_body", default=None)
_BY_NUMBER = {native(name).value: name for name in NAMES}


class Value:
    """An array of the graph. Operators call `kfun.ops`; `operators` gives them.

    Args:
        dtype: canonical name.
        shape: ints, and a `Dim` for each size that is known only at run time; None makes one.
        output: the value of the graph, or None for a constant.
        constant: the data, if they are known.
        body: where the value was made, None for the outermost graph.
    """

    __slots__ = ("_output", "body", "constant", "dtype", "shape")
    __array_ufunc__ = None  # NumPy's operators leave the work to ours
    __hash__ = object.__hash__

    def __init__(self, dtype: str, shape: Sequence, output: ir.Value | None = None, constant=None, body=None):
        self.dtype, self._output, self.constant, self.body = dtype, output, constant, body
        self.shape = tuple(self._dim(axis) if size is None else size for axis, size in enumerate(shape))

    def _dim(self, axis: int) -> Dim:
        return Dim(lambda: emit("Shape", self, start=axis, end=axis + 1), self.body)

    @property
    def output(self) -> ir.Value:
        """The value of the graph; for a constant, that of the graph that is being built."""
        return initializer(self.constant) if self._output is None else self._output

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def __repr__(self) -> str:
        shape = ", ".join("?" if isinstance(s, Dim) else str(s) for s in self.shape)
        return f"Value({self.dtype}[{shape}])"

    def __getitem__(self, index):
        return ops.getitem(self, index)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __len__(self) -> int:
        if self.ndim and isinstance(self.shape[0], int):
            return self.shape[0]
        raise TypeError(f"{self!r} has no length that is known before it runs: use ops.scan to go over its first axis")

    def _refuse(self, *_):
        raise TypeError(
            f"{self!r} has no data before the graph runs, so Python cannot branch on it or convert it: "
            "use ops.where, ops.cond or ops.while_loop, and keep the computation in kfun.ops"
        )

    __bool__ = __int__ = __float__ = __index__ = __array__ = _refuse


class Dim:
    """A size that is known only at run time: an integer of the graph, weakly typed like Python's.

    Takes part in integer arithmetic and in shapes; Python cannot look at it.

    Args:
        make: gives the int64 `Value` of shape `[1]`; called when the size is first used.
        body: where the size can be read, None for the outermost graph.
        name: of the open size of an input, as the model shows it.
    """

    __slots__ = ("_make", "_scalar", "_vector", "body", "name")
    __array_ufunc__ = None

    def __init__(self, make: Callable[[], Value], body: Body | None, name: str | None = None):
        self._make, self.body, self.name = make, body, name
        self._vector = self._scalar = None

    @property
    def vector(self) -> Value:
        """The size as an int64 array of shape `[1]`."""
        if self._vector is None:
            with Within(self.body):
                self._vector = self._make()
        return self._vector

    @property
    def value(self) -> Value:
        """The scalar int64 graph value."""
        if self._scalar is None:
            vector = self.vector
            with Within(self.body):
                self._scalar = emit("Squeeze", vector, integers([0]))
        return self._scalar

    def __repr__(self) -> str:
        return "Dim(?)"

    def __neg__(self):
        return 0 - self

    def _refuse(self, *_):
        raise TypeError(
            "a size of this graph is known only when it runs, so Python cannot compare it or turn it into a number: "
            "keep it in a shape or in kfun.ops, or trace with that size fixed in the Spec"
        )

    __bool__ = __int__ = __float__ = __index__ = __lt__ = __le__ = __gt__ = __ge__ = __array__ = _refuse


def dim_of(x: Value) -> Dim:
    """A size that an integer value of one element computes."""
    vector = x if x.ndim else emit("Unsqueeze", x, integers([0]))
    return Dim(lambda: cast(vector, "int64"), _body.get())


class Within:
    """Makes new nodes part of a graph that is being built: None is the outermost."""

    def __init__(self, body: Body | None):
        self.within = body

    def __enter__(self):
        self._token = _body.set(self.within)
        return self

    def __exit__(self, *_):
        _body.reset(self._token)


class Body(Within):
    """The graph inside a loop or a branch; `with body:` makes new nodes part of it."""

    def __init__(self):
        super().__init__(self)
        self.outer = _body.get()
        self.inputs: list[Value] = []

    def parameter(self, dtype: str, shape: Sequence) -> Value:
        """A new input of the body."""
        self.inputs.append(Value(dtype, shape, described(ir.Value(), dtype, shape), body=self))
        return self.inputs[-1]


def visible(body: Body | None) -> bool:
    """Whether the graph that is being built lies in `body`, or is it."""
    current = _body.get()
    while current is not body and current is not None:
        current = current.outer
    return current is body


def here(x: Value) -> Value:
    """`x`; raises ValueError if it belongs to the inside of another loop or branch."""
    if x.constant is None and not visible(x.body):
        raise ValueError(f"{x!r} belongs to the inside of a loop or branch: return it from there")
    return x


def graph_input(name: str, dtype: Any, shape: Sequence[int | None]) -> Value:
    """An input of the outermost graph; the open size of axis 1 of `x` is called `x_1`."""
    dtype = dtypes.name(dtype)
    made = Value(dtype, shape, ir.Value(name=name))
    for axis, size in enumerate(made.shape):
        if isinstance(size, Dim):
            size.name = f"{name}_{axis}"
    described(made.output, dtype, made.shape)
    return made


def node(op: str, inputs: Sequence[Value | None], results: Sequence[tuple], attributes: dict) -> list[Value]:
    """A node of the graph that is being built.

    Args:
        results: dtype and shape of each; a size of None is open.
    """
    body = _body.get()
    made = ir.node(op, [None if x is None else here(x).output for x in inputs], attributes, num_outputs=len(results))
    made.meta["body"] = body
    values = [Value(dtype, shape, out, body=body) for (dtype, shape), out in zip(results, made.outputs, strict=True)]
    for value in values:
        described(value.output, value.dtype, value.shape)
    return values


def emit(op: str, *inputs: Any, outputs: int = 1, shape: Sequence | None = None, **attributes: Any) -> Any:
    """An operation, computed in a type for which there is a kernel.

    Args:
        op: of the ONNX standard.
        inputs: what ops accept as arrays, None for an optional one that is left out.
        outputs: how many there are.
        shape: what is known of the first output's sizes beyond ONNX's own inference; None where nothing is.
        attributes: of the node.

    Returns:
        A `Value`, or a list of them.
    """
    values = [None if x is None else as_value(x) for x in inputs]
    while values[-1] is None:
        values.pop()
    schema, (variable, formal, results) = _schema(op)
    kinds = [formal[min(i, len(formal) - 1)] for i in range(len(values))]
    given = next(x.dtype for x, kind in zip(values, kinds, strict=True) if kind == variable and x is not None)
    dtype = computed_in(op, given)
    if dtype != given:
        pairs = zip(values, kinds, strict=True)
        values = [cast(x, dtype) if x is not None and kind == variable else x for x, kind in pairs]
    types = _infer(op, schema, values, outputs, attributes)
    if shape is not None:
        pairs = zip(shape, types[0][1] or [None] * len(shape), strict=True)
        types[0] = types[0][0], [inferred if s is None or isinstance(inferred, int) else s for s, inferred in pairs]
    made = node(op, values, types, attributes)
    if dtype != given:
        kinds = [results[min(i, len(results) - 1)] for i in range(len(made))]
        made = [cast(x, given) if kind == variable else x for x, kind in zip(made, kinds, strict=True)]
    return made[0] if outputs == 1 else made


@functools.cache
def _schema(op: str) -> tuple[Any, tuple[str, list[str], list[str]]]:
    schema = onnx.defs.get_schema(op, OPSET, "")
    return schema, governed(schema)


def _infer(op: str, schema: Any, values: Sequence[Value | None], outputs: int, attributes: dict) -> list[tuple]:
    """Dtype and shape of each output by ONNX's rule for the operation; sizes that are inputs' stay the same `Dim`."""
    names = ["" if x is None else f"i{i}" for i, x in enumerate(values)]
    proto = helper.make_node(op, names, [f"o{i}" for i in range(outputs)], **attributes)
    seen: dict[int, tuple[str, Dim]] = {}
    types, data = {}, {}
    for name, x in zip(names, values, strict=True):
        if x is None:
            continue
        sizes = [seen.setdefault(id(s), (f"d{len(seen)}", s))[0] if isinstance(s, Dim) else s for s in x.shape]
        types[name] = helper.make_tensor_type_proto(native(x.dtype).value, sizes)
        if x.constant is not None and x.constant.ndim < 2 and x.constant.size < 1000 and x.dtype in dtypes.INTEGERS:
            data[name] = numpy_helper.from_array(x.constant)
    found = shape_inference.infer_node_outputs(
        schema, proto, types, data, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10
    )
    known = dict(seen.values())
    return [_described_by(found[f"o{i}"].tensor_type, known) for i in range(outputs)]


def _described_by(found: Any, known: dict[str, Dim]) -> tuple[str, list | None]:
    sizes = [d.dim_value if d.HasField("dim_value") else known.get(d.dim_param) for d in found.shape.dim]
    return _BY_NUMBER[found.elem_type], sizes if found.HasField("shape") else None


def constant(data: Any, dtype: Any = None) -> Value:
    """A constant of NumPy data or of a Python scalar."""
    known = shared_constants()
    key = id(data), None if dtype is None else dtypes.name(dtype)
    if known is not None and isinstance(data, np.ndarray) and key in known.values:
        return known.values[key][0]
    array = from_python(data) if dtype is None else np.asarray(data)
    name = dtypes.name(dtype or dtypes.weak(data) or array.dtype)
    native(name)  # raises where ONNX has no such type
    array = array.astype(np.dtype(name), copy=False)
    made = Value(name, array.shape, constant=array)
    if known is not None and isinstance(data, np.ndarray):
        known.values[key] = made, data
    return made


def as_value(x: Any, dtype: Any = None) -> Value:
    """A `Value` of anything that an op accepts as an array.

    Raises:
        MixedBackendsError: if `x` is an array of another framework.
        TypeError: if it is no array.
    """
    if isinstance(x, Dim):
        x = cast(x.value, dtype or "int32")
    elif isinstance(x, (list, tuple)) and any(isinstance(e, (Value, Dim, list, tuple)) for e in x):
        x = ops.stack([as_value(e) for e in x])
    elif isinstance(x, (bool, int, float, np.ndarray, np.generic, list, tuple)):
        return constant(x, dtype)
    elif not isinstance(x, Value):
        kind = _kinds.kind_of_type(type(x))
        if isinstance(kind, _kinds.Kind):
            raise MixedBackendsError("call", "onnx", kind.name)
        raise TypeError(f"expected an array or a number; received {type(x).__name__}: {x!r:.80}")
    return here(x) if dtype is None else cast(x, dtype)


def cast(x: Value, dtype: Any) -> Value:
    """`x` in another type; constants are converted now."""
    name = dtypes.name(dtype)
    if x.dtype == name:
        return here(x)
    if x.constant is not None:
        return constant(x.constant, name)
    return node("Cast", [x], [(name, x.shape)], {"to": native(name).value})[0]


dtype_of, promoted = operand_types(Value, Dim, as_value)
known_size = functools.partial(_known_size, "ONNX")


def integers(sizes: Any) -> Value:
    """An int64 array of one axis: of ints, `Dim`s and scalar integer values."""
    if isinstance(sizes, Value):
        return cast(sizes, "int64")
    parts: list[Value] = []
    for known, run in itertools.groupby(_each(sizes), lambda s: isinstance(s, (int, np.integer))):
        if known:
            parts.append(constant(np.asarray([int(s) for s in run], np.int64)))
        else:
            parts.extend(s.vector if isinstance(s, Dim) else dim_of(as_value(s)).vector for s in run)
    if not parts:
        return constant(np.zeros(0, np.int64))
    return parts[0] if len(parts) == 1 else emit("Concat", *parts, axis=0)


def _each(sizes: Any) -> Iterable:
    return sizes if isinstance(sizes, (list, tuple)) else [sizes]
