"""`Dense` and `EinsumDense`, and how a layer is made of a definition."""

from __future__ import annotations

from typing import Any

from compat.engine.input_spec import InputSpec
from compat.engine.layer_factory import layer_class
from compat.layers._lora import ARGUMENTS as LORA
from compat.layers._lora import AdaptableKernel
from kfun import layers as _kfun

KERNEL = "kernel bias"
ACTIVITY = {"activity_regularizer": None}


class _OfBatches(AdaptableKernel):
    """`Dense` takes no single example, as in Keras; the definition does."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.input_spec = InputSpec(min_ndim=2)


def make(name: str, **options: Any) -> Any:
    """The layer of the kfun definition of this name; the options are those of `layer_class`."""
    return layer_class(getattr(_kfun, name), "compat.layers", **options)


Dense = make(
    "Dense", weights=KERNEL, base=_OfBatches, call="training", insert={"bias_constraint": LORA},
    omitted="activity_regularizer",
)  # fmt: skip
EinsumDense = make(
    "EinsumDense", weights=KERNEL, activity=False, base=AdaptableKernel, call="training", constants=ACTIVITY,
    masking=False, insert={"bias_constraint": LORA, "lora_alpha": {"gptq_unpacked_column_size": None}},
)  # fmt: skip
