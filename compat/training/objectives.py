"""What `compile` was given as one loss and one metric: of each of the model's outputs, or of parts of them."""

from __future__ import annotations

import functools
import warnings
from typing import Any, NamedTuple

import numpy as np

from compat import losses as losses_face
from compat import metrics as metrics_face
from compat.state import padded_rows
from compat.training.matching import Outputs, Place, leaves, nested, part_of, places, structured
from kfun import ops


class CompileLoss:
    """The losses of all outputs as one."""

    def __init__(self, loss: Any, loss_weights: Any = None):
        self.loss, self.loss_weights = loss, loss_weights
        self.places: list[Place] = []
        self.structured = False  # whether losses may stand on parts with several arrays
        self._trained: list[str] | None = None  # the outputs with a loss, if each stands on one array
        self._by_name = False  # whether losses are said by name, of outputs in a list or of one
        self.metrics: list[Any] = []  # the means of the losses, if there are several

    @property
    def of_numbers(self) -> bool:
        """Whether the only loss is one of class numbers."""
        found = [losses_face.get(loss) for _, loss in leaves(self.loss) if loss is not None]
        named = [getattr(loss, "fn", loss) for loss in found]
        sparse = losses_face.SparseCategoricalCrossentropy
        return len(named) == 1 and (
            isinstance(named[0], sparse) or named[0] is losses_face.sparse_categorical_crossentropy
        )

    @property
    def built(self) -> bool:
        """Whether the losses are made."""
        return bool(self.places)

    def build(self, y_pred: Any, names: list[str] | None) -> None:
        """Makes the losses for outputs, arrays or specs, of these names."""
        outputs = Outputs(y_pred, names)
        self.structured = structured(self.loss, y_pred)
        self._by_name = self.structured and isinstance(self.loss, dict) and not isinstance(y_pred, dict)
        found = places(self.loss, self.loss_weights, self._outputs(y_pred, names))
        if not found:
            raise ValueError("compile: no output has a loss; pass `loss` as a name, a function, or a list or dict")
        if not nested(y_pred) and len(found) > 1:
            warnings.warn(
                f"the model has one output and {len(found)} losses: as in Keras the first one is trained on. Add "
                "them up in one function to train on all",
                stacklevel=2,
            )
            found = found[:1]
        self.places = [_made(place) for place in found]
        if not self.structured:
            named = dict(zip((path for path, _ in leaves(outputs.tree)), outputs.names, strict=True))
            self._trained = [named[place.path] for place in found]
        if len(found) > 1:
            self.metrics = [metrics_face.Mean(name=f"{place.name}_loss") for place in self.places]

    def _outputs(self, y_pred: Any, names: list[str] | None) -> Outputs:
        outputs = Outputs(y_pred, names)
        return Outputs(outputs.arrays, None) if self._by_name else outputs

    def check_targets(self, y: Any, sample_weight: Any, y_pred: Any, names: list[str] | None) -> None:
        """Raises ValueError if a loss says that host targets are none of its; rows without weight do not count."""
        if self.structured:
            return
        outputs = Outputs(y_pred, names)
        targets, weights = outputs.each(y, "y", self._trained), outputs.each(sample_weight, "sample_weight")
        for name, (_, loss, *_) in zip(self._trained or [], self.places, strict=True):
            definition = loss._definition() if isinstance(loss, losses_face.Loss) else loss
            target, weight = targets[name], weights[name]
            if target is None or not hasattr(definition, "check_targets"):
                continue
            if weight is not None and np.ndim(weight) == 1 and len(weight) == len(target):
                target = np.asarray(target)[np.asarray(weight) != 0]
            definition.check_targets(target, outputs.arrays[name])

    def __call__(self, y: Any, y_pred: Any, sample_weight: Any, names: list[str] | None) -> Any:
        """The weighted sum of the outputs' losses."""
        if not self.built:
            self.build(y_pred, names)
        outputs = self._outputs(y_pred, names)
        padded_rows.mark(outputs.arrays.values())
        targets, weights = outputs.each(y, "y", self._trained), outputs.each(sample_weight, "sample_weight")
        values = []
        for number, (path, loss, scale, _) in enumerate(self.places):
            target, output = outputs.at(path, targets), part_of(outputs.tree, path)
            if target is None:
                continue
            value = loss(target, output, outputs.at(path, weights) if nested(sample_weight) else sample_weight)
            if self.metrics:
                first = next(leaves(output))[1]
                self.metrics[number].update_state(value, sample_weight=padded_rows.count(first))
            values.append(value if scale is None else ops.multiply(value, float(scale)))
        if not values:
            raise ValueError("fit: the data have no targets `y`, but the model was compiled with a loss")
        return functools.reduce(ops.add, values)


