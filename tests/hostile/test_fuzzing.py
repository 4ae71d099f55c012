"""A sample of the fuzzer's cases, and whether the fuzzer notices what it is there for."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.hostile.fuzzing import corpus as corpora
from tests.hostile.fuzzing import run
from tests.hostile.fuzzing.configs import Case


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A few of the corpus's models."""
    return run.made(tmp_path_factory.mktemp("corpus"), corpora.SAMPLE)


def _findings(kind, seed, cases, folder, *options):
    return [r for r in run.results(kind, seed, list(range(cases)), folder, *options) if r.fault()]


@pytest.mark.parametrize(("kind", "cases"), [("configs", 40), ("hdf5", 20), ("archives", 20), ("orbax", 10)])
def test_a_sample(kind, cases, corpus):
    """Played again with --sample."""
    if kind == "orbax":
        pytest.importorskip("orbax.checkpoint")
    groups = run.grouped(_findings(kind, 11, cases, corpus))
    assert not groups, "\n".join(run.told(g) for g in groups)


@pytest.mark.slow
@pytest.mark.parametrize("kind", run.KINDS)
def test_ten_thousand(kind, tmp_path):
    """The whole corpus; what is found says how to play it again."""
    if kind == "orbax":
        pytest.importorskip("orbax.checkpoint")
    groups = run.grouped(_findings(kind, 11, 10_000, run.made(tmp_path)))
    assert not groups, "\n".join(run.told(g) for g in groups)


def faulty(way, outside):
    """A reader with a fault."""
    if way == "KeyError":
        return {}["layers"]
    if way == "took too much memory":
        return len(bytearray(b"x") * (3 << 29))
    if way == "touched made pwned":
        os.close(os.open("pwned", os.O_CREAT))
    if way == "touched read":
        return (outside / "secret.txt").read_text()
    if way == "touched written":
        (outside.parent.parent / "elsewhere").write_text("x")
    if way == "touched os.system":
        os.system("true")
    if way == "hidden MemoryError":
        _hide()
    if way == "took too long":
        while True:
            pass
    if way == "Crash":
        os.abort()
    if way == "ValueError":
        raise ValueError("refused")
    return None


def _hide():
    try:
        bytearray(1 << 40)
    except MemoryError as error:
        raise ValueError("refused for a reason that is none") from error


FAULTS = [
    "KeyError", "took too much memory", "touched made pwned", "touched read", "touched written", "touched os.system",
    "hidden MemoryError", "took too long", "Crash",
]  # fmt: skip
WAYS = ["", "ValueError", *FAULTS, ""]


def planted(rng, corpus, folder):
    """A case for each fault, one after the other."""
    count = corpus.folder / "count"
    case = int(count.read_text()) if count.exists() else 0
    count.write_text(str(case + 1))
    return Case(faulty, (WAYS[case], corpus.outside), [WAYS[case]])


def test_faults_are_noticed(corpus, tmp_path):
    shutil.copytree(corpus, tmp_path / "corpus")
    found = {r.words[0]: r for r in _findings("planted", 0, len(WAYS), tmp_path / "corpus", planted, 1.0)}
    assert set(found) == set(FAULTS)
    for way, result in found.items():
        fault = "MemoryError" if way == "took too much memory" else way  # the limit of the process came first
        assert result.fault().startswith(fault), result


def test_a_case_is_the_same_again(corpus):
    cases = [[r.words for r in run.results("configs", 3, numbers, corpus)] for numbers in ([4, 5], [5, 4])]
    assert cases[0] == cases[1][::-1]
