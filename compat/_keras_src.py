"""The few names of `keras.src`, Keras's inside, that published packages import; all else there is refused."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

_SERIALIZATION = dict.fromkeys(("serialize_keras_object", "deserialize_keras_object"), "compat.serialization.objects")
_REGISTERED = (
    "register_keras_serializable", "get_registered_name", "get_registered_object", "get_custom_objects",
    "CustomObjectScope", "custom_object_scope",
)  # fmt: skip
_REGISTRY = dict.fromkeys(_REGISTERED, "compat.serialization.registry")
_FILES = dict.fromkeys(("save_model", "load_model", "save_weights", "load_weights"), "compat.saving")
_MASKS = {"get_keras_mask": "compat.state.masks:get", "set_keras_mask": "compat.state.masks:put"}
_DTYPES = dict.fromkeys(("standardize_dtype", "is_float_dtype", "is_int_dtype", "result_type"), "compat.backend")
_SCOPES = dict.fromkeys(("StatelessScope", "SymbolicScope", "name_scope", "device"), "compat.variables.public_scopes")
_STATELESS = {"StatelessScope": _SCOPES["StatelessScope"]}
_TENSORS = {"KerasTensor": "compat.state.keras_tensor", "is_keras_tensor": "compat.backend"}

# Module -> {name: where it is}; "*" stands for all public names of a module.
PROVIDED: dict[str, dict[str, str]] = {
    "saving.serialization_lib": _SERIALIZATION,
    "saving.object_registration": _REGISTRY,
    "saving.saving_api": _FILES,
    "saving.saving_lib": {n: _FILES[n] for n in ("save_model", "load_model")},
    "saving": _SERIALIZATION | _REGISTRY | {"load_model": "compat.saving"},
    "backend": {"*": "compat.backend"} | _MASKS | _SCOPES | _TENSORS
    | {"convert_to_tensor": "compat.ops", "convert_to_numpy": "compat.ops", "cast": "compat.ops",
       "is_tensor": "compat.ops", "shape": "compat.ops"},
    "backend.config": {"*": "compat.backend"},
    "backend.common": _DTYPES | {"name_scope": _SCOPES["name_scope"]},
    "backend.common.masking": _MASKS,
    "backend.common.keras_tensor": _TENSORS,
    "backend.common.stateless_scope": _STATELESS,
    "backend.common.name_scope": {"name_scope": _SCOPES["name_scope"]},
    "backend.common.dtypes": {"result_type": "compat.backend"},
    "backend.common.variables": {"Variable": "compat.variables.variable", "standardize_dtype": "compat.backend"},
    "losses": {"*": "compat.losses"},
    "losses.loss": {"Loss": "compat.losses"},
    "losses.losses": {"*": "compat.losses", "LossFunctionWrapper": "compat.losses"},
    "metrics.reduction_metrics": dict.fromkeys(("Mean", "Sum", "MeanMetricWrapper"), "compat.metrics"),
    "metrics": {"*": "compat.metrics"},
    "distribution": {},
    "distribution.distribution_lib": {"distribution": "compat._keras_src"},
    "models": {},
    "models.functional": {"Functional": "compat.models.functional"},
    "": {},
    "version": {"__version__": "compat"},
}  # fmt: skip


def distribution() -> None:
    """The distribution that is set: none, until `keras.distribution` is there to set one."""
    return None


def module_of(name: str) -> ModuleType:
    """A module of `keras.src`.

    Args:
        name: its path after `keras.src`, such as `"saving.serialization_lib"`.

    Raises:
        ModuleNotFoundError: if it is none of those provided; names the public path.
    """
    if name not in PROVIDED:
        raise ModuleNotFoundError(_refusal(name), name=f"keras.src.{name}")
    full = "keras.src" + (f".{name}" if name else "")
    made = ModuleType(full, f"What packages import from `{full}`.")
    made.__path__ = []  # type: ignore[attr-defined]
    table = PROVIDED[name]

    def __getattr__(key: str) -> Any:
        value = _found(table, key)
        if value is None:
            if key.startswith("__"):
                raise AttributeError(key)
            raise AttributeError(_refusal(f"{name}.{key}".lstrip("."), key))
        return value

    made.__getattr__ = __getattr__  # type: ignore[method-assign]
    made.__dir__ = lambda: sorted({*vars(made), *(k for k in table if k != "*")})  # type: ignore[method-assign]
    return made


def _found(table: dict[str, str], key: str) -> Any:
    if key in table:
        module, _, name = table[key].partition(":")
        return getattr(importlib.import_module(module), name or key)
    if "*" in table and not key.startswith("_"):
        return getattr(importlib.import_module(table["*"]), key, None)
    return None


def _refusal(path: str, name: str | None = None) -> str:
    """Why a path inside Keras is not there, and the public one to use."""
    import compat

    name = name or path.rpartition(".")[2]
    places = [""] if name in compat._NAMES else []
    for module in ("layers", "models", "optimizers", "losses", "metrics", "callbacks", "initializers", "regularizers",
                   "constraints", "activations", "saving", "utils", "ops", "random"):  # fmt: skip
        if hasattr(importlib.import_module(f"compat.{module}"), name):
            places.append(f".{module}")
    if path.partition(".")[0] in [p.lstrip(".") for p in places]:
        places.insert(0, f".{path.partition('.')[0]}")
    public = f"keras{places[0]}.{name}" if places else None
    if public is None:
        head = path.partition(".")[0]
        public = f"keras.{head}" if head in compat._MODULES else "the public names of keras"
    return f"keras.src.{path} is inside Keras and not provided here: use {public}"
