"""The ops that Keras lists as `ops.nn`."""

from typing import TYPE_CHECKING

from kfun.errors import unknown_names_of as _unknown_names_of
from kfun.ops.activation import celu as celu
from kfun.ops.activation import elu as elu
from kfun.ops.activation import gelu as gelu
from kfun.ops.activation import glu as glu
from kfun.ops.activation import hard_sigmoid as hard_sigmoid
from kfun.ops.activation import hard_silu as hard_silu
from kfun.ops.activation import hard_swish as hard_swish
from kfun.ops.activation import hard_tanh as hard_tanh
from kfun.ops.activation import leaky_relu as leaky_relu
from kfun.ops.activation import log_sigmoid as log_sigmoid
from kfun.ops.activation import log_softmax as log_softmax
from kfun.ops.activation import relu as relu
from kfun.ops.activation import relu6 as relu6
from kfun.ops.activation import selu as selu
from kfun.ops.activation import sigmoid as sigmoid
from kfun.ops.activation import silu as silu
from kfun.ops.activation import softmax as softmax
from kfun.ops.activation import softplus as softplus
from kfun.ops.activation import softsign as softsign
from kfun.ops.activation import swish as swish
from kfun.ops.activation import tanh_shrink as tanh_shrink
from kfun.ops.attention import dot_product_attention as dot_product_attention
from kfun.ops.complex_numbers import polar as polar
from kfun.ops.convolution import adaptive_average_pool as adaptive_average_pool
from kfun.ops.convolution import adaptive_max_pool as adaptive_max_pool
from kfun.ops.convolution import average_pool as average_pool
from kfun.ops.convolution import conv as conv
from kfun.ops.convolution import conv_transpose as conv_transpose
from kfun.ops.convolution import depthwise_conv as depthwise_conv
from kfun.ops.convolution import max_pool as max_pool
from kfun.ops.convolution import separable_conv as separable_conv
from kfun.ops.crossentropy import binary_crossentropy as binary_crossentropy
from kfun.ops.crossentropy import categorical_crossentropy as categorical_crossentropy
from kfun.ops.crossentropy import sparse_categorical_crossentropy as sparse_categorical_crossentropy
from kfun.ops.ctc import ctc_decode as ctc_decode
from kfun.ops.ctc import ctc_loss as ctc_loss
from kfun.ops.encoding import multi_hot as multi_hot
from kfun.ops.encoding import one_hot as one_hot
from kfun.ops.image import psnr as psnr
from kfun.ops.normalization import batch_normalization as batch_normalization
from kfun.ops.normalization import layer_normalization as layer_normalization
from kfun.ops.normalization import moments as moments
from kfun.ops.normalization import normalize as normalize
from kfun.ops.normalization import rms_normalization as rms_normalization
from kfun.ops.patches import depth_to_space as depth_to_space
from kfun.ops.patches import fold as fold
from kfun.ops.patches import space_to_depth as space_to_depth
from kfun.ops.patches import unfold as unfold
from kfun.ops.shrinkage import hard_shrink as hard_shrink
from kfun.ops.shrinkage import soft_shrink as soft_shrink
from kfun.ops.shrinkage import sparse_plus as sparse_plus
from kfun.ops.shrinkage import sparse_sigmoid as sparse_sigmoid
from kfun.ops.shrinkage import sparsemax as sparsemax
from kfun.ops.shrinkage import squareplus as squareplus
from kfun.ops.shrinkage import threshold as threshold

if not TYPE_CHECKING:  # a type checker tells of unknown names itself
    __getattr__ = _unknown_names_of(globals())
