"""The names and signatures of `keras.ops`, in kfun and in compat."""

from __future__ import annotations

import importlib
import inspect
import json
from pathlib import Path

import pytest

API = json.loads((Path(__file__).parents[1] / "data" / "keras_api.json").read_text())["symbols"]
PATHS = {path.removeprefix("keras."): s["params"] for s in API for path in s["paths"] if path.startswith("keras.ops.")}


@pytest.mark.parametrize("root", ["kfun", "compat"])
@pytest.mark.parametrize("path", PATHS)
def test_every_name_of_keras_is_there_with_its_signature(root, path):
    space, _, name = path.rpartition(".")
    function = getattr(importlib.import_module(f"{root}.{space}"), name)
    ours = [_shown(p) for p in inspect.signature(function).parameters.values()]
    # What Keras takes as **kwargs are names of earlier versions, and `optimize` of einsum.
    theirs = [p for p in PATHS[path] if p not in ("*", "/", "**kwargs")]
    assert ours[: len(theirs)] == theirs
    assert all("=" in p for p in ours[len(theirs) :]), "what kfun adds has a default"


def _shown(parameter):
    name = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "") + parameter.name
    return name if parameter.default is parameter.empty else f"{name}={parameter.default!r}"
