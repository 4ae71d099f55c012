"""Metrics: stateful objects with `update_state`, `result` and `reset_state`."""

from compat.metrics._base import Metric as Metric
from compat.metrics._generated import (
    AUC as AUC,
)
from compat.metrics._generated import (
    CLASSES as CLASSES,
)
from compat.metrics._generated import (
    FUNCTIONS as FUNCTIONS,
)
from compat.metrics._generated import (
    Accuracy as Accuracy,
)
from compat.metrics._generated import (
    BinaryAccuracy as BinaryAccuracy,
)
from compat.metrics._generated import (
    BinaryCrossentropy as BinaryCrossentropy,
)
from compat.metrics._generated import (
    BinaryIoU as BinaryIoU,
)
from compat.metrics._generated import (
    CategoricalAccuracy as CategoricalAccuracy,
)
from compat.metrics._generated import (
    CategoricalCrossentropy as CategoricalCrossentropy,
)
from compat.metrics._generated import (
    CategoricalHinge as CategoricalHinge,
)
from compat.metrics._generated import (
    ConcordanceCorrelation as ConcordanceCorrelation,
)
from compat.metrics._generated import (
    CosineSimilarity as CosineSimilarity,
)
from compat.metrics._generated import (
    F1Score as F1Score,
)
from compat.metrics._generated import (
    FalseNegatives as FalseNegatives,
)
from compat.metrics._generated import (
    FalsePositives as FalsePositives,
)
from compat.metrics._generated import (
    FBetaScore as FBetaScore,
)
from compat.metrics._generated import (
    Hinge as Hinge,
)
from compat.metrics._generated import (
    IoU as IoU,
)
from compat.metrics._generated import (
    KLDivergence as KLDivergence,
)
from compat.metrics._generated import (
    LogCoshError as LogCoshError,
)
from compat.metrics._generated import (
    Mean as Mean,
)
from compat.metrics._generated import (
    MeanAbsoluteError as MeanAbsoluteError,
)
from compat.metrics._generated import (
    MeanAbsolutePercentageError as MeanAbsolutePercentageError,
)
from compat.metrics._generated import (
    MeanIoU as MeanIoU,
)
from compat.metrics._generated import (
    MeanMetricWrapper as MeanMetricWrapper,
)
from compat.metrics._generated import (
    MeanSquaredError as MeanSquaredError,
)
from compat.metrics._generated import (
    MeanSquaredLogarithmicError as MeanSquaredLogarithmicError,
)
from compat.metrics._generated import (
    OneHotIoU as OneHotIoU,
)
from compat.metrics._generated import (
    OneHotMeanIoU as OneHotMeanIoU,
)
from compat.metrics._generated import (
    PearsonCorrelation as PearsonCorrelation,
)
from compat.metrics._generated import (
    Poisson as Poisson,
)
from compat.metrics._generated import (
    Precision as Precision,
)
from compat.metrics._generated import (
    PrecisionAtRecall as PrecisionAtRecall,
)
from compat.metrics._generated import (
    R2Score as R2Score,
)
from compat.metrics._generated import (
    Recall as Recall,
)
from compat.metrics._generated import (
    RecallAtPrecision as RecallAtPrecision,
)
from compat.metrics._generated import (
    RootMeanSquaredError as RootMeanSquaredError,
)
from compat.metrics._generated import (
    SensitivityAtSpecificity as SensitivityAtSpecificity,
)
from compat.metrics._generated import (
    SparseCategoricalAccuracy as SparseCategoricalAccuracy,
)
from compat.metrics._generated import (
    SparseCategoricalCrossentropy as SparseCategoricalCrossentropy,
)
from compat.metrics._generated import (
    SparseTopKCategoricalAccuracy as SparseTopKCategoricalAccuracy,
)
from compat.metrics._generated import (
    SpecificityAtSensitivity as SpecificityAtSensitivity,
)
from compat.metrics._generated import (
    SquaredHinge as SquaredHinge,
)
from compat.metrics._generated import (
    Sum as Sum,
)
from compat.metrics._generated import (
    TopKCategoricalAccuracy as TopKCategoricalAccuracy,
)
from compat.metrics._generated import (
    TrueNegatives as TrueNegatives,
)
from compat.metrics._generated import (
    TruePositives as TruePositives,
)
from compat.metrics._generated import (
    accuracy as accuracy,
)
from compat.metrics._generated import (
    binary_accuracy as binary_accuracy,
)
from compat.metrics._generated import (
    binary_crossentropy as binary_crossentropy,
)
from compat.metrics._generated import (
    binary_focal_crossentropy as binary_focal_crossentropy,
)
from compat.metrics._generated import (
    categorical_accuracy as categorical_accuracy,
)
from compat.metrics._generated import (
    categorical_crossentropy as categorical_crossentropy,
)
from compat.metrics._generated import (
    categorical_focal_crossentropy as categorical_focal_crossentropy,
)
from compat.metrics._generated import (
    categorical_generalized_cross_entropy as categorical_generalized_cross_entropy,
)
from compat.metrics._generated import (
    categorical_hinge as categorical_hinge,
)
from compat.metrics._generated import (
    circle as circle,
)
from compat.metrics._generated import (
    concordance_correlation as concordance_correlation,
)
from compat.metrics._generated import (
    cosine_similarity as cosine_similarity,
)
from compat.metrics._generated import (
    ctc as ctc,
)
from compat.metrics._generated import (
    dice as dice,
)
from compat.metrics._generated import (
    hinge as hinge,
)
from compat.metrics._generated import (
    huber as huber,
)
from compat.metrics._generated import (
    kl_divergence as kl_divergence,
)
from compat.metrics._generated import (
    log_cosh as log_cosh,
)
from compat.metrics._generated import (
    mean_absolute_error as mean_absolute_error,
)
from compat.metrics._generated import (
    mean_absolute_percentage_error as mean_absolute_percentage_error,
)
from compat.metrics._generated import (
    mean_squared_error as mean_squared_error,
)
from compat.metrics._generated import (
    mean_squared_logarithmic_error as mean_squared_logarithmic_error,
)
from compat.metrics._generated import (
    pearson_correlation as pearson_correlation,
)
from compat.metrics._generated import (
    poisson as poisson,
)
from compat.metrics._generated import (
    sparse_categorical_accuracy as sparse_categorical_accuracy,
)
from compat.metrics._generated import (
    sparse_categorical_crossentropy as sparse_categorical_crossentropy,
)
from compat.metrics._generated import (
    sparse_top_k_categorical_accuracy as sparse_top_k_categorical_accuracy,
)
from compat.metrics._generated import (
    squared_hinge as squared_hinge,
)
from compat.metrics._generated import (
    top_k_categorical_accuracy as top_k_categorical_accuracy,
)
from compat.metrics._generated import (
    tversky as tversky,
)
from compat.metrics._get import (
    check_names as check_names,
)
from compat.metrics._get import (
    deserialize as deserialize,
)
from compat.metrics._get import (
    get as get,
)
from compat.metrics._get import (
    get_for as get_for,
)
from compat.metrics._get import (
    serialize as serialize,
)
from kfun.errors import unknown_names_of as _unknown_names_of

__getattr__ = _unknown_names_of(globals())
