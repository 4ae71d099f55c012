"""Means of cross-entropies, divergences and margins; the formulas are those of the losses."""

from __future__ import annotations

from kfun import losses
from kfun.losses.crossentropy import valid_labels
from kfun.metrics.reduction import MeanOf


class BinaryCrossentropy(MeanOf):
    """The mean cross-entropy of yes-or-no labels.

    Args:
        from_logits: whether predictions are logits rather than probabilities.
        label_smoothing: in [0, 1]: how far labels are drawn towards 0.5.
    """

    from_logits: bool = False
    label_smoothing: float = 0

    def values(self, y_true, y_pred):
        return losses.binary_crossentropy(y_true, y_pred, self.from_logits, self.label_smoothing)


class CategoricalCrossentropy(MeanOf):
    """The mean cross-entropy of one-hot targets.

    Args:
        from_logits: whether predictions are logits rather than probabilities.
        label_smoothing: in [0, 1]: the share of each target that is spread over all classes.
        axis: the axis of the classes.
    """

    from_logits: bool = False
    label_smoothing: float = 0
    axis: int = -1

    def values(self, y_true, y_pred):
        return losses.categorical_crossentropy(y_true, y_pred, self.from_logits, self.label_smoothing, self.axis)


class SparseCategoricalCrossentropy(MeanOf):
    """The mean cross-entropy of class numbers.

    Args:
        from_logits: whether predictions are logits rather than probabilities.
        ignore_class: a label whose value is 0, or None. As in Keras, it still counts as a sample
            unless the update has weights.
        axis: the axis of the classes.
    """

    from_logits: bool = False
    ignore_class: int | None = None
    axis: int = -1

    def values(self, y_true, y_pred):
        return losses.sparse_categorical_crossentropy(y_true, y_pred, self.from_logits, self.ignore_class, self.axis)

    def valid(self, y_true, y_pred):
        return valid_labels(y_true, y_pred, self.ignore_class, self.axis)


class KLDivergence(MeanOf):
    """The mean Kullback-Leibler divergence."""

    def values(self, y_true, y_pred):
        return losses.kl_divergence(y_true, y_pred)


class Poisson(MeanOf):
    """The mean Poisson loss."""

    def values(self, y_true, y_pred):
        return losses.poisson(y_true, y_pred)


class Hinge(MeanOf):
    """The mean hinge loss."""

    def values(self, y_true, y_pred):
        return losses.hinge(y_true, y_pred)


class SquaredHinge(MeanOf):
    """The mean squared hinge loss."""

    def values(self, y_true, y_pred):
        return losses.squared_hinge(y_true, y_pred)


class CategoricalHinge(MeanOf):
    """The mean categorical hinge loss."""

    def values(self, y_true, y_pred):
        return losses.categorical_hinge(y_true, y_pred)
