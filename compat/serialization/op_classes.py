"""The classes by which Keras's files name ops, and the modules that these are in."""

from __future__ import annotations

from kfun.ops._dispatch import OPS

_CLASS_OF = {  # those that are not the op's name in camel case
    "getitem": "GetItem", "abs": "Absolute", "max": "Max", "min": "Min", "fft": "FFT", "fft2": "FFT2",
    "ifft2": "IFFT2", "rfft": "RFFT", "irfft": "IRFFT", "stft": "STFT", "istft": "ISTFT", "ctc_loss": "CTCLoss",
    "ctc_decode": "CTCDecode", "psnr": "PSNR", "rms_normalization": "RMSNorm", "layer_normalization": "LayerNorm",
    "batch_normalization": "BatchNorm", "cdist": "CDist", "svd": "SVD", "rgb_to_grayscale": "RGBToGrayscale",
    "rgb_to_hsv": "RGBToHSV", "hsv_to_rgb": "HSVToRGB", "ssim": "SSIM", "isin": "IsIn", "searchsorted": "SearchSorted",
    "allclose": "AllClose", "extract_patches_3d": "ExtractPatches3D",
}  # fmt: skip
_MODULE_OF = {  # what is in none of them is in `numpy`
    "core": """
        cast slice slice_update scan while_loop cond stop_gradient fori_loop vectorized_map convert_to_tensor
        saturate_cast unstack map switch associative_scan scatter_update scatter
    """,
    "nn": """
        relu relu6 leaky_relu sigmoid softplus log_sigmoid softsign silu hard_sigmoid hard_silu hard_tanh tanh_shrink
        elu selu celu gelu mish glu softmax log_softmax conv depthwise_conv conv_transpose max_pool average_pool one_hot
        moments batch_normalization layer_normalization rms_normalization dot_product_attention normalize polar
        separable_conv adaptive_average_pool adaptive_max_pool multi_hot binary_crossentropy categorical_crossentropy
        sparse_categorical_crossentropy ctc_loss ctc_decode psnr unfold fold depth_to_space space_to_depth threshold
        hard_shrink soft_shrink sparse_plus sparse_sigmoid squareplus sparsemax
    """,
    "math": """
        erf erfinv logsumexp rsqrt segment_sum top_k view_as_complex view_as_real logdet cdist segment_max segment_min
        segment_prod in_top_k extract_sequences fft rfft irfft fft2 ifft2 stft istft erfc
    """,
    "image": """
        rgb_to_grayscale rgb_to_hsv hsv_to_rgb map_coordinates affine_transform perspective_transform elastic_transform
        resize scale_and_translate crop_images pad_images extract_patches gaussian_blur sobel_edges ssim
        extract_patches_3d
    """,
    "linalg": """
        cholesky cholesky_inverse det eig eigh inv lu_factor qr solve solve_triangular svd pinv lstsq matrix_rank norm
    """,
}
_FAMILY = {name: family for family, names in _MODULE_OF.items() for name in names.split()}


def class_name(op: str) -> str:
    """The name of Keras's class for an op."""
    return _CLASS_OF.get(op) or "".join(part.capitalize() for part in op.split("_"))


def module_of(op: str) -> str:
    """The module of Keras's class for an op."""
    return f"keras.src.ops.{_FAMILY.get(op, 'numpy')}"


# Arguments that are no arrays here, and which Keras yet keeps in the call; arrays that it keeps in the config.
_CALLED = {
    "arange": ("start", "stop", "step"), "associative_scan": ("f", "elems"), "cond": ("true_fn", "false_fn"),
    "dot_product_attention": ("scale",), "fori_loop": ("init_val",), "full": ("fill_value",),
    "full_like": ("fill_value",), "geomspace": ("start", "stop"), "getitem": ("index",), "isclose": ("rtol", "atol"),
    "linspace": ("start", "stop"), "logspace": ("start", "stop"), "map": ("f", "xs"), "pad": ("constant_values",),
    "scale_and_translate": ("output_shape",), "scan": ("f", "init", "xs"), "slice": ("start_indices",),
    "slice_update": ("start_indices",), "stop_gradient": ("variable",), "switch": ("branches",),
    "vectorized_map": ("elements",), "while_loop": ("loop_vars",),
}  # fmt: skip
_SET = {"bincount": ("weights",), "clip": ("x_min", "x_max"), "trapezoid": ("x", "dx")}


def in_call(op: str, argument: str) -> bool:
    """Whether Keras keeps an argument of an op in its call, not in its config."""
    return argument in _CALLED.get(op, ()) or (argument in OPS[op].arrays and argument not in _SET.get(op, ()))


_SECOND = {  # classes that Keras has for a second name of an op
    "TrueDivide": "divide", "Abs": "abs", "Amax": "max", "Amin": "min", "BitwiseInvert": "bitwise_not",
    "Conjugate": "conj", "LeftShift": "bitwise_left_shift", "RightShift": "bitwise_right_shift",
}  # fmt: skip
OP_OF_CLASS = {class_name(name): name for name in OPS if not name.startswith("random_")} | _SECOND
