"""`image_dataset_from_directory`."""

from __future__ import annotations

from typing import Any

import numpy as np

from compat.utils import _directories, _grain
from compat.utils._images import _format, fitted, pillow
from kfun.resampling import METHODS

FORMATS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
_MODES = {"rgb": "RGB", "rgba": "RGBA", "grayscale": "L"}


def image_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: list[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: tuple[int, int] = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """Batches of images from files, labelled by the directory that they are in.

    Without TensorFlow: what comes back iterates over NumPy arrays, in the order in which Keras
    gives them for the same seed, and has the methods of `tf.data` that programs use on it.

    Args:
        directory: its sub-directories are the classes; with other `labels` they do not matter.
        labels: `"inferred"`, None, or an integer for each file in the files' order.
        label_mode: `"int"` gives `[B]` int32, `"binary"` `[B, 1]` float32, `"categorical"` one-hot
            rows, None no labels.
        class_names: the sub-directories to take, in the order of their numbers.
        color_mode: `"rgb"`, `"rgba"` or `"grayscale"`.
        batch_size: images of a batch; None gives single ones.
        image_size: `(height, width)` to resize to.
        shuffle: whether files come in another order at each iteration; by name otherwise.
        seed: of that order; by default one from NumPy's random numbers.
        validation_split: the share of files, taken from the end, for validation.
        subset: `"training"`, `"validation"` or `"both"`.
        interpolation: one of `kfun.resampling.METHODS`.
        follow_links: whether linked directories are entered.
        crop_to_aspect_ratio: cuts instead of distorting.
        pad_to_aspect_ratio: adds black borders instead of distorting.
        data_format: `"channels_last"` or `"channels_first"`.
        format: `"tf"` for the dataset described, `"grain"` for one of Grain's.
        verbose: whether to tell how many files there are.

    Returns:
        A dataset with `class_names` and `file_paths`; two for `subset="both"`.

    Raises:
        ValueError: if arguments are wrong or do not go together, or there are no files.
    """
    labels = _directories.checked_labels(labels, label_mode, class_names, validation_split, subset, shuffle, seed)
    _grain.check_format(format)
    if color_mode not in _MODES:
        raise ValueError(f"color_mode: expected 'rgb', 'rgba' or 'grayscale'; received {color_mode!r}")
    if interpolation not in METHODS:
        raise ValueError(f"interpolation: expected one of {', '.join(METHODS)}; received {interpolation!r}")
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError("crop_to_aspect_ratio and pad_to_aspect_ratio exclude each other")
    if not isinstance(image_size, (tuple, list)) or len(image_size) != 2:
        raise ValueError(f"image_size: expected (height, width); received {image_size!r}")
    size, channels_first = (int(image_size[0]), int(image_size[1])), _format(data_format) == "channels_first"
    image = pillow()

    def load(path: str) -> np.ndarray:
        with image.open(path) as img:
            x = _grey(img) if color_mode == "grayscale" else np.asarray(img.convert(_MODES[color_mode]))
        x = fitted(x, size, interpolation, crop_to_aspect_ratio, pad_to_aspect_ratio)
        return x.transpose(2, 0, 1) if channels_first else x

    make = _directories.maker(label_mode, load, batch_size, format)
    files = _directories.find(directory, labels, FORMATS, class_names, follow_links, verbose)
    return _directories.split_and_make(
        files, make, validation_split, subset, shuffle, seed, verbose, "image", FORMATS, directory
    )


def _grey(img: Any) -> np.ndarray:
    """An image's brightness `[H, W, 1]`, cut to integers as the decoders of PNG and JPEG do."""
    img.draft("L", img.size)  # a JPEG's own brightness
    if img.mode == "L":
        return np.asarray(img)[..., None]
    x = np.asarray(img.convert("RGB"), "uint32")
    return ((x @ np.array([19595, 38470, 7471], "uint32")) >> 16).astype("uint8")[..., None]
