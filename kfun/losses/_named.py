"""What losses and metrics share: a name by default."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from kfun.definition import Definition, from_config, registered_name
from kfun.errors import nearest


class Named(Definition):
    """Base of losses and metrics.

    Args:
        name: what logs call it; by default the class in snake case (or its `default_name`).
        dtype: the type it computes in; None means the type of the predictions, at least float32.
    """

    name: str = dataclasses.field(default="named", kw_only=True)
    dtype: str | None = dataclasses.field(default=None, kw_only=True)

    def __init_subclass__(cls, **kwargs):
        cls.__annotations__["name"] = "str"
        cls.name = dataclasses.field(default=cls.__dict__.get("default_name") or snake_case(cls.__name__), kw_only=True)
        super().__init_subclass__(**kwargs)


def snake_case(name: str) -> str:
    """`"KLDivergence"` to `"kl_divergence"`, `"R2Score"` to `"r2_score"`."""
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name.lstrip("_"))
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()


def named(identifier: str, names: dict[str, Any], what: str) -> Any:
    """`names[identifier]`.

    Raises:
        ValueError: if nothing has that name.
    """
    if identifier not in names:
        raise ValueError(f"unknown {what} {identifier!r}; {nearest(identifier, names)}")
    return names[identifier]


def of_config(config: dict, base: type, names: dict[str, Any], what: str) -> Any:
    """The definition that JSON data describe; a bare class name means one of this family.

    Raises:
        ValueError: if the class is not known or not of this family.
    """
    class_name = config.get("class_name")
    if isinstance(class_name, str) and class_name in names and isinstance(names[class_name], type):
        config = {**config, "class_name": registered_name(names[class_name])}
    made = from_config(config)
    if not isinstance(made, base):
        raise ValueError(f"expected the JSON of a {what}; received that of {type(made).__name__}")
    return made
