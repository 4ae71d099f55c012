"""The TensorFlow adapter: works eagerly, in `tf.function` with sizes known at run time, and under XLA."""

from __future__ import annotations

import tensorflow as tf

from kfun.backends.tensorflow import (
    activation,
    bits,
    complex_numbers,
    control,
    convolution,
    creation,
    elementwise,
    encoding,
    image,
    linalg,
    products,
    random_basis,
    reduction,
    scattering,
    selection,
    shaping,
    signal,
    special,
    statistics,
)
from kfun.backends.tensorflow.custom_gradient import custom_gradient
from kfun.backends.tensorflow.transforms import TRANSFORMS
from kfun.ops._kinds import Kind

RULES = {
    **activation.RULES,
    **bits.RULES,
    **complex_numbers.RULES,
    **control.RULES,
    **convolution.RULES,
    **creation.RULES,
    **elementwise.RULES,
    **encoding.RULES,
    **image.RULES,
    **linalg.RULES,
    **products.RULES,
    **random_basis.RULES,
    **reduction.RULES,
    **scattering.RULES,
    **selection.RULES,
    **shaping.RULES,
    **signal.RULES,
    **special.RULES,
    **statistics.RULES,
}

KIND = Kind(
    "tensorflow",
    (tf.Tensor, tf.Variable),
    RULES,
    creation.convert,
    transforms=TRANSFORMS | {"custom_gradient": custom_gradient},
)
