"""The serialization of Keras 2; see `compat.utils.legacy`."""

from compat.utils.legacy import deserialize_keras_object as deserialize_keras_object
from compat.utils.legacy import serialize_keras_object as serialize_keras_object
