"""The serialization of Keras 2: `{"class_name": ..., "config": ...}` without modules, and functions by name."""

from __future__ import annotations

from typing import Any

from compat.serialization import objects
from compat.serialization.registry import CustomObjectScope, get_registered_name, get_registered_object
from kfun.errors import nearest


def serialize_keras_object(instance: Any) -> Any:
    """An object as `{"class_name", "config"}`, a function as its name, None as None.

    Raises:
        ValueError: if it has neither a config nor a name.
    """
    if instance is None:
        return None
    if hasattr(instance, "get_config"):
        config = {k: objects.serialize_keras_object(v) for k, v in instance.get_config().items()}
        return {"class_name": get_registered_name(type(instance)), "config": config}
    if hasattr(instance, "__name__"):
        return get_registered_name(instance)
    raise ValueError(f"cannot serialize {instance!r:.80}: expected an object with get_config(), a function, or None")


def deserialize_keras_object(
    identifier: Any,
    module_objects: dict | None = None,
    custom_objects: dict | None = None,
    printable_module_name: str = "object",
) -> Any:
    """The object of what `serialize_keras_object` gave, or of a name.

    Args:
        identifier: a dict, a name, a class or function as it is, or None.
        module_objects: `{name: class or function}` that are known.
        custom_objects: further ones, which go first.
        printable_module_name: what an error calls the object.

    Raises:
        ValueError: if the name is not known, or the identifier is none of these.
        TypeError: if a config does not fit its class.
    """
    if identifier is None:
        return None
    if isinstance(identifier, dict):
        if "class_name" not in identifier or "config" not in identifier:
            raise ValueError(
                f"expected {{'class_name': ..., 'config': ...}} for a {printable_module_name}; "
                f"received {identifier!r:.120}"
            )
        found = _named(identifier["class_name"], module_objects, custom_objects, printable_module_name)
        config = identifier["config"]
        if not isinstance(found, type):
            return found
        if not hasattr(found, "from_config"):
            return found(**config)
        if not custom_objects:
            return found.from_config(config)
        with CustomObjectScope(custom_objects):
            return found.from_config(config)
    if isinstance(identifier, str):
        found = _named(identifier, module_objects, custom_objects, printable_module_name)
        return found() if isinstance(found, type) else found
    if callable(identifier):
        return identifier
    raise ValueError(f"expected a {printable_module_name}, its name, or its config; received {identifier!r:.80}")


def _named(name: str, module_objects: dict | None, custom_objects: dict | None, what: str) -> Any:
    found = get_registered_object(name, custom_objects, module_objects)
    if found is None:
        known = [*(custom_objects or {}), *(n for n in module_objects or {} if not n.startswith("_"))]
        raise ValueError(f"unknown {what} {name!r}; {nearest(str(name), known)}")
    return found
