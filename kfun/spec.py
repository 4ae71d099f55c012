"""`Spec`: the shape and dtype of an array that does not exist yet."""

from __future__ import annotations

import dataclasses
from typing import Any

from kfun import dtypes


@dataclasses.dataclass(frozen=True)
class Spec:
    """Shape and dtype; a size of None is known only at run time.

    Args:
        shape: sizes, the batch axis included.
        dtype: a canonical name.

    Example:
        >>> Spec((None, 28, 28, 1))
        Spec(shape=(None, 28, 28, 1), dtype='float32')
    """

    shape: tuple[int | None, ...]
    dtype: str = "float32"

    def __post_init__(self):
        shape = tuple(self.shape)
        if not _KNOWN.issuperset(map(type, shape)):
            shape = tuple(map(_size, shape))
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "dtype", dtypes.name(self.dtype))

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @classmethod
    def of(cls, x: Any) -> Spec:
        """The spec of an array of any kind, of a symbolic tensor, or of a spec."""
        if isinstance(x, Spec):
            return x
        if not hasattr(x, "shape") or not hasattr(x, "dtype"):
            raise TypeError(f"expected an array or a Spec; received {type(x).__name__}: {x!r:.80}")
        return cls(tuple(x.shape), x.dtype)


_KNOWN = frozenset((int, type(None)))  # what sizes are mostly, and stay


def _size(size: Any) -> int | None:
    """An int as it is, any symbolic dimension as None."""
    if isinstance(size, int):
        return size
    return int(size) if hasattr(size, "__index__") and type(size).__module__ == "numpy" else None
