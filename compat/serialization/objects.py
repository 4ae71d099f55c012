"""Objects to JSON data and back, in Keras 3's form. Nothing in the data is executed or imported:
a registry decides which classes and functions exist."""

from __future__ import annotations

import base64
import contextlib
import marshal
import types
from collections.abc import Iterator
from typing import Any

import numpy as np

from compat.serialization.kinds import WrongKindError, check, wrong
from compat.serialization.parts import part
from compat.serialization.registry import (
    CustomObjectScope,
    claim,
    get_registered_name,
    get_registered_object,
    is_reading,
    name_registered,
    public_module,
    public_name,
    reading,
)
from compat.serialization.resolving import resolve
from kfun import dtypes, ops
from kfun.definition import function_name


def serialize_keras_object(obj: Any) -> Any:
    """JSON data of an object.

    Raises:
        ValueError: if the object cannot be written.
    """
    if obj is None or isinstance(obj, (bool, int, float, str)):
        return obj
    if isinstance(obj, (bytes, slice)) or obj is Ellipsis:
        return _builtin(obj)
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


def _builtin(obj: Any) -> dict:
    """Python's objects that JSON lacks."""
    if obj is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(obj, bytes):
        return {"class_name": "__bytes__", "config": {"value": obj.decode("latin-1")}}
    parts = {n: serialize_keras_object(getattr(obj, n)) for n in ("start", "stop", "step")}
    return {"class_name": "__slice__", "config": parts}


