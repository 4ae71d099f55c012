"""What `compile` was given, matched to the model's outputs: losses and metrics by output."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from compat import losses as losses_face
from compat import metrics as metrics_face
from compat.state import padded_rows
from compat.training.nested_losses import Place, deep, down_to, leaves, like, nested, part_of, places
from kfun import ops
from kfun.errors import nearest


def flat_outputs(tree: Any, names: list[str] | None) -> dict[str, Any]:
    """Outputs (or targets in their form) by name, in order.

    A dict has its keys, a list or tuple the model's output names, one array the only name. What is nested deeper is
    named by the model too, else by its path.
    """
    if deep(tree):
        found = list(leaves(tree))
        named = names if names and len(names) == len(found) else ["/".join(map(str, path)) for path, _ in found]
        return dict(zip(named, (v for _, v in found), strict=True))
    if isinstance(tree, dict):  # compiled steps sort the keys of dicts
        return {n: tree[n] for n in names} if names and set(names) == set(tree) else dict(tree)
    parts = list(tree) if isinstance(tree, (list, tuple)) else [tree]
    if not names or len(names) != len(parts):
        names = [f"output_{i}" for i in range(len(parts))] if len(parts) > 1 else ["output"]
    return dict(zip(names, parts, strict=True))


def by_output(value: Any, names: list[str], what: str) -> dict[str, Any]:
    """Matches a dict, a list, or one thing to the outputs by name or place.

    Raises:
        ValueError: if a name is no output's, or a list has another length.
    """
    if isinstance(value, dict):
        for key in value:
            if key not in names:
                raise ValueError(f"{what}: {key!r} is no output of the model; {nearest(key, names)}")
        return {n: value.get(n) for n in names}
    if isinstance(value, (list, tuple)) and (len(names) > 1 or len(value) == 1):
        if len(value) != len(names):
            raise ValueError(f"{what}: the model has {len(names)} outputs {names}; received {len(value)}")
        return dict(zip(names, value, strict=True))
    return dict.fromkeys(names, value)


class CompileLoss:
    """The losses of all outputs as one."""

    def __init__(self, loss: Any, loss_weights: Any = None):
        self.loss, self.loss_weights = loss, loss_weights
        self._built: dict[str, Any] = {}
        self._places: list[Place] = []
        self._named = False  # whether losses by name stand on outputs in a list, or on one
        self.trackers: dict[Any, Any] = {}  # by output, or by place

    @property
    def built(self) -> bool:
        """Whether the losses are made."""
        return bool(self._built or self._places)

    @property
    def metrics(self) -> list[Any]:
        """The means of the outputs' losses, if there are several."""
        return list(self.trackers.values())

    def build(self, y_pred: Any, names: list[str] | None) -> None:
        """Makes the losses for outputs, arrays or specs, of these names."""
        outputs = flat_outputs(y_pred, names)
        if _structured(self.loss, y_pred):
            self._named = isinstance(self.loss, dict) and not isinstance(y_pred, dict)
            given, shown = (outputs, list(outputs)) if self._named else (y_pred, names)
            found = places(self.loss, self.loss_weights, given, shown)
            if not nested(y_pred) and len(found) > 1:
                warnings.warn(
                    f"the model has one output and {len(found)} losses: as in Keras the first one is trained on. Add "
                    "them up in one function to train on all",
                    stacklevel=2,
                )
                found = found[:1]
            self._places = [_made(p) for p in found]
            if len(found) > 1:
                self.trackers = {i: metrics_face.Mean(name=f"{p.name}_loss") for i, p in enumerate(self._places)}
        else:
            self._build_flat(list(outputs), isinstance(y_pred, dict) or names == list(outputs))

    def _build_flat(self, names: list[str], told: bool) -> None:
        given = by_output(self.loss, names, "loss")
        weights = self.loss_weights
        if isinstance(self.loss, dict) and isinstance(weights, (list, tuple)):
            weights = dict(zip(sorted(self.loss), weights, strict=True))  # as Keras flattens dicts
        weights = by_output(weights, names, "loss_weights")
        self._built = {n: (losses_face.as_loss(f), weights[n]) for n, f in given.items() if f is not None}
        if not self._built:
            raise ValueError("compile: no output has a loss; pass `loss` as a name, a function, or a list or dict")
        if len(self._built) > 1:
            shown = {n: n if told else _loss_name(given[n], loss) for n, (loss, _) in self._built.items()}
            self.trackers = {n: metrics_face.Mean(name=f"{shown[n]}_loss") for n in self._built}

    def check_targets(self, y: Any, sample_weight: Any, outputs: dict[str, Any]) -> None:
        """Raises ValueError if a loss says that host targets are none of its; rows without weight do not count."""
        if self._places:
            return
        targets, weights = _like(y, outputs, "y", self._built), _like(sample_weight, outputs, "sample_weight")
        for name, (loss, _) in self._built.items():
            definition = loss._definition() if isinstance(loss, losses_face.Loss) else loss
            target, weight = targets[name], weights[name]
            if target is None or not hasattr(definition, "check_targets"):
                continue
            if weight is not None and np.ndim(weight) == 1 and len(weight) == len(target):
                target = np.asarray(target)[np.asarray(weight) != 0]
            definition.check_targets(target, outputs[name])

    def __call__(self, y: Any, y_pred: Any, sample_weight: Any, names: list[str] | None) -> Any:
        """The weighted sum of the outputs' losses."""
        if not self.built:
            self.build(y_pred, names)
        if self._places:
            if self._named:
                y_pred = flat_outputs(y_pred, names)
                y, sample_weight = _like(y, y_pred, "y"), _like(sample_weight, y_pred, "sample_weight")
            return self._of_places(y, y_pred, sample_weight)
        outputs = flat_outputs(y_pred, names)
        targets, weights = _like(y, outputs, "y", self._built), _like(sample_weight, outputs, "sample_weight")
        padded_rows.mark(outputs.values())
        total = None
        for name, (loss, scale) in self._built.items():
            if targets[name] is None:
                continue
            value = loss(targets[name], outputs[name], weights[name])
            if name in self.trackers:
                self.trackers[name].update_state(value, sample_weight=padded_rows.count(outputs[name]))
            value = value if scale is None else ops.multiply(value, float(scale))
            total = value if total is None else ops.add(total, value)
        if total is None:
            raise ValueError("fit: the data have no targets `y`, but the model was compiled with a loss")
        return total

    def _of_places(self, y: Any, y_pred: Any, sample_weight: Any) -> Any:
        targets, total = like(y, y_pred, "y"), ops.zeros(())
        given = nested(sample_weight) and any(w is not None for _, w in leaves(sample_weight))
        weights = like(sample_weight, y_pred, "sample_weight") if given else None
        for number, (path, loss, scale, _) in enumerate(self._places):
            output = part_of(y_pred, path)
            weight = part_of(weights, path) if given else None if nested(sample_weight) else sample_weight
            value = loss(part_of(targets, path), output, weight)
            if self.trackers:
                first = next(leaves(output))[1]
                self.trackers[number].update_state(value, sample_weight=padded_rows.count(first))
            total = ops.add(total, value if scale is None else ops.multiply(value, float(scale)))
        return total


