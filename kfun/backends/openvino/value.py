"""Graph values of OpenVINO: arrays and sizes that exist only when the compiled model runs.

A `Value` stands for an array, a `Dim` for a size. A `Body` collects the graph of a loop's or a
branch's inside: a value of an outer graph that is used within becomes one of its inputs.

Convolutions of OpenVINO read `[B, C, D...]`. A value may be stored in that order while its shape
and meaning stay `[B, D..., C]`; the transpose is written only where an op needs the other order.
"""

from __future__ import annotations

import contextvars
import functools
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset16 as o

from kfun import dtypes, ops
from kfun.backends.common.promotion import from_python
from kfun.backends.graphs.operand_types import known_size as _known_size
from kfun.backends.graphs.operand_types import operand_types
from kfun.errors import MixedBackendsError
from kfun.ops import _kinds

NATIVE = {
    "bool": ov.Type.boolean,
    **{f"uint{n}": getattr(ov.Type, f"u{n}") for n in (8, 16, 32, 64)},
    **{f"int{n}": getattr(ov.Type, f"i{n}") for n in (8, 16, 32, 64)},
    "bfloat16": ov.Type.bf16,
    **{f"float{n}": getattr(ov.Type, f"f{n}") for n in (16, 32, 64)},
    "float8_e4m3fn": ov.Type.f8e4m3,
    "float8_e5m2": ov.Type.f8e5m2,
}
NAMES = {native.get_type_name(): name for name, native in NATIVE.items()}
_body: contextvars.ContextVar[Body | None] = contextvars.ContextVar("openvino_body", default=None)
_constants: contextvars.ContextVar[dict | None] = contextvars.ContextVar("openvino_constants", default=None)


def native(dtype: Any) -> ov.Type:
    """OpenVINO's type for a dtype; raises TypeError if it has none."""
    name = dtypes.name(dtype)
    if name not in NATIVE:
        raise TypeError(f"OpenVINO has no {name} arrays; expected one of {', '.join(NATIVE)}")
    return NATIVE[name]


