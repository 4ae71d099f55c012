"""Models."""

from typing import Any

from compat.core.functional import Functional as Functional
from compat.core.model import Model as Model
from compat.core.sequential import Sequential as Sequential
from compat.models.cloning import clone_model as clone_model


def __getattr__(name: str) -> Any:
    if name in ("load_model", "save_model"):
        from compat import saving

        return getattr(saving, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def model_from_json(json_string: str, custom_objects: dict | None = None) -> Any:
    """The model, without weights, of what `Model.to_json` gave.

    Raises:
        ValueError: if the text is no such JSON, or names an unregistered class.
    """
    from compat.saving.archives import parse
    from compat.saving.files import made

    return made(parse("the JSON", json_string.encode()), custom_objects)
