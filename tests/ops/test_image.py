"""Images: what needs sizes that are known, and errors. The catalogue has the rest."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from jax import export

from kfun import ops
from kfun.testing import check_op
from tests.conftest import BACKENDS
from tests.ops.rows import Draw, case, keras_op

DRAW = Draw(np.random.default_rng(0))
IMAGE = DRAW.normal(2, 4, 6, 3)
BYTES = DRAW.integers(0, 256, 1, 5, 9, 3).astype("uint8")  # sizes that give no ties, which rounding errors decide
PROPORTIONS = [
    case(IMAGE, (5, 5), crop_to_aspect_ratio=True),
    case(IMAGE, (3, 9), "nearest", crop_to_aspect_ratio=True),
    case(IMAGE, (5, 5), pad_to_aspect_ratio=True),
    case(IMAGE, (3, 9), pad_to_aspect_ratio=True, fill_value=2.5),
    case(BYTES, (5, 5), pad_to_aspect_ratio=True, fill_value=1 / 3),
    case(DRAW.normal(3, 6, 4), (5, 5), "bicubic", pad_to_aspect_ratio=True, data_format="channels_first"),
    case(DRAW.normal(6, 4, 1), (2, 9), crop_to_aspect_ratio=True),
]


@pytest.mark.parametrize("c", PROPORTIONS, ids=lambda c: f"{c.args[1:]}-{'-'.join(c.kwargs)}")
def test_resize_keeps_proportions(c):
    reference = keras_op("image.resize")
    check_op(
        ops.resize,
        *c.args,
        kwargs=c.kwargs,
        reference=reference,
        rtol=1e-4,
        atol=1e-5,
        jit=("jax",),
        vmap=False,
        backends=BACKENDS,
    )


def test_patches_with_gaps_between_them():
    volume = DRAW.normal(1, 5, 6, 7, 2)
    reference = keras_op("image.extract_patches_3d")
    check_op(ops.extract_patches_3d, volume, 2, 3, kwargs={"padding": "same"}, reference=reference, backends=BACKENDS)


def test_resize_to_sizes_that_are_open():
    exported = export.export(jax.jit(lambda x: ops.resize(x, (6, 9), "bicubic", antialias=True)))(
        jax.ShapeDtypeStruct(export.symbolic_shape("b, h, w, 3"), "float32")
    )
    np.testing.assert_allclose(exported.call(IMAGE), ops.resize(IMAGE, (6, 9), "bicubic", antialias=True), atol=1e-5)


def test_the_inverse_of_a_colour_map():
    colours = DRAW.uniform(0, 1, 4, 4, 3)
    np.testing.assert_allclose(ops.hsv_to_rgb(ops.rgb_to_hsv(colours)), colours, atol=1e-5)


def test_a_key_of_the_library_draws_the_field():
    image = DRAW.normal(1, 6, 6, 1)
    by_seed = ops.elastic_transform(image, 3.0, 1.0, seed=4)
    np.testing.assert_array_equal(ops.elastic_transform(image, 3.0, 1.0, seed=np.uint32([4, 0])), by_seed)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: ops.resize(x, (2, 2), "area"), "expected an interpolation"),
        (lambda x: ops.resize(x, (2, 0)), "positive sizes"),
        (lambda x: ops.resize(x[0, 0], (2, 2)), "3 axes"),
        (lambda x: ops.resize(x, (2, 2), crop_to_aspect_ratio=True, pad_to_aspect_ratio=True), "choose one"),
        (lambda x: ops.resize(x, (2, 2), fill_mode="reflect"), "fill_mode"),
        (lambda x: ops.resize(x, (2, 2), data_format="NHWC"), "data_format"),
        (lambda x: ops.crop_images(x, 1, 1, 1, 1, 3), "two of"),
        (lambda x: ops.crop_images(x, 9, 1, 0, 1), "must fit the image"),
        (lambda x: ops.pad_images(x, 1, 1, target_height=3, target_width=9), "must fit the image"),
        (lambda x: ops.extract_patches(x, (1, 2, 3, 4)), "2 or 3 numbers"),
        (lambda x: ops.extract_patches(x, 2, padding="full"), "expected padding"),
        (lambda x: ops.rgb_to_grayscale(x[..., :2]), "1 or 3 channels"),
        (lambda x: ops.rgb_to_hsv(ops.cast(x, "uint8")), "expected floating"),
        (lambda x: ops.map_coordinates(x, x[0, 0], 1), "expected coordinates"),
        (lambda x: ops.map_coordinates(x[0, 0], x[0, 0, :2], 3), "order 0 or 1"),
        (lambda x: ops.affine_transform(x, x[0, 0, 0], fill_mode="edge"), "fill_mode"),
        (lambda x: ops.affine_transform(x, x[0, 0, 0]), r"\[8\] or"),
        (lambda x: ops.perspective_transform(x, x, x), r"\[4, 2\]"),
        (ops.elastic_transform, "expected a seed"),
        (lambda x: ops.scale_and_translate(x, x.shape, [2.0], [0.0], [1], "nearest"), "expected a method"),
        (lambda x: ops.ssim(x, x[:1]), "one shape"),
        (lambda x: ops.psnr(x, x[:1], 1.0), "one shape"),
    ],
)
def test_errors_say_what_was_expected(call, message):
    with pytest.raises(ValueError, match=message):
        call(IMAGE)
