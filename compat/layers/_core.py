"""What generated layers without a family of their own have beside their definitions: embeddings, penalties."""

from __future__ import annotations

import abc
import warnings
from typing import Any

from compat.engine.generated import Generated
from compat.layers._lora import LoraAdaptable, MergedWeight
from compat.regularizers import L1L2
from compat.state import masks


class VirtualParent(Generated, metaclass=abc.ABCMeta):
    """Base of a layer that counts others among its kind, as Keras does by inheritance: `register` them."""


class EmbeddingTable(LoraAdaptable, metaclass=abc.ABCMeta):
    """Base of `Embedding` and `ReversibleEmbedding`, which Keras counts among the first."""

    _adapted = "embeddings"
    embeddings = MergedWeight("embeddings")

    @property
    def _embeddings(self) -> Any:
        """The variable of the table, also where it is adapted; Keras's name for it."""
        return self.__dict__.get("embeddings")

    _renamed = {"weights": "_kf_first_weights"}  # the layer's own attribute `weights` is the list of its variables

    def __init__(self, *args: Any, **kwargs: Any):
        if kwargs.pop("input_length", None) is not None:
            warnings.warn("Embedding: input_length is deprecated and has no meaning: remove it", stacklevel=2)
        super().__init__(*args, **kwargs)
        self.supports_masking = self.mask_zero
        first = self.__dict__.pop("_kf_first_weights", None)
        if first is not None:
            self.build()
            self.set_weights(first if isinstance(first, list) and len(first) == 1 else [first])

    def build(self, input_shape: Any = None) -> None:
        """Makes the table, whose shape does not depend on the inputs."""
        if not self.built:
            super().build((None,) if input_shape is None else input_shape)


class ReversibleTable(EmbeddingTable):
    """Base of `ReversibleEmbedding`: the mask goes with the vectors, none with the scores."""

    def call(self, inputs: Any, reverse: bool = False) -> Any:
        """The vectors of indices, or with `reverse` the scores of all indices for vectors."""
        outputs = self._apply((inputs,), {"reverse": reverse})
        mask = None if reverse else self.definition.compute_mask(inputs)
        if mask is not None:
            masks.put(outputs, mask)
        return outputs

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """None: `call` attaches the mask, since it depends on the direction."""
        return None


class MovingMoments(Generated):
    """Base of `BatchNormalization`: in training a frozen layer uses its moving moments, and leaves them as they are."""

    beta = gamma = moving_mean = moving_variance = None

    def _apply(self, inputs: tuple, call_args: dict) -> Any:
        return super()._apply(inputs, call_args if self.trainable else call_args | {"training": False})


class ActivityPenalty(Generated):
    """Base of `ActivityRegularization`."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.activity_regularizer = L1L2(self.l1, self.l2)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        config = super().get_config()
        config.pop("activity_regularizer")
        return config


class PlainConfig(Generated):
    """Base of the spatial dropouts, whose configs name a plain type and whether they are trainable only if not."""

    noise_shape = None  # it follows from the input's shape

    def get_config(self) -> dict:
        """The constructor's arguments."""
        config = super().get_config()
        if self.dtype_policy.compute_dtype == self.dtype_policy.variable_dtype:
            config["dtype"] = self.dtype_policy.name
        if self.trainable:
            del config["trainable"]
        return config
