"""Runs cases in confined processes, and tells what they found, grouped by error and place."""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.hostile.confined import SECONDS
from tests.hostile.fuzzing import corpus
from tests.hostile.fuzzing.watch import BATCH, Result, work

KINDS = ("configs", "hdf5", "archives", "orbax")
_FAILED = "the fuzzer itself failed"
_HANGS = 60  # seconds without a word after which a process is ended


class Group(NamedTuple):
    """Findings of one error at one place."""

    key: str
    results: list[Result]


def made(folder: Path, names: list[str] | None = None) -> Path:
    """Builds the corpus in a process of its own."""
    process = _context().Process(target=corpus.build, args=(folder, names))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"the corpus was not built: exit code {process.exitcode}")
    return folder


def kinds(folder: Path) -> tuple[str, ...]:
    """The kinds that a corpus has files for: what is not installed has none."""
    return tuple(k for k in KINDS if k != "orbax" or (folder / "orbax").is_dir())


def results(
    kind: str, seed: int, cases: list[int], folder: Path, maker: Any = None, limit: float = SECONDS
) -> Iterator[Result]:
    """What became of each case.

    Args:
        kind: of `KINDS`.
        seed: of all cases.
        cases: their numbers.
        folder: of the corpus.
        maker: `(rng, corpus, folder)` to a case; that of the kind if None.
        limit: of a case, in seconds of the processor.
    """
    waiting, failed = list(cases), 0
    with tempfile.TemporaryDirectory(prefix="fuzzing-") as scratch:
        while waiting:
            batch, waiting = waiting[:BATCH], waiting[BATCH:]
            done = 0
            for result in _batch((kind, seed, batch, str(folder), scratch, maker, limit)):
                done += 1
                failed = failed + 1 if result.error == _FAILED else 0
                if failed == 3:
                    raise RuntimeError(f"{_FAILED} three times in a row: {result}")
                yield result
            waiting = batch[done:] + waiting


def _batch(args: tuple) -> Iterator[Result]:
    """The results of a process until it ends, the last of which may be that it was ended."""
    kind, seed, cases, _, scratch, *_ = args
    context = _context()
    receive, send = context.Pipe(False)
    process = context.Process(target=work, args=(send, *args))
    process.start()
    send.close()
    done, words = 0, None
    with contextlib.suppress(EOFError):
        while done < len(cases) and receive.poll(_HANGS):
            found = receive.recv()
            if isinstance(found, Result):
                done += 1
                words = None
                yield found
            else:
                words = found
    process.join(5)
    hung = process.is_alive()
    if hung:
        process.kill()
        process.join()
    if done < len(cases):
        how = _FAILED if words is None else "Hang" if hung else f"Crash, exit code {process.exitcode}"
        stack = Path(scratch, "stack.txt").read_text() if Path(scratch, "stack.txt").exists() else ""
        yield Result(kind, seed, cases[done], words or [], how, "", place_of_stack(stack), stack[-3000:], 0.0, 0)


def place_of_stack(stack: str) -> str:
    """The innermost of the project's lines in what faulthandler wrote."""
    for line in stack.splitlines():
        if ("/kfun/" in line or "/compat/" in line) and "/tests/" not in line and "site-packages" not in line:
            return line.strip().removeprefix("File ")
    return "?"


def grouped(found: list[Result]) -> list[Group]:
    """Findings by what went wrong and where, the most frequent first."""
    groups: dict[str, list[Result]] = {}
    for result in found:
        groups.setdefault(f"{result.fault()} at {result.place}", []).append(result)
    return sorted((Group(k, v) for k, v in groups.items()), key=lambda g: -len(g.results))


def told(group: Group, whole: bool = False) -> str:
    """A group in words, with how its first cases are played again."""
    first = min(group.results, key=lambda r: len(r.words))
    cases = " ".join(str(r.case) for r in group.results[:12])
    lines = [
        f"== {len(group.results)} x {group.key}",
        f"   --kind {first.kind} --seed {first.seed} --case {first.case}   (all: {cases})",
        *(f"   - {w}" for w in first.words),
        f"   {first.seconds:.1f} s, {first.bytes >> 20} MB: {first.error} {first.text[:300]}",
    ]
    trace = first.trace.rstrip().splitlines()
    return "\n".join(lines + [f"   | {line[:200]}" for line in (trace if whole else trace[-8:])])


def main(arguments: list[str] | None = None) -> int:
    """The command line; gives the number of groups of findings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, default=500, help="of each kind")
    parser.add_argument("--start", type=int, default=0, help="the first case's number")
    parser.add_argument("--case", type=int, help="one case, told in full")
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument("--sample", action="store_true", help="with the few models that the suite's tests have")
    parser.add_argument("--corpus", type=Path, help="a folder to build the corpus in, or in which it is")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="corpus-") as temporary:
        folder = given.corpus or Path(temporary)
        if not (folder / "outside").is_dir():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            made(folder, corpus.SAMPLE if given.sample else None)
        cases = range(given.start, given.start + given.cases) if given.case is None else [given.case]
        findings: list[Result] = []
        for kind in given.kind or kinds(folder):
            begun, became, slow, large = time.perf_counter(), Counter(), (0.0, 0), (0, 0)
            for result in results(kind, given.seed, list(cases), folder):
                became[(result.error or "accepted").partition(" ")[0]] += 1
                slow, large = max(slow, (result.seconds, result.case)), max(large, (result.bytes, result.case))
                if result.fault():
                    findings.append(result)
                    print(f"  {kind} {result.case}: {result.fault()} at {result.place}", flush=True)
                elif given.case is not None:
                    print(told(Group("no finding", [result]), whole=True))
            print(f"{kind}: {dict(became.most_common())} in {time.perf_counter() - begun:.0f} s")
            ends = f"slowest {slow[0]:.1f} s, case {slow[1]}; largest {large[0] >> 20} MB, case {large[1]}"
            print(f"  {ends}", flush=True)
    groups = grouped(findings)
    for group in groups:
        print(told(group, whole=given.case is not None))
    print(f"{len(findings)} findings in {len(groups)} groups")
    return len(groups)


def _context() -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.hostile.readers"])
    return context
