"""Objects to JSON data and back, in Keras 3's form. Nothing in the data is executed or imported:
a registry decides which classes and functions exist."""

from __future__ import annotations

import base64
import contextlib
import contextvars
import functools
import importlib
import marshal
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from kfun import activations as _activations
from kfun import dtypes
from kfun.definition import function_name
from kfun.errors import nearest

_CUSTOM: dict[str, Any] = {}  # "package>name" -> class or function
_NAMES: dict[Any, str] = {}
_scope: contextvars.ContextVar[dict[str, Any] | None] = contextvars.ContextVar("compat_custom_objects", default=None)

# Where classes of a public module are looked up; what is in none of them does not exist for a file.
_MODULES = (
    "layers", "losses", "metrics", "optimizers", "optimizers.schedules", "initializers", "regularizers",
    "constraints", "models", "random",
)  # fmt: skip


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable:
    """Decorates a class or function so that files may name it.

    Args:
        package: the first part of its registered name.
        name: the second; by default its own name.
    """

    def decorate(target: Any) -> Any:
        if isinstance(target, type) and not hasattr(target, "get_config"):
            raise ValueError(f"{target.__name__} needs a get_config method to be registered")
        registered_as = f"{package}>{name or target.__name__}"
        _CUSTOM[registered_as] = target
        _NAMES[target] = registered_as
        return target

    return decorate


def get_registered_name(obj: Any) -> str:
    """The name that a class or function was registered under, else its own."""
    return _NAMES.get(obj, obj.__name__)


def get_registered_object(name: str, custom_objects: dict | None = None, module_objects: dict | None = None) -> Any:
    """The class or function of a registered name, None if there is none."""
    for known in (_scope.get() or {}, custom_objects or {}, _CUSTOM, module_objects or {}):
        if name in known:
            return known[name]
    return None


def registered(name: str) -> Any:
    """The registered class or function of a full or short name, None if there is none."""
    found = get_registered_object(name)
    if found is not None:
        return found
    return next((v for k, v in _CUSTOM.items() if k.rpartition(">")[2] == name), None)


def get_custom_objects() -> dict[str, Any]:
    """What was registered, by name; names that are added are known from then on."""
    return _CUSTOM


class CustomObjectScope(contextlib.AbstractContextManager):
    """Names classes and functions that files may use inside.

    Args:
        custom_objects: `{name: class or function}`.
    """

    def __init__(self, custom_objects: dict | None = None):
        self.custom_objects = custom_objects or {}

    def __enter__(self) -> CustomObjectScope:
        self._token = _scope.set((_scope.get() or {}) | self.custom_objects)
        return self

    def __exit__(self, *exc: Any) -> None:
        _scope.reset(self._token)


custom_object_scope = CustomObjectScope


def serialize_keras_object(obj: Any) -> Any:
    """JSON data of an object.

    Raises:
        ValueError: if the object cannot be written.
    """
    if obj is None or isinstance(obj, (bool, int, float, str)):
        return obj
    if isinstance(obj, bytes):
        return {"class_name": "__bytes__", "config": {"value": obj.decode("latin-1")}}
    if obj is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(obj, slice):
        parts = {n: serialize_keras_object(getattr(obj, n)) for n in ("start", "stop", "step")}
        return {"class_name": "__slice__", "config": parts}
    if isinstance(obj, dict):
        return {k: serialize_keras_object(v) for k, v in obj.items()}
    if isinstance(obj, (list, tuple)):
        items = [serialize_keras_object(v) for v in obj]
        return tuple(items) if isinstance(obj, tuple) else items
    if isinstance(obj, np.generic):
        return obj.item()
    if hasattr(obj, "__array__") and hasattr(obj, "shape") and not hasattr(obj, "get_config"):
        array = np.asarray(obj)
        kind = "__numpy__" if isinstance(obj, np.ndarray) else "__tensor__"
        return {"class_name": kind, "config": {"value": array.tolist(), "dtype": dtypes.name(array.dtype)}}
    if isinstance(obj, types.FunctionType) or (callable(obj) and not hasattr(obj, "get_config")):
        return _function(obj)
    if hasattr(obj, "get_config"):
        return _object(obj)
    raise ValueError(f"cannot write {obj!r:.120} as JSON: give its class a get_config method")


