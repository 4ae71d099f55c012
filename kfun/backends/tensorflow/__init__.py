"""The TensorFlow adapter."""

from kfun.backends.tensorflow.adapter import KIND as KIND
