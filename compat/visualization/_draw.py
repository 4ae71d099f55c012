"""Boxes and masks drawn into images.

B is the number of images, H and W their height and width, C their channels, N the boxes of an image.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from compat.config import image_data_format
from compat.utils._images import pillow
from kfun import ops
from kfun.ops import bounding_boxes as boxes_

_TEXT_HEIGHT = 22  # of labels, in pixels, at font_scale 1


def draw_bounding_boxes(
    images: Any,
    bounding_boxes: dict,
    bounding_box_format: str,
    class_mapping: dict | None = None,
    color: Any = (128, 128, 128),
    line_thickness: int = 2,
    text_thickness: int = 1,
    font_scale: float = 1.0,
    data_format: str | None = None,
) -> np.ndarray:
    """Images with boxes and the names of their classes.

    Args:
        images: `[B, H, W, C]`, C of 1, 3 or 4, numbers of 0 to 255.
        bounding_boxes: `{"boxes": [B, N, 4], "labels": [B, N]}`; a box of label -1 is none.
        bounding_box_format: as in `utils.bounding_boxes`, such as `"xyxy"`.
        class_mapping: `{label: name}`; labels without a name have no text.
        color: of the lines and the text, three numbers of 0 to 255.
        line_thickness, text_thickness: in pixels.
        font_scale: the size of the text; 1 is 22 pixels high.
        data_format: of the images and of the result; `image_data_format()` if None.

    Returns:
        `[B, H, W, 3]` (or as `data_format` says), uint8.

    Raises:
        MissingExtraError: if Pillow is not installed.
        ValueError: if the images are no batch, or the boxes do not fit them.
        TypeError: if `class_mapping` is no dict.
    """
    image = pillow()
    from PIL import ImageDraw, ImageFont

    pictures, first = pictures_of(images, data_format, "draw_bounding_boxes")
    if class_mapping is not None and not isinstance(class_mapping, dict):
        raise TypeError(f"draw_bounding_boxes: expected class_mapping={{label: name}}; received {class_mapping!r:.80}")
    corners, labels = _boxes_of(bounding_boxes, bounding_box_format, pictures)
    color = colour(color, "draw_bounding_boxes: color")
    font = ImageFont.load_default(size=max(1, round(_TEXT_HEIGHT * font_scale)))
    found = []
    for picture, own, kinds in zip(pictures, corners, labels, strict=True):
        drawn = image.fromarray(picture)
        pen = ImageDraw.Draw(drawn)
        for (left, top, right, bottom), label in zip(own, kinds, strict=True):
            if label == -1 or right <= left or bottom <= top:
                continue
            pen.rectangle([int(left), int(top), int(right), int(bottom)], outline=color, width=int(line_thickness))
            name = (class_mapping or {}).get(int(label))
            if name is not None:
                _write(pen, str(name), (int(left), int(top)), font, color, text_thickness)
        found.append(np.asarray(drawn))
    return _returned(np.stack(found), first)


def _write(pen: Any, text: str, corner: tuple[int, int], font: Any, color: tuple, thickness: int) -> None:
    """Writes above a box, or into it if there is no room above."""
    x, y = corner
    height = pen.textbbox((0, 0), text, font=font)[3]
    pen.text(
        (x, y - height - 2 if y > height else y + 2), text, fill=color, font=font, stroke_width=max(0, thickness - 1)
    )


def _boxes_of(given: Any, form: str, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners `[B, N, 4]` and labels `[B, N]`."""
    if not isinstance(given, dict) or not {"boxes", "labels"} <= set(given):
        raise ValueError(
            f"draw_bounding_boxes: expected bounding_boxes={{'boxes': ..., 'labels': ...}}; received {given!r:.120}"
        )
    height, width = pictures.shape[1:3]
    boxes, labels = np.asarray(given["boxes"], "float32"), np.asarray(given["labels"])
    if boxes.ndim != 3 or boxes.shape[::2] != (len(pictures), 4) or labels.shape[:2] != boxes.shape[:2]:
        raise ValueError(
            f"draw_bounding_boxes: expected boxes [{len(pictures)}, N, 4] and labels [{len(pictures)}, N]; "
            f"received the shapes {boxes.shape} and {labels.shape}"
        )
    corners = boxes_.convert_format(ops.convert_to_tensor(boxes), form, "xyxy", height, width)
    return np.asarray(corners), labels.reshape(boxes.shape[:2])


