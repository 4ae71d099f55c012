"""Rows of images: real Keras is the reference."""

from __future__ import annotations

import numpy as np

from tests.ops.rows import case, keras_op, row


def _bytes(draw, *shape):
    return draw.integers(0, 256, *shape).astype("uint8")


def _sizes(draw):
    image = draw.normal(2, 4, 6, 3)
    methods = ("bilinear", "bicubic", "lanczos3", "lanczos5")
    whole = _bytes(draw, 1, 5, 7, 3)
    return [
        case(image, (8, 9)),
        case(image, (2, 3)),
        case(image, (8, 9), "nearest"),
        case(image, [3, 5], interpolation="nearest"),
        case(draw.normal(2, 3, 4, 6), (8, 9), data_format="channels_first"),
        *[case(image, (7, 4), method) for method in methods],
        *[case(draw.normal(1, 9, 8, 2), (3, 12), method, antialias=True) for method in methods],
        case(draw.normal(4, 6, 3), (5, 4)),
        case(draw.normal(3, 4, 6), (5, 4), "nearest", data_format="channels_first"),
        case(image, (4, 6), "bicubic"),
        case(whole, (9, 3)),  # sizes without ties, which rounding errors decide
        case(whole, (8, 3), "nearest"),
        case(whole, (9, 9), "lanczos3"),
        case(draw.integers(-99, 100, 1, 3, 3, 1), (7, 7)),
        case(draw.normal(1, 5, 4, 2).astype("float16"), (7, 3)).but(rtol=2e-3, atol=2e-3, grad=False),
    ]


def _scales(draw):
    image = draw.normal(5, 6, 2)
    scale, move = np.float32([1.5, 0.7]), np.float32([0.3, -1.2])
    return [
        case(image, (8, 5, 2), scale, move, (0, 1), "linear"),
        *[
            case(image, (8, 5, 2), scale, move, (0, 1), method, antialias=antialias)
            for method in ("trilinear", "cubic", "lanczos3", "lanczos5")
            for antialias in (True, False)
        ],
        case(draw.normal(1, 3, 4, 5), (1, 3, 6, 2), np.float32([2, 0.5]), np.float32([3, 0]), (2, -1), "bicubic"),
        # Bytes are computed in float32, which differences of float64 do not resolve.
        case(_bytes(draw, 4, 4), (6, 4), np.float32([1.5]), np.float32([0]), [0], "linear").but(grad=False),
    ]


def _crops(draw):
    image = draw.normal(2, 5, 6, 3)
    return [
        case(image, 1, 2, 0, 1),
        case(image, 1, 2, target_height=3, target_width=4),
        case(image, bottom_cropping=2, right_cropping=0, target_height=3, target_width=2),
        case(draw.normal(5, 6, 3), 1, 1, 1, 1),
        case(draw.normal(2, 3, 5, 6), 0, 1, 2, 2, data_format="channels_first"),
        case(_bytes(draw, 3, 4, 1), 0, 0, 1, 1),
    ]


def _pads(draw):
    image = draw.normal(2, 3, 4, 3)
    return [
        case(image, 1, 2, 0, 1),
        case(image, 1, 2, target_height=6, target_width=7),
        case(image, bottom_padding=0, right_padding=3, target_height=3, target_width=8),
        case(draw.normal(3, 4, 3), 1, 1, 1, 1),
        case(draw.normal(2, 3, 3, 4), 0, 1, 2, 2, data_format="channels_first"),
        case(_bytes(draw, 3, 4, 1), 1, 0, 0, 2),
    ]


def _windows(draw):
    image = draw.normal(2, 7, 8, 3)
    return [
        case(image, 3),
        case(image, (2, 3), (1, 2)),
        case(image, (3, 2), 2, padding="same"),
        case(image, 2, 1, 2),
        case(image, 3, 1, (2, 1), "same"),
        case(draw.normal(6, 7, 2), (2, 2), padding="same"),
        case(draw.normal(1, 2, 6, 7), (3, 2), 2, data_format="channels_first"),
        case(draw.normal(1, 4, 5, 6, 2), (2, 2, 3)),
        case(draw.integers(0, 99, 1, 4, 4, 2), 2),
    ]


