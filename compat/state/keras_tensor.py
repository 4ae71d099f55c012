"""`KerasTensor`: the symbolic tensor under Keras's name and constructor."""

from __future__ import annotations

from typing import Any

from compat.state import naming
from kfun.graph import SymbolicTensor
from kfun.spec import Spec


class _AnySymbolic(type):
    """Every symbolic tensor is an instance, since those that ops make are of kfun's own class."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, SymbolicTensor)


class KerasTensor(SymbolicTensor, metaclass=_AnySymbolic):
    """An array that is still to come, of a functional model or an abstract call.

    Args:
        shape: sizes; None where not known.
        dtype: a dtype or its name.
        sparse, ragged: must be False: arrays are dense.
        record_history: whether operations on it are remembered; they always are, at no cost to others.
        name: by default numbered, `"keras_tensor"`, `"keras_tensor_1"`, ...

    Raises:
        ValueError: if `sparse` or `ragged`.
    """

    def __init__(
        self,
        shape: Any,
        dtype: Any = "float32",
        sparse: bool = False,
        ragged: bool = False,
        record_history: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ):
        if sparse or ragged or kwargs:
            given = [n for n, v in (("sparse", sparse), ("ragged", ragged)) if v] + list(kwargs)
            raise ValueError(f"KerasTensor: arrays are dense here; received {', '.join(given)}")
        sizes = (shape,) if isinstance(shape, int) else tuple(shape)
        super().__init__(Spec(sizes, dtype), name=name or naming.auto_name("KerasTensor"))
        self.record_history = record_history