def _made(place: Place) -> Place:
    loss = losses_face.as_loss(place.loss)
    own = place.loss if isinstance(place.loss, str) else loss.name
    return place._replace(loss=loss, name=place.name or "/".join(map(str, (*place.path[:-1], own))))


class _Entry(NamedTuple):
    """A metric of an output."""

    shown: str
    output: str
    metric: Any
    weighted: bool  # whether it sees sample weights


class CompileMetrics(metrics_face.Metric):
    """The metrics of all outputs as one.

    Args:
        metrics, weighted_metrics: what `compile` was given.
        name: what logs call it.
        output_names: the names of the model's outputs, if it has such.
    """

    def __init__(
        self, metrics: Any, weighted_metrics: Any = None, name: str = "compile_metrics", output_names: Any = None
    ):
        super().__init__(name=name)
        self.given, self.names = (metrics, weighted_metrics), output_names
        self.built = False
        self._entries: list[_Entry] = []

    def name_outputs(self, names: list[str] | None) -> None:
        """Says what the model's outputs are called."""
        if names != self.names:
            self.names = names

    @property
    def metrics(self) -> list[Any]:
        """The metrics, in order."""
        return [entry.metric for entry in self._entries]

    @property
    def variables(self) -> list[Any]:
        """The variables of all metrics."""
        return [v for m in self.metrics for v in m.variables]

    def listed(self) -> list[str]:
        """The names by which lists of results are ordered: the metrics' own, without an output's."""
        return [m.name for m in self.metrics]

    def build(self, y: Any, y_pred: Any, abstractly: bool = False) -> None:
        """Makes the metrics, those named by `"accuracy"` after the shapes.

        Args:
            y, y_pred: targets and outputs, arrays or specs.
            abstractly: whether to run user-written metrics on specs, so that they make their variables.
        """
        outputs = Outputs(y_pred, self.names)
        targets = outputs.each(y, "y")
        for group, weighted in zip(self.given, (False, True), strict=True):
            for name, given in outputs.given(group, "metrics").items():
                for item in given if isinstance(given, (list, tuple)) else [given]:
                    metric = None if item is None else metrics_face.get_for(item, targets[name], outputs.arrays[name])
                    if metric is None:
                        continue
                    shown = self._shown(metric, name if len(outputs.names) > 1 else None, weighted)
                    self._entries.append(_Entry(shown, name, metric, weighted))
                    if targets[name] is not None:
                        metric.prepare(targets[name], outputs.arrays[name], abstractly)
        self.built = True

    def _shown(self, metric: Any, output: str | None, weighted: bool) -> str:
        """What logs call a metric: as in Keras, with the output's name if there are several, a number if taken."""
        label = metric.name
        mine = [entry for entry in self._entries if output in (None, entry.output)]
        if weighted and any(entry.metric.name == label for entry in mine):
            label = f"weighted_{label}"
        label = label if output is None else f"{output}_{label}"
        taken, shown, number = {entry.shown for entry in self._entries}, label, 0
        while shown in taken:
            number += 1
            shown = f"{label}_{number}"
        return shown

    def update_state(self, y: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Moves all metrics by a batch."""
        if not self.built:
            self.build(y, y_pred)
        outputs = Outputs(y_pred, self.names)
        targets, weights = outputs.each(y, "y"), outputs.each(sample_weight, "sample_weight")
        for _, name, metric, weighted in self._entries:
            if targets[name] is None:
                continue
            weight = padded_rows.weighted(weights[name] if weighted else None)
            given = {} if weight is None and not weighted else {"sample_weight": weight}
            metric.update_state(targets[name], outputs.arrays[name], **given)

    def result(self) -> dict[str, Any]:
        """The results by shown name; a metric that gives several has them under its own names."""
        found: dict[str, Any] = {}
        for entry in self._entries:
            result = entry.metric.result()
            found |= result if isinstance(result, dict) else {entry.shown: result}
        return found

    def reset_state(self) -> None:
        """All metrics at their beginning."""
        for metric in self.metrics:
            metric.reset_state()
