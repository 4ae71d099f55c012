"""The class or function that data name: registered, handed in or listed; nothing is imported by a name of theirs."""

from __future__ import annotations

from typing import Any

from compat.serialization.kinds import KINDS, wrong
from compat.serialization.registry import (
    builtin,
    get_custom_objects,
    get_registered_object,
    listed_names,
    registered,
)
from kfun import activations as _activations
from kfun.errors import nearest
from kfun.losses import _get as _losses
from kfun.metrics import _get as _metrics


def resolve(config: dict, kind: str | None = None) -> Any:
    """The class or function that data name, by the registry alone.

    Args:
        config: the data.
        kind: of `KINDS`, that is expected: its names go first where the data name no module.

    Raises:
        ValueError: if it is not registered; the message says how to register it.
    """
    name = config["class_name"]
    module = str(config.get("module") or "")
    registered_as = config.get("registered_name")
    if not isinstance(name, str) or not isinstance(registered_as, (str, type(None))):
        raise ValueError(f"the data name a class by {name!r:.80} and {registered_as!r:.80}; expected texts")
    if name == "function":
        found = _function_named(config["config"], registered_as, kind)
    else:
        found = (_of_registered_name(registered_as, name) if registered_as else None) or get_registered_object(name)
        if found is None and (module.partition(".")[0] == "keras" or not module):
            found = builtin(name, module or (KINDS[kind].home if kind else ""))
    if found is None:
        what = config["config"] if name == "function" else name
        full = f"{module}.{what}" if module else what
        known = listed_names() if module.startswith("keras") or not module else get_custom_objects()
        raise ValueError(
            f"the file asks for {full!r} (registered as {registered_as!r}), which is not registered; "
            f"{nearest(str(what), known)}. Decorate it with "
            "@keras.saving.register_keras_serializable(), or pass custom_objects={...}"
        )
    return found


def _of_registered_name(registered_as: str, name: str) -> Any:
    """What is registered under a name, if that is of the class which the data say they describe."""
    found = get_registered_object(registered_as)
    if found is None or name in (registered_as, registered_as.rpartition(">")[2], getattr(found, "__name__", None)):
        return found
    raise ValueError(
        f"the data contradict themselves: they describe a {name!r}, registered as {registered_as!r}, which is "
        f"{getattr(found, '__name__', found)!r}"
    )


def _function_named(name: Any, registered_as: Any, kind: str | None) -> Any:
    if not isinstance(name, str):
        raise ValueError(f"expected the name of a function; received {name!r:.80}")
    found = None if registered_as in (None, "function") else get_registered_object(registered_as)
    found = found or registered(name)
    return _of_ours(name, kind) if found is None else found


def _of_ours(name: str, kind: str | None) -> Any:
    of_losses = _losses.FUNCTIONS.get(name, (None,))[0] or _metrics.FUNCTIONS.get(name)
    tables = {"activations": _activations._BY_NAME.get(name) and _activations.get(name), "losses": of_losses}
    serving = KINDS[kind].functions if kind else tables
    found = next((tables[table] for table in serving if tables[table] is not None), None)
    other = next((table for table in tables if tables[table] is not None), None)
    if found is None and kind is not None and other is not None:
        raise wrong(kind, f"the function {name!r} of keras.{other}")
    return found
