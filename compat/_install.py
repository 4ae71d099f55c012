"""`install`: makes `import keras` mean compat in this process."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
from types import ModuleType
from typing import Any


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds `keras` and `keras.x` as `compat` and `compat.x`."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name.partition(".")[0] != "keras":
            return None
        return importlib.machinery.ModuleSpec(name, self)

    def create_module(self, spec: Any) -> ModuleType:
        name = "compat" + spec.name.removeprefix("keras")
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name == name:
                public = "keras" + name.removeprefix("compat").replace(".src", "")
                hint = f"use its public path, such as {public}" if ".src" in name else "compat does not provide it"
                raise ModuleNotFoundError(f"no module {spec.name!r}: {hint}", name=spec.name) from None
            raise

    def exec_module(self, module: ModuleType) -> None:
        """Nothing: the module was imported under its own name."""


def install() -> None:
    """Makes `import keras` mean compat from now on in this process.

    Raises:
        RuntimeError: if the real Keras was imported already.
    """
    known = sys.modules.get("keras")
    if known is not None and not known.__name__.startswith("compat"):
        raise RuntimeError("compat.install() must be called before keras is imported")
    if not any(isinstance(f, _Finder) for f in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
