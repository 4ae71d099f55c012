"""Losses: functions `(y_true, y_pred) -> values`, and definitions that weigh and reduce them. Keras's names."""

from typing import TYPE_CHECKING

from kfun.errors import unknown_names_of as _unknown_names_of
from kfun.losses._base import Loss as Loss
from kfun.losses._base import LossFunctionWrapper as LossFunctionWrapper
from kfun.losses._base import reduce_weighted_values as reduce_weighted_values
from kfun.losses._get import get as get
from kfun.losses.crossentropy import BinaryCrossentropy as BinaryCrossentropy
from kfun.losses.crossentropy import BinaryFocalCrossentropy as BinaryFocalCrossentropy
from kfun.losses.crossentropy import CategoricalCrossentropy as CategoricalCrossentropy
from kfun.losses.crossentropy import CategoricalFocalCrossentropy as CategoricalFocalCrossentropy
from kfun.losses.crossentropy import SparseCategoricalCrossentropy as SparseCategoricalCrossentropy
from kfun.losses.crossentropy import binary_crossentropy as binary_crossentropy
from kfun.losses.crossentropy import binary_focal_crossentropy as binary_focal_crossentropy
from kfun.losses.crossentropy import categorical_crossentropy as categorical_crossentropy
from kfun.losses.crossentropy import categorical_focal_crossentropy as categorical_focal_crossentropy
from kfun.losses.crossentropy import sparse_categorical_crossentropy as sparse_categorical_crossentropy
from kfun.losses.margin import CategoricalHinge as CategoricalHinge
from kfun.losses.margin import Hinge as Hinge
from kfun.losses.margin import SquaredHinge as SquaredHinge
from kfun.losses.margin import categorical_hinge as categorical_hinge
from kfun.losses.margin import hinge as hinge
from kfun.losses.margin import squared_hinge as squared_hinge
from kfun.losses.probabilistic import CategoricalGeneralizedCrossEntropy as CategoricalGeneralizedCrossEntropy
from kfun.losses.probabilistic import KLDivergence as KLDivergence
from kfun.losses.probabilistic import Poisson as Poisson
from kfun.losses.probabilistic import categorical_generalized_cross_entropy as categorical_generalized_cross_entropy
from kfun.losses.probabilistic import kl_divergence as kl_divergence
from kfun.losses.probabilistic import poisson as poisson
from kfun.losses.regression import Huber as Huber
from kfun.losses.regression import LogCosh as LogCosh
from kfun.losses.regression import MeanAbsoluteError as MeanAbsoluteError
from kfun.losses.regression import MeanAbsolutePercentageError as MeanAbsolutePercentageError
from kfun.losses.regression import MeanSquaredError as MeanSquaredError
from kfun.losses.regression import MeanSquaredLogarithmicError as MeanSquaredLogarithmicError
from kfun.losses.regression import huber as huber
from kfun.losses.regression import log_cosh as log_cosh
from kfun.losses.regression import mean_absolute_error as mean_absolute_error
from kfun.losses.regression import mean_absolute_percentage_error as mean_absolute_percentage_error
from kfun.losses.regression import mean_squared_error as mean_squared_error
from kfun.losses.regression import mean_squared_logarithmic_error as mean_squared_logarithmic_error
from kfun.losses.segmentation import Dice as Dice
from kfun.losses.segmentation import Tversky as Tversky
from kfun.losses.segmentation import dice as dice
from kfun.losses.segmentation import tversky as tversky
from kfun.losses.sequence import CTC as CTC
from kfun.losses.sequence import ctc as ctc
from kfun.losses.similarity import Circle as Circle
from kfun.losses.similarity import CosineSimilarity as CosineSimilarity
from kfun.losses.similarity import circle as circle
from kfun.losses.similarity import cosine_similarity as cosine_similarity

if not TYPE_CHECKING:  # a type checker tells of unknown names itself
    __getattr__ = _unknown_names_of(globals())
