"""Dtype policies."""

from compat.core.policy import DTypePolicy as DTypePolicy
from compat.core.policy import get as get

FloatDTypePolicy = DTypePolicy
Policy = DTypePolicy
