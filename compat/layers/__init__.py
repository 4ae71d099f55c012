"""Layers. Those of kfun are generated from its definitions; `Lambda` and the wrappers hold other layers or code."""

from __future__ import annotations

from typing import Any

from compat._unknown import unknown_names_of
from compat.core.input_layer import Input as Input
from compat.core.input_layer import InputLayer as InputLayer
from compat.core.input_spec import InputSpec as InputSpec
from compat.core.layer import Layer as Layer
from compat.core.layer_classes import layer_class as _class
from compat.layers._attention import Headed as _Headed
from compat.layers._attention import MultiHeaded as _MultiHeaded
from compat.layers._attention import Scored as _Scored
from compat.layers._cells import StackedRNNCells as StackedRNNCells
from compat.layers._convolution import Convolved as _Convolved
from compat.layers._convolution import Ranked as _Ranked
from compat.layers._core import Brief as _Brief
from compat.layers._core import Moving as _Moving
from compat.layers._core import Open as _Open
from compat.layers._core import Penalty as _Penalty
from compat.layers._core import Reversible as _Reversible
from compat.layers._core import Table as _Table
from compat.layers._ecosystem import EquinoxLayer as EquinoxLayer
from compat.layers._ecosystem import KfunLayer as KfunLayer
from compat.layers._ecosystem import TFSMLayer as TFSMLayer
from compat.layers._ecosystem import TorchModuleWrapper as TorchModuleWrapper
from compat.layers._jax_layers import FlaxLayer as FlaxLayer
from compat.layers._jax_layers import JaxLayer as JaxLayer
from compat.layers._lambda import Lambda as Lambda
from compat.layers._lora import ARGUMENTS as _LORA
from compat.layers._lora import Kernel as _Kernel
from compat.layers._merging import Merging as _Merging
from compat.layers._recurrent import GeneratedCell as _Cell
from compat.layers._recurrent import OverCell as _OverCell
from compat.layers._recurrent import Recurrent as _Recurrent
from compat.layers._wrappers import Bidirectional as Bidirectional
from compat.layers._wrappers import SpectralNormalization as SpectralNormalization
from compat.layers._wrappers import TimeDistributed as TimeDistributed
from compat.layers._wrappers import Wrapper as Wrapper
from compat.saving.serialization import deserialize_as as _deserialize_as
from kfun import layers as _kfun

_KERNEL = "kernel bias"
_NORM = "beta gamma"
_RNN = "kernel recurrent bias"
_NAMED = {"data_format": {"name": None}}
_ACTIVITY = {"activity_regularizer": None}


def _make(name: str, **options: Any) -> Any:
    return _class(getattr(_kfun, name), __name__, **options)


Activation = _make("Activation", ready=True)
Dense = _make(
    "Dense", weights=_KERNEL, base=_Kernel, call="training", insert={"bias_constraint": _LORA},
    omitted="activity_regularizer",
)  # fmt: skip
EinsumDense = _make(
    "EinsumDense", weights=_KERNEL, activity=False, base=_Kernel, call="training", constants=_ACTIVITY, masking=False,
    insert={"bias_constraint": _LORA, "lora_alpha": {"gptq_unpacked_column_size": None}},
)  # fmt: skip
_TABLE: dict = {"weights": "embeddings", "activity": False, "constants": _ACTIVITY}
Embedding = _make("Embedding", base=_Table, insert={"mask_zero": {"weights": None} | _LORA}, wide=True, **_TABLE)
ReversibleEmbedding = _make(
    "ReversibleEmbedding", hidden=" ".join(_LORA), base=_Reversible, insert={"logit_soft_cap": _LORA}, **_TABLE
)
Embedding.register(ReversibleEmbedding)
Identity = _make("Identity", ready=True)
Masking = _make("Masking", ready=True)
Rescaling = _make("Rescaling")

