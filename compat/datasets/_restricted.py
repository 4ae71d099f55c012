"""Arrays and lists out of old pickles, without running what a pickle can ask for."""

from __future__ import annotations

import pickle
import zipfile
from typing import Any, BinaryIO

import numpy as np

# What NumPy's own pickles of arrays name, in its old and new modules. None of it has effects.
_ALLOWED = {
    ("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode"),
    *((f"numpy.{core}.multiarray", "_reconstruct") for core in ("core", "_core")),
    *((f"numpy.{core}.multiarray", "scalar") for core in ("core", "_core")),
}  # fmt: skip


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"a dataset holds arrays and lists, but this file asks for {module}.{name}")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def load(file: BinaryIO, encoding: str = "ASCII") -> Any:
    """The data of a pickle; raises `pickle.UnpicklingError` if it asks for anything but NumPy arrays."""
    return _Unpickler(file, encoding=encoding).load()


def load_npz(path: str, *names: str) -> list[np.ndarray]:
    """Arrays of an `.npz` file; those of objects are read as `load` does."""
    found = []
    with zipfile.ZipFile(path) as archive:
        for name in names:
            with archive.open(f"{name}.npy") as file:
                version = np.lib.format.read_magic(file)
                header = (
                    np.lib.format.read_array_header_1_0 if version == (1, 0) else (np.lib.format.read_array_header_2_0)
                )
                _, _, dtype = header(file)
                if dtype.hasobject:
                    found.append(np.asarray(load(file)))
                    continue
            with archive.open(f"{name}.npy") as file:
                found.append(np.lib.format.read_array(file, allow_pickle=False))
    return found
