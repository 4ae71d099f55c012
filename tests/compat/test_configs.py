"""`get_config` of every layer is Keras's own, and makes the same layer again."""

from __future__ import annotations

import json
import os

os.environ["KERAS_BACKEND"] = "jax"

import pytest

import compat
from tests.layers.catalogue import ROWS
from tests.layers.rows import Of

pytestmark = pytest.mark.filterwarnings("ignore:You passed .rms_scaling:UserWarning")  # Keras's own advice


def made(of):
    def value(v):
        if isinstance(v, Of):
            return made(v)
        return [value(e) for e in v] if isinstance(v, list) else v

    return getattr(compat.layers, of.name)(**{k: value(v) for k, v in of.config.items()})


def plain(config):
    """The config as JSON, without the layers' names, which count on from test to test."""
    if isinstance(config, dict):
        named = "trainable" in config or "rate" in config
        return {k: plain(v) for k, v in config.items() if not (named and k == "name")}
    return [plain(v) for v in config] if isinstance(config, list) else config


def as_json(layer):
    return plain(json.loads(json.dumps(layer.get_config())))


CASES = [case for name, row in ROWS.items() if row.oracle and hasattr(compat.layers, name) for case in row.cases]


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_configs_are_those_of_keras(case):
    ours = made(case.of)
    assert as_json(ours) == as_json(case.of.keras())
    if case.of.name != "Lambda":  # its function is not registered
        assert as_json(type(ours).from_config(ours.get_config())) == as_json(ours)
        assert as_json(type(ours).from_config(case.of.keras().get_config())) == as_json(ours)