def _volumes(draw):
    volume = draw.normal(1, 5, 6, 7, 2)
    return [
        case(volume, 2),
        case(volume, (2, 3, 2), (1, 2, 2), padding="same"),
        case(draw.normal(4, 4, 4, 1), 2, 1, 2),
        case(draw.normal(1, 2, 4, 5, 6), (2, 1, 3), data_format="channels_first"),
    ]


def _smooth(draw):
    image = draw.normal(2, 6, 7, 3)
    return [
        case(image, data_format="channels_last"),
        case(image, (5, 3), (2.0, 0.7), data_format="channels_last"),
        case(draw.normal(6, 7, 2), (3, 5), (1.0, 1.5), "channels_last"),
        case(draw.normal(2, 3, 6, 7), (3, 3), data_format="channels_first"),
        case(draw.normal(5, 5, 1), (4, 2), data_format="channels_last"),
    ]


def _edges(draw):
    return [
        case(draw.normal(2, 5, 6, 3)),
        case(draw.normal(1, 2, 5, 6), "channels_first"),
        case(draw.integers(-9, 10, 1, 4, 4, 1)),
    ]


def _colours(draw):
    grey = np.float32([[[0.5, 0.5, 0.5], [0, 0, 0], [1, 0, 0], [0.2, 0.9, 0.9]]])
    return [
        case(draw.uniform(0, 1, 2, 3, 4, 3)),
        case(draw.uniform(0, 1, 3, 2, 3)),
        case(draw.uniform(0, 1, 2, 3, 4, 2), "channels_first"),
        case(draw.uniform(0, 1, 3, 4, 2), data_format="channels_first"),
        case(grey).but(grad=False),  # ties, at which the channels share the gradient differently
    ]


def _greys(draw):
    return [
        *_colours(draw)[:4],
        case(_bytes(draw, 2, 3, 3, 3)),
        case(draw.uniform(0, 1, 2, 3, 3).astype("float16")).but(rtol=2e-3, grad=False),
    ]


def _places(draw):
    image = draw.normal(4, 5)
    inside = draw.uniform(-0.9, 0.9, 2, 3, 2) + np.float32([[[1.5]], [[2]]])
    beyond = draw.uniform(-7, 9, 2, 20)
    halves = np.float32([[0.5, 1.5, -0.5, 2.5], [0.5, -1.5, 4.5, 1]])
    modes = ("constant", "nearest", "wrap", "mirror", "reflect")
    return [
        case(image, inside, 1),
        *[case(image, beyond, order, fill_mode=mode) for mode in modes for order in (0, 1)],
        case(image, beyond, 1, "constant", -2.5),
        case(image, halves, 0).but(grad=False),  # between two pixels: the value jumps
        case(draw.normal(7), draw.uniform(-2, 9, 1, 6), 1),
        case(draw.normal(3, 4, 2), draw.uniform(-1, 4, 3, 2, 2), 1, "reflect"),
        case(draw.integers(-20, 20, 4, 5), beyond, 1),
        case(_bytes(draw, 4, 5), draw.integers(-1, 6, 2, 5), 1, "nearest"),
        case(draw.normal(1, 4), draw.uniform(-3, 6, 2, 5), 1, "mirror"),
    ]


def _maps(draw):
    shift = np.float32([1, 0, 1.3, 0, 1, -0.6, 0, 0])
    turned = np.float32([0.813, -0.507, 0.331, 0.417, 1.093, 0.227, 0, 0])  # no pixel comes from another exactly
    image, both = draw.normal(2, 5, 6, 3), np.stack([shift, turned])
    modes = ("constant", "nearest", "wrap", "mirror", "reflect")
    return [
        case(image, both),
        *[case(image, both, "bilinear", mode, 1.5) for mode in modes],
        case(image, both, "nearest"),
        case(draw.normal(5, 6, 2), turned),
        case(draw.normal(2, 3, 5, 6), both, data_format="channels_first"),
        case(_bytes(draw, 1, 5, 6, 3), turned[None], "bilinear", "reflect"),
    ]


