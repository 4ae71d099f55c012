"""The confined process: runs cases one after another, each watched for memory, time, errors, and what it touches."""

from __future__ import annotations

import ctypes
import faulthandler
import importlib
import logging
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tests.hostile.confined import MEMORY, _status
from tests.hostile.fuzzing import corpus as corpora

BATCH = 50  # cases of one process
_ROOT = str(Path(__file__).resolve().parents[3])
_FINE = {"ValueError", "ImportError"}
_HIDDEN = ("MemoryError", "XlaRuntimeError", "JaxRuntimeError", "SystemError", "InternalError")
_FORBIDDEN = {"os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect"}
_WRITES = {"os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.symlink", "os.link", "os.truncate", "os.chmod"}
_M_ARENA_MAX = -8


class Result(NamedTuple):
    """What became of a case."""

    kind: str
    seed: int
    case: int
    words: list[str]
    error: str | None  # the names of the exception's classes; a crash or a hang
    text: str
    place: str  # the innermost of the project's frames
    trace: str
    seconds: float  # of the processor
    bytes: int
    touched: tuple[str, ...] = ()  # what the reader had no business with
    stopped: bool = False  # because it took too long

    def fault(self) -> str:
        """What is wrong with it; empty if nothing is."""
        if self.touched:
            return f"touched {self.touched[0]}"
        if self.stopped:
            return "took too long"
        if self.bytes > MEMORY:
            return "took too much memory"
        if self.error is None:
            return ""
        names = self.error.split(" < ")
        if names[0] == "Hidden":
            return f"hidden {self.text.partition(' ')[0]}"
        return "" if _FINE.intersection(names) and names[0] != "UnicodeDecodeError" else names[0]


class _TooLong(BaseException):
    pass


class _Watch:
    """Notes what is opened and run. An audit hook stays for ever, so that it is on only while a case runs."""

    def __init__(self, outside: str):
        self.on, self.outside, self.inside = False, outside, ""
        self.touched: list[str] = []
        self.stacks: list[str] = []  # of what was touched
        sys.addaudithook(self)

    def __call__(self, event: str, args: tuple) -> None:
        if not self.on:
            return
        if event in _FORBIDDEN:
            self._note(event)
        elif event == "open" and isinstance(args[0], (str, bytes)):
            mode, flags = str(args[1] or ""), args[2] or 0
            path = _resolved(os.fsdecode(args[0]), bool(flags & os.O_NOFOLLOW))
            writes = any(c in mode for c in "wax+") or flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if path.startswith(self.outside) or (writes and not self._is_inside(path)):
                self._note(f"{'written' if writes else 'read'}: {path}")
        elif event in _WRITES:
            path = os.path.realpath(os.fsdecode(args[0])) if isinstance(args[0], (str, bytes)) else ""
            if path and not self._is_inside(path):
                self._note(f"{event}: {path}")

    def _note(self, what: str) -> None:
        self.touched.append(what)
        self.stacks.append("".join(traceback.format_stack()[-12:-2]))

    def _is_inside(self, path: str) -> bool:
        return path.startswith((self.inside, "/dev/", "/proc/self"))


def _resolved(path: str, as_link: bool) -> str:
    """A path without links; the last part may be one if it is opened so that a link is refused."""
    if not as_link:
        return os.path.realpath(path)
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))


