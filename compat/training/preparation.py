"""What must be made before steps run on a feed's batches: a model's variables, losses, metrics and optimizer."""

from __future__ import annotations

import contextlib
from typing import Any

import jax

from compat.engine import abstract_build
from compat.state import scope
from compat.training import data
from compat.training.compilation import Compiled
from kfun import abstract
from kfun.spec import Spec


def prepare(model: Any, feed: Any, method: str) -> None:
    """Builds what `"fit"`, `"evaluate"` or `"predict"` needs of a model for the batches of a feed."""
    variables_made = model.built and all(layer.built for layer in model._all_layers())
    measured = [] if method == "predict" else [model._compile_loss, model._compile_metrics]
    # The first batch is looked at only if something is built after it, as in Keras: a generator may give it once.
    if not variables_made or any(part is not None and not part.built for part in measured):
        x, y, _ = data.unpack(feed.specs())
        if not variables_made:
            abstract_build.build_model(model, (x,))
        if y is not None and any(part is not None for part in measured):
            _build_measured(model, x, y)
    if method == "fit" and model.optimizer is not None and not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    if method != "predict":
        _check_targets(model, feed)


def _build_measured(model: Any, x: Any, y: Any) -> None:
    """Builds losses and metrics for specs of a batch."""
    loss, metrics = model._compile_loss, model._compile_metrics
    outputs = abstract_build.build_model(model, (x,))
    if loss is not None and not loss.built and type(model).compute_loss is not Compiled.compute_loss:
        with contextlib.suppress(Exception):  # what is wrong with it is told when it trains
            _compute_loss_abstractly(model, x, y, outputs)
    if loss is not None and not loss.built:
        loss.build(outputs, model._names())
    if metrics is not None and not metrics.built:
        metrics.name_outputs(model._names())
        metrics.build(y, outputs, abstractly=not model._op_by_op)


def _compute_loss_abstractly(model: Any, *specs: Any) -> None:
    """Runs a `compute_loss` of the model's own on specs: it may give the losses other outputs than the model's."""
    flat, structure = jax.tree.flatten(specs, is_leaf=lambda s: isinstance(s, Spec))

    def run(*arrays: Any) -> Any:
        with scope.Scope(abstract=True):
            return model.compute_loss(*jax.tree.unflatten(structure, arrays), None)

    abstract.evaluate(run, *flat)


def _check_targets(model: Any, feed: Any) -> None:
    """Lets the losses look at the numbers of the targets, which compiled steps cannot do."""
    loss = model._compile_loss
    makes_masks = any(
        getattr(layer, "mask_zero", False) or hasattr(layer, "mask_value") for layer in model._all_layers()
    )
    if loss is None or makes_masks:  # what is masked may be labelled with anything
        return
    if type(model).compute_loss is not Compiled.compute_loss:  # which may give the losses other targets
        return
    known = model.__dict__.setdefault("_kf_output_specs", {})

    def look(batch: Any) -> None:
        x, y, weight = data.unpack(batch)
        if y is None:
            return
        specs = data.specs_of(x)
        form = str(jax.tree.map(lambda s: (s.shape, s.dtype), specs))
        if form not in known:
            known[form] = abstract_build.build_model(model, (specs,))
        if not loss.built:
            loss.build(known[form], model._names())
        loss.check_targets(y, weight, known[form], model._names())

    feed.check(look)


def _makes_masks(layer: Any) -> bool:
    return getattr(layer, "mask_zero", False) or hasattr(layer, "mask_value")