class Value:
    """An array of the graph. Operators call `kfun.ops`; `operators` gives them.

    Args:
        output: the graph output, in the order of the axes that `shape` has; or None.
        first: the same array stored `[B, C, D...]`, where its meaning is `[B, D..., C]`; or None.
        constant: the data, if they are known.
    """

    __slots__ = ("_dims", "_first", "_output", "body", "constant", "dtype")
    __array_ufunc__ = None  # NumPy's operators leave the work to ours
    __hash__ = object.__hash__

    def __init__(self, output: Any = None, *, first: Any = None, constant: np.ndarray | None = None, body: Any = ...):
        self._output, self._first = _as_output(output), _as_output(first)
        self.constant = constant
        self.body = _body.get() if body is ... else body
        self.dtype = NAMES[(self._output or self._first).get_element_type().get_type_name()]
        self._dims: dict[int, Dim] = {}

    @property
    def output(self) -> ov.Output:
        """The graph output in the order of `shape`."""
        if self._output is None:
            rank = self.ndim
            self._output = _as_output(o.transpose(self._first, _integers([0, *range(2, rank), 1])))
        return self._output

    @property
    def first(self) -> ov.Output:
        """The graph output in the order `[B, C, D...]`, for a value that means `[B, D..., C]`."""
        if self._first is None:
            rank = self.ndim
            self._first = _as_output(o.transpose(self._output, _integers([0, rank - 1, *range(1, rank - 1)])))
        return self._first

    @property
    def deferred(self) -> bool:
        """Whether the transpose to the order of `shape` has not been written (in this graph)."""
        return self._output is None and self.body is _body.get()

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len((self._output or self._first).get_partial_shape())

    @property
    def shape(self) -> tuple:
        """Ints, and a `Dim` for each size that is known only at run time."""
        return tuple(self._size(axis) for axis in range(self.ndim))

    def _size(self, axis: int) -> int | Dim:
        stored = self._output or self._first
        at = axis if self._output is not None else stored_axis(axis, self.ndim)
        size = stored.get_partial_shape()[at]
        if size.is_static:
            return size.get_length()
        if axis not in self._dims:
            read = lambda: o.gather(o.shape_of(stored, "i64"), _integers(at), _integers(0))  # noqa: E731
            self._dims[axis] = Dim(lambda: Value(read(), body=self.body))
        return self._dims[axis]

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
        make: gives the scalar int64 `Value`; called when the size is first used.
    """

    __slots__ = ("_make", "_value")
    __array_ufunc__ = None

    def __init__(self, make: Callable[[], Value]):
        self._make, self._value = make, None

    @property
    def value(self) -> Value:
        """The scalar int64 graph value."""
        if self._value is None:
            self._value = self._make()
        return self._value

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


class Body:
    """The graph inside a loop or a branch; `with body:` makes new nodes part of it."""

    def __init__(self):
        self.outer = _body.get()
        self.inputs: list[tuple[Value, Any]] = []  # the value inside, its parameter node
        self.captures: dict[int, tuple[Value, Value]] = {}  # by id: the outer value, the input that carries it

    def __enter__(self) -> Body:
        self._token = _body.set(self)
        return self

    def __exit__(self, *_):
        _body.reset(self._token)

    def parameter(self, dtype: str, shape: ov.PartialShape) -> Value:
        """A new input of the body."""
        node = o.parameter(shape, native(dtype))
        self.inputs.append((Value(node, body=self), node))
        return self.inputs[-1][0]

    def node_of(self, value: Value) -> Any:
        """The parameter node of an input."""
        return next(node for inner, node in self.inputs if inner is value)

    def lift(self, x: Value) -> Value:
        """The input of the body through which a value of an outer graph comes in."""
        if id(x) not in self.captures:
            outer = self.outer
            while outer is not x.body and outer is not None:
                outer = outer.outer
            if outer is not x.body:
                raise ValueError(f"{x!r} belongs to the inside of another loop or branch: return it from there")
            self.captures[id(x)] = x, self.parameter(x.dtype, x.output.get_partial_shape())
        return self.captures[id(x)][1]

    def model(self, results: Sequence[ov.Output]) -> tuple[ov.Model, list[Any]]:
        """The finished body and its result nodes."""
        nodes = [o.result(r) for r in results]
        return ov.Model(nodes, [node for _, node in self.inputs], "body"), nodes


def here(x: Value) -> Value:
    """`x` as the graph that is being built can use it: itself, or an input that carries it in."""
    body = _body.get()
    if x.body is body:
        return x
    if x.constant is not None:
        return constant(x.constant, x.dtype)
    if body is None:
        raise ValueError(f"{x!r} belongs to the inside of a loop or branch: return it from there")
    return body.lift(x)


def constant(data: Any, dtype: Any = None) -> Value:
    """A constant of NumPy data or of a Python scalar; one node per array within a `sharing` block."""
    known = _constants.get()
    key = (id(data), None if dtype is None else dtypes.name(dtype), id(_body.get()))
    if known is not None and isinstance(data, np.ndarray) and key in known:
        return known[key][0]
    array = from_python(data) if dtype is None else np.asarray(data)
    if dtype is None:
        dtype = dtypes.weak(data) or array.dtype
    name = dtypes.name(dtype)
    kind = native(name)
    array = np.ascontiguousarray(array.astype(np.dtype(name))).reshape(array.shape)
    made = Value(_node(array, kind), constant=array)
    if known is not None and isinstance(data, np.ndarray):
        known[key] = made, data, _body.get()  # holding them keeps their ids unique
    return made


def _node(array: np.ndarray, kind: ov.Type) -> Any:
    if array.dtype.type.__module__ == "numpy":
        return ov.op.Constant(array)
    bits = array.view(np.uint8 if array.dtype.itemsize == 1 else np.uint16)
    tensor = ov.Tensor(kind, ov.Shape(array.shape))
    tensor.data.view(bits.dtype)[...] = bits
    return ov.op.Constant(tensor)


class sharing:
    """Within it, one NumPy array makes one constant, however often it is used."""

    def __enter__(self):
        self._token = _constants.set({})

    def __exit__(self, *_):
        _constants.reset(self._token)


def as_value(x: Any, dtype: Any = None) -> Value:
    """A `Value` of anything that an op accepts as an array, in the graph that is being built.

    Raises:
        MixedBackendsError: if `x` is an array of another framework.
        TypeError: if it is no array.
    """
    if isinstance(x, Value):
        x = here(x)
    elif isinstance(x, Dim):
        x = cast(here(x.value), dtype or "int32")
    elif isinstance(x, (list, tuple)) and any(isinstance(e, (Value, Dim, list, tuple)) for e in x):
        x = ops.stack([as_value(e) for e in x])
    elif isinstance(x, (bool, int, float, np.ndarray, np.generic, list, tuple)):
        return constant(x, dtype)
    else:
        kind = _kinds.kind_of_type(type(x))
        if isinstance(kind, _kinds.Kind):
            raise MixedBackendsError("call", "openvino", kind.name)
        raise TypeError(f"expected an array or a number; received {type(x).__name__}: {x!r:.80}")
    return x if dtype is None else cast(x, dtype)


def cast(x: Value, dtype: Any) -> Value:
    """`x` in another type; constants are converted now."""
    name = dtypes.name(dtype)
    if x.dtype == name:
        return x
    if x.constant is not None:
        return constant(x.constant, name)
    convert = lambda stored: o.convert(stored, native(name).get_type_name())  # noqa: E731
    x = here(x)
    return Value(first=convert(x.first)) if x.deferred else Value(convert(x.output))


def output_of(x: Any, dtype: Any = None) -> ov.Output:
    """The graph output of anything that an op accepts as an array."""
    return as_value(x, dtype).output


def first_of(x: Any, rank: int, dtype: Any = None) -> ov.Output:
    """`x`, which broadcasts against `[B, D..., C]` of that rank, in the order `[B, C, D...]`."""
    x = as_value(x, dtype)
    if x.ndim == 0:
        return x.output
    if x.constant is not None:
        wide = x.constant.reshape((1,) * (rank - x.ndim) + x.constant.shape)
        return constant(np.moveaxis(wide, -1, 1), x.dtype).output
    if x.ndim < rank:
        x = Value(o.unsqueeze(x.output, _integers(list(range(rank - x.ndim)))))
    return x.first


def stored_axis(axis: int, rank: int) -> int:
    """Where an axis of `[B, D..., C]` lies in `[B, C, D...]`."""
    axis %= rank
    return 0 if axis == 0 else 1 if axis == rank - 1 else axis + 1


dtype_of, promoted = operand_types(Value, Dim, as_value)
known_size = functools.partial(_known_size, "OpenVINO")


def integers(sizes: Any) -> ov.Output:
    """A 1-d (or scalar) int64 output of ints, `Dim`s and scalar integer values."""
    if not isinstance(sizes, Iterable) or (isinstance(sizes, Value) and sizes.ndim == 0):
        return output_of(sizes, "int64")
    if isinstance(sizes, Value):
        return output_of(sizes, "int64")
    parts: list[ov.Output] = []
    for known, run in itertools.groupby(sizes, lambda s: isinstance(s, (int, np.integer))):
        if known:
            parts.append(_integers([int(s) for s in run]))
        else:
            parts.extend(_as_output(o.reshape(output_of(s, "int64"), _integers([1]), False)) for s in run)
    if not parts:
        return _integers([])
    return parts[0] if len(parts) == 1 else _as_output(o.concat(parts, 0))


def _integers(values: Any) -> ov.Output:
    return ov.op.Constant(np.asarray(values, np.int64)).output(0)


def _as_output(node: Any) -> ov.Output | None:
    return node.output(0) if isinstance(node, ov.Node) else node
