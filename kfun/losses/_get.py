"""Losses by name."""

from __future__ import annotations

from typing import Any

from kfun.definition import function_name, register_function
from kfun.losses import crossentropy, margin, probabilistic, regression, segmentation, sequence, similarity
from kfun.losses._base import Loss, LossFunctionWrapper
from kfun.losses._named import named, of_config
from kfun.losses._shapes import sizes
from kfun.spec import Spec

FUNCTIONS: dict[str, tuple[Any, type[Loss]]] = {
    f.__name__: (register_function(f), cls)
    for f, cls in (
        (regression.mean_squared_error, regression.MeanSquaredError),
        (regression.mean_absolute_error, regression.MeanAbsoluteError),
        (regression.mean_absolute_percentage_error, regression.MeanAbsolutePercentageError),
        (regression.mean_squared_logarithmic_error, regression.MeanSquaredLogarithmicError),
        (regression.huber, regression.Huber),
        (regression.log_cosh, regression.LogCosh),
        (crossentropy.binary_crossentropy, crossentropy.BinaryCrossentropy),
        (crossentropy.binary_focal_crossentropy, crossentropy.BinaryFocalCrossentropy),
        (crossentropy.categorical_crossentropy, crossentropy.CategoricalCrossentropy),
        (crossentropy.categorical_focal_crossentropy, crossentropy.CategoricalFocalCrossentropy),
        (crossentropy.sparse_categorical_crossentropy, crossentropy.SparseCategoricalCrossentropy),
        (probabilistic.kl_divergence, probabilistic.KLDivergence),
        (probabilistic.poisson, probabilistic.Poisson),
        (probabilistic.categorical_generalized_cross_entropy, probabilistic.CategoricalGeneralizedCrossEntropy),
        (margin.hinge, margin.Hinge),
        (margin.squared_hinge, margin.SquaredHinge),
        (margin.categorical_hinge, margin.CategoricalHinge),
        (segmentation.dice, segmentation.Dice),
        (segmentation.tversky, segmentation.Tversky),
        (similarity.cosine_similarity, similarity.CosineSimilarity),
        (similarity.circle, similarity.Circle),
        (sequence.ctc, sequence.CTC),
    )
}
CLASSES: dict[str, type[Loss]] = {cls.__name__: cls for _, cls in FUNCTIONS.values()}
ALIASES = {
    "bce": "binary_crossentropy",
    "kld": "kl_divergence",
    "kullback_leibler_divergence": "kl_divergence",
    "mae": "mean_absolute_error",
    "mse": "mean_squared_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
    "logcosh": "log_cosh",
}
ALIASES |= {short.upper(): long for short, long in ALIASES.items() if len(short) <= 4}
_BY_SHAPE = ("crossentropy", "ce")


def get(identifier: Any, y_true_spec: Any = None, y_pred_spec: Any = None) -> Loss | None:
    """The loss for an identifier.

    Args:
        identifier: the name of a class (`"Huber"`), of a function (`"huber"`) or an alias (`"mse"`);
            `"crossentropy"` or `"ce"`, which the shapes make binary, categorical or sparse; a loss, a
            class of losses, a function `(y_true, y_pred) -> values`, which is given targets in their own type,
            the JSON of a loss, or None.
        y_true_spec, y_pred_spec: specs or arrays of targets and predictions, for the two names above.

    Raises:
        ValueError: if no loss has that name, or the shapes are needed and missing.
        TypeError: if `identifier` is none of these.
    """
    if identifier is None or isinstance(identifier, Loss):
        return identifier
    if isinstance(identifier, str):
        name = identifier
        if name.lower() in _BY_SHAPE:
            kind = kind_of_targets(identifier, y_true_spec, y_pred_spec)
            return FUNCTIONS[f"{kind}_crossentropy"][1](name=identifier)
        names = {**CLASSES, **FUNCTIONS, **dict.fromkeys((*ALIASES, *_BY_SHAPE))}
        found = named(ALIASES.get(name, name), names, "loss")
        return found() if isinstance(found, type) else found[1](name=identifier)
    if isinstance(identifier, dict):
        return of_config(identifier, Loss, CLASSES, "loss")
    if isinstance(identifier, type) and issubclass(identifier, Loss):
        return identifier()
    if callable(identifier):
        known = FUNCTIONS.get(function_name(identifier) or "")
        if known is not None and known[0] is identifier:
            return known[1](name=identifier.__name__)
        name = getattr(identifier, "__name__", "loss_function_wrapper")
        return LossFunctionWrapper(identifier, name=name, integer_labels=True)
    raise TypeError(f"expected the name of a loss, a loss or a function; received {identifier!r}")


def kind_of_targets(identifier: str, y_true_spec: Any, y_pred_spec: Any) -> str:
    """`"binary"`, `"sparse_categorical"` or `"categorical"`, by the shapes.

    Predictions of size 1 are binary; else class numbers have an axis less than predictions, or size 1.

    Raises:
        ValueError: if a spec is missing.
    """
    if y_true_spec is None or y_pred_spec is None:
        raise ValueError(
            f"{identifier!r} is binary, categorical or sparse by the shapes of targets and predictions: "
            "give y_true_spec and y_pred_spec, or a full name such as 'sparse_categorical_...'"
        )
    true, pred = (sizes(Spec.of(s)) for s in (y_true_spec, y_pred_spec))
    if pred[-1:] == (1,):
        return "binary"
    return "sparse_categorical" if len(true) < len(pred) or true[-1:] == (1,) else "categorical"
