"""Runs a reader on a hostile file in a process of its own: 1 GB above its start, 10 seconds, marker files watched.

The processes are forked from a server that has imported compat and not started JAX, so that one costs half a second.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import resource
import signal
import sys
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


def attempt(reader: Callable, *args: Any, memory: int = MEMORY, seconds: float = SECONDS) -> Outcome:
    """Calls `reader(*args)`, a function of a module that the process can import, in a confined process.

    Raises:
        AssertionError: if it needs more memory or time, or ends the process.
    """
    context = _context()
    receive, send = context.Pipe(False)
    process = context.Process(target=_confined, args=(send, memory, seconds, os.getcwd(), reader, args))
    process.start()
    send.close()
    found = receive.recv() if receive.poll(seconds + 30) and not receive.closed else None
    process.join(1)
    if process.is_alive():
        process.kill()
        process.join()
    assert isinstance(found, Outcome), f"{reader.__name__} ended its process, or took too long: {process.exitcode}"
    assert found.seconds <= seconds, f"{found.seconds:.1f} s: {found}"
    assert found.bytes <= memory, f"{found.bytes:,} bytes: {found}"
    assert found.error is None or not found.error.startswith("MemoryError"), found
    return found


def refused(reader: Callable, *args: Any, match: str = "", marker: Any = None, **limits: Any) -> Outcome:
    """Asserts that the reader raises a ValueError within the limits, and that no marker file was made.

    Args:
        reader: a function of a module.
        args: of the reader, such as paths.
        match: a part of the error's text.
        marker: a path that code of the file would make.
        limits: of `attempt`.
    """
    found = attempt(reader, *args, **limits)
    assert marker is None or not os.path.exists(marker), f"code of the file ran: {marker}"
    assert found.error is not None, f"{reader.__name__} accepted the file: {found.text}"
    assert _is_value_error(found.error), f"{found.error}: {found.text}\n{found.trace}"
    assert match in found.text, f"expected {match!r} in {found.text!r}"
    return found


def accepted(reader: Callable, *args: Any, **limits: Any) -> Outcome:
    """Asserts that the reader takes the file within the limits."""
    found = attempt(reader, *args, **limits)
    assert found.error is None, f"{found.error}: {found.text}\n{found.trace}"
    return found


def _is_value_error(names: str) -> bool:
    return "ValueError" in names.split(" < ")


def _context() -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.hostile.readers"])
    return context


def _confined(send: Any, memory: int, seconds: float, folder: str, reader: Callable, args: tuple) -> None:
    os.chdir(folder)
    sys.setswitchinterval(0.005)
    ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
    import jax

    jax.devices()
    (jax.numpy.ones(3) + 1).block_until_ready()
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")  # the peak begins anew
    start = _status("VmRSS")
    limit = _status("VmSize") + memory
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(int(seconds) + 5)
    begun = time.perf_counter()
    error, trace = None, ""
    try:
        text = type(reader(*args)).__name__
    except BaseException as raised:
        error, text = " < ".join(c.__name__ for c in type(raised).__mro__), str(raised)
        trace = "".join(traceback.format_exception(raised)[-12:])
    taken = time.perf_counter() - begun
    send.send(Outcome(error, text[:2000], taken, max(_status("VmHWM") - start, 0), trace[-4000:]))
    send.close()
    os._exit(0)


def _status(name: str) -> int:
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith(f"{name}:"))
