"""Metrics: definitions with pure `init`, `update` and `result`, and their functions. Keras's names."""

from typing import TYPE_CHECKING

from kfun.errors import unknown_names_of as _unknown_names_of
from kfun.metrics._base import Metric as Metric
from kfun.metrics._get import get as get
from kfun.metrics.accuracy import Accuracy as Accuracy
from kfun.metrics.accuracy import BinaryAccuracy as BinaryAccuracy
from kfun.metrics.accuracy import CategoricalAccuracy as CategoricalAccuracy
from kfun.metrics.accuracy import SparseCategoricalAccuracy as SparseCategoricalAccuracy
from kfun.metrics.accuracy import SparseTopKCategoricalAccuracy as SparseTopKCategoricalAccuracy
from kfun.metrics.accuracy import TopKCategoricalAccuracy as TopKCategoricalAccuracy
from kfun.metrics.accuracy import binary_accuracy as binary_accuracy
from kfun.metrics.accuracy import categorical_accuracy as categorical_accuracy
from kfun.metrics.accuracy import sparse_categorical_accuracy as sparse_categorical_accuracy
from kfun.metrics.accuracy import sparse_top_k_categorical_accuracy as sparse_top_k_categorical_accuracy
from kfun.metrics.accuracy import top_k_categorical_accuracy as top_k_categorical_accuracy
from kfun.metrics.auc import AUC as AUC
from kfun.metrics.confusion import FalseNegatives as FalseNegatives
from kfun.metrics.confusion import FalsePositives as FalsePositives
from kfun.metrics.confusion import Precision as Precision
from kfun.metrics.confusion import PrecisionAtRecall as PrecisionAtRecall
from kfun.metrics.confusion import Recall as Recall
from kfun.metrics.confusion import RecallAtPrecision as RecallAtPrecision
from kfun.metrics.confusion import SensitivityAtSpecificity as SensitivityAtSpecificity
from kfun.metrics.confusion import SpecificityAtSensitivity as SpecificityAtSensitivity
from kfun.metrics.confusion import TrueNegatives as TrueNegatives
from kfun.metrics.confusion import TruePositives as TruePositives
from kfun.metrics.f_score import F1Score as F1Score
from kfun.metrics.f_score import FBetaScore as FBetaScore
from kfun.metrics.iou import BinaryIoU as BinaryIoU
from kfun.metrics.iou import IoU as IoU
from kfun.metrics.iou import MeanIoU as MeanIoU
from kfun.metrics.iou import OneHotIoU as OneHotIoU
from kfun.metrics.iou import OneHotMeanIoU as OneHotMeanIoU
from kfun.metrics.probabilistic import BinaryCrossentropy as BinaryCrossentropy
from kfun.metrics.probabilistic import CategoricalCrossentropy as CategoricalCrossentropy
from kfun.metrics.probabilistic import CategoricalHinge as CategoricalHinge
from kfun.metrics.probabilistic import Hinge as Hinge
from kfun.metrics.probabilistic import KLDivergence as KLDivergence
from kfun.metrics.probabilistic import Poisson as Poisson
from kfun.metrics.probabilistic import SparseCategoricalCrossentropy as SparseCategoricalCrossentropy
from kfun.metrics.probabilistic import SquaredHinge as SquaredHinge
from kfun.metrics.reduction import Mean as Mean
from kfun.metrics.reduction import MeanMetricWrapper as MeanMetricWrapper
from kfun.metrics.reduction import MeanOf as MeanOf
from kfun.metrics.reduction import Sum as Sum
from kfun.metrics.regression import ConcordanceCorrelation as ConcordanceCorrelation
from kfun.metrics.regression import CosineSimilarity as CosineSimilarity
from kfun.metrics.regression import LogCoshError as LogCoshError
from kfun.metrics.regression import MeanAbsoluteError as MeanAbsoluteError
from kfun.metrics.regression import MeanAbsolutePercentageError as MeanAbsolutePercentageError
from kfun.metrics.regression import MeanSquaredError as MeanSquaredError
from kfun.metrics.regression import MeanSquaredLogarithmicError as MeanSquaredLogarithmicError
from kfun.metrics.regression import PearsonCorrelation as PearsonCorrelation
from kfun.metrics.regression import R2Score as R2Score
from kfun.metrics.regression import RootMeanSquaredError as RootMeanSquaredError
from kfun.metrics.regression import concordance_correlation as concordance_correlation
from kfun.metrics.regression import pearson_correlation as pearson_correlation

if not TYPE_CHECKING:  # a type checker tells of unknown names itself
    __getattr__ = _unknown_names_of(globals())