def _function(obj: Any) -> Any:
    name = function_name(obj)
    if name is not None:
        return name
    if isinstance(obj, type):
        return {
            "module": public_module(obj), "class_name": obj.__name__, "config": None,
            "registered_name": _NAMES.get(obj),
        }  # fmt: skip
    if getattr(obj, "__name__", "<lambda>") == "<lambda>":
        return _lambda(obj)
    return {  # Keras names the type of functions, and the function by its registered name
        "module": "builtins", "class_name": "function", "config": get_registered_name(obj),
        "registered_name": "function",
    }  # fmt: skip


def _lambda(obj: Any) -> dict:
    """A lambda in Keras's form, its code. Keras reads that if it is told to trust the file; we never do."""
    if not isinstance(obj, types.FunctionType):
        raise ValueError(f"cannot write {obj!r:.120} as JSON: it has no name; write a named function or a class")
    cells = obj.__closure__
    code = {
        "code": base64.encodebytes(marshal.dumps(obj.__code__)).decode("ascii"),
        "defaults": serialize_keras_object(obj.__defaults__),
        "closure": cells and serialize_keras_object(tuple(cell.cell_contents for cell in cells)),
    }
    return {"class_name": "__lambda__", "config": code}


def _object(obj: Any) -> dict:
    cls = getattr(type(obj), "_kf_class", type(obj))  # the user's class, where the type was made of it
    module = public_module(cls)
    own = module.partition(".")[0] == "keras"
    data = {
        "module": module,
        "class_name": public_name(cls),
        "config": {k: serialize_keras_object(v) for k, v in obj.get_config().items()},
        "registered_name": None if own else get_registered_name(cls),
    }
    build = getattr(obj, "get_build_config", None)
    if build is not None and getattr(obj, "built", False):
        shapes = build()
        if shapes is not None:
            data["build_config"] = serialize_keras_object(shapes)
    compiled = getattr(obj, "get_compile_config", None)
    if compiled is not None and getattr(obj, "compiled", False):
        with contextlib.suppress(ValueError):  # what cannot be written is left out, as training can be set up anew
            config = compiled()
            if config is not None:
                data["compile_config"] = serialize_keras_object(config)
    return data


def public_module(cls: type) -> str:
    """The module that files name a class by: Keras's public one for what compat provides."""
    module = cls.__module__
    if module.partition(".")[0] != "compat":
        return module
    if cls.__name__ == "Functional":  # not public in Keras
        return "keras.src.models.functional"
    if cls.__name__ == "DTypePolicyMap":  # unlike the other policies not in Keras's root
        return "keras.dtype_policies"
    for name in ("models", *_MODULES):
        if public_name(cls) in _public(name) and _public(name)[public_name(cls)] is cls:
            return f"keras.{name}"
    return "keras"


def public_name(cls: type) -> str:
    """The name that files have for a class: its own, but for one."""
    return "GroupQueryAttention" if cls.__name__ == "GroupedQueryAttention" else cls.__name__


@functools.cache
def _public(name: str) -> dict[str, Any]:
    module = importlib.import_module(f"compat.{name}")
    found = {k: v for k, v in vars(module).items() if isinstance(v, type)}
    if name == "models":
        from compat.core.functional import Functional
        from compat.core.model import Model
        from compat.core.sequential import Sequential

        found |= {"Functional": Functional, "Model": Model, "Sequential": Sequential}
    return found


def deserialize_keras_object(config: Any, custom_objects: dict | None = None, safe_mode: bool = True, **kwargs) -> Any:
    """The object of JSON data.

    Args:
        config: what `serialize_keras_object` gave, or Keras itself.
        custom_objects: `{name: class or function}` that the data may name.
        safe_mode: changes nothing: data with code in them (lambdas) are refused in any case.
        kwargs: nothing; unknown names are refused.

    Raises:
        ValueError: for a class or function that is not registered, or data with code.
    """
    if kwargs:
        raise TypeError(f"deserialize_keras_object: unknown arguments {sorted(kwargs)}")
    if custom_objects:
        with CustomObjectScope(custom_objects):
            return deserialize_keras_object(config)
    if config is None or isinstance(config, (bool, int, float, str)):
        return config
    if isinstance(config, (list, tuple)):
        return type(config)(deserialize_keras_object(v) for v in config)
    if not isinstance(config, dict):
        return config
    if "class_name" not in config or "config" not in config:
        return {k: deserialize_keras_object(v) for k, v in config.items()}
    return _special(config) if str(config["class_name"]).startswith("__") else _made(config)


