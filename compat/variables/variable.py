"""`Variable`: a named cell that holds an array."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from compat import initializers
from compat.state import naming, scope
from compat.variables.draw_weights import draw
from kfun import dtypes, ops
from kfun.graph import replace
from kfun.initializers import Initializer
from kfun.ops._kinds import Kind, register


class Variable:
    """A named, mutable cell around an array.

    Args:
        initializer: an array, or an initializer `(key, shape, dtype)` or function `(shape, dtype)`
            with `shape`; the value is drawn when it is first needed.
        shape: sizes, needed with an initializer.
        dtype: by default that of the array, float32 with an initializer.
        trainable: whether optimizers move it.
        autocast: whether a layer that computes in another floating type sees it in that type.
        aggregation, synchronization: how copies on several devices combine; kept for files.
        name: the last part of `path`.

    Raises:
        ValueError: if `shape` is missing or has unknown sizes.
    """

    def __init__(
        self,
        initializer: Any,
        shape: tuple | None = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        aggregation: str = "none",
        synchronization: str = "auto",
        name: str | None = None,
        **kwargs: Any,
    ):
        within = kwargs.pop("_within", None)  # the path around it, if that is not the one of here and now
        if kwargs:
            raise TypeError(f"Variable: unknown arguments {sorted(kwargs)}")
        name = naming.auto_name(type(self).__name__) if name is None else name
        if not isinstance(name, str) or "/" in name:
            raise ValueError(f"Variable: expected a text without `/` as `name`; received {name!r}")
        if aggregation not in _AGGREGATIONS:
            raise _unknown("aggregation", aggregation, _AGGREGATIONS)
        if synchronization not in _SYNCHRONIZATIONS:
            raise _unknown("synchronization", synchronization, _SYNCHRONIZATIONS)
        self.name = name
        self.path = naming.path_of(name) if within is None else f"{within}/{name}"
        self.trainable, self.autocast = bool(trainable), autocast
        self._declared_trainable = bool(trainable)  # whether a definition counts it to its params
        self.aggregation, self.synchronization = aggregation or "none", synchronization or "none"
        self._regularizer: Any = None
        self._constraint: Any = None
        self._overwrite_with_gradient = False
        self._live: Any = None  # (holder, index) while a fit owns the value
        self._value: Any = None
        self._initializer: Callable | None = None
        if callable(initializer) or isinstance(initializer, str):
            if shape is None:
                raise ValueError(
                    "Variable: an initializer needs to know a `shape`. "
                    f"Received: initializer={initializer} and shape=None, for variable path={self.path!r}"
                )
            if isinstance(shape, int) or None in shape:
                raise ValueError(
                    "Variable: each size of `shape` must be known, none of them None. "
                    f"Received: shape={shape} for variable path={self.path!r}"
                )
            made = isinstance(initializer, Initializer)
            self._initializer = initializer if made else initializers.definition_of(initializer)
            self.shape = tuple(map(int, shape))
            self.dtype = dtypes.name(dtype or "float32")
        else:
            value = initializer.value if isinstance(initializer, Variable) else initializer
            self._value = ops.convert_to_tensor(value, dtype)
            self.shape, self.dtype = tuple(self._value.shape), dtypes.name(self._value.dtype)

    @property
    def regularizer(self) -> Any:
        """The penalty on the value, a callable or None."""
        return self._regularizer

    @regularizer.setter
    def regularizer(self, value: Any) -> None:
        self._regularizer = _callable("regularizer", value)

    @property
    def constraint(self) -> Any:
        """What the optimizer makes of the value after a step, a callable or None."""
        return self._constraint

    @constraint.setter
    def constraint(self, value: Any) -> None:
        self._constraint = _callable("constraint", value)

    @property
    def overwrite_with_gradient(self) -> bool:
        """Whether the optimizer puts the gradient in the value's place."""
        return self._overwrite_with_gradient

    @overwrite_with_gradient.setter
    def overwrite_with_gradient(self, value: Any) -> None:
        if not isinstance(value, bool):
            raise TypeError(f"`overwrite_with_gradient`: expected True or False; received {value!r}")
        self._overwrite_with_gradient = value

    @property
    def handle(self) -> Any:
        """The array, under the name that frameworks with cells of their own give it."""
        return self.value

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def value(self) -> Any:
        """The array, as the innermost scope has it."""
        inside = scope.current()
        value = None if inside is None else inside.get(self)
        if value is None:
            value = self._stored(inside)
        wanted = scope.autocast_dtype()
        if wanted is not None and self.autocast and dtypes.is_float(self.dtype):
            return ops.cast(value, wanted)
        return value

    def _stored(self, inside: Any) -> Any:
        if self._live is not None:
            return self._live[0].read(self._live[1])
        if self._value is None:
            if inside is not None and inside.abstract:
                return ops.zeros(self.shape, self.dtype)
            self.materialize()
        return self._value

    @property
    def stored(self) -> Any:
        """The array that the variable itself has, whatever scopes there are."""
        return self._stored(None)

    @property
    def drawn(self) -> bool:
        """Whether the variable has its array already."""
        return self._value is not None or self._live is not None

    @property
    def is_view(self) -> bool:
        """Whether a fit that is running has the value."""
        return self._live is not None

    def put(self, value: Any) -> None:
        """Takes a value of the variable's own shape and dtype, as a compiled step gives it."""
        self._value = value

    @property
    def spec(self) -> Any:
        """Shape and dtype, as JAX takes them in place of an array."""
        return jax.ShapeDtypeStruct(self.shape, jax.dtypes.canonicalize_dtype(self.dtype))

    def materialize(self) -> None:
        """Draws the value now, if that is still to be done."""
        if self._value is None and self._initializer is not None:
            draw([self])

    def assign(self, value: Any) -> Any:
        """Puts in another value of the same shape, cast to the variable's type.

        Raises:
            ValueError: if the shape differs.
        """
        value = value.value if isinstance(value, Variable) else value
        if isinstance(value, np.ndarray) and value.dtype != self.dtype:
            value = self._as_own(value)
        if not isinstance(value, jax.Array):
            value = ops.convert_to_tensor(value)
        if tuple(value.shape) != self.shape:
            raise ValueError(
                "assign: the shapes of the variable and of its new value must "
                f"match. Variable {self.path!r} has shape {self.shape}; received a value of shape {tuple(value.shape)}"
            )
        if value.dtype != self.dtype:
            value = ops.cast(value, self.dtype)
        inside = scope.current()
        if inside is not None:
            inside.set(self, value)
        elif self._live is not None:
            self._live[0].write(self._live[1], value)
        else:
            self._value = value
        return value

    def _as_own(self, value: np.ndarray) -> np.ndarray:
        """An array in the variable's type, before 64 bits are cut to 32."""
        if value.dtype.kind == "c" and not self.dtype.startswith("complex"):
            raise ValueError(f"assign: {self.path!r} is {self.dtype}; received complex numbers")
        with np.errstate(over="ignore", invalid="ignore"):
            return value.astype(np.dtype(self.dtype))

    def assign_add(self, value: Any) -> Any:
        """Adds to the value."""
        return self.assign(ops.add(self.value, value))

    def assign_sub(self, value: Any) -> Any:
        """Subtracts from the value."""
        return self.assign(ops.subtract(self.value, value))

    def numpy(self) -> np.ndarray:
        """The value as a NumPy array of its own, which may be written to."""
        return np.array(self._array())

    def _array(self) -> np.ndarray:
        """The value as a NumPy array to read from, without a copy where that can be."""
        return np.asarray(ops.convert_to_numpy(self.value))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._array(), dtype)

    def __jax_array__(self):
        return self.value

    def __repr__(self) -> str:
        shown = str(self._array()) if self.drawn else "not drawn yet"
        return f"<Variable path={self.path}, shape={self.shape}, dtype={self.dtype}, value={shown}>"

    def __float__(self) -> float:
        return float(self._scalar())

    def __int__(self) -> int:
        return int(self._scalar())

    def _scalar(self) -> np.ndarray:
        if self.shape:
            raise TypeError(f"only one element alone is a Python number; the variable has shape {self.shape}")
        return self._array()

    def __bool__(self) -> bool:
        raise TypeError("A variable has no truth value. Use its .numpy(), or ops.where")

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError(f"Variable {self.path!r} is a scalar, which has no len()")
        return self.shape[0]

    def __iter__(self) -> Any:
        if not self.shape:
            raise TypeError(f"cannot iterate over Variable {self.path!r}, which is a scalar")
        return iter(self.value)

    def __getitem__(self, index: Any):
        return self.value[index]

    def __neg__(self):
        return ops.negative(self.value)

    def __pos__(self):
        return self.value

    def __abs__(self):
        return ops.abs(self.value)

    def __invert__(self):
        return (ops.logical_not if self.dtype == "bool" else ops.bitwise_not)(self.value)

    def __round__(self, decimals: int | None = None):
        return ops.round(self.value, decimals or 0)

    def __eq__(self, other: Any):  # type: ignore[override]
        return ops.equal(self.value, other)

    __hash__ = object.__hash__  # by identity: variables are keys of dicts


