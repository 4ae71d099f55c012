"""The Keras 3 API over kfun: `import compat as keras`."""

import importlib
from typing import Any

_NAMES = {
    "Variable": "compat.core.variable", "Layer": "compat.core.layer", "Model": "compat.core.model",
    "Function": "compat.core.function",
    "Functional": "compat.core.functional", "Sequential": "compat.core.sequential", "Input": "compat.core.input_layer",
    "InputSpec": "compat.core.input_spec", "KerasTensor": "compat.core.keras_tensor",
    "Operation": "compat.core.operation",
    "Initializer": "compat.initializers", "Regularizer": "compat.regularizers", "Loss": "compat.losses",
    "install": "compat._install", "uninstall": "compat._install",
    "Metric": "compat.metrics", "Optimizer": "compat.optimizers",
    "DTypePolicy": "compat.core.policy", "FloatDTypePolicy": "compat.dtype_policies",
    "StatelessScope": "compat.core.scopes", "SymbolicScope": "compat.core.scopes", "name_scope": "compat.core.scopes",
    "device": "compat.core.scopes", "remat": "compat.core.remat", "RematScope": "compat.core.remat",
}  # fmt: skip
_MODULES = (
    "activations", "applications", "backend", "callbacks", "config", "constraints", "datasets", "dtype_policies",
    "export", "initializers", "layers", "legacy", "losses", "metrics", "mixed_precision", "models", "ops", "optimizers",
    "preprocessing", "random", "regularizers", "saving", "tree", "utils", "visualization", "wrappers",
)  # fmt: skip

__version__ = "3.15.1"


def version() -> str:
    """The version of Keras whose API this is."""
    return __version__


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(importlib.import_module(_NAMES[name]), name)
    elif name in _MODULES:
        try:
            value = importlib.import_module(f"compat.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"compat.{name}":
                raise
            raise AttributeError(f"module 'compat' has no attribute {name!r} yet") from None
    else:
        from kfun.errors import nearest

        raise AttributeError(f"module 'compat' has no attribute {name!r}; {nearest(name, [*_NAMES, *_MODULES])}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES, *_MODULES})
