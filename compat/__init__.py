"""The Keras 3 API over kfun: `import compat as keras`."""

import importlib
from typing import Any

from compat.state.settings import KERAS_VERSION as __version__

_PLACES = {
    "compat.variables.variable": "Variable",
    "compat.engine.layer": "Layer",
    "compat.models.model": "Model",
    "compat.engine.function": "Function",
    "compat.models.functional": "Functional",
    "compat.models.sequential": "Sequential",
    "compat.engine.input_layer": "Input",
    "compat.engine.input_spec": "InputSpec",
    "compat.state.keras_tensor": "KerasTensor",
    "compat.engine.operation": "Operation",
    "compat.initializers": "Initializer",
    "compat.regularizers": "Regularizer",
    "compat.losses": "Loss",
    "compat._install": "install uninstall",
    "compat.metrics": "Metric",
    "compat.optimizers": "Optimizer",
    "compat.state.policy": "DTypePolicy",
    "compat.dtype_policies": "FloatDTypePolicy",
    "compat.variables.public_scopes": "StatelessScope SymbolicScope name_scope device",
    "compat.state.remat": "remat RematScope",
}
_NAMES = {name: module for module, names in _PLACES.items() for name in names.split()}
_MODULES = (
    "activations", "applications", "backend", "callbacks", "config", "constraints", "datasets", "dtype_policies",
    "export", "initializers", "layers", "legacy", "losses", "metrics", "mixed_precision", "models", "ops", "optimizers",
    "preprocessing", "random", "regularizers", "saving", "tree", "utils", "visualization", "wrappers",
)  # fmt: skip


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
        from kfun.errors import nearest  # which brings JAX

        raise AttributeError(f"module 'compat' has no attribute {name!r}; {nearest(name, [*_NAMES, *_MODULES])}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES, *_MODULES})