_CONV: dict = {
    "weights": _KERNEL, "masking": False, "base": _Convolved, "hidden": "lora_rank lora_alpha",
    "insert": {"bias_constraint": {"lora_rank": None, "lora_alpha": None}},
}  # fmt: skip
Conv1D = _make("Conv1D", **_CONV)
Conv2D = _make("Conv2D", **_CONV)
Conv3D = _make("Conv3D", **_CONV)
Conv1DTranspose = _make("Conv1DTranspose", base=_Ranked, weights=_KERNEL, masking=False)
Conv2DTranspose = _make("Conv2DTranspose", base=_Ranked, weights=_KERNEL, masking=False)
Conv3DTranspose = _make("Conv3DTranspose", base=_Ranked, weights=_KERNEL, masking=False)
DepthwiseConv1D = _make("DepthwiseConv1D", base=_Ranked, weights="depthwise bias", masking=False)
DepthwiseConv2D = _make("DepthwiseConv2D", base=_Ranked, weights="depthwise bias", masking=False)
SeparableConv1D = _make("SeparableConv1D", base=_Ranked, weights="depthwise pointwise bias", masking=False)
SeparableConv2D = _make("SeparableConv2D", base=_Ranked, weights="depthwise pointwise bias", masking=False)
Convolution1D, Convolution2D, Convolution3D = Conv1D, Conv2D, Conv3D
Convolution1DTranspose, Convolution2DTranspose = Conv1DTranspose, Conv2DTranspose
Convolution3DTranspose = Conv3DTranspose
SeparableConvolution1D, SeparableConvolution2D = SeparableConv1D, SeparableConv2D

MaxPooling1D = _make("MaxPooling1D", masking=False, insert=_NAMED, ready=True)
MaxPooling2D = _make("MaxPooling2D", masking=False, insert=_NAMED, ready=True)
MaxPooling3D = _make("MaxPooling3D", masking=False, insert=_NAMED, ready=True)
AveragePooling1D = _make("AveragePooling1D", masking=False, insert=_NAMED, ready=True)
AveragePooling2D = _make("AveragePooling2D", masking=False, insert=_NAMED, ready=True)
AveragePooling3D = _make("AveragePooling3D", masking=False, insert=_NAMED, ready=True)
AdaptiveAveragePooling1D = _make("AdaptiveAveragePooling1D", masking=False, sized="output_size")
AdaptiveAveragePooling2D = _make("AdaptiveAveragePooling2D", masking=False, sized="output_size")
AdaptiveAveragePooling3D = _make("AdaptiveAveragePooling3D", masking=False, sized="output_size")
AdaptiveMaxPooling1D = _make("AdaptiveMaxPooling1D", masking=False, sized="output_size")
AdaptiveMaxPooling2D = _make("AdaptiveMaxPooling2D", masking=False, sized="output_size")
AdaptiveMaxPooling3D = _make("AdaptiveMaxPooling3D", masking=False, sized="output_size")
GlobalMaxPooling1D = _make("GlobalMaxPooling1D", masking=False, ready=True)
GlobalMaxPooling2D = _make("GlobalMaxPooling2D", masking=False, ready=True)
GlobalMaxPooling3D = _make("GlobalMaxPooling3D", masking=False, ready=True)
GlobalAveragePooling1D = _make("GlobalAveragePooling1D", call="mask", ready=True)
GlobalAveragePooling2D = _make("GlobalAveragePooling2D", masking=False, ready=True)
GlobalAveragePooling3D = _make("GlobalAveragePooling3D", masking=False, ready=True)
MaxPool1D, MaxPool2D, MaxPool3D = MaxPooling1D, MaxPooling2D, MaxPooling3D
AvgPool1D, AvgPool2D, AvgPool3D = AveragePooling1D, AveragePooling2D, AveragePooling3D
GlobalMaxPool1D, GlobalMaxPool2D, GlobalMaxPool3D = GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D
GlobalAvgPool1D, GlobalAvgPool2D, GlobalAvgPool3D = (
    GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalAveragePooling3D,
)  # fmt: skip

