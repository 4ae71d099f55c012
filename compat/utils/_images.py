"""Images in files, as Pillow images and as arrays."""

from __future__ import annotations

import io
import os
from typing import Any

import numpy as np

from compat.config import floatx, image_data_format
from kfun import backend, ops
from kfun.atomic import atomic_file
from kfun.errors import MissingExtraError, nearest
from kfun.resampling import resize_image

_MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}
_METHODS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")


def pillow() -> Any:
    """Pillow's `Image`; raises MissingExtraError without it."""
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtraError("pillow", "images", "reading and writing images") from None
    return Image


def _format(data_format: str | None) -> str:
    data_format = data_format or image_data_format()
    if data_format not in ("channels_first", "channels_last"):
        raise ValueError(f"data_format: expected 'channels_last' or 'channels_first'; received {data_format!r}")
    return data_format


def load_img(
    path: Any,
    color_mode: str = "rgb",
    target_size: tuple[int, int] | None = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """An image file as a Pillow image.

    Args:
        path: a path or a `BytesIO`.
        color_mode: `"grayscale"`, `"rgb"` or `"rgba"`.
        target_size: `(height, width)` to resize to.
        interpolation: `"nearest"`, `"bilinear"`, `"bicubic"`, `"hamming"`, `"box"` or `"lanczos"`.
        keep_aspect_ratio: whether the largest middle part with the target's proportions is cut out first.

    Raises:
        ValueError: if a name is not among those known.
        TypeError: if `path` is no path.
    """
    image = pillow()
    if color_mode not in _MODES:
        raise ValueError(f"color_mode: expected 'grayscale', 'rgb' or 'rgba'; received {color_mode!r}")
    if interpolation not in _METHODS:
        raise ValueError(f"interpolation: {interpolation!r} is not known; {nearest(interpolation, _METHODS)}")
    if isinstance(path, io.BytesIO):
        img = image.open(path)
        img.load()
    elif isinstance(path, (str, bytes, os.PathLike)):
        with open(path, "rb") as file:
            img = image.open(io.BytesIO(file.read()))
    else:
        raise TypeError(f"load_img: expected a path or BytesIO; received {type(path).__name__}")
    deep = color_mode == "grayscale" and img.mode in ("L", "I;16", "I")  # 16 and 32 bits stay
    if not deep and img.mode != _MODES[color_mode]:
        img = img.convert(_MODES[color_mode])
    if target_size is None:
        return img
    height, width = target_size
    box = _middle(img.width, img.height, width, height) if keep_aspect_ratio else None
    if img.size == (width, height) and box is None:
        return img
    return img.resize((width, height), getattr(image.Resampling, interpolation.upper()), box)


def _middle(width: int, height: int, target_width: int, target_height: int) -> tuple[int, int, int, int]:
    """The largest middle box with the proportions of a target: left, top, right, bottom."""
    inner_height = min(height, width * target_height // target_width)
    inner_width = min(width, height * target_width // target_height)
    top, left = (height - inner_height) // 2, (width - inner_width) // 2
    return left, top, left + inner_width, top + inner_height


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> np.ndarray:
    """A Pillow image as an array of three axes, `[H, W, C]` or `[C, H, W]`.

    Raises:
        ValueError: if the image has neither two nor three axes, or `data_format` is not known.
    """
    data_format = _format(data_format)
    x = np.asarray(img, dtype=dtype or floatx())
    if x.ndim == 2:
        return x[None] if data_format == "channels_first" else x[..., None]
    if x.ndim != 3:
        raise ValueError(f"img_to_array: expected an image of 2 or 3 axes; received shape {x.shape}")
    return x.transpose(2, 0, 1) if data_format == "channels_first" else x


def array_to_img(x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None) -> Any:
    """An array of three axes as a Pillow image.

    Args:
        x: `[H, W, C]` or `[C, H, W]` with 1, 3 or 4 channels.
        data_format: `"channels_last"` or `"channels_first"`.
        scale: whether values are stretched to fill 0 to 255.
        dtype: the type to compute in.

    Raises:
        ValueError: if the shape is none of an image's.
    """
    image, data_format = pillow(), _format(data_format)
    x = np.asarray(x, dtype=dtype or floatx())
    if x.ndim != 3:
        raise ValueError(f"array_to_img: expected one image of 3 axes; received shape {x.shape}")
    if data_format == "channels_first":
        x = x.transpose(1, 2, 0)
    if scale:
        x = x - x.min()
        highest = x.max()
        x = (x / highest if highest != 0 else x) * 255
    if x.shape[2] not in (1, 3, 4):
        raise ValueError(f"array_to_img: expected 1, 3 or 4 channels; received {x.shape[2]}")
    if x.shape[2] == 1:
        return image.fromarray(x[..., 0].astype("int32" if x.max() > 255 else "uint8"))
    return image.fromarray(x.astype("uint8"))


def save_img(
    path: Any, x: Any, data_format: str | None = None, file_format: str | None = None, scale: bool = True, **kwargs: Any
) -> None:
    """Writes an array as an image file, which replaces another one when it is complete.

    Args:
        path: a path or a file object.
        x: as in `array_to_img`.
        data_format: likewise.
        file_format: such as `"png"`; by default after the path's ending.
        scale: as in `array_to_img`.
        **kwargs: for Pillow's `save`.
    """
    img = array_to_img(x, data_format=data_format, scale=scale)
    named = str(path).rpartition(".")[2].lower() if isinstance(path, (str, os.PathLike)) else None
    if img.mode == "RGBA" and (file_format or named) in ("jpg", "jpeg"):
        img = img.convert("RGB")  # JPEG has no transparency
    file_format = "jpeg" if file_format == "jpg" else file_format
    if named is None or kwargs.get("append"):  # a page more in a file that is there
        img.save(path, format=file_format, **kwargs)
        return
    with atomic_file(os.fspath(path)) as file:
        img.save(file, format=file_format, **kwargs)


def smart_resize(
    x: Any, size: tuple[int, int], interpolation: str = "bilinear", data_format: str = "channels_last", **kwargs: Any
) -> Any:
    """Images at another size, cut to its proportions and never distorted.

    Args:
        x: `[H, W, C]` or `[B, H, W, C]`, or with the channels first.
        size: `(height, width)`.
        interpolation: `"nearest"`, `"bilinear"`, `"bicubic"`, `"lanczos3"` or `"lanczos5"`.
        data_format: `"channels_last"` or `"channels_first"`.
        **kwargs: `backend_module`, which has no meaning here, is accepted for old programs.

    Returns:
        NumPy for NumPy, else an array of the same library.

    Raises:
        ValueError: if `size` is no pair, or `x` is no image.
    """
    unknown = sorted(set(kwargs) - {"backend_module"})
    if unknown:
        raise TypeError(f"smart_resize: unknown arguments {unknown}")
    if len(size) != 2:
        raise ValueError(f"smart_resize: expected size (height, width); received {size!r}")
    if np.ndim(x) not in (3, 4):
        raise ValueError(f"smart_resize: expected [H, W, C] or [B, H, W, C]; received shape {np.shape(x)}")
    rows, columns = (-3, -2) if _format(data_format) == "channels_last" else (-2, -1)
    left, top, right, bottom = _middle(x.shape[columns], x.shape[rows], size[1], size[0])
    where = [slice(None)] * len(x.shape)
    where[rows], where[columns] = slice(top, bottom), slice(left, right)
    part = x[tuple(where)]
    if not isinstance(x, np.ndarray):
        return ops.image.resize(part, size, interpolation=interpolation, data_format=data_format)
    with backend("numpy"):
        return np.asarray(ops.image.resize(part, size, interpolation=interpolation, data_format=data_format))


def fitted(image: np.ndarray, size: tuple[int, int], interpolation: str, crop: bool, pad: bool) -> np.ndarray:
    """An image `[H, W, C]` at another size, float32: distorted, cut, or with black borders."""
    height, width = image.shape[:2]
    if crop:
        left, top, right, bottom = _middle(width, height, size[1], size[0])
        image = image[top:bottom, left:right]
    elif pad:
        ratio = max(height / size[0], width / size[1])
        inner = (int(height / ratio), int(width / ratio))
        top, left = int((size[0] - height / ratio) / 2), int((size[1] - width / ratio) / 2)
        out = np.zeros((*size, image.shape[2]), "float32")
        out[top : top + inner[0], left : left + inner[1]] = resize_image(image, inner, interpolation)
        return out
    return resize_image(image, size, interpolation)