def draw_segmentation_masks(
    images: Any,
    segmentation_masks: Any,
    num_classes: int | None = None,
    color_mapping: dict | None = None,
    alpha: float = 0.8,
    blend: bool = True,
    ignore_index: int = -1,
    data_format: str | None = None,
) -> np.ndarray:
    """Images with each class's pixels in a colour.

    Args:
        images: `[B, H, W, C]`, numbers of 0 to 255.
        segmentation_masks: `[B, H, W]` or `[B, H, W, 1]`, integers: the class of each pixel.
        num_classes: one more than the greatest class that has a colour; found from the masks if None.
        color_mapping: `{class: (red, green, blue)}`; by default classes have fixed colours, the first black.
        alpha: the share of the colour in the result, 0 to 1.
        blend: whether the image shows through; the colours alone if not.
        ignore_index: a class whose pixels stay as they are, like those of classes without a colour.
        data_format: of the images, the masks and the result; `image_data_format()` if None.

    Returns:
        `[B, H, W, 3]` (or as `data_format` says), uint8.

    Raises:
        ValueError: if the images are no batch, or the masks do not fit them.
        TypeError: if the masks are no integers.
    """
    pictures, first = pictures_of(images, data_format, "draw_segmentation_masks")
    masks = np.asarray(segmentation_masks)
    if not np.issubdtype(masks.dtype, np.integer):
        raise TypeError(f"draw_segmentation_masks: expected masks of integers, a class each; received {masks.dtype}")
    if masks.ndim == 4:
        masks = masks[:, 0] if first else masks[..., 0]
    if masks.shape != pictures.shape[:3]:
        raise ValueError(
            f"draw_segmentation_masks: the masks have shape {masks.shape}; expected {pictures.shape[:3]} for the images"
        )
    kept = masks == ignore_index
    count = num_classes or int(masks[~kept].max(initial=0)) + 1
    colours = np.array([(i * np.array([1, 127, 31])) % 255 for i in range(count)], "uint8")
    if color_mapping is not None:
        colours = np.zeros((max(count, *(int(k) + 1 for k in color_mapping)), 3), "uint8")
        for key, value in color_mapping.items():
            colours[int(key)] = colour(value, "draw_segmentation_masks: color_mapping")
    kept |= (masks < 0) | (masks >= len(colours))
    painted = colours[np.where(kept, 0, masks)]
    if blend:
        painted = (pictures * (1 - alpha) + painted * alpha).astype("uint8")
    return _returned(np.where(kept[..., None], pictures, painted), first)


def pictures_of(images: Any, data_format: str | None, who: str) -> tuple[np.ndarray, bool]:
    """Images as `[B, H, W, 3]` of uint8, and whether channels came first."""
    data_format = data_format or image_data_format()
    if data_format not in ("channels_first", "channels_last"):
        raise ValueError(
            f"{who}: expected 'channels_last' or 'channels_first' as data_format; received {data_format!r}"
        )
    first = data_format == "channels_first"
    images = np.asarray(images)
    if images.ndim != 4:
        raise ValueError(f"{who}: expected a batch of images [B, H, W, C]; received shape {images.shape}")
    if first:
        images = images.transpose(0, 2, 3, 1)
    if images.shape[-1] not in (1, 3, 4):
        raise ValueError(f"{who}: expected images of 1, 3 or 4 channels in {data_format}; received {images.shape[-1]}")
    images = np.repeat(images, 3, axis=-1) if images.shape[-1] == 1 else images[..., :3]
    return np.clip(images, 0, 255).astype("uint8"), first


def colour(value: Any, what: str) -> tuple[int, int, int]:
    """Red, green and blue of 0 to 255."""
    if len(value) != 3 or not all(0 <= int(v) <= 255 for v in value):
        raise ValueError(f"{what}: expected three numbers of 0 to 255; received {value!r}")
    return tuple(int(v) for v in value)  # type: ignore[return-value]


def _returned(pictures: np.ndarray, first: bool) -> np.ndarray:
    return pictures.transpose(0, 3, 1, 2) if first else pictures
