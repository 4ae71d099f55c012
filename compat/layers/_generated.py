"""The layers made of kfun's definitions, and where each differs from its definition in Keras's form."""

from __future__ import annotations

from typing import Any

from compat.layers._attention import HeadedAttention, MultiHeadedAttention, ScoredAttention
from compat.layers._convolution import AdaptableConvolution, RankedConvolution
from compat.layers._core import (
    ActivityPenalty,
    EmbeddingTable,
    MovingMoments,
    PlainConfig,
    ReversibleTable,
    VirtualParent,
)
from compat.layers._dense import ACTIVITY, KERNEL, make
from compat.layers._lora import ARGUMENTS as LORA
from compat.layers._merging import MergingLayer
from compat.layers._recurrent import GeneratedCell, Recurrence, RecurrenceOverCell

_NORM = "beta gamma"
_RNN = "kernel recurrent bias"
_NAMED = {"data_format": {"name": None}}


Activation = make("Activation", ready=True)
_TABLE: dict = {"weights": "embeddings", "activity": False, "constants": ACTIVITY}
Embedding = make("Embedding", base=EmbeddingTable, insert={"mask_zero": {"weights": None} | LORA}, wide=True, **_TABLE)
ReversibleEmbedding = make(
    "ReversibleEmbedding", hidden=" ".join(LORA), base=ReversibleTable, insert={"logit_soft_cap": LORA}, **_TABLE
)
Embedding.register(ReversibleEmbedding)
Identity = make("Identity", ready=True)
Masking = make("Masking", ready=True)
Rescaling = make("Rescaling")

_CONV: dict = {
    "weights": KERNEL, "masking": False, "base": AdaptableConvolution, "hidden": "lora_rank lora_alpha",
    "insert": {"bias_constraint": {"lora_rank": None, "lora_alpha": None}},
}  # fmt: skip
Conv1D = make("Conv1D", **_CONV)
Conv2D = make("Conv2D", **_CONV)
Conv3D = make("Conv3D", **_CONV)
Conv1DTranspose = make("Conv1DTranspose", base=RankedConvolution, weights=KERNEL, masking=False)
Conv2DTranspose = make("Conv2DTranspose", base=RankedConvolution, weights=KERNEL, masking=False)
Conv3DTranspose = make("Conv3DTranspose", base=RankedConvolution, weights=KERNEL, masking=False)
DepthwiseConv1D = make("DepthwiseConv1D", base=RankedConvolution, weights="depthwise bias", masking=False)
DepthwiseConv2D = make("DepthwiseConv2D", base=RankedConvolution, weights="depthwise bias", masking=False)
SeparableConv1D = make("SeparableConv1D", base=RankedConvolution, weights="depthwise pointwise bias", masking=False)
SeparableConv2D = make("SeparableConv2D", base=RankedConvolution, weights="depthwise pointwise bias", masking=False)
Convolution1D, Convolution2D, Convolution3D = Conv1D, Conv2D, Conv3D
Convolution1DTranspose, Convolution2DTranspose = Conv1DTranspose, Conv2DTranspose
Convolution3DTranspose = Conv3DTranspose
SeparableConvolution1D, SeparableConvolution2D = SeparableConv1D, SeparableConv2D

MaxPooling1D = make("MaxPooling1D", masking=False, insert=_NAMED, ready=True)
MaxPooling2D = make("MaxPooling2D", masking=False, insert=_NAMED, ready=True)
MaxPooling3D = make("MaxPooling3D", masking=False, insert=_NAMED, ready=True)
AveragePooling1D = make("AveragePooling1D", masking=False, insert=_NAMED, ready=True)
AveragePooling2D = make("AveragePooling2D", masking=False, insert=_NAMED, ready=True)
AveragePooling3D = make("AveragePooling3D", masking=False, insert=_NAMED, ready=True)
AdaptiveAveragePooling1D = make("AdaptiveAveragePooling1D", masking=False, sized="output_size")
AdaptiveAveragePooling2D = make("AdaptiveAveragePooling2D", masking=False, sized="output_size")
AdaptiveAveragePooling3D = make("AdaptiveAveragePooling3D", masking=False, sized="output_size")
AdaptiveMaxPooling1D = make("AdaptiveMaxPooling1D", masking=False, sized="output_size")
AdaptiveMaxPooling2D = make("AdaptiveMaxPooling2D", masking=False, sized="output_size")
AdaptiveMaxPooling3D = make("AdaptiveMaxPooling3D", masking=False, sized="output_size")
GlobalMaxPooling1D = make("GlobalMaxPooling1D", masking=False, ready=True)
GlobalMaxPooling2D = make("GlobalMaxPooling2D", masking=False, ready=True)
GlobalMaxPooling3D = make("GlobalMaxPooling3D", masking=False, ready=True)
GlobalAveragePooling1D = make("GlobalAveragePooling1D", call="mask", ready=True)
GlobalAveragePooling2D = make("GlobalAveragePooling2D", masking=False, ready=True)
GlobalAveragePooling3D = make("GlobalAveragePooling3D", masking=False, ready=True)
MaxPool1D, MaxPool2D, MaxPool3D = MaxPooling1D, MaxPooling2D, MaxPooling3D
AvgPool1D, AvgPool2D, AvgPool3D = AveragePooling1D, AveragePooling2D, AveragePooling3D
GlobalMaxPool1D, GlobalMaxPool2D, GlobalMaxPool3D = GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D
GlobalAvgPool1D, GlobalAvgPool2D, GlobalAvgPool3D = (
    GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalAveragePooling3D,
)  # fmt: skip