_AGGREGATIONS = (None, "none", "mean", "sum", "only_first_replica")
_SYNCHRONIZATIONS = (None, "none", "on_read", "on_write", "auto")


def _unknown(argument: str, value: Any, known: tuple) -> ValueError:
    return ValueError(f"{argument}: expected one of {known}; received {value!r}")


def _callable(attribute: str, value: Any) -> Any:
    if value is not None and not callable(value):
        raise ValueError(
            f"`{attribute}`: expected a function of the value, e.g. from `keras.{attribute}s`, "
            f"or None. Received: {attribute}={value!r}"
        )
    return value


def _logical(name: str) -> Callable:
    """`&`, `|`, `^` are logical and give bool whatever the types, as Keras has it."""
    return getattr(ops, f"logical_{name}")


_OPERATORS = {
    "add": ops.add, "sub": ops.subtract, "mul": ops.multiply, "truediv": ops.divide, "floordiv": ops.floor_divide,
    "mod": ops.mod, "pow": ops.power, "matmul": ops.matmul, "and": _logical("and"), "or": _logical("or"),
    "xor": _logical("xor"),
}  # fmt: skip
_COMPARISONS = {
    "lt": ops.less, "le": ops.less_equal, "gt": ops.greater, "ge": ops.greater_equal, "ne": ops.not_equal,
}  # fmt: skip


