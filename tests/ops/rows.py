"""What a row of the catalogue is: an op, how its arguments are drawn, and what they should give."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """One call. `options` override those of the row (`reference`, `dtype`, `grad`, `rtol`...)."""

    args: tuple
    kwargs: dict
    options: dict = field(default_factory=dict)

    def but(self, **options: Any) -> Case:
        return Case(self.args, self.kwargs, {**self.options, **options})


def case(*args: Any, **kwargs: Any) -> Case:
    return Case(args, kwargs)


@dataclass(frozen=True)
class Row:
    """An op of the catalogue.

    Attributes:
        name: as in `kfun.ops._dispatch.OPS`.
        make: draws the cases from a seeded `Draw`.
        reference: a function of the same arguments on NumPy arrays; of NumPy, SciPy or Keras.
        options: further arguments of `check_op`.
        gaps: `{backend: why it cannot}`; the op must raise `UnsupportedOp` there.
    """

    name: str
    make: Callable[[Draw], list[Case]]
    reference: Callable | None
    options: dict = field(default_factory=dict)
    gaps: dict[str, str] = field(default_factory=dict)

    def cases(self) -> list[Case]:
        return self.make(Draw(np.random.default_rng(zlib.crc32(self.name.encode()))))


def row(name: str, make: Callable, reference: Callable | None, gaps: dict | None = None, **options: Any) -> Row:
    return Row(name, make, reference, options, gaps or {})


class Draw:
    """Seeded arrays, float32 and int32 unless named otherwise."""

    def __init__(self, generator: np.random.Generator):
        self.generator = generator

    def normal(self, *shape: int, scale: float = 1.0) -> np.ndarray:
        return np.asarray(self.generator.normal(size=shape) * scale, "float32")

    def uniform(self, low: float, high: float, *shape: int) -> np.ndarray:
        return np.asarray(self.generator.uniform(low, high, size=shape), "float32")

    def integers(self, low: int, high: int, *shape: int) -> np.ndarray:
        return np.asarray(self.generator.integers(low, high, size=shape), "int32")

    def bools(self, *shape: int) -> np.ndarray:
        return np.asarray(self.generator.integers(0, 2, size=shape), "bool")

    def distinct(self, *shape: int) -> np.ndarray:
        """Values far from each other, so that finite differences meet no tie."""
        size = int(np.prod(shape))
        return self.generator.permutation(size).reshape(shape).astype("float32") / 4 - size / 8


def keras_op(path: str, **fixed: Any) -> Callable:
    """Real Keras's op at `keras.ops.<path>`, imported when it is called."""

    def reference(*args, **kwargs):
        import keras

        return functools.reduce(getattr, path.split("."), keras.ops)(*args, **fixed, **kwargs)

    return reference


def several(make: Callable[..., list[Case]], names: str, references: Sequence[Callable] | Any, **options: Any):
    """Rows of ops that share their cases; `references` is a module or one function per name."""
    names = names.split()
    if not isinstance(references, (list, tuple)):
        references = [getattr(references, name) for name in names]
    return [row(name, make, reference, **options) for name, reference in zip(names, references, strict=True)]