BatchNormalization = _make("BatchNormalization", weights=_NORM, activity=False, base=_Moving)
GroupNormalization = _make("GroupNormalization", weights=_NORM, activity=False, wide=True)
LayerNormalization = _make("LayerNormalization", weights=_NORM, activity=False, hidden="rms_scaling", wide=True)
RMSNormalization = _make("RMSNormalization", masking=False)
UnitNormalization = _make("UnitNormalization", ready=True)

_DRAWN = {"seed": None, "name": None, "dtype": None}
ActivityRegularization = _make("ActivityRegularization", base=_Penalty, ready=True)
AlphaDropout = _make("AlphaDropout", seed_after="noise_shape", ready=True)
Dropout = _make("Dropout", base=_Open, seed_after="noise_shape", ready=True)
GaussianDropout = _make("GaussianDropout", seed_after="rate", ready=True)
GaussianNoise = _make("GaussianNoise", seed_after="stddev", ready=True)
SpatialDropout1D = _make("SpatialDropout1D", base=_Brief, insert={"rate": _DRAWN}, hidden="kwargs", ready=True)
SpatialDropout2D = _make("SpatialDropout2D", base=_Brief, insert={"data_format": _DRAWN}, hidden="kwargs", ready=True)
SpatialDropout3D = _make("SpatialDropout3D", base=_Brief, insert={"data_format": _DRAWN}, hidden="kwargs", ready=True)
for _cls in (SpatialDropout1D, SpatialDropout2D, SpatialDropout3D):
    Dropout.register(_cls)

Flatten = _make("Flatten", masking=False)
Permute = _make("Permute", masking=False)
RepeatVector = _make("RepeatVector", masking=False)
Reshape = _make("Reshape", masking=False)
Cropping1D = _make("Cropping1D", masking=False)
Cropping2D = _make("Cropping2D", masking=False)
Cropping3D = _make("Cropping3D", masking=False)
UpSampling1D = _make("UpSampling1D", masking=False)
UpSampling2D = _make("UpSampling2D", masking=False)
UpSampling3D = _make("UpSampling3D", masking=False)
ZeroPadding1D = _make("ZeroPadding1D", masking=False)
ZeroPadding2D = _make("ZeroPadding2D", masking=False)
ZeroPadding3D = _make("ZeroPadding3D", masking=False)

Add = _make("Add", base=_Merging, takes_list=True)
Average = _make("Average", base=_Merging, takes_list=True)
Concatenate = _make("Concatenate", base=_Merging, takes_list=True)
Dot = _make("Dot", base=_Merging, takes_list=True)
Maximum = _make("Maximum", base=_Merging, takes_list=True, call="mask")
Minimum = _make("Minimum", base=_Merging, takes_list=True, call="mask")
Multiply = _make("Multiply", base=_Merging, takes_list=True, call="mask")
Subtract = _make("Subtract", base=_Merging, takes_list=True)

ELU = _make("ELU", ready=True)
LeakyReLU = _make("LeakyReLU", ready=True)
PReLU = _make("PReLU", weights="alpha", activity=False)
ReLU = _make("ReLU", ready=True)
Softmax = _make("Softmax", call="mask", ready=True)

_CELL: dict[str, Any] = {"weights": _RNN, "activity": False, "base": _Cell, "masking": False}
_LOOP = "unroll zero_output_for_mask"
_CUDNN = {"use_cudnn": "auto"}


def _recurrent(name: str, cell: str, hidden: str = "zero_output_for_mask", omitted: str = "", **insert: Any) -> type:
    children = {"cell": ("cell", cell), "states": ("_carried", "states")}
    return _make(name, weights=_RNN, base=_Recurrent, children=children, hidden=hidden, insert=insert, omitted=omitted)


