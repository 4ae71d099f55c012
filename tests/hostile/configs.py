"""Configs of honest models, to be spoilt, and files with a config of one's own."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import h5py

import compat as keras
from compat import layers
from tests.hostile import readers

FORMATS = ("archive", "folder", "old")


def config_of(model: Any) -> dict:
    """A model's config as JSON data that may be changed."""
    return json.loads(json.dumps(keras.saving.serialize_keras_object(model)))


def write(model: Any, config: Any, folder: Any, form: str = "archive") -> Any:
    """A file with the weights of a model and another config.

    Args:
        model: built.
        config: JSON data, or a text.
        folder: where to.
        form: one of `FORMATS`.
    """
    text = config if isinstance(config, str) else json.dumps(config)
    path = folder / {"archive": "bad.keras", "folder": "bad", "old": "bad.h5"}[form]
    model.save(path, **({} if form == "old" else {"zipped": form == "archive"}))
    if form == "old":
        with h5py.File(path, "a") as file:
            file.attrs["model_config"] = text
            if isinstance(config, dict) and config.get("compile_config"):
                file.attrs["training_config"] = json.dumps(
                    config["compile_config"] | {"optimizer_config": config["compile_config"]["optimizer"]}
                )
    elif form == "folder":
        (path / "config.json").write_text(text)
    else:
        with zipfile.ZipFile(path) as archive:
            weights = archive.read("model.weights.h5")
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", text)
            archive.writestr("model.weights.h5", weights)
    return path


def functional(*made: Any) -> Any:
    """A functional model of layers or functions one after the other, on three numbers."""
    x = inputs = keras.Input((3,), name="x")
    for layer in made:
        x = layer(x)
    return keras.Model(inputs, x, name="m")


def sequential() -> Any:
    """A model of one Dense layer."""
    return readers.small_model()


def compiled(metric: Any, optimizer: str = "adam") -> Any:
    """A compiled model with a metric."""
    model = sequential()
    model.compile(optimizer, "mse", metrics=[metric])
    return model


def entries(config: Any, class_name: str) -> Iterator[dict]:
    """All data in a config that describe an object of a class."""
    if isinstance(config, dict):
        if config.get("class_name") == class_name:
            yield config
        for value in config.values():
            yield from entries(value, class_name)
    elif isinstance(config, list):
        for value in config:
            yield from entries(value, class_name)


def entry(config: Any, class_name: str) -> dict:
    """The first of `entries`."""
    return next(entries(config, class_name))


def recorded(call: Callable) -> dict:
    """The config of a model of one op, and of a Dense layer that has weights."""
    return config_of(functional(layers.Dense(4, name="d"), call))


def chain(n: int, order: Callable = list) -> tuple[Any, dict]:
    """A functional model with one activation and the config of one with `n`, in another order."""
    model = functional(layers.Activation("relu", name="l0"))
    config = config_of(model)
    first, pattern = config["config"]["layers"]
    made, before = [], "x"
    for i in range(n):
        made.append(json.loads(json.dumps(pattern)))
        made[-1]["name"] = made[-1]["config"]["name"] = f"l{i}"
        entry(made[-1], "__keras_tensor__")["config"]["keras_history"] = [before, 0, 0]
        before = f"l{i}"
    config["config"] |= {"layers": [first, *order(made)], "output_layers": [[before, 0, 0]]}
    return model, config
