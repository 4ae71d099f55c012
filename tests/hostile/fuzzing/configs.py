"""Cases of changed JSON configs: of models, parts of models, and what says where weights are."""

from __future__ import annotations

import contextlib
import json
import random
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import h5py

from tests.hostile import readers
from tests.hostile.fuzzing.changes import Pool, changed, written
from tests.hostile.fuzzing.corpus import Corpus


class Case(NamedTuple):
    """A call of a reader on what was changed."""

    reader: Any
    args: tuple
    words: list[str]  # what was done, in words


_WAYS = ["archive"] * 6 + ["folder", "old", "old", "text", "text", "part", "part", "part", "index", "checkpoint"]


def case(rng: random.Random, corpus: Corpus, folder: Path) -> Case:
    """One to four changes of a config, in one of the ways that configs come."""
    way, name = rng.choice(_WAYS), rng.choice(corpus.names)
    if way == "index":
        return _index(rng, corpus, folder, name)
    if way == "checkpoint":
        return _checkpoint(rng, corpus, folder)
    pool = pool_of(corpus)
    if way == "old":
        return _old(rng, corpus, folder, name, pool)
    config = corpus.configs[name]
    if way == "part":
        config = rng.choice(pool.entries)
    config, words = changed(config, rng, pool)
    text = written(config)
    words = [f"{way} of {name}", *words]
    if way == "part":
        return Case(deserialized, (text,), words)
    if way == "text":
        return Case(readers.model_from_json, (text,), words)
    weights = corpus.weights(rng.choice(corpus.names) if rng.random() < 0.1 else name)
    return Case(readers.load_model, (_packed(text, weights, folder, way),), words)


def pool_of(corpus: Corpus) -> Pool:
    """What configs are changed to, worked out once for a corpus."""
    if "pool" not in corpus.__dict__:
        configs = [*corpus.configs.values(), *(c for pair in corpus.old_configs.values() for c in pair if c)]
        corpus.__dict__["pool"] = Pool(
            [*configs, json.loads((corpus.folder / "checkpoint/checkpoint.json").read_text())]
        )
    return corpus.__dict__["pool"]


def deserialized(text: str) -> Any:
    """The object of JSON text."""
    try:
        data = json.loads(text)
    except RecursionError as error:
        raise ValueError("Python's own reader of JSON does not go so deep") from error
    return readers.deserialize(data)


def checkpoint(path: Path) -> Any:
    """All that a checkpoint of the core holds; its definition too, even if the arrays are refused."""
    from kfun import checkpoints

    with contextlib.suppress(ValueError):
        checkpoints.load(path)
    return checkpoints.load_definition(path)


def _packed(text: str, weights: Path, folder: Path, way: str) -> Path:
    if way == "folder":
        (folder / "m").mkdir()
        (folder / "m" / "config.json").write_text(text, encoding="utf-8")
        (folder / "m" / "model.weights.h5").write_bytes(weights.read_bytes())
        return folder / "m"
    with zipfile.ZipFile(folder / "m.keras", "w") as archive:
        archive.writestr("config.json", text)
        archive.writestr("metadata.json", "{}")
        archive.write(weights, "model.weights.h5")
    return folder / "m.keras"


def _old(rng: random.Random, corpus: Corpus, folder: Path, name: str, pool: Pool) -> Case:
    path = corpus.copy(name, "m.h5", folder)
    config, training = corpus.old_configs[name]
    which = "training_config" if training and rng.random() < 0.3 else "model_config"
    made, words = changed(training if which == "training_config" else config, rng, pool)
    text = written(made)
    with h5py.File(path, "a", libver="latest") as file:
        del file.attrs[which]
        file.attrs.create(which, text if len(text) < 60_000 else text[:60_000])
    return Case(readers.load_model, (path,), [f"{which} of {name}", *words])


def _index(rng: random.Random, corpus: Corpus, folder: Path, name: str) -> Case:
    """The index of weights in several files."""
    name = name if corpus.file(name, "m.weights.json").is_file() else "dict_io"
    for file in corpus.file(name, "").glob("m*.weights.*"):
        corpus.copy(name, file.name, folder)
    path = folder / "m.weights.json"
    index, words = changed(json.loads(path.read_text()), rng, pool_of(corpus))
    path.write_text(written(index), encoding="utf-8")
    return Case(weighed, (corpus.file(name, "m.keras"), path), [f"index of {name}", *words])


def weighed(model: Path, path: Path) -> Any:
    """A model of an honest file with the weights of another."""
    import compat

    made = compat.saving.load_model(model)
    made.load_weights(path)
    return made


def _checkpoint(rng: random.Random, corpus: Corpus, folder: Path) -> Case:
    """The description of a checkpoint, or the header of its arrays."""
    names = ["checkpoint.json", "arrays-00000.safetensors"]
    for file in names:
        corpus.copy("checkpoint", file, folder / "checkpoint")
    path = folder / "checkpoint" / names[rng.random() < 0.4]
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little") if path.name != names[0] else 0
    made, words = changed(json.loads(content[8:start] if start else content), rng, pool_of(corpus))
    text = written(made).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[start:] if start else text)
    return Case(checkpoint, (folder / "checkpoint",), [path.name, *words])
