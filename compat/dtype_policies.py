"""Dtype policies: one for a layer, or a map from layers' paths to policies."""

from __future__ import annotations

import re
from collections.abc import Iterator, MutableMapping
from typing import Any

from compat.serialization.objects import deserialize_as
from compat.serialization.objects import serialize_keras_object as _serialize_keras_object
from compat.serialization.patterns import check_pattern
from compat.state.policy import DTypePolicy as DTypePolicy
from compat.state.policy import get as get
from kfun.errors import unknown_names_of as _unknown_names_of


class FloatDTypePolicy(DTypePolicy):
    """`DTypePolicy` by its older name."""


Policy = DTypePolicy


class DTypePolicyMap(DTypePolicy, MutableMapping):
    """Policies by the paths of layers; stands wherever one policy does, and each layer looks its own up.

    Args:
        default_policy: of the layers that no key fits; by default the global policy at the time of asking.
        policy_map: `{path or pattern: DTypePolicy}`. A key is a path, or a regular expression for a whole path.

    Raises:
        TypeError: if `policy_map` is no dict.
        ValueError: if a value is no policy.
    """

    by_path = True

    def __init__(self, default_policy: Any = None, policy_map: dict | None = None):
        if policy_map is not None and not isinstance(policy_map, dict):
            raise TypeError(f"DTypePolicyMap: expected a dict or None as `policy_map`; received {policy_map!r:.80}")
        self._default_given = default_policy
        self._policies: dict[str, DTypePolicy] = {}
        self.quantization_mode = None
        for key, policy in (policy_map or {}).items():
            self[key] = policy

    @property
    def default_policy(self) -> DTypePolicy:
        """The policy of the layers that no key fits."""
        return get(self._default_given)

    name = property(lambda self: f"map_{self.default_policy.name}")
    compute_dtype = property(lambda self: self.default_policy.compute_dtype)
    variable_dtype = property(lambda self: self.default_policy.variable_dtype)

    def __getitem__(self, key: str) -> DTypePolicy:
        """The policy for a path: of the equal key, else of the only pattern that fits, else the default."""
        if key in self._policies:
            return self._policies[key]
        fitting = [pattern for pattern in self._policies if re.fullmatch(pattern, key)]
        if len(fitting) > 1:
            raise ValueError(f"several keys of the DTypePolicyMap fit the path {key!r}: {fitting}; let one fit")
        return self._policies[fitting[0]] if fitting else self.default_policy

    def __setitem__(self, key: str, policy: Any) -> None:
        check_pattern(key)
        if key in self._policies:
            raise ValueError(f"the DTypePolicyMap has {key!r} already, with {self._policies[key]}; delete it first")
        self._policies[key] = get(policy)

    def __delitem__(self, key: str) -> None:
        del self._policies[key]

    def __contains__(self, key: object) -> bool:
        return key in self._policies

    def __len__(self) -> int:
        return len(self._policies)

    def __iter__(self) -> Iterator[str]:
        return iter(self._policies)

    def __bool__(self) -> bool:
        return True

    def get_config(self) -> dict:
        """The constructor's arguments. Unlike Keras, policies keep their names: nothing is lost in a file."""
        default = self._default_given
        return {
            "default_policy": default if default is None or isinstance(default, str) else serialize(get(default)),
            "policy_map": {key: _serialize_keras_object(policy) for key, policy in self._policies.items()},
        }

    @classmethod
    def from_config(cls, config: dict) -> DTypePolicyMap:
        """The map of a config."""
        policies = {key: get(policy) for key, policy in (config.get("policy_map") or {}).items()}
        return cls(config.get("default_policy"), policies)

    def __eq__(self, other: object) -> bool:
        same = isinstance(other, DTypePolicyMap) and other._policies == self._policies
        return same and other.default_policy == self.default_policy  # type: ignore[union-attr]

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        shown = [(key, policy.name) for key, policy in self._policies.items()]
        return f"<DTypePolicyMap default_policy={self.default_policy.name}, mapping={shown}>"


def serialize(dtype_policy: Any) -> Any:
    """The policy as JSON data."""
    return _serialize_keras_object(dtype_policy)


def deserialize(config: Any, custom_objects: dict | None = None) -> Any:
    """The policy of JSON data, or of a name."""
    return get(config) if isinstance(config, str) else deserialize_as("policy", config, custom_objects)


__getattr__ = _unknown_names_of(globals())
