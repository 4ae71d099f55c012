"""Rounds of contestants in turn, so that a busy machine is unfair to none."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any


def interleaved(
    contestants: dict[str, Callable[[], object]],
    rounds: int = 7,
    repeats: int = 1,
    wait: Callable[[Any], object] | None = None,
) -> dict[str, list[float]]:
    """Seconds per call of each contestant, one number per round, after one call to warm up.

    Args:
        contestants: what to call, by name.
        rounds: how often each has its turn.
        repeats: calls in a turn.
        wait: is given each call's result outside of the clock, so that what is still computed is not measured.
    """
    for function in contestants.values():
        function()
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(rounds):
        # Who follows whom changes, backwards too: threads of one may run on, and its arrays fill the caches.
        first = turn // 2 % len(contestants)
        order = [*contestants.items()][first:] + [*contestants.items()][:first]
        for name, function in reversed(order) if turn % 2 else order:
            times[name].append(_turn(function, repeats, wait) / repeats)
    return times


def _turn(function: Callable[[], object], repeats: int, wait: Callable[[Any], object] | None) -> float:
    start, waited = time.perf_counter(), 0.0
    for _ in range(repeats):
        result = function()
        if wait is not None:
            stop = time.perf_counter()
            wait(result)
            waited += time.perf_counter() - stop
    return time.perf_counter() - start - waited


def report(
    title: str, times: dict[str, list[float]], ours: str, peer: str, goal: float, scale: float = 1e6, unit: str = "us"
):
    """Prints medians and the ratio of ours to the peer's; gives the ratio.

    The ratio is the median of each round's, since neighbours in time share the machine's mood.
    """
    ratio = statistics.median(a / b for a, b in zip(times[ours], times[peer], strict=True))
    print(f"\n{title}")
    for name, values in times.items():
        middle, least = statistics.median(values) * scale, min(values) * scale
        print(f"  {name:<28} median {middle:10.2f} {unit}   min {least:10.2f} {unit}")
    print(f"  ratio {ours} / {peer}: {ratio:.3f}   goal at most {goal}   {'ok' if ratio <= goal else 'MISSED'}")
    return ratio