def _method(op: Callable, reflected: bool) -> Callable:
    def forward(a: Any, b: Any) -> Any:
        return op(a.value, b)

    def backward(a: Any, b: Any) -> Any:
        return op(b, a.value)

    return backward if reflected else forward


for _name, _op in _OPERATORS.items():
    setattr(Variable, f"__{_name}__", _method(_op, False))
    setattr(Variable, f"__r{_name}__", _method(_op, True))
for _name, _op in _COMPARISONS.items():
    setattr(Variable, f"__{_name}__", _method(_op, False))


def unwrap(tree: Any) -> Any:
    """Nested lists, tuples and dicts with each variable replaced by its value."""
    return replace(tree, lambda v: v.value, Variable)


def fill(variables: list[Variable], store: Any) -> None:
    """Gives variables the values of a mapping from "0", "1", ...; one that can do so itself need not copy them."""
    if hasattr(store, "fill"):
        store.fill(variables)
        return
    for i, variable in enumerate(variables):
        variable.assign(store[str(i)])


def _by_value(op: Any) -> Callable:
    """An op on variables is the op on their values."""
    return lambda *args, **kwargs: op.public(*unwrap(args), **unwrap(kwargs))


KIND = register(Kind("variable", (Variable,), {}, lambda x: x, priority=40, fallback=_by_value))
