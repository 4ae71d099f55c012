"""Losses: classes and functions, called as `loss(y_true, y_pred, sample_weight=None)`."""

from compat.losses._base import (
    Loss as Loss,
)
from compat.losses._base import (
    LossFunctionWrapper as LossFunctionWrapper,
)
from compat.losses._base import (
    function_config as function_config,
)
from compat.losses._generated import (
    BCE as BCE,
)
from compat.losses._generated import (
    CLASSES as CLASSES,
)
from compat.losses._generated import (
    CTC as CTC,
)
from compat.losses._generated import (
    FUNCTIONS as FUNCTIONS,
)
from compat.losses._generated import (
    KLD as KLD,
)
from compat.losses._generated import (
    MAE as MAE,
)
from compat.losses._generated import (
    MAPE as MAPE,
)
from compat.losses._generated import (
    MSE as MSE,
)
from compat.losses._generated import (
    MSLE as MSLE,
)
from compat.losses._generated import (
    BinaryCrossentropy as BinaryCrossentropy,
)
from compat.losses._generated import (
    BinaryFocalCrossentropy as BinaryFocalCrossentropy,
)
from compat.losses._generated import (
    CategoricalCrossentropy as CategoricalCrossentropy,
)
from compat.losses._generated import (
    CategoricalFocalCrossentropy as CategoricalFocalCrossentropy,
)
from compat.losses._generated import (
    CategoricalGeneralizedCrossEntropy as CategoricalGeneralizedCrossEntropy,
)
from compat.losses._generated import (
    CategoricalHinge as CategoricalHinge,
)
from compat.losses._generated import (
    Circle as Circle,
)
from compat.losses._generated import (
    CosineSimilarity as CosineSimilarity,
)
from compat.losses._generated import (
    Dice as Dice,
)
from compat.losses._generated import (
    Hinge as Hinge,
)
from compat.losses._generated import (
    Huber as Huber,
)
from compat.losses._generated import (
    KLDivergence as KLDivergence,
)
from compat.losses._generated import (
    LogCosh as LogCosh,
)
from compat.losses._generated import (
    MeanAbsoluteError as MeanAbsoluteError,
)
from compat.losses._generated import (
    MeanAbsolutePercentageError as MeanAbsolutePercentageError,
)
from compat.losses._generated import (
    MeanSquaredError as MeanSquaredError,
)
from compat.losses._generated import (
    MeanSquaredLogarithmicError as MeanSquaredLogarithmicError,
)
from compat.losses._generated import (
    Poisson as Poisson,
)
from compat.losses._generated import (
    SparseCategoricalCrossentropy as SparseCategoricalCrossentropy,
)
from compat.losses._generated import (
    SquaredHinge as SquaredHinge,
)
from compat.losses._generated import (
    Tversky as Tversky,
)
from compat.losses._generated import (
    bce as bce,
)
from compat.losses._generated import (
    binary_crossentropy as binary_crossentropy,
)
from compat.losses._generated import (
    binary_focal_crossentropy as binary_focal_crossentropy,
)
from compat.losses._generated import (
    categorical_crossentropy as categorical_crossentropy,
)
from compat.losses._generated import (
    categorical_focal_crossentropy as categorical_focal_crossentropy,
)
from compat.losses._generated import (
    categorical_generalized_cross_entropy as categorical_generalized_cross_entropy,
)
from compat.losses._generated import (
    categorical_hinge as categorical_hinge,
)
from compat.losses._generated import (
    circle as circle,
)
from compat.losses._generated import (
    cosine_similarity as cosine_similarity,
)
from compat.losses._generated import (
    ctc as ctc,
)
from compat.losses._generated import (
    dice as dice,
)
from compat.losses._generated import (
    hinge as hinge,
)
from compat.losses._generated import (
    huber as huber,
)
from compat.losses._generated import (
    kl_divergence as kl_divergence,
)
from compat.losses._generated import (
    kld as kld,
)
from compat.losses._generated import (
    kullback_leibler_divergence as kullback_leibler_divergence,
)
from compat.losses._generated import (
    log_cosh as log_cosh,
)
from compat.losses._generated import (
    logcosh as logcosh,
)
from compat.losses._generated import (
    mae as mae,
)
from compat.losses._generated import (
    mape as mape,
)
from compat.losses._generated import (
    mean_absolute_error as mean_absolute_error,
)
from compat.losses._generated import (
    mean_absolute_percentage_error as mean_absolute_percentage_error,
)
from compat.losses._generated import (
    mean_squared_error as mean_squared_error,
)
from compat.losses._generated import (
    mean_squared_logarithmic_error as mean_squared_logarithmic_error,
)
from compat.losses._generated import (
    mse as mse,
)
from compat.losses._generated import (
    msle as msle,
)
from compat.losses._generated import (
    poisson as poisson,
)
from compat.losses._generated import (
    sparse_categorical_crossentropy as sparse_categorical_crossentropy,
)
from compat.losses._generated import (
    squared_hinge as squared_hinge,
)
from compat.losses._generated import (
    tversky as tversky,
)
from compat.losses._get import (
    as_loss as as_loss,
)
from compat.losses._get import (
    deserialize as deserialize,
)
from compat.losses._get import (
    get as get,
)
from compat.losses._get import (
    serialize as serialize,
)
from kfun.errors import unknown_names_of as _unknown_names_of

__getattr__ = _unknown_names_of(globals())
