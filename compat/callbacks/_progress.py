"""The progress bar of `fit`, `evaluate` and `predict`."""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np

from compat.callbacks._base import Callback

_REFRESH = 0.1  # seconds; reading the logs waits for the device, so not oftener


class ProgbarLogger(Callback):
    """Shows progress, speed and metrics: a bar if `verbose` is 1, a line per epoch if it is 2."""

    def __init__(self):
        super().__init__()
        self._mode, self._inner = None, None

    def _begin(self, mode: str) -> None:
        self._mode, self._done, self._start, self._last = mode, 0, time.perf_counter(), 0.0

    def on_train_begin(self, logs=None):
        self._train = True

    def on_epoch_begin(self, epoch, logs=None):
        self._begin("train")
        if self.params["verbose"] and self.params["epochs"] > 1:
            print(f"Epoch {epoch + 1}/{self.params['epochs']}")

    def on_epoch_end(self, epoch, logs=None):
        self._finish(dict(logs or {}))

    def on_train_end(self, logs=None):
        self._mode = None

    def on_test_begin(self, logs=None):
        if self._mode is None:
            self._begin("test")

    def on_test_end(self, logs=None):
        if self._mode == "test":
            self._finish(dict(logs or {}))
            self._mode = None

    def on_predict_begin(self, logs=None):
        self._begin("predict")

    def on_predict_end(self, logs=None):
        self._finish({})
        self._mode = None

    def on_train_batch_end(self, batch, logs=None):
        self.on_group("train", batch + 1, logs)

    def on_test_batch_end(self, batch, logs=None):
        self.on_group("test", batch + 1, logs)

    def on_predict_batch_end(self, batch, logs=None):
        self.on_group("predict", batch + 1, {})

    def on_group(self, mode: str, done: int, logs: Any) -> None:
        """Moves the bar to `done` batches, if it is time to."""
        if mode != self._mode:
            return
        self._done = done
        now = time.perf_counter()
        if self.params["verbose"] == 1 and _redrawn() and now - self._last >= _REFRESH:
            self._last = now
            self._show(dict(logs), end=False)

    def _finish(self, logs: dict) -> None:
        verbose = self.params["verbose"]
        if verbose == 1:
            self._show(logs, end=True)
        elif verbose == 2:
            spent = time.perf_counter() - self._start
            each = _each(spent / max(1, self._done))
            print(f"{self._done}/{self._total() or self._done} - {_span(spent)} - {each}/step{_metrics(logs)}")

    def _total(self) -> int | None:
        return self.params.get("steps") if self._mode == "train" or self.params.get("steps") else None

    def _show(self, logs: dict, end: bool) -> None:
        spent = time.perf_counter() - self._start
        total = self._done if end else self._total()
        each = spent / max(1, self._done)
        if total:
            filled = int(20 * self._done / total)
            bar = "━" * filled + " " * (20 - filled)
            left = _span(spent) if end else _span(each * (total - self._done))
            text = f"{self._done:>{len(str(total))}}/{total} {bar} {left} {_each(each)}/step"
        else:
            text = f"{self._done} steps {_span(spent)} {_each(each)}/step"
        clear = "\r\x1b[2K" if sys.stdout.isatty() else "\r" if _redrawn() else ""
        sys.stdout.write(f"{clear}{text}{_metrics(logs)}" + ("\n" if end else ""))
        sys.stdout.flush()


def _redrawn() -> bool:
    """Whether a line can be written over: in a terminal or a notebook, not in a file."""
    return sys.stdout.isatty() or "ipykernel" in sys.modules


def _metrics(logs: dict) -> str:
    parts = []
    for name, value in logs.items():
        if np.ndim(value):
            value = float(np.mean(value))
        shown = f"{value:.4f}" if abs(value) > 1e-3 or value == 0 else f"{value:.4e}"
        parts.append(f" - {name}: {shown}")
    return "".join(parts)


def _span(seconds: float) -> str:
    if seconds >= 3600:
        return f"{int(seconds // 3600)}:{int(seconds % 3600 // 60):02d}:{int(seconds % 60):02d}"
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}" if seconds >= 60 else f"{seconds:.0f}s"


def _each(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.0f}s"
    return f"{seconds * 1e3:.0f}ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us"