BatchNormalization = make("BatchNormalization", weights=_NORM, activity=False, base=MovingMoments)
GroupNormalization = make("GroupNormalization", weights=_NORM, activity=False, wide=True)
LayerNormalization = make("LayerNormalization", weights=_NORM, activity=False, hidden="rms_scaling", wide=True)
RMSNormalization = make("RMSNormalization", masking=False)
UnitNormalization = make("UnitNormalization", ready=True)

_DRAWN = {"seed": None, "name": None, "dtype": None}
ActivityRegularization = make("ActivityRegularization", base=ActivityPenalty, ready=True)
AlphaDropout = make("AlphaDropout", seed_after="noise_shape", ready=True)
Dropout = make("Dropout", base=VirtualParent, seed_after="noise_shape", ready=True)
GaussianDropout = make("GaussianDropout", seed_after="rate", ready=True)
GaussianNoise = make("GaussianNoise", seed_after="stddev", ready=True)
SpatialDropout1D = make("SpatialDropout1D", base=PlainConfig, insert={"rate": _DRAWN}, hidden="kwargs", ready=True)
SpatialDropout2D = make(
    "SpatialDropout2D", base=PlainConfig, insert={"data_format": _DRAWN}, hidden="kwargs", ready=True
)
SpatialDropout3D = make(
    "SpatialDropout3D", base=PlainConfig, insert={"data_format": _DRAWN}, hidden="kwargs", ready=True
)
for _cls in (SpatialDropout1D, SpatialDropout2D, SpatialDropout3D):
    Dropout.register(_cls)

Flatten = make("Flatten", masking=False)
Permute = make("Permute", masking=False)
RepeatVector = make("RepeatVector", masking=False)
Reshape = make("Reshape", masking=False)
Cropping1D = make("Cropping1D", masking=False)
Cropping2D = make("Cropping2D", masking=False)
Cropping3D = make("Cropping3D", masking=False)
UpSampling1D = make("UpSampling1D", masking=False)
UpSampling2D = make("UpSampling2D", masking=False)
UpSampling3D = make("UpSampling3D", masking=False)
ZeroPadding1D = make("ZeroPadding1D", masking=False)
ZeroPadding2D = make("ZeroPadding2D", masking=False)
ZeroPadding3D = make("ZeroPadding3D", masking=False)

Add = make("Add", base=MergingLayer, takes_list=True)
Average = make("Average", base=MergingLayer, takes_list=True)
Concatenate = make("Concatenate", base=MergingLayer, takes_list=True)
Dot = make("Dot", base=MergingLayer, takes_list=True)
Maximum = make("Maximum", base=MergingLayer, takes_list=True, call="mask")
Minimum = make("Minimum", base=MergingLayer, takes_list=True, call="mask")
Multiply = make("Multiply", base=MergingLayer, takes_list=True, call="mask")
Subtract = make("Subtract", base=MergingLayer, takes_list=True)

ELU = make("ELU", ready=True)
LeakyReLU = make("LeakyReLU", ready=True)
PReLU = make("PReLU", weights="alpha", activity=False)
ReLU = make("ReLU", ready=True)
Softmax = make("Softmax", call="mask", ready=True)

_CELL: dict[str, Any] = {"weights": _RNN, "activity": False, "base": GeneratedCell, "masking": False}
_LOOP = "unroll zero_output_for_mask"
_CUDNN = {"use_cudnn": "auto"}


def _recurrent(name: str, cell: str, hidden: str = "zero_output_for_mask", omitted: str = "", **insert: Any) -> type:
    children = {"cell": ("cell", cell), "states": ("_carried", "states")}
    return make(name, weights=_RNN, base=Recurrence, children=children, hidden=hidden, insert=insert, omitted=omitted)


SimpleRNNCell = make("SimpleRNNCell", seed_after="recurrent_dropout", **_CELL)
LSTMCell = make("LSTMCell", seed_after="recurrent_dropout", **_CELL)
GRUCell = make("GRUCell", insert={"reset_after": {"seed": None}}, **_CELL)
RNN = make("RNN", base=RecurrenceOverCell, children={"states": ("_carried", "states")})
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
_HEADED: dict = {"weights": KERNEL, "base": HeadedAttention, "children": _HEADS, "omitted": "flash_attention"}
MultiHeadAttention = make("MultiHeadAttention", seed_after="use_gate", **_HEADED | {"base": MultiHeadedAttention})
_HIDDEN_HEADS = {n: (f"_{attribute}", part) for n, (attribute, part) in _HEADS.items()}  # as files have them
GroupQueryAttention = make("GroupQueryAttention", seed_after="use_gate", **_HEADED | {"children": _HIDDEN_HEADS})
GroupQueryAttention.__name__ = "GroupedQueryAttention"  # Keras's own, of which names are made
Attention = make(
    "Attention", base=ScoredAttention, seed_after="dropout", takes_list=True, optional="scale concat_score_weight"
)
AdditiveAttention = make(
    "AdditiveAttention", base=Attention, seed_after="dropout", hidden="seed", takes_list=True, optional="scale"
)
