"""`Metric`: an immutable definition with three pure functions, `init`, `update` and `result`.

    state = metric.init()
    state = metric.update(state, y_true, y_pred, sample_weight)
    value = metric.result(state)

The state is a dict of arrays by Keras's variable names. Its structure, shapes and dtypes never
change, so an update may be compiled or be the body of a scan; states of disjoint data add up.
"""

from __future__ import annotations

import warnings
from typing import Any

from kfun import dtypes, ops
from kfun.losses._named import Named
from kfun.losses._shapes import as_arrays, dtype_of


class Metric(Named):
    """Base of metrics.

    A subclass gives `init`, `update` and `result`:

        class Positives(Metric):
            def init(self, y_true=None, y_pred=None):
                return self.zeros(count=())

            def update(self, state, y_true, y_pred, sample_weight=None):
                return self.added(state, count=ops.sum(ops.greater(y_pred, 0)))

            def result(self, state):
                return state["count"]

    Args:
        name: what logs call it.
        dtype: the type of the state; None means float32. Counts in an integer type have no fractions
            of weights.
    """

    uses_mask = False  # whether `update` takes a `mask`
    pools_rows = False  # whether rows without weight change the result

    @property
    def state_dtype(self) -> str:
        """The type of the arrays in the state."""
        return self.dtype or "float32"

    @property
    def working_dtype(self) -> str:
        """The type that scores and weights are compared and added in: that of the state, or float32 for integers."""
        return self.state_dtype if dtypes.is_float(dtypes.name(self.state_dtype)) else "float32"

    def warn_of_cuts(self, sample_weight: Any) -> None:
        """Warns where the state, in an integer type, takes no fractions of weights."""
        if sample_weight is None or self.working_dtype == self.state_dtype:
            return
        if dtypes.is_float(dtype_of(as_arrays(sample_weight)[0])):
            warnings.warn(
                f"{type(self).__name__}: sample_weight is a float but counts are {self.state_dtype}: "
                'casting cuts fractions off; give dtype="float32" to keep them',
                stacklevel=3,
            )

    def init(self, y_true: Any = None, y_pred: Any = None) -> dict:
        """The state before any data, on the default backend (`kfun.backend`).

        Args:
            y_true, y_pred: specs or arrays of what `update` will be given; needed by metrics whose
                state has a size per class.
        """
        raise TypeError(f"{type(self).__name__} must define init(y_true=None, y_pred=None)")

    def update(self, state: dict, y_true: Any, y_pred: Any, sample_weight: Any = None) -> dict:
        """The state after one more batch."""
        raise TypeError(f"{type(self).__name__} must define update(state, y_true, y_pred, sample_weight=None)")

    def result(self, state: dict) -> Any:
        """The value of the metric over all data so far."""
        raise TypeError(f"{type(self).__name__} must define result(state)")

    def merge(self, *states: dict) -> dict:
        """One state for the data of several, as from several devices."""
        first, *rest = states
        for state in rest:
            first = {name: ops.add(first[name], state[name]) for name in first}
        return first

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The value for one batch alone."""
        return self.result(self.update(self.init(y_true, y_pred), y_true, y_pred, sample_weight))

    def zeros(self, **shapes: tuple[int, ...]) -> dict:
        """A state of zeros by name and shape."""
        dtype = self.state_dtype
        return {name: ops.zeros(shape, dtype) for name, shape in shapes.items()}

    def added(self, state: dict, **amounts: Any) -> dict:
        """The state with an amount added to each of some arrays, in their types."""
        return state | {n: ops.add(state[n], ops.cast(amount, state[n].dtype)) for n, amount in amounts.items()}
