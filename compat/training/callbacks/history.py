"""`History`: the metrics of every epoch, as numbers, a table or a picture."""

from __future__ import annotations

import html
import os
from typing import Any

import numpy as np

from compat.training.callbacks.callback import Callback
from kfun.errors import MissingExtraError, nearest

_TRAINING, _VALIDATION = "#0072B2", "#D55E00"  # told apart by colour-blind people too (Okabe and Ito 2008)


class History(Callback):
    """Records the metrics of every epoch in `history`, `{name: [values]}`, and the epochs in `epoch`.

    `fit` returns one. In a notebook it shows itself as a table with curves.
    """

    def __init__(self):
        super().__init__()
        self.history: dict[str, list] = {}
        self.epoch: list[int] = []
        self._at: dict[str, list[int]] = {}  # the epochs of each metric: validation may have fewer

    def on_train_begin(self, logs=None):
        self.epoch = []

    def on_epoch_end(self, epoch, logs=None):
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
            self._at.setdefault(name, []).append(epoch)

    def curve(self, name: str) -> tuple[list[int], list]:
        """The epochs of a metric, and its values there.

        Raises:
            KeyError: if there is no such metric.
        """
        if name not in self.history:
            raise KeyError(f"history: there is no metric {name!r}; {nearest(name, self.history)}")
        values = self.history[name]
        epochs = self._at.get(name, [])
        return (epochs if len(epochs) == len(values) else list(range(len(values)))), values

    def to_pandas(self) -> Any:
        """The metrics as a `pandas.DataFrame`: a row per epoch, NaN where a metric was not computed.

        Raises:
            MissingExtraError: if pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise MissingExtraError("pandas", "plot", "History.to_pandas") from error
        columns = {}
        for name in self.history:
            epochs, values = self.curve(name)
            columns[name] = pandas.Series(values, index=epochs)
        index = sorted({e for name in self.history for e in self.curve(name)[0]})
        return pandas.DataFrame(columns, index=pandas.Index(index, name="epoch"))

    def plot(self, path: Any = None, metrics: Any = None, log_scale: bool = False) -> Any:
        """Draws the curves: a panel per metric, validation beside training.

        Args:
            path: where to write the picture (`.png`, `.svg`, `.pdf`); not written if None.
            metrics: names of the metrics to draw, without `val_`; all that are numbers by default.
            log_scale: whether the vertical axes are logarithmic.

        Returns:
            A `matplotlib.figure.Figure`.

        Raises:
            MissingExtraError: if matplotlib is not installed.
            ValueError: if there is nothing to draw.
        """
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise MissingExtraError("matplotlib", "plot", "History.plot") from error
        names = _panels(self.history) if metrics is None else [metrics] if isinstance(metrics, str) else list(metrics)
        if not names:
            raise ValueError("history: there are no metrics to draw; train for at least one epoch")
        columns = min(3, len(names))
        rows = -(-len(names) // columns)
        figure = Figure(figsize=(4.2 * columns, 3.0 * rows), layout="constrained")
        panels = list(figure.subplots(rows, columns, squeeze=False).flat)
        for name, panel in zip(names, panels, strict=False):
            self._panel(panel, name, log_scale)
        for panel in panels[len(names) :]:
            panel.set_visible(False)
        if path is not None:
            figure.savefig(os.fspath(path), dpi=150)
        return figure

    def _panel(self, panel: Any, name: str, log_scale: bool) -> None:
        from matplotlib.ticker import MaxNLocator

        shown = [(name, _TRAINING, "training"), (f"val_{name}", _VALIDATION, "validation")]
        present = [part for part in shown if part[0] in self.history]
        if not present:
            self.curve(name)
        for key, colour, label in present:
            epochs, values = self.curve(key)
            marker = "o" if len(values) <= 30 else None
            panel.plot([e + 1 for e in epochs], values, color=colour, label=label, marker=marker, markersize=3.5)
        panel.set_title(name, fontsize=10)
        panel.set_xlabel("epoch", fontsize=9)
        panel.tick_params(labelsize=8)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
        if log_scale:
            panel.set_yscale("log")
        if len(present) > 1:
            panel.legend(fontsize=8, frameon=False)

    def _repr_html_(self) -> str:
        """A table for notebooks: the last, the lowest and the highest value of each metric, and its curve."""
        cells = []
        for name in _scalars(self.history):
            epochs, values = self.curve(name)
            numbers = np.asarray(values, float)
            finite = numbers if np.isnan(numbers).all() else np.nan_to_num(numbers, nan=np.nanmean(numbers))
            low, high = int(np.argmin(finite)), int(np.argmax(finite))
            cells.append(
                f"<tr><th style='text-align:left'>{html.escape(name)}</th><td>{_sparkline(numbers)}</td>"
                f"<td>{numbers[-1]:.4g}</td><td>{numbers[low]:.4g} ({epochs[low] + 1})</td>"
                f"<td>{numbers[high]:.4g} ({epochs[high] + 1})</td></tr>"
            )
        count = len(self.epoch)
        return (
            f"<div><b>History</b> of {count} epoch{'' if count == 1 else 's'}"
            "<table><tr><th></th><th></th><th>last</th><th>lowest (epoch)</th><th>highest (epoch)</th></tr>"
            f"{''.join(cells)}</table></div>"
        )


def _scalars(history: dict[str, list]) -> list[str]:
    return [name for name, values in history.items() if values and all(np.ndim(v) == 0 for v in values)]


def _panels(history: dict[str, list]) -> list[str]:
    """The metrics to draw, the loss first, each with its validation."""
    names = dict.fromkeys(n.removeprefix("val_") for n in _scalars(history))
    return sorted(names, key=lambda n: (n != "loss", "learning_rate" in n))


def _sparkline(values: np.ndarray, width: int = 120, height: int = 24) -> str:
    """A curve as a small picture in the text."""
    finite = values[np.isfinite(values)]
    if len(finite) < 2:
        return ""
    low, span = finite.min(), max(float(np.ptp(finite)), 1e-30)
    step = (width - 4) / max(1, len(values) - 1)
    points = [(2 + i * step, height - 2 - (v - low) / span * (height - 4)) for i, v in enumerate(values)]
    text = " ".join(f"{x:.1f},{y:.1f}" for (x, y), v in zip(points, values, strict=True) if np.isfinite(v))
    return (
        f"<svg width='{width}' height='{height}'><polyline points='{text}' fill='none' stroke='{_TRAINING}' "
        "stroke-width='1.5'/></svg>"
    )
