"""Cases of changed Orbax checkpoints: their JSON files, their arrays' files, and which files there are."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

from tests.hostile import readers
from tests.hostile.fuzzing.changes import changed, written
from tests.hostile.fuzzing.configs import Case, pool_of, weighed
from tests.hostile.fuzzing.corpus import Corpus


def case(rng: random.Random, corpus: Corpus, folder: Path) -> Case:
    """One to three files of a checkpoint, changed."""
    name = rng.choice(sorted(p.name for p in (corpus.folder / "orbax").iterdir()))
    path = Path(shutil.copytree(corpus.folder / "orbax" / name, folder / "checkpoint"))
    words = [f"checkpoint of {name}"]
    for _ in range(rng.choice((1, 1, 2, 3))):
        file = rng.choice(sorted(p for p in path.rglob("*") if p.is_file() and not p.is_symlink()))
        words.append(f"{file.relative_to(path)}: {_change(file, rng, corpus)}")
    if rng.random() < 0.3:
        return Case(weighed, (corpus.file(name, "m.keras"), path), words)
    return Case(readers.load_model, (path,), words)


def _change(file: Path, rng: random.Random, corpus: Corpus) -> str:
    content = file.read_bytes()
    way = rng.randrange(12)
    if way == 0:
        file.unlink()
        return "gone"
    if way == 1:
        file.unlink()
        file.symlink_to(rng.choice((corpus.outside / "secret.bin", Path("."), Path("/dev/zero"))))
        return f"a link to {file.readlink()}"
    if way == 2:
        others = sorted(p for p in file.parent.rglob("*") if p.is_file() and not p.is_symlink())
        other = rng.choice(others)
        file.write_bytes(other.read_bytes())
        return f"the content of {other.name}"
    if way == 3:
        file.write_bytes(
            rng.choice((b"", content[: rng.randrange(len(content) + 1)], content * 2, bytes(len(content))))
        )
        return "cut, doubled or empty"
    if way < 9:
        try:
            data, words = changed(json.loads(content), rng, pool_of(corpus))
        except (ValueError, RecursionError):
            return _change_bytes(file, content, rng)
        file.write_text(written(data), encoding="utf-8")
        return "; ".join(words)
    return _change_bytes(file, content, rng)


def _change_bytes(file: Path, content: bytes, rng: random.Random) -> str:
    made, places = bytearray(content), []
    for _ in range(rng.choice((1, 1, 2, 5))):
        if made:
            at = rng.randrange(min(len(made), rng.choice((32, 200, 1 << 20))))
            made[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, made[at] ^ (1 << rng.randrange(8))))
            places.append(at)
    file.write_bytes(made)
    return f"bytes {places}"
