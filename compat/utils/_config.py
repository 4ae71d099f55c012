"""`Config`: named values as attributes."""

from __future__ import annotations

import json
from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from typing import Any

from kfun.errors import nearest


class Config:
    """Named values that are read and written as attributes or as a dict's, and can be frozen.

    Example:
        >>> config = Config(rate=0.1)
        >>> config.epochs = 3
        >>> config["epochs"], config.to_json()
        (3, '{"rate": 0.1, "epochs": 3}')
    """

    def __init__(self, **kwargs: Any):
        object.__setattr__(self, "_values", dict(kwargs))
        object.__setattr__(self, "_frozen", False)

    def _check_open(self) -> None:
        if self._frozen:
            raise ValueError("the config is frozen; call unfreeze() to change it")

    @property
    def frozen(self) -> bool:
        """Whether changes are refused."""
        return self._frozen

    def freeze(self) -> None:
        """Refuses changes from now on."""
        object.__setattr__(self, "_frozen", True)

    def unfreeze(self) -> None:
        """Allows changes again."""
        object.__setattr__(self, "_frozen", False)

    def __getattr__(self, name: str) -> Any:
        values = self.__dict__.get("_values", {})
        if name in values:
            return values[name]
        raise AttributeError(f"the config has no value {name!r}; {nearest(name, values)}")

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        if name not in self._values:
            raise AttributeError(f"the config has no value {name!r}")
        del self[name]

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._check_open()
        self._values[name] = value

    def __delitem__(self, name: str) -> None:
        self._check_open()
        del self._values[name]

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._values))

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Config) and self._values == other._values

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Config {self._values}>"

    def get(self, name: str, default: Any = None) -> Any:
        """A value, or another one if there is none."""
        return self._values.get(name, default)

    def pop(self, name: str, *default: Any) -> Any:
        """Takes a value out."""
        self._check_open()
        return self._values.pop(name, *default)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Sets several values."""
        self._check_open()
        self._values.update(*args, **kwargs)

    def keys(self) -> KeysView[str]:
        """The names."""
        return self._values.keys()

    def values(self) -> ValuesView[Any]:
        """The values."""
        return self._values.values()

    def items(self) -> ItemsView[str, Any]:
        """Names and values."""
        return self._values.items()

    def as_dict(self) -> dict[str, Any]:
        """A dict of the values."""
        return dict(self._values)

    def to_json(self) -> str:
        """The values as JSON; raises TypeError for those that are no data."""
        return json.dumps(self._values)