SimpleRNNCell = _make("SimpleRNNCell", seed_after="recurrent_dropout", **_CELL)
LSTMCell = _make("LSTMCell", seed_after="recurrent_dropout", **_CELL)
GRUCell = _make("GRUCell", insert={"reset_after": {"seed": None}}, **_CELL)
RNN = _make("RNN", base=_OverCell, children={"states": ("_carried", "states")})
SimpleRNN = _recurrent("SimpleRNN", "simple_rnn_cell", unroll={"seed": None}, omitted="seed")
LSTM = _recurrent("LSTM", "lstm_cell", recurrent_dropout={"seed": None}, unroll=_CUDNN)
GRU = _recurrent("GRU", "gru_cell", recurrent_dropout={"seed": None}, reset_after=_CUDNN)
ConvLSTM1D = _recurrent("ConvLSTM1D", "conv_lstm_cell", _LOOP, recurrent_dropout={"seed": None})
ConvLSTM2D = _recurrent("ConvLSTM2D", "conv_lstm_cell", _LOOP, recurrent_dropout={"seed": None})
ConvLSTM3D = _recurrent("ConvLSTM3D", "conv_lstm_cell", _LOOP, recurrent_dropout={"seed": None})

for _cls in (SimpleRNN, LSTM, GRU, ConvLSTM1D, ConvLSTM2D, ConvLSTM3D):
    RNN.register(_cls)
for _cls in (SimpleRNNCell, SimpleRNN, ConvLSTM1D, ConvLSTM2D, ConvLSTM3D):
    _cls._seeded = "first"

_HEADS = {n: (f"{n}_dense", n) for n in ("query", "key", "value")} | {
    "attention_output": ("output_dense", "attention_output"),
    "gate": ("gate_dense", "gate"),
}  # fmt: skip
_HEADED: dict = {"weights": _KERNEL, "base": _Headed, "children": _HEADS, "omitted": "flash_attention"}
MultiHeadAttention = _make("MultiHeadAttention", seed_after="use_gate", **_HEADED | {"base": _MultiHeaded})
_HIDDEN_HEADS = {n: (f"_{attribute}", part) for n, (attribute, part) in _HEADS.items()}  # as files have them
GroupQueryAttention = _make("GroupQueryAttention", seed_after="use_gate", **_HEADED | {"children": _HIDDEN_HEADS})
GroupQueryAttention.__name__ = "GroupedQueryAttention"  # Keras's own, of which names are made
Attention = _make(
    "Attention", base=_Scored, seed_after="dropout", takes_list=True, optional="scale concat_score_weight"
)
AdditiveAttention = _make(
    "AdditiveAttention", base=Attention, seed_after="dropout", hidden="seed", takes_list=True, optional="scale"
)


def _function(cls: type, name: str) -> Any:
    def merge(inputs: Any, **kwargs: Any) -> Any:
        return cls(**kwargs)(inputs)

    merge.__name__ = merge.__qualname__ = name
    merge.__doc__ = f"`{cls.__name__}(**kwargs)(inputs)`."
    return merge


add, average = _function(Add, "add"), _function(Average, "average")
maximum, minimum = _function(Maximum, "maximum"), _function(Minimum, "minimum")
multiply, subtract = _function(Multiply, "multiply"), _function(Subtract, "subtract")


def concatenate(inputs: Any, axis: int = -1, **kwargs: Any) -> Any:
    """`Concatenate(axis, **kwargs)(inputs)`."""
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs: Any, axes: Any = -1, **kwargs: Any) -> Any:
    """`Dot(axes, **kwargs)(inputs)`."""
    return Dot(axes=axes, **kwargs)(inputs)


def serialize(layer: Any) -> Any:
    """The layer as JSON data."""
    from compat.saving import serialize_keras_object

    return serialize_keras_object(layer)


def deserialize(config: Any, custom_objects: dict | None = None) -> Any:
    """The layer of JSON data."""
    if config is None:
        raise ValueError("layers.deserialize: expected the data of a layer; received None")
    return _deserialize_as("layer", config, custom_objects)


__getattr__ = unknown_names_of(globals())
