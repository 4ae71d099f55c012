"""`Progbar`: a bar on one line that shows how far a loop is, how fast, and its metrics."""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np

from compat.state import messages

_BOLD, _GREEN, _WHITE, _PLAIN = "\x1b[1m", "\x1b[32m", "\x1b[37m", "\x1b[0m"


class Progbar:
    """Shows progress, speed and metrics while a loop runs.

    Where a line can be written over (a terminal, a notebook) the bar moves; in a file only its last
    state is written, without colours.

    Args:
        target: how many steps there are, None if unknown.
        width: of the bar, in characters.
        verbose: 0 silent, 1 a bar, 2 one line at the end.
        interval: seconds between two drawings.
        stateful_metrics: names of values that are shown as they come.
        stateless_metrics: names of values that are averaged over the steps; if given, all others are
            shown as they come. By default all but `stateful_metrics` are averaged.
        unit_name: what a step is called.
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Any = None,
        stateless_metrics: Any = None,
        unit_name: str = "step",
    ):
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ValueError("Progbar: stateful_metrics and stateless_metrics exclude each other")
        self.target, self.width, self.verbose, self.interval = target, width, verbose, interval
        self.unit_name = unit_name
        self.stateful_metrics = set(stateful_metrics or [])
        self.stateless_metrics = None if stateless_metrics is None else set(stateless_metrics)
        self._values: dict[str, list] = {}  # name: [sum, weight]
        self._seen = 0
        self._start, self._after_first, self._drawn = time.time(), None, 0.0
        self._shown = 0  # characters of the last drawing

    def update(self, current: int, values: Any = None, finalize: bool | None = None) -> None:
        """Moves the bar.

        Args:
            current: how many steps are done.
            values: `[(name, value), ...]`; averaged values are weighted with the steps since the last call.
            finalize: whether this is the last call; by default when `current` reaches the target.
        """
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        for name, value in values or []:
            self._add(name, value, current, finalize)
        self._seen = current
        now = time.time()
        if self.verbose == 1 and (finalize or self.due(now)):
            self._draw(current, now, finalize)
            self._drawn = now
        elif self.verbose == 2 and finalize:
            spent = now - self._start
            each = _speed(spent / current if current else 0.0, self.unit_name)
            messages.say(f"{self._count(current)} - {spent:.0f}s - {each}{self._metrics()}")
        if self._after_first is None and current:
            self._after_first = now

    def add(self, n: int, values: Any = None) -> None:
        """Moves the bar by `n` steps."""
        self.update(self._seen + n, values)

    def due(self, now: float) -> bool:
        """Whether the moving bar should be drawn anew: values need not be fetched before."""
        return self.verbose == 1 and moving() and now - self._drawn >= self.interval

    def _add(self, name: str, value: Any, current: int, finalize: bool) -> None:
        averaged = name not in self.stateful_metrics
        if self.stateless_metrics is not None and averaged:
            averaged = name in self.stateless_metrics
        if not averaged or finalize:
            self._values[name] = [value, 1]
            return
        steps = max(current - self._seen, 1)
        total, weight = self._values.get(name, (0.0, 0))
        self._values[name] = [total + value * steps, weight + steps]

    def _count(self, current: int) -> str:
        return f"{current:7d}/Unknown" if self.target is None else f"{current:{len(str(self.target))}d}/{self.target}"

    def _metrics(self) -> str:
        return "".join(f" - {name}: {_number(total, weight)}" for name, (total, weight) in self._values.items())

    def _draw(self, current: int, now: float, finalize: bool) -> None:
        each = self._step_time(current, now)
        if finalize or self.target is None:
            left = now - self._start
        else:
            left = each * max(0, self.target - current)
        tail = f"{_speed(each, self.unit_name)}{self._metrics()}"
        count, bar, span = self._count(current), "", _span(left)
        if self.target is not None:
            filled = min(self.width, int(self.width * current / self.target)) if self.target else self.width
            rest = ("━" if moving() else " ") * (self.width - filled)
            bar = f"{_GREEN}{'━' * filled}{_PLAIN}{_WHITE}{rest}{_PLAIN} "
            count = f"{_BOLD}{count}{_PLAIN}"
        line = f"{count} {bar}{_BOLD}{span}{_PLAIN} {tail}"
        if not moving():
            messages.say(_uncoloured(line))
            return
        length = len(_uncoloured(line))
        sys.stdout.write(f"\r{line}{' ' * max(0, self._shown - length)}" + ("\n" if finalize else ""))
        sys.stdout.flush()
        self._shown = length

    def _step_time(self, current: int, now: float) -> float:
        """Seconds per step; the first one, which may compile, does not count."""
        if not current:
            return 0.0
        if self._after_first is not None and current > 1:
            return (now - self._after_first) / (current - 1)
        return (now - self._start) / current


def moving() -> bool:
    """Whether a line can be written over: in a terminal or a notebook, not in a file or a log."""
    return messages.is_interactive_logging_enabled() and (
        getattr(sys.stdout, "isatty", bool)() or "ipykernel" in sys.modules
    )


def _uncoloured(text: str) -> str:
    for code in (_BOLD, _GREEN, _WHITE, _PLAIN):
        text = text.replace(code, "")
    return text


def _number(total: Any, weight: float) -> str:
    if isinstance(total, str) or total is None:
        return str(total)
    value = float(np.mean(np.asarray(total) / max(1, weight)))
    return f"{value:.4e}" if abs(value) <= 1e-3 else f"{value:.4f}"


def _span(seconds: float) -> str:
    if seconds > 3600:
        return f"{int(seconds // 3600)}:{int(seconds % 3600 // 60):02d}:{int(seconds % 60):02d}"
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}" if seconds > 60 else f"{seconds:.0f}s"


def _speed(seconds: float, unit: str) -> str:
    if seconds >= 1 or seconds == 0:
        return f"{seconds:.0f}s/{unit}"
    return f"{seconds * 1e3:.0f}ms/{unit}" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us/{unit}"
