"""Models of JSON texts."""

from __future__ import annotations

from typing import Any

from compat.saving.archives import parse
from compat.serialization.models import model_of


def model_from_json(json_string: str, custom_objects: dict | None = None) -> Any:
    """The model, without weights, of what `Model.to_json` gave.

    Raises:
        ValueError: if the text is no such JSON, or names an unregistered class.
    """
    return model_of(parse("the JSON", json_string.encode()), custom_objects)