def work(
    send: Any, kind: str, seed: int, cases: list[int], folder: str, scratch: str, maker: Any, limit: float
) -> None:
    """Runs cases, and sends the words of each before it and the `Result` after it."""
    ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
    import jax

    jax.config.update("jax_enable_compilation_cache", False)  # nothing is to be written
    (jax.numpy.ones(3) + 1).block_until_ready()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    sys.unraisablehook = lambda _: None  # coroutines that an error has ended tell of it, by the hundred
    corpora.register()
    maker = maker or importlib.import_module(f"tests.hostile.fuzzing.{kind}").case
    corpus = corpora.Corpus(Path(folder))
    watch = _Watch(str(corpus.outside.resolve()))
    stack = open(Path(scratch, "stack.txt"), "w", encoding="utf-8")  # noqa: SIM115 - for as long as the process is
    faulthandler.enable(stack)
    signal.signal(signal.SIGPROF, _stop)
    for case in cases:
        own = Path(scratch, "case")
        shutil.rmtree(own, ignore_errors=True)
        (own / "temporary").mkdir(parents=True)
        os.chdir(own)
        tempfile.tempdir = str(own / "temporary")
        made = maker(random.Random(f"{kind} {seed} {case}"), corpus, own)
        send.send(made.words)
        stack.seek(0)
        stack.truncate()
        faulthandler.dump_traceback_later(5 * limit, file=stack)
        watch.inside, watch.touched, watch.stacks = str(own.resolve()), [], []
        result = _run(made, watch, (kind, seed, case), limit)
        faulthandler.cancel_dump_traceback_later()
        send.send(result)
    send.close()
    os._exit(0)


_stopped: list[str] = []


def _stop(number: int, frame: Any) -> None:
    if not _stopped:
        _stopped.append("".join(traceback.format_stack(frame)))
    raise _TooLong


def _run(made: Any, watch: _Watch, which: tuple, seconds: float) -> Result:
    from compat.utils import clear_session, set_random_seed

    clear_session()
    set_random_seed(0)
    before = set(os.listdir("."))
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")  # the peak begins anew
    start, most = _status("VmRSS"), _status("VmSize") + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
    _stopped.clear()
    raised = value = None
    begun = _seconds()
    watch.on = True
    try:
        signal.setitimer(signal.ITIMER_PROF, seconds, 0.5)
        value = made.reader(*made.args)
    except BaseException as error:
        raised = error
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    watch.on = False
    used, nbytes = _seconds() - begun, max(_status("VmHWM") - start, 0)
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    touched = tuple(watch.touched) + tuple(f"made {n}" for n in sorted(set(os.listdir(".")) - before) if "pwned" in n)
    touched += ("holds the secret",) if _holds_secret(value) else ()
    error, text, place, trace = _said(raised)
    if watch.stacks:
        place, trace = _place(watch.stacks[0]), watch.stacks[0]
    if _stopped:
        place, trace = _place(_stopped[0]), _stopped[0]
    return Result(*which, made.words, error, text, place, trace[-6000:], used, nbytes, touched, bool(_stopped))


def _seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _said(raised: BaseException | None) -> tuple[str | None, str, str, str]:
    """The classes, text, place and trace of what was raised: of its cause, if that is what a reader may not hide."""
    if raised is None:
        return None, "", "", ""
    chain: list[BaseException] = [raised]
    while (inner := chain[-1].__cause__ or chain[-1].__context__) is not None and inner not in chain:
        chain.append(inner)
    hidden = next((e for e in chain[1:] if type(e).__name__ in _HIDDEN), None)
    names = " < ".join(c.__name__ for c in type(hidden or raised).__mro__)
    source = hidden or raised
    trace = "".join(traceback.format_exception(source)[-14:])
    places = "".join(traceback.format_tb(source.__traceback__))
    return ("Hidden" if hidden else names), (names if hidden else str(raised)[:1000]), _place(places), trace


def _place(stack: str) -> str:
    """The innermost of the project's lines in a formatted stack."""
    found = "?"
    for line in stack.splitlines():
        line = line.strip()
        if line.startswith('File "') and any(f"{_ROOT}/{p}/" in line for p in ("kfun", "compat")):
            found = line.removeprefix(f'File "{_ROOT}/').replace('", line ', ":").replace(", in ", " ")
    return found


def _holds_secret(value: Any) -> bool:
    """Whether a model has read a file that is not its own."""
    variables = value.variables if hasattr(value, "load_weights") else ()
    found = (np.asarray(v.numpy()) for v in variables if v.drawn)
    return any((a == corpora.SECRET).any() for a in found if a.dtype.kind == "f")