def _made(place: Place) -> Place:
    loss = losses_face.as_loss(place.loss)
    name = place.name or "/".join(map(str, (*place.path[:-1], _loss_name(place.loss, loss))))
    return place._replace(loss=loss, name=name)


def _loss_name(given: Any, loss: Any) -> str:
    return given if isinstance(given, str) else loss.name


def _structured(loss: Any, y_pred: Any) -> bool:
    """Whether losses or outputs are nested deeper than a list or dict by output."""
    several = nested(loss) and not nested(y_pred) and len(loss) > 1 and not isinstance(loss, dict)
    return several or deep(y_pred) or deep(loss)


def _like(tree: Any, outputs: dict[str, Any], what: str, trained: Any = ()) -> dict[str, Any]:
    """Targets or weights by the outputs' names; as many as there are losses go to the outputs with one."""
    if tree is None:
        return dict.fromkeys(outputs)
    if deep(tree):
        values = [v for _, v in leaves(tree)]
        if len(values) != len(outputs):
            raise ValueError(f"{what} has {len(values)} arrays; the model has the outputs {list(outputs)}")
        return dict(zip(outputs, values, strict=True))
    if 0 < len(trained) < len(outputs) and not isinstance(tree, dict):
        parts = tree if isinstance(tree, (list, tuple)) else [tree]
        if len(parts) == len(trained):
            return dict.fromkeys(outputs) | dict(zip(trained, parts, strict=True))
    if isinstance(tree, dict):
        if len(outputs) == 1 and set(tree) != set(outputs) and len(tree) == 1:
            return dict(zip(outputs, tree.values(), strict=True))
        missing = [n for n in outputs if n not in tree]
        if missing and what == "y":
            known = {n: tree.get(n) for n in outputs}
            if all(v is None for v in known.values()):
                raise ValueError(f"y has the keys {sorted(tree)}; the model's outputs are {list(outputs)}")
        return {n: tree.get(n) for n in outputs}
    if isinstance(tree, (list, tuple)):
        if len(tree) != len(outputs):
            raise ValueError(f"{what} has {len(tree)} parts; the model has {len(outputs)} outputs {list(outputs)}")
        return dict(zip(outputs, tree, strict=True))
    if len(outputs) > 1:
        if what == "sample_weight":
            return dict.fromkeys(outputs, tree)
        raise ValueError(f"{what} is one array; the model has {len(outputs)} outputs {list(outputs)}")
    return dict.fromkeys(outputs, tree)


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
        self._entries: list[tuple[str, str, Any, bool]] = []  # (shown name, output, metric, weighted)

    def name_outputs(self, names: list[str] | None) -> None:
        """Says what the model's outputs are called."""
        if names != self.names:
            self.names = names

    @property
    def metrics(self) -> list[Any]:
        """The metrics, in order."""
        return [entry[2] for entry in self._entries]

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
        outputs = flat_outputs(y_pred, self.names)
        targets = _like(y, outputs, "y")
        several, taken = len(outputs) > 1, set()
        for group, weighted in zip(self.given, (False, True), strict=True):
            for name, given in _metrics_by_output(group, list(outputs), y_pred).items():
                for item in given:
                    metric = metrics_face.get_for(item, targets[name], outputs[name])
                    if metric is None:
                        continue
                    label = metric.name
                    if weighted and any(e[1] == name and e[2].name == label for e in self._entries):
                        label = f"weighted_{label}"
                    shown = _untaken(f"{name}_{label}" if several else label, taken)
                    self._entries.append((shown, name, metric, weighted))
                    if targets[name] is not None:
                        metric.prepare(targets[name], outputs[name], abstractly)
        self.built = True

    def update_state(self, y: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Moves all metrics by a batch."""
        if not self.built:
            self.build(y, y_pred)
        outputs = flat_outputs(y_pred, self.names)
        targets, weights = _like(y, outputs, "y"), _like(sample_weight, outputs, "sample_weight")
        for _, name, metric, weighted in self._entries:
            if targets[name] is None:
                continue
            weight = padded_rows.weighted(weights[name] if weighted else None)
            given = {} if weight is None and not weighted else {"sample_weight": weight}
            metric.update_state(targets[name], outputs[name], **given)

    def result(self) -> dict[str, Any]:
        """The results by shown name; a metric that gives several has them under its own names."""
        found: dict[str, Any] = {}
        for shown, _, metric, _ in self._entries:
            result = metric.result()
            found |= result if isinstance(result, dict) else {shown: result}
        return found

    def reset_state(self) -> None:
        """All metrics at their beginning."""
        for metric in self.metrics:
            metric.reset_state()


def _untaken(name: str, taken: set[str]) -> str:
    shown, n = name, 0
    while shown in taken:
        n += 1
        shown = f"{name}_{n}"
    taken.add(shown)
    return shown


def _metrics_by_output(group: Any, names: list[str], y_pred: Any) -> dict[str, list]:
    if group is None:
        return {n: [] for n in names}
    if deep(y_pred):
        found = dict(zip(names, down_to(group, y_pred, "metrics"), strict=True))
    elif isinstance(group, dict):
        found = by_output(group, names, "metrics")
    elif isinstance(group, (list, tuple)) and any(isinstance(g, (list, tuple)) or g is None for g in group):
        found = by_output(list(group), names, "metrics")
    elif isinstance(group, (list, tuple)) and len(names) > 1 and len(group) == len(names):
        found = dict(zip(names, group, strict=True))
    elif isinstance(group, (list, tuple)) and len(names) > 1:
        raise ValueError(f"metrics: the model has {len(names)} outputs {names}; pass a dict or a list of lists")
    else:
        found = dict.fromkeys(names, group)
    return {n: list(v) if isinstance(v, (list, tuple)) else [] if v is None else [v] for n, v in found.items()}
