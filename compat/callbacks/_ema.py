"""`SwapEMAWeights`: evaluates with the moving average of the weights."""

from __future__ import annotations

from typing import Any

from compat.callbacks._rates import innermost
from compat.training.callbacks.callback import Callback


class SwapEMAWeights(Callback):
    """Puts the optimizer's moving average of the weights in their place for evaluation and prediction.

    Args:
        swap_on_epoch: whether the average also stands in their place from the end of an epoch to the
            start of the next, so that callbacks after this one save it.

    Raises:
        ValueError: in `fit`, `evaluate` or `predict`, if the optimizer keeps no average (`use_ema=True`).
    """

    kept_in_backups = ("_kept",)

    def __init__(self, swap_on_epoch: bool = False):
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._kept: list[Any] | None = None  # the weights, while the average stands in their place

    def _averages(self) -> list[tuple[Any, Any]]:
        optimizer = innermost(getattr(self.model, "optimizer", None))
        if optimizer is None or not getattr(optimizer, "use_ema", False):
            raise ValueError("SwapEMAWeights must be used with an optimizer that has use_ema=True")
        if not optimizer.built:
            return []
        parts = [part for part in getattr(optimizer, "optimizers", [optimizer]) if part.use_ema]
        kept = [average for part in parts for average in part._model_variables_moving_average]
        return list(zip([v for part in parts for v in part._trained], kept, strict=True))

    def _swap(self, to_average: bool) -> None:
        if to_average is (self._kept is not None):
            return
        pairs = self._averages()
        if to_average:
            self._kept = [variable.value for variable, _ in pairs]
            values = [average.value for _, average in pairs]
        else:
            values, self._kept = self._kept or [], None
        for (variable, _), value in zip(pairs, values, strict=True):
            variable.assign(value)

    def on_epoch_begin(self, epoch, logs=None):
        if self.swap_on_epoch:
            self._swap(False)

    def on_epoch_end(self, epoch, logs=None):
        if self.swap_on_epoch:
            self._swap(True)

    def on_train_end(self, logs=None):
        self._kept = None  # the optimizer has put the average into the weights for good

    def on_test_begin(self, logs=None):
        self._swap(True)

    def on_test_end(self, logs=None):
        self._swap(False)

    on_predict_begin = on_test_begin
    on_predict_end = on_test_end
