"""Arrays of any library as NumPy or JAX arrays, without a copy where that is possible."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import jax
import ml_dtypes
import numpy as np

from compat.training.data.frames import values_of


def as_arrays(tree: Any, what: str, floatx: str | None = None) -> Any:
    """The arrays of a tree, in its structure; lists of numbers as arrays.

    Args:
        tree: arrays of NumPy, JAX, torch or TensorFlow, frames and series of pandas or polars,
            sparse matrices of SciPy, lists of numbers, or lists, tuples and dicts of these.
        what: the tree's name in messages.
        floatx: the type that all floats become; by default only float64 becomes float32.

    Raises:
        ValueError: if something holds no numbers, or has no axis for the rows; names it.
    """
    if tree is None:
        return None
    if isinstance(tree, Mapping):
        return {k: as_arrays(v, f"{what}[{k!r}]", floatx) for k, v in tree.items()}
    if isinstance(tree, (list, tuple)) and any(_is_tree(v) for v in tree):
        items = [as_arrays(v, f"{what}[{i}]", floatx) for i, v in enumerate(tree)]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    return _array(tree, what, floatx)


def _is_tree(x: Any) -> bool:
    return hasattr(x, "shape") or isinstance(x, Mapping) or (isinstance(x, (list, tuple)) and any(map(_is_tree, x)))


def _array(x: Any, what: str, floatx: str | None) -> Any:
    if isinstance(x, jax.Array):
        return x
    if not isinstance(x, np.ndarray):
        x = _CONVERTERS.get(_library(x), _plain)(x, what)
    if isinstance(x, SparseRows):
        return x
    if x.dtype.kind not in "fiubcV" or (x.dtype.kind == "V" and x.dtype.names):
        raise ValueError(
            f"{what} has dtype {x.dtype} and shape {x.shape}: expected numbers. Encode strings and objects first, "
            "e.g. with a StringLookup layer, and make ragged rows equally long with pad_sequences."
        )
    if x.dtype == np.float64 or (floatx is not None and jax.numpy.issubdtype(x.dtype, jax.numpy.floating)):
        x = x.astype(floatx or "float32", copy=False)
    if x.ndim == 0:
        raise ValueError(f"{what} is a scalar; expected an array with one row per example")
    return x


def _library(x: Any) -> str:
    """The library that an array's type, or a type that it extends, is from."""
    for cls in type(x).__mro__:
        root = cls.__module__.partition(".")[0]
        if root in _CONVERTERS:
            return root
    return ""


def _plain(x: Any, what: str) -> np.ndarray:
    try:
        return np.asarray(x)
    except ValueError as error:
        raise ValueError(
            f"{what} is no rectangular array ({error}); make ragged rows equally long with pad_sequences"
        ) from None


def _of_torch(x: Any, what: str) -> np.ndarray:
    x = x.detach().cpu()
    if str(x.dtype) == "torch.bfloat16":
        return x.view(sys.modules["torch"].int16).numpy().view(ml_dtypes.bfloat16)
    return x.resolve_conj().resolve_neg().numpy()


def _of_tensorflow(x: Any, what: str) -> np.ndarray:
    kind = type(x).__name__
    if kind == "RaggedTensor":
        raise ValueError(f"{what} is a ragged tensor; make its rows equally long with `to_tensor()`")
    if kind == "SparseTensor":
        x = sys.modules["tensorflow"].sparse.to_dense(x)
    return x.numpy() if hasattr(x, "numpy") else np.asarray(x)


def _of_scipy(x: Any, what: str) -> Any:
    return SparseRows(x) if hasattr(x, "tocsr") else _plain(x, what)


_CONVERTERS = {
    "torch": _of_torch, "tensorflow": _of_tensorflow, "pandas": values_of, "polars": values_of, "scipy": _of_scipy,
}  # fmt: skip


class SparseRows:
    """A SciPy sparse matrix whose rows become dense only when a batch takes them."""

    def __init__(self, matrix: Any):
        self.matrix = matrix.tocsr()
        self.shape, self.ndim = tuple(matrix.shape), 2
        self.dtype = np.dtype("float32" if matrix.dtype == np.float64 else matrix.dtype)
        self.nbytes = self.shape[0] * self.shape[1] * self.dtype.itemsize  # of the dense rows

    def __getitem__(self, rows: Any) -> np.ndarray:
        return self.matrix[rows].toarray().astype(self.dtype, copy=False)

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self[:].astype(dtype or self.dtype)
