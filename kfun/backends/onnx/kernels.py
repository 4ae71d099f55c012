"""The types that onnxruntime's CPU kernels take, where that is less than the ONNX standard allows.

A node of another type would be a valid model that does not run. float16 is not listed: onnxruntime
itself computes it in float32 where it has no kernel, and accelerators have the kernels.
"""

from __future__ import annotations

from typing import Any

_SMALL = {"int8", "int16", "uint8", "uint16"}
_WORDS = {"int32", "int64", "float32", "float64"}
_NUMBERS = _SMALL | _WORDS | {"uint32", "uint64"}
_FLOATS = {"float32", "float64"}
_EXTREME = _WORDS | {"int8", "uint8", "uint32", "uint64"}

_GROUPS: tuple[tuple[set[str], str], ...] = (
    (_NUMBERS, "Abs Add Sub Mul Div Mod Less LessOrEqual Greater GreaterOrEqual"),
    (_NUMBERS | {"bool"}, "Equal Tile Expand"),
    (_SMALL - {"uint8", "uint16"} | _WORDS, "Neg"),
    (_EXTREME, "Max Min Clip"),
    (_EXTREME | {"bool"}, "Pad"),
    (_WORDS | {"int8", "uint8", "uint32"}, "Where"),
    (_WORDS | {"int8", "uint8"}, "ArgMax ArgMin"),
    (_WORDS | {"int8", "uint8", "bool"}, "ReduceMax ReduceMin"),
    (_WORDS | {"int8", "uint8", "int16"}, "TopK"),
    (_WORDS | {"int16"}, "Range"),
    (_WORDS | {"bool"}, "Trilu"),
    (_WORDS | {"uint32", "uint64"}, "MatMul"),
    (_WORDS, "CumSum Einsum Pow ReduceMean ReduceProd ReduceSum ReduceLogSumExp"),
    (_FLOATS | {"int8", "uint8"}, "MaxPool"),
    (_FLOATS | {"int32"}, "Relu"),
    (_FLOATS, "Ceil Cos Exp Floor Log LogSoftmax Reciprocal Round Sigmoid Sin Softmax Sqrt Tanh BatchNormalization"),
    (_FLOATS, "GRU LSTM LayerNormalization"),
    ({"float32"}, "AveragePool Celu Conv ConvTranspose Elu Erf Gelu HardSigmoid LeakyRelu Mish RNN Resize Selu"),
    ({"float32"}, "Softplus Softsign Det Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh"),
    (_SMALL | {"int32", "int64", "uint32", "uint64"}, "BitwiseAnd BitwiseOr BitwiseXor BitwiseNot"),
    ({"uint8", "uint32", "uint64"}, "BitShift"),
    (_FLOATS, "DFT"),
    ({"float32", "int32", "int64", "uint8", "bool"}, "NonZero"),
    (_NUMBERS | {"bool", "bfloat16"}, "Concat Gather GatherElements ScatterND Slice Split Squeeze Unsqueeze"),
)  # fmt: skip
_TYPES = {op: types for types, names in _GROUPS for op in names.split()}

_WIDER: dict[str, tuple[str, ...]] = {
    "bool": ("uint8", "int32"),
    **dict.fromkeys(("int8", "uint8", "int16", "uint16"), ("int32", "float32")),
    "int32": ("int64", "float64", "float32"),
    "uint32": ("int64", "float64", "float32"),
    **dict.fromkeys(("int64", "uint64"), ("int64", "float64", "float32")),
    **dict.fromkeys(("bfloat16", "float64", "float8_e4m3fn", "float8_e5m2"), ("float32",)),
}

# In which type ScatterND adds and multiplies those that it can only move.
SCATTERED = {"bool": "int32", "int8": "int32", "int16": "int32", "uint8": "int32", "uint16": "int32"}
SCATTERED |= {"float16": "float32", "bfloat16": "float32"}


def runs(op: str, dtype: str) -> bool:
    """Whether onnxruntime computes an operation in a type itself."""
    return op not in _TYPES or dtype in _TYPES[op]


def computed_in(op: str, dtype: str) -> str:
    """The type in which to compute an operation on a type: itself, or a wider one that has a kernel."""
    if dtype == "float16" or runs(op, dtype):
        return dtype
    return next((wider for wider in _WIDER[dtype] if wider in _TYPES[op]), dtype)


def governed(schema: Any) -> tuple[str, list[str], list[str]]:
    """The type variable to which the table refers, and those of the inputs and outputs of an operation."""
    inputs, outputs = [p.type_str for p in schema.inputs], [p.type_str for p in schema.outputs]
    return (outputs[0] if outputs[0] in inputs else inputs[0]), inputs, outputs
