"""`Input` and `InputLayer`: where a functional model begins."""

from __future__ import annotations

import warnings
from typing import Any

from compat.engine import symbolic_masks  # noqa: F401 - gives symbolic tensors their masks
from compat.engine.layer import Layer
from compat.state.changes import quiet_setter
from kfun import dtypes
from kfun.graph import Node, SymbolicTensor
from kfun.spec import Spec


class InputLayer(Layer):
    """The layer of an input: gives back what the model is called with.

    Args:
        shape: sizes without the batch axis.
        batch_size: None if not known.
        dtype: of the input.
        sparse, ragged: not supported here; must be None or False.
        batch_shape: sizes with the batch axis, in place of `shape` and `batch_size`.
        input_tensor: a symbolic tensor that becomes this layer's output, in place of a new one.
        optional: whether None may be passed.
        name: by default "input_layer", numbered.
    """

    def __init__(
        self,
        shape: Any = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: Any = None,
        ragged: Any = None,
        batch_shape: Any = None,
        input_tensor: Any = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(name=name)
        if sparse or ragged:
            raise ValueError("InputLayer: sparse and ragged inputs are not supported; pass dense arrays and a mask")
        if "input_shape" in kwargs:
            warnings.warn("InputLayer: `input_shape` is the old name of `shape`", stacklevel=2)
            shape = kwargs.pop("input_shape")
        batch_shape = kwargs.pop("batch_input_shape", batch_shape)
        if kwargs:
            raise TypeError(f"InputLayer: unknown arguments {sorted(kwargs)}")
        if input_tensor is not None:
            batch_shape, dtype = _taken(input_tensor, shape, batch_size, batch_shape, dtype)
        else:
            batch_shape = _sizes(shape, batch_size, batch_shape)
        keep = quiet_setter(type(self))
        keep(self, "batch_shape", tuple(batch_shape))
        keep(self, "_dtype", dtypes.name(dtype or "float32"))
        keep(self, "optional", optional)
        keep(self, "sparse", False)
        keep(self, "ragged", False)
        keep(self, "built", True)
        node = Node(self, (), {})
        if input_tensor is None:
            input_tensor = SymbolicTensor(Spec(self.batch_shape, self._dtype), node, 0, self.name)
        input_tensor.node, input_tensor.index = node, 0
        node.outputs = input_tensor
        self._kf.nodes.append(node)

    def _is_pure(self) -> bool:
        return True

    def _keeps_rows_apart(self) -> bool:
        return True

    @property
    def dtype(self) -> str:
        """The type of the input."""
        return self._dtype

    def call(self) -> None:
        """Nothing: its tensor is `output`."""

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {
            "batch_shape": self.batch_shape, "dtype": self._dtype, "sparse": False, "ragged": False,
            "name": self.name, "optional": self.optional,
        }  # fmt: skip


def _sizes(shape: Any, batch_size: int | None, batch_shape: Any) -> tuple:
    """The sizes with the batch axis."""
    if batch_shape is not None:
        if shape is not None or batch_size is not None:
            other = "shape" if shape is not None else "batch_size"
            raise ValueError(f"Input: received both `{other}` and `batch_shape`; pass one")
        return tuple(batch_shape)
    if shape is None:
        raise ValueError("Input: expected `shape` (without the batch axis) or `batch_shape`; received neither")
    if isinstance(shape, int):
        raise ValueError(f"Input: expected a tuple of sizes such as ({shape},); received {shape}")
    return (batch_size, *shape)


def _taken(tensor: Any, shape: Any, batch_size: int | None, batch_shape: Any, dtype: Any) -> tuple[tuple, str]:
    """The sizes and dtype of a tensor that is given, with which other arguments must agree."""
    if not isinstance(tensor, SymbolicTensor):
        raise ValueError(f"Input: expected a symbolic tensor as `tensor`; received {type(tensor).__name__}")
    wanted = tensor.shape
    given = {"batch_shape": (batch_shape, wanted), "shape": (shape, wanted[1:]), "batch_size": (batch_size, wanted[0])}
    given = {k: (tuple(v) if isinstance(v, list) else v, w) for k, (v, w) in given.items() if v is not None}
    given |= {"dtype": (dtypes.name(dtype), tensor.dtype)} if dtype is not None else {}
    for name, (value, of_tensor) in given.items():
        if value != of_tensor:
            raise ValueError(f"Input: received {name}={value} for a tensor of {name} {of_tensor}; leave it out")
    return wanted, tensor.dtype


def Input(
    shape: Any = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: Any = None,
    ragged: Any = None,
    batch_shape: Any = None,
    name: str | None = None,
    tensor: Any = None,
    optional: bool = False,
) -> Any:
    """A symbolic tensor to begin a functional model with.

    Args:
        shape: sizes without the batch axis; None where not known.
        batch_size: None if not known.
        dtype: float32 by default.
        batch_shape: sizes with the batch axis, in place of `shape` and `batch_size`.
        name: of the input.
        tensor: a symbolic tensor that the model begins with, in place of a new one.
        optional: whether None may be passed.
    """
    layer = InputLayer(shape, batch_size, dtype, sparse, ragged, batch_shape, tensor, optional, name=name)
    return layer.output