def _function(obj: Any) -> Any:
    name = function_name(obj)
    if name is not None:
        return name
    if isinstance(obj, type):
        return {
            "module": public_module(obj), "class_name": obj.__name__, "config": None,
            "registered_name": name_registered(obj),
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


def deserialize_keras_object(config: Any, custom_objects: dict | None = None, safe_mode: bool = True, **kwargs) -> Any:
    """The object of JSON data: instances of classes, and functions, which are not called.

    Args:
        config: what `serialize_keras_object` gave, or Keras itself.
        custom_objects: `{name: class or function}` that the data may name; `{layer name: layer}` for a layer that
            data cannot make, since it opens other files or runs foreign code.
        safe_mode: changes nothing: data with code in them (lambdas) are refused in any case.
        kwargs: `allowance`, bytes of memory that the data may take beyond their own size, for arrays and metrics;
            256 MiB by default.

    Raises:
        ValueError: for a class or function that is not registered, a class where an object is wanted, data with
            code, or more memory than is allowed.
    """
    allowance = kwargs.pop("allowance", None)
    if kwargs:
        raise TypeError(f"deserialize_keras_object: unknown arguments {sorted(kwargs)}")
    if config is None or isinstance(config, (bool, int, float, str)):
        return config
    with _outermost(), CustomObjectScope(custom_objects), reading(allowance):
        return _object_of(config)


def deserialize_as(kind: str, config: Any, custom_objects: dict | None = None) -> Any:
    """Like `deserialize_keras_object`, for an object of a kind of `compat.serialization.kinds`; None for None.

    Raises:
        ValueError: also for data that describe something else, which is not made.
    """
    if config is None:
        return None
    if not isinstance(config, dict) or "class_name" not in config or "config" not in config:
        raise wrong(kind, f"no object, but are {config!r:.80}", config)
    # A part of data that are read already is read under what holds for them.
    with _AS_IT_IS if is_reading() and not custom_objects else _around(custom_objects):
        if str(config["class_name"]).startswith("__"):
            return check(kind, _special(config), config)
        return _made(config, kind)


PLAIN = frozenset((type(None), bool, int, float, str))  # types of values that are their own data, and no parts
_AS_IT_IS = contextlib.nullcontext()


@contextlib.contextmanager
def _around(custom_objects: dict | None) -> Iterator[None]:
    with _outermost(), CustomObjectScope(custom_objects), reading():
        yield


def deserialize_all_as(kind: str, config: Any) -> Any:
    """`deserialize_as` for the objects in nested lists and dicts; names and numbers stay."""
    if isinstance(config, (list, tuple)):
        return type(config)(deserialize_all_as(kind, v) for v in config)
    if not isinstance(config, dict):
        return config
    if "class_name" not in config:
        return {k: deserialize_all_as(kind, v) for k, v in config.items()}
    if config["class_name"] == "__tuple__":
        return tuple(deserialize_all_as(kind, v) for v in config.get("items", config.get("config") or ()))
    return deserialize_as(kind, config)


def arguments_of(config: dict, kinds: dict[str, str]) -> dict:
    """A config with the objects that it describes.

    Args:
        config: names and data.
        kinds: of the arguments that are of one, by name; they may be nested in lists and dicts.
    """
    made = {}
    for name, value in config.items():
        if type(value) not in PLAIN:
            value = deserialize_all_as(kinds[name], value) if name in kinds else deserialize_keras_object(value)
        made[name] = value
    return made


def _outermost() -> Any:
    return contextlib.nullcontext() if is_reading() else part("the data")


def _object_of(config: Any) -> Any:
    if isinstance(config, (list, tuple)):
        return type(config)(_object_of(v) for v in config)
    if not isinstance(config, dict):
        return config
    if "class_name" not in config or "config" not in config:
        return {k: _object_of(v) for k, v in config.items()}
    return _special(config) if str(config["class_name"]).startswith("__") else _made(config)


def _special(config: dict) -> Any:
    name, inner = config["class_name"], config["config"]
    if name == "__lambda__":
        raise ValueError(
            "the file holds a lambda, which is code and is not run. Give the function of a Lambda layer by the layer's "
            "name, load_model(path, custom_objects={name: function}), or write the model with a named function"
        )
    if name == "__tuple__":
        return tuple(_object_of(v) for v in config.get("items", inner or ()))
    if name == "__ellipsis__":
        return Ellipsis
    if name not in ("__numpy__", "__tensor__", "__bytes__", "__slice__"):
        raise ValueError(f"the data name an unknown kind {name!r}")
    if not isinstance(inner, dict):
        raise ValueError(f"{name}: expected a config of names and values; received {inner!r:.80}")
    if name == "__bytes__":
        return str(inner["value"]).encode("latin-1")
    if name == "__slice__":
        return slice(*(_object_of(inner[n]) for n in ("start", "stop", "step")))
    array = _array(inner["value"], inner["dtype"])
    if name == "__numpy__":
        return array
    return ops.convert_to_tensor(array, dtypes.name(array.dtype))


_LONGEST = 1 << 12  # characters of a string in an array


def _array(value: Any, dtype: Any) -> np.ndarray:
    """The array of nested lists, as large as they are long and no larger, whatever the type says.

    Raises:
        ValueError: if the type is none of numbers or texts, or the values are not of it.
    """
    wanted = np.dtype(str(dtype)) if str(dtype)[:2] in ("<U", "|S") else np.dtype(dtypes.name(str(dtype)))
    if wanted.kind in "US":
        size = wanted.itemsize // (4 if wanted.kind == "U" else 1)
        if size > _LONGEST:
            raise ValueError(f"an array of the data has texts of {size:,} characters; at most {_LONGEST:,} are read")
        claim(wanted.itemsize * sum(1 for _ in _leaves(value)), "an array of texts")
    try:
        return np.array(value, wanted)
    except (TypeError, OverflowError) as error:
        raise ValueError(f"an array of the data cannot be of dtype {wanted}: {error}") from error


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _made(config: dict, kind: str | None = None) -> Any:
    found = resolve(config, kind)
    name, inner = config["class_name"], config["config"]
    if name == "function":
        if isinstance(found, type):
            raise ValueError(f"the data name the class {inner!r} as a function; expected a registered function")
        return check(kind, found, config)
    if not isinstance(found, type):
        raise ValueError(
            f"the data name {name!r} as a class, and it is none. A function is named as "
            f'{{"module": "builtins", "class_name": "function", "config": {name!r}}}'
        )
    check(kind, found, config)
    if not isinstance(inner, dict):
        raise ValueError(f"{name}: expected a config of names and values; received {inner!r:.80}")
    refusal = found._refusal(inner) if hasattr(found, "_refusal") else None
    if refusal:
        return _handed(found, inner, refusal)
    try:
        made = _from_config(found, config)
    except WrongKindError as error:
        error.note(config)
        raise
    return made if type(made) is found else check(kind, made, config)


def _from_config(cls: type, data: dict) -> Any:
    """The object that the data describe, built and compiled as they say."""
    config = data["config"] if _ABSENT.keys().isdisjoint(data["config"]) else _without_defaults(cls, data["config"])
    made = cls.from_config(config) if hasattr(cls, "from_config") else cls(**config)
    if isinstance(made, type):
        raise ValueError(f"{cls.__name__}: the config gives the class {made.__name__} and no object of one")
    shapes, compiled = data.get("build_config"), data.get("compile_config")
    if shapes and hasattr(made, "build_from_config") and not getattr(made, "built", False):
        made.build_from_config(shapes)
    if compiled and hasattr(made, "compile_from_config"):
        made.compile_from_config(compiled)
    return made


def _handed(cls: type, config: dict, refusal: str) -> Any:
    """The layer that the caller gives under the name of one which no file may make."""
    name = config.get("name")
    given = get_registered_object(name) if isinstance(name, str) else None
    if isinstance(given, cls):
        return given
    raise ValueError(
        f"{cls.__name__} {name!r}: {refusal}, which is refused. If you trust it, make the layer in Python and hand it "
        f"in: load_model(path, custom_objects={{{name!r}: layer}})"
    )


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
