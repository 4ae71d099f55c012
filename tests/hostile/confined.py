"""Runs a reader on a hostile file in a process of its own: 1 GB above its start, 10 seconds, marker files watched.

A process is forked from a server that has imported compat and not started JAX, and serves for many calls.
"""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import resource
import time
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

MEMORY, SECONDS = 1 << 30, 10
_M_ARENA_MAX = -8  # glibc reserves 64 MB of addresses for each arena: they would count as used


class Outcome(NamedTuple):
    """What became of a call: the exception's class name and text, or the value's type; its cost."""

    error: str | None
    text: str
    seconds: float
    bytes: int  # the most resident memory above that at the start
    trace: str = ""
    left: int = 0  # resident memory afterwards


def attempt(reader: Callable, *args: Any, memory: int = MEMORY, seconds: float = SECONDS, **kwargs: Any) -> Outcome:
    """Calls `reader(*args, **kwargs)`, a function of a module that the process can import, in a confined process.

    Raises:
        AssertionError: if it needs more memory or time, or ends the process.
    """
    found = _worker().call(_Call(os.getcwd(), memory, reader, args, kwargs), seconds)
    assert isinstance(found, Outcome), f"{reader.__name__} {found}"
    assert found.seconds <= seconds, f"{found.seconds:.1f} s: {found}"
    assert found.bytes <= memory, f"{found.bytes:,} bytes: {found}"
    assert found.error is None or not found.error.startswith("MemoryError"), found
    return found


def refused(reader: Callable, *args: Any, match: str = "", marker: Any = None, **more: Any) -> Outcome:
    """Asserts that the reader raises a ValueError within the limits, and that no marker file was made.

    Args:
        reader: a function of a module.
        args: of the reader, such as paths.
        match: a part of the error's text.
        marker: a path that code of the file would make.
        more: limits of `attempt`, arguments of the reader.
    """
    found = attempt(reader, *args, **more)
    assert marker is None or not os.path.exists(marker), f"code of the file ran: {marker}"
    assert found.error is not None, f"{reader.__name__} accepted the file: {found.text}"
    assert _is_value_error(found.error), f"{found.error}: {found.text}\n{found.trace}"
    assert match in found.text, f"expected {match!r} in {found.text!r}"
    return found


def accepted(reader: Callable, *args: Any, **more: Any) -> Outcome:
    """Asserts that the reader takes the file within the limits."""
    found = attempt(reader, *args, **more)
    assert found.error is None, f"{found.error}: {found.text}\n{found.trace}"
    return found


def _is_value_error(names: str) -> bool:
    return "ValueError" in names.split(" < ")


class _Call(NamedTuple):
    folder: str
    memory: int
    reader: Callable
    args: tuple
    kwargs: dict


class _Worker:
    """A confined process, which takes one call after the other until one has ended it or left much memory taken."""

    def __init__(self):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.hostile.readers"])
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=_confined, args=(other,), daemon=True)
        self.process.start()
        other.close()
        self.start = self.pipe.recv()  # when it is ready

    def call(self, call: _Call, seconds: float) -> Outcome | str:
        """What became of a call, or how it ended the process."""
        try:
            self.pipe.send(call)
            found = self.pipe.recv() if self.pipe.poll(seconds + _GRACE) else "took too long"
        except EOFError:
            self.process.join(_GRACE)
            found = f"ended its process: {self.process.exitcode}"
        if isinstance(found, str) or found.left > self.start + _LEFT:
            self.end()
        return found

    def end(self) -> None:
        """Ends the process."""
        self.process.kill()
        self.process.join()
        _WORKERS.clear()


_GRACE = 5  # seconds after its time in which a call may still end by itself
_LEFT = 1 << 28  # bytes beyond the process's start
_WORKERS: list[_Worker] = []


def _worker() -> _Worker:
    if not _WORKERS or not _WORKERS[0].process.is_alive():
        _WORKERS[:] = [_Worker()]
    return _WORKERS[0]


def _confined(pipe: Any) -> None:
    ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
    import jax

    jax.devices()
    (jax.numpy.ones(3) + 1).block_until_ready()
    pipe.send(_status("VmRSS"))
    while True:
        try:
            call = pipe.recv()
        except EOFError:
            return
        pipe.send(_outcome(call))


def _outcome(call: _Call) -> Outcome:
    os.chdir(call.folder)
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")  # the peak begins anew
    start = _status("VmRSS")
    resource.setrlimit(resource.RLIMIT_AS, (_status("VmSize") + call.memory, resource.RLIM_INFINITY))
    begun = time.perf_counter()
    error, trace = None, ""
    try:
        text = type(call.reader(*call.args, **call.kwargs)).__name__
    except BaseException as raised:
        error, text = " < ".join(c.__name__ for c in type(raised).__mro__), str(raised)
        trace = "".join(traceback.format_exception(raised)[-12:])
    taken = time.perf_counter() - begun
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    most = max(_status("VmHWM") - start, 0)
    gc.collect()
    return Outcome(error, text[:2000], taken, most, trace[-4000:], _status("VmRSS"))


def _status(name: str) -> int:
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith(f"{name}:"))
