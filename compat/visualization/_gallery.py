"""Galleries of images, with labels, boxes or masks.

B is the number of images, H and W their height and width, C their channels.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from compat.config import image_data_format
from compat.visualization._draw import colour, draw_bounding_boxes, draw_segmentation_masks
from kfun.errors import MissingExtraError


def plot_image_gallery(
    images: Any,
    y_true: Any = None,
    y_pred: Any = None,
    label_map: dict | None = None,
    rows: int | None = None,
    cols: int | None = None,
    value_range: Any = (0, 255),
    scale: float = 2,
    path: Any = None,
    show: bool | None = None,
    transparent: bool = True,
    dpi: int = 60,
    legend_handles: Any = None,
    data_format: str | None = None,
) -> None:
    """Shows images in a grid, or writes it to a file.

    Args:
        images: `[B, H, W, C]`.
        y_true, y_pred: `[B]`, labels that stand above the images.
        label_map: `{label: name}`.
        rows, cols: of the grid, which may hold fewer than all images; about a square of all by default.
        value_range: the numbers for black and white.
        scale: the height and width of an image in inches.
        path: of a file to write in place of showing.
        show: whether to show; by default if there is no `path`.
        transparent: whether the background of the file is.
        dpi: of the file.
        legend_handles: of matplotlib, for a legend below.
        data_format: of the images; `image_data_format()` if None.

    Raises:
        MissingExtraError: if matplotlib is not installed.
        ValueError: if the images are no batch, or both `path` and `show` are given.
    """
    if path is not None and show:
        raise ValueError("plot_image_gallery: expected either `path`, to write a file, or `show=True`; received both")
    images = _scaled(images, value_range, data_format)
    rows, cols = _grid(len(images), rows, cols)
    pyplot = _pyplot("plot_image_gallery")
    figure, axes = pyplot.subplots(rows, cols, squeeze=False, figsize=(cols * scale, rows * scale), layout="tight")
    names = (
        [_label(y_true, i, label_map) for i in range(len(images))],
        [_label(y_pred, i, label_map) for i in range(len(images))],
    )
    for i, panel in enumerate(axes.flat):
        panel.axis("off")
        if i < len(images):
            panel.imshow(images[i].squeeze(), cmap="gray" if images.shape[-1] == 1 else None, vmin=0, vmax=255)
            title = [f"{what}: {own[i]}" for what, own in zip(("Label", "Pred"), names, strict=True) if own[i]]
            panel.set_title("  ".join(title), fontsize=8)
    if legend_handles is not None:
        figure.legend(handles=legend_handles, loc="lower center")
    if path is not None:
        figure.savefig(path, pad_inches=0, transparent=transparent, dpi=dpi, bbox_inches="tight")
        pyplot.close(figure)
    elif show or show is None:
        pyplot.show()
        pyplot.close(figure)


def _scaled(images: Any, value_range: Any, data_format: str | None) -> np.ndarray:
    images = np.asarray(images)
    if images.ndim != 4:
        raise ValueError(f"plot_image_gallery: expected a batch of images [B, H, W, C]; received shape {images.shape}")
    if (data_format or image_data_format()) == "channels_first":
        images = images.transpose(0, 2, 3, 1)
    low, high = value_range
    if high <= low:
        raise ValueError(f"plot_image_gallery: expected value_range=(lowest, highest); received {value_range!r}")
    return np.clip((images.astype("float32") - low) * (255.0 / (high - low)), 0, 255).astype("uint8")


def _grid(count: int, rows: int | None, cols: int | None) -> tuple[int, int]:
    if rows is None and cols is None:
        rows = math.ceil(math.sqrt(count))
    if rows is None:
        rows = math.ceil(count / cols)  # type: ignore[operator]
    return rows, cols or math.ceil(count / rows)


def _label(labels: Any, i: int, names: dict | None) -> str:
    if labels is None:
        return ""
    label = np.asarray(labels).reshape(len(labels), -1)[i, 0]
    label = label.item() if hasattr(label, "item") else label
    return str((names or {}).get(label, label))


def _pyplot(who: str) -> Any:
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plot", who) from error
    return pyplot


def plot_bounding_box_gallery(
    images: Any,
    bounding_box_format: str,
    y_true: dict | None = None,
    y_pred: dict | None = None,
    value_range: Any = (0, 255),
    true_color: Any = (0, 188, 212),
    pred_color: Any = (255, 235, 59),
    line_thickness: int = 2,
    font_scale: float = 1.0,
    text_thickness: int | None = None,
    class_mapping: dict | None = None,
    ground_truth_mapping: dict | None = None,
    prediction_mapping: dict | None = None,
    legend: bool = False,
    legend_handles: Any = None,
    rows: int | None = None,
    cols: int | None = None,
    data_format: str | None = None,
    **kwargs: Any,
) -> None:
    """Shows images with true and predicted boxes.

    Args:
        images: `[B, H, W, C]`.
        bounding_box_format: of the boxes.
        y_true, y_pred: `{"boxes": [B, N, 4], "labels": [B, N]}`.
        value_range: the numbers for black and white.
        true_color, pred_color: of the boxes and the legend.
        line_thickness, font_scale, text_thickness: as in `draw_bounding_boxes`.
        class_mapping: `{label: name}`, for both kinds of boxes.
        ground_truth_mapping, prediction_mapping: for one kind, where they differ.
        legend: whether to say which colour is which.
        legend_handles: of matplotlib, in place of those.
        rows, cols: of the grid.
        data_format: of the images.
        kwargs: further arguments of `plot_image_gallery`.

    Raises:
        MissingExtraError: if Pillow or matplotlib is not installed.
        ValueError: if the boxes do not fit the images, or `legend` and `legend_handles` are both given.
    """
    if legend and legend_handles is not None:
        raise ValueError("plot_bounding_box_gallery: expected either legend=True or legend_handles; received both")
    shown = _scaled(images, value_range, data_format)
    sides = (
        (y_true, true_color, ground_truth_mapping or class_mapping),
        (y_pred, pred_color, prediction_mapping or class_mapping),
    )
    for boxes, own, names in sides:
        if boxes is not None:
            shown = draw_bounding_boxes(
                shown, boxes, bounding_box_format, names, own, line_thickness, text_thickness or line_thickness,
                font_scale, "channels_last",
            )  # fmt: skip
    if legend:
        legend_handles = _handles(true_color, pred_color)
    plot_image_gallery(
        shown, rows=rows, cols=cols, legend_handles=legend_handles, data_format="channels_last", **kwargs
    )


def _handles(true_color: Any, pred_color: Any) -> list[Any]:
    _pyplot("plot_bounding_box_gallery")
    from matplotlib import patches

    found = []
    for name, value in (("Ground Truth", true_color), ("Prediction", pred_color)):
        found.append(patches.Patch(color=[v / 255 for v in colour(value, "plot_bounding_box_gallery")], label=name))
    return found


def plot_segmentation_mask_gallery(
    images: Any,
    num_classes: int,
    value_range: Any = (0, 255),
    y_true: Any = None,
    y_pred: Any = None,
    color_mapping: dict | None = None,
    blend: bool = True,
    alpha: float = 0.8,
    ignore_index: int = -1,
    data_format: str | None = None,
    **kwargs: Any,
) -> None:
    """Shows images, each in a row with its true and its predicted mask.

    Args:
        images: `[B, H, W, C]`.
        num_classes: one more than the greatest class.
        value_range: the numbers for black and white.
        y_true, y_pred: `[B, H, W]` or `[B, H, W, 1]`, the class of each pixel.
        color_mapping, blend, alpha, ignore_index: as in `draw_segmentation_masks`.
        data_format: of images and masks.
        kwargs: further arguments of `plot_image_gallery`; the grid is B rows.

    Raises:
        MissingExtraError: if matplotlib is not installed.
        ValueError: if the masks do not fit the images, or the grid is asked for.
    """
    for name in ("rows", "cols"):
        if name in kwargs:
            raise ValueError(f"plot_segmentation_mask_gallery: {name} is given by the images: a row for each of them")
    first = (data_format or image_data_format()) == "channels_first"
    plain = _scaled(images, value_range, data_format)
    columns = [plain]
    for masks in (y_true, y_pred):
        if masks is not None:
            masks = np.asarray(masks)
            masks = masks.transpose(0, 2, 3, 1) if first and masks.ndim == 4 else masks
            drawn = draw_segmentation_masks(
                plain, masks, num_classes, color_mapping, alpha, blend, ignore_index, "channels_last"
            )
            columns.append(drawn)
    columns = [np.repeat(c, 3, axis=-1) if c.shape[-1] == 1 and len(columns) > 1 else c for c in columns]
    tiles = np.stack(columns, axis=1).reshape(-1, *columns[0].shape[1:])
    plot_image_gallery(tiles, rows=len(plain), cols=len(columns), data_format="channels_last", **kwargs)
