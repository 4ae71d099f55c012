"""Dtype policies: the type of the variables, and the type of the computation."""

from __future__ import annotations

import functools
from typing import Any

from compat.serialization.objects import deserialize_as
from kfun import dtypes, ops
from kfun.errors import nearest

_FLOATX = ["float32"]
_GLOBAL: list[Any] = []


class DTypePolicy:
    """A pair of types by name.

    Args:
        name: a dtype (both types), or `"mixed_float16"` or `"mixed_bfloat16"` (variables float32,
            computation in half precision); floatx if None.
    """

    by_path = False  # whether each layer looks its own policy up, by its path

    def __init__(self, name: str | None = None):
        name = get(None).name if name is None else name
        if not isinstance(name, str):
            raise TypeError(f"DTypePolicy: expected a text as `name`, e.g. 'mixed_float16'; received {name!r}")
        self.name = name
        mixed = name in ("mixed_float16", "mixed_bfloat16")
        if not mixed and name not in (*dtypes.ALL, "int", "float", "half"):
            known = ("mixed_float16", "mixed_bfloat16", *dtypes.FLOATS)
            raise ValueError(
                f"Cannot convert {name!r} to a mixed precision DTypePolicy or a dtype; {nearest(name, known)}"
            )
        self.compute_dtype = dtypes.name(name.removeprefix("mixed_"))
        self.variable_dtype = "float32" if mixed else self.compute_dtype
        self.quantization_mode = None

    def convert_input(self, x: Any, autocast: bool, dtype: Any) -> Any:
        """An input of a layer as it computes with it.

        Args:
            x: an array, a symbolic tensor, or something else, which stays as it is.
            autocast: whether floating arrays are cast.
            dtype: the type to cast them to.
        """
        if not hasattr(x, "dtype") or not hasattr(x, "shape"):
            return x
        dtype = dtypes.name(dtype)
        if autocast and dtypes.is_float(dtypes.name(x.dtype)) and dtypes.name(x.dtype) != dtype:
            return ops.cast(x, dtype)
        return ops.convert_to_tensor(x) if type(x).__module__ == "numpy" else x

    def get_config(self) -> dict:
        """`{"name": ...}`."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict) -> DTypePolicy:
        """The policy of a config."""
        return cls(**config)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicy) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self.name}">'


def get(identifier: Any) -> DTypePolicy:
    """The policy for a name, a policy, its config, or None (the global one)."""
    if identifier is None:
        return _GLOBAL[0] if _GLOBAL else _named(_FLOATX[0])
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        return deserialize_as("policy", identifier) if "class_name" in identifier else DTypePolicy(**identifier)
    if isinstance(identifier, (int, float, list, tuple)):
        raise ValueError(
            f"`dtype` is neither the name of a type or policy nor a DTypePolicy. Received: dtype={identifier!r}"
        )
    return _named(identifier if isinstance(identifier, str) else dtypes.name(identifier))


@functools.cache
def _named(name: str) -> DTypePolicy:
    """The policy of a name, which is one for all layers: nothing in it changes."""
    return DTypePolicy(name)


def set_global(policy: Any) -> None:
    """Sets the policy of layers that name none; None returns to floatx."""
    _GLOBAL[:] = [] if policy is None else [get(policy)]


def floatx() -> str:
    """The floating type of layers that name none."""
    return _FLOATX[0]


def set_floatx(value: str) -> None:
    """Sets the floating type of layers that name none."""
    if value not in ("bfloat16", "float16", "float32", "float64"):
        raise ValueError(f"floatx: expected bfloat16, float16, float32 or float64; received {value!r}")
    _FLOATX[0] = value
