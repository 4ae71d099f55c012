"""Models."""

from typing import Any

from compat._unknown import unknown_names_of as _unknown_names_of
from compat.core.functional import Functional as Functional
from compat.core.model import Model as Model
from compat.core.sequential import Sequential as Sequential
from compat.models.cloning import clone_model as clone_model

__getattr__ = _unknown_names_of(globals(), dict.fromkeys(("load_model", "save_model"), "compat.saving.files"))


def model_from_json(json_string: str, custom_objects: dict | None = None) -> Any:
    """The model, without weights, of what `Model.to_json` gave.

    Raises:
        ValueError: if the text is no such JSON, or names an unregistered class.
    """
    from compat.saving.archives import parse
    from compat.saving.files import made

    return made(parse("the JSON", json_string.encode()), custom_objects)
