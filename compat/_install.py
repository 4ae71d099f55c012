"""`install`: makes `import keras` mean compat in this process."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
from types import ModuleType
from typing import Any

# Where programs find Keras: by itself, in TensorFlow, and by the path that TensorFlow's own loader takes.
_ROOTS = ("keras._tf_keras.keras", "keras.api", "tensorflow.keras", "keras")
_EMPTY = ("keras._tf_keras",)


def _suffix(name: str) -> str | None:
    """What follows the root in a module's name, None if it is no module of Keras."""
    for root in _ROOTS:
        if name == root or name.startswith(f"{root}."):
            return name[len(root) :].lstrip(".")
    return None


class _NoNameError(ImportError):
    """A package of compat has neither a module nor anything else of that name."""


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds `keras` and `keras.x` as `compat` and `compat.x`, and the names of `keras.src` that are provided."""

    def __init__(self) -> None:
        self._specs: dict[str, Any] = {}

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name.startswith("compat.") and name.count(".") > 1 and path:
            return self._own(name, path)
        return None if _suffix(name) is None else importlib.machinery.ModuleSpec(name, self, is_package=True)

    def _own(self, name: str, path: Any) -> Any:
        """The spec of a module in a package of compat; what is none was a name in `from keras.x import name`."""
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None:
            return spec
        from kfun.errors import nearest

        package, _, wanted = name.rpartition(".")
        known = [n for n in dir(sys.modules[package]) if not n.startswith("_")]
        shown = "keras" + package.removeprefix("compat")
        raise _NoNameError(f"cannot import name {wanted!r} from {shown!r}; {nearest(wanted, known)}", name=shown)

    def create_module(self, spec: Any) -> ModuleType:
        name = spec.name
        if name in _EMPTY:
            return ModuleType(name)
        suffix = _suffix(name) or ""
        if suffix == "src" or suffix.startswith("src."):
            from compat._keras_src import module_of

            return module_of(suffix[4:])
        module = _module(name, suffix)
        self._specs[name] = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Gives a module back what the import system wrote into it: it was imported under its own name."""
        name = module.__spec__.name if module.__spec__ is not None else ""
        if name in self._specs:
            module.__spec__ = self._specs.pop(name)


def _module(name: str, suffix: str) -> ModuleType:
    """The module of compat for a module of Keras."""
    own = "compat" + (f".{suffix}" if suffix else "")
    if own.rpartition(".")[2].startswith("_"):
        raise ModuleNotFoundError(f"no module {name!r}: names that begin with _ are not Keras's", name=name)
    try:
        return importlib.import_module(own)
    except _NoNameError as error:
        raise ModuleNotFoundError(f"no module {name!r}{_hint(suffix)}", name=name) from error
    except ModuleNotFoundError as error:
        if error.name is None or not (own == error.name or own.startswith(f"{error.name}.")):
            raise
        raise ModuleNotFoundError(f"no module {name!r}{_hint(suffix)}", name=name) from None


def _hint(suffix: str) -> str:
    import compat
    from kfun.errors import nearest

    head, _, rest = suffix.partition(".")
    if rest and head in compat._MODULES:
        return f": import from keras.{head}, whose names have no modules of their own"
    if head in compat._MODULES:
        return f": compat does not provide keras.{head} yet"
    return f"; {nearest(head, compat._MODULES)}"


def _aliases() -> list[str]:
    return [name for name in sys.modules if _suffix(name) is not None or name in _EMPTY]


def install() -> None:
    """Makes `import keras` mean compat from now on in this process.

    So do `import tensorflow.keras` and `from tensorflow import keras`, where TensorFlow is installed.

    Raises:
        RuntimeError: if the real Keras was imported already.
    """
    known = sys.modules.get("keras")
    if known is not None and not known.__name__.startswith("compat"):
        raise RuntimeError(
            "compat.install(): the real keras is imported already, so that parts of it are in use: call install() "
            "before anything imports keras, or run the program by `python -m compat script.py`"
        )
    if not any(isinstance(f, _Finder) for f in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def uninstall() -> None:
    """Lets `import keras` mean the real Keras again; does nothing if compat is not installed."""
    found = [f for f in sys.meta_path if isinstance(f, _Finder)]
    if not found:
        return
    for finder in found:
        sys.meta_path.remove(finder)
    for name in _aliases():
        del sys.modules[name]
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None:
        vars(tensorflow).pop("keras", None)
