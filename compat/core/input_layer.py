"""`Input` and `InputLayer`: where a functional model begins."""

from __future__ import annotations

from typing import Any

from compat.core.layer import Layer
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
        input_tensor: a symbolic tensor to take the shape and dtype of.
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
        if input_tensor is not None:
            batch_shape, dtype = input_tensor.shape, dtype or input_tensor.dtype
        shape = kwargs.pop("input_shape", shape)
        if kwargs:
            raise TypeError(f"InputLayer: unknown arguments {sorted(kwargs)}")
        if batch_shape is None:
            if shape is None:
                raise ValueError("Input: expected `shape` (without the batch axis) or `batch_shape`; received neither")
            if isinstance(shape, int):
                raise ValueError(f"Input: expected a tuple of sizes such as ({shape},); received {shape}")
            batch_shape = (batch_size, *shape)
        elif shape is not None:
            raise ValueError("Input: received both `shape` and `batch_shape`; pass one")
        self.batch_shape = tuple(batch_shape)
        self._dtype = dtypes.name(dtype or "float32")
        self.optional = optional
        self.built = True
        node = Node(self, (), {})
        node.outputs = SymbolicTensor(Spec(self.batch_shape, self._dtype), node, 0, self.name)
        self._kf.nodes.append(node)

    @property
    def dtype(self) -> str:
        """The type of the input."""
        return self._dtype

    def call(self) -> Any:
        raise TypeError(f"InputLayer {self.name!r} is not called; its tensor is `.output`")

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {
            "batch_shape": self.batch_shape, "dtype": self._dtype, "sparse": False, "ragged": False,
            "name": self.name, "optional": self.optional,
        }  # fmt: skip


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
        tensor: a symbolic tensor to take the shape and dtype of.
        optional: whether None may be passed.
    """
    layer = InputLayer(shape, batch_size, dtype, sparse, ragged, batch_shape, tensor, optional, name=name)
    return layer.output