def _corners(draw):
    start = np.float32([[0, 0], [5, 0], [0, 4], [5, 4]])
    end = start + draw.uniform(-0.7, 0.7, 4, 2)
    image = draw.normal(2, 5, 6, 3)
    many = np.stack([start, start]), np.stack([end, start + draw.uniform(-0.7, 0.7, 4, 2)])
    return [
        case(image, *many),
        case(image, *many, "nearest", 2.0),
        case(draw.normal(5, 6, 2), start, end, fill_value=-1),
        case(draw.normal(2, 3, 5, 6), *many, data_format="channels_first"),
        case(_bytes(draw, 1, 5, 6, 1), start[None], end[None]),
    ]


def _elastic(draw):
    image = draw.normal(2, 8, 9, 3)
    return [
        case(image, 3.0, 1.0, seed=7, data_format="channels_last"),
        case(image, 3.0, 1.0, "nearest", "constant", 1.5, seed=3, data_format="channels_last"),
        case(image, seed=5, data_format="channels_last"),
        case(draw.normal(6, 5, 2), 2.0, 0.8, fill_mode="wrap", seed=1, data_format="channels_last"),
        case(draw.normal(1, 3, 8, 9), 2.0, 1.0, seed=1, data_format="channels_first"),
    ]


def _likenesses(draw):
    x = draw.uniform(0, 1, 2, 14, 13, 2)
    y = np.clip(x + draw.normal(2, 14, 13, 2, scale=0.1), 0, 1)
    return [
        case(x, y),
        case(x, x),
        case(x[0], y[0]),
        case(x, y, 2.0, 7, 1.0, 0.02, 0.05),
        case(x.transpose(0, 3, 1, 2).copy(), y.transpose(0, 3, 1, 2).copy(), data_format="channels_first"),
    ]


def _noises(draw):
    x = draw.uniform(0, 1, 2, 3, 3)
    return [
        case(x, x + draw.normal(2, 3, 3, scale=0.1), 1.0),
        case(x, x + 1, 255),
        case(x, x, 1.0).but(grad=False),
    ]


ROWS = [
    row("resize", _sizes, keras_op("image.resize"), rtol=1e-4, atol=2e-6),
    row("scale_and_translate", _scales, keras_op("image.scale_and_translate"), rtol=1e-4, atol=1e-5),
    row("crop_images", _crops, keras_op("image.crop_images")),
    row("pad_images", _pads, keras_op("image.pad_images")),
    row("extract_patches", _windows, keras_op("image.extract_patches")),
    row("extract_patches_3d", _volumes, keras_op("image.extract_patches_3d")),
    row("gaussian_blur", _smooth, keras_op("image.gaussian_blur")),
    row("sobel_edges", _edges, keras_op("image.sobel_edges"), atol=2e-6),
    row("rgb_to_grayscale", _greys, keras_op("image.rgb_to_grayscale")),
    row("rgb_to_hsv", _colours, keras_op("image.rgb_to_hsv"), atol=2e-6),
    row("hsv_to_rgb", _colours, keras_op("image.hsv_to_rgb")),
    row("map_coordinates", _places, keras_op("image.map_coordinates"), atol=1e-5),
    row("affine_transform", _maps, keras_op("image.affine_transform"), atol=1e-5),
    row("perspective_transform", _corners, keras_op("image.perspective_transform"), rtol=1e-4, atol=1e-4),
    row(
        "elastic_transform",
        _elastic,
        keras_op("image.elastic_transform"),
        dict.fromkeys(("openvino", "onnx"), "it has no random numbers"),
        rtol=1e-4,
        atol=1e-4,
    ),
    row("ssim", _likenesses, keras_op("image.ssim"), rtol=1e-4, atol=1e-5),
    row("psnr", _noises, keras_op("psnr")),
]