def _special(config: dict) -> Any:
    name, inner = config["class_name"], config["config"]
    if name == "__numpy__":
        return np.array(inner["value"], dtype=inner["dtype"])
    if name == "__tensor__":
        from kfun import ops

        return ops.convert_to_tensor(np.array(inner["value"]), inner["dtype"])
    if name == "__bytes__":
        return inner["value"].encode("latin-1")
    if name == "__ellipsis__":
        return Ellipsis
    if name == "__slice__":
        return slice(*(deserialize_keras_object(inner[n]) for n in ("start", "stop", "step")))
    if name == "__tuple__":
        return tuple(deserialize_keras_object(v) for v in config.get("items", inner or ()))
    if name == "__lambda__":
        raise ValueError(
            "the file holds a lambda, which is code and is not run. Give the function of a Lambda layer by the layer's "
            "name, load_model(path, custom_objects={name: function}), or write the model with a named function"
        )
    raise ValueError(f"the data name an unknown kind {name!r}")


def _made(config: dict) -> Any:
    found = resolve(config)
    inner = config["config"]
    if config["class_name"] == "function" or not isinstance(found, type):
        return found
    if inner is None:
        return found
    if not isinstance(inner, dict):
        raise ValueError(f"{config['class_name']}: expected a config of names and values; received {inner!r:.80}")
    inner = _without_defaults(found, inner)
    made = found.from_config(inner) if hasattr(found, "from_config") else found(**inner)
    shapes = config.get("build_config")
    if shapes and hasattr(made, "build_from_config") and not getattr(made, "built", False):
        made.build_from_config(shapes)
    compiled = config.get("compile_config")
    if compiled and hasattr(made, "compile_from_config"):
        made.compile_from_config(compiled)
    return made


# Arguments of Keras that have no meaning here: a file may say that they are at their default.
_ABSENT = {
    "input_axes": None, "output_axes": None, "quantization_config": None, "lora_rank": None, "lora_alpha": None,
    "gptq_unpacked_column_size": None, "renorm": False, "renorm_clipping": None, "renorm_momentum": 0.99,
    "use_cudnn": "auto", "rms_scaling": False, "seed": None, "optional": False,
}  # fmt: skip


def _without_defaults(cls: type, config: dict) -> dict:
    """The config without Keras's arguments that are at their default and have no meaning here."""
    known = getattr(cls, "_parameters", None)
    if known is None:
        return config
    return {k: v for k, v in config.items() if k in known or k not in _ABSENT or v != _ABSENT[k]}


def resolve(config: dict) -> Any:
    """The class or function that data name, by the registry alone.

    Raises:
        ValueError: if it is not registered; the message says how to register it.
    """
    name = config["class_name"]
    module = str(config.get("module") or "")
    registered_as = config.get("registered_name")
    if name == "function":
        found = _function_named(config["config"], registered_as)
    else:
        found = get_registered_object(registered_as) if registered_as else None
        found = found or get_registered_object(name)
        if found is None and (module.partition(".")[0] == "keras" or not module):
            found = _builtin(name, module)
    if found is None:
        what = config["config"] if name == "function" else name
        full = f"{module}.{what}" if module else what
        known = (
            sorted({n for m in _MODULES for n in _public(m)}) if module.startswith("keras") or not module else _CUSTOM
        )
        raise ValueError(
            f"the file asks for {full!r} (registered as {registered_as!r}), which is not registered; "
            f"{nearest(str(what), known)}. Decorate it with "
            "@keras.saving.register_keras_serializable(), or pass custom_objects={...}"
        )
    return found


def _function_named(name: Any, registered_as: Any) -> Any:
    found = get_registered_object(registered_as) if registered_as else None
    found = found or registered(str(name))
    if found is None and str(name) in _activations._BY_NAME:
        return _activations.get(str(name))
    if found is None:
        from compat import losses, metrics

        found = losses.FUNCTIONS.get(str(name)) or metrics.FUNCTIONS.get(str(name))
    return found


def _builtin(name: str, module: str) -> Any:
    if name in ("DTypePolicy", "FloatDTypePolicy", "DTypePolicyMap"):
        from compat import dtype_policies

        return getattr(dtype_policies, name)
    wanted = module.removeprefix("keras.").removeprefix("src.")
    first = [m for m in _MODULES if m == wanted or wanted.startswith(f"{m}.")]
    for candidate in (*first, *(() if first else _MODULES)):
        if name in _public(candidate):
            return _public(candidate)[name]
    return None
