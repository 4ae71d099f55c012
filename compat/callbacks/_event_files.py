"""Event files that TensorBoard reads, written without TensorFlow."""

from __future__ import annotations

import io
import itertools
import os
import socket
import time
import weakref
from typing import Any

import numpy as np

from kfun.errors import MissingExtraError

_NUMBERS = itertools.count()
_BUCKETS = 30
_MOST_IMAGES = 3


class EventFile:
    """A file of events: scalars, histograms, images, texts, a model's graph.

    Args:
        folder: where to; made if there is none.

    Raises:
        MissingExtraError: if tensorboard is not installed.
    """

    def __init__(self, folder: str):
        try:
            from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2
            from tensorboard.summary.writer.record_writer import RecordWriter
        except ImportError as error:
            raise MissingExtraError("tensorboard", "tensorboard", "The TensorBoard callback") from error
        self._event, self._summary, self._tensor = event_pb2.Event, summary_pb2, tensor_pb2.TensorProto
        os.makedirs(folder, exist_ok=True)
        name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}.{next(_NUMBERS)}.v2"
        self._file = open(os.path.join(folder, name), "wb")  # noqa: SIM115 - closed by `close`, or with this object
        self.close = weakref.finalize(self, self._file.close)
        self._records = RecordWriter(self._file)
        self._records.write(self._event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())

    def flush(self) -> None:
        """Lets readers see what was written."""
        self._file.flush()

    def scalar(self, tag: str, value: Any, step: int) -> None:
        """A number."""
        self._write(tag, np.asarray(value, np.float32).reshape(()), step, "scalars")

    def histogram(self, tag: str, values: Any, step: int) -> None:
        """How many of the values lie in each of 30 equal intervals."""
        self._write(tag, _histogram(np.asarray(values, np.float64).reshape(-1)), step, "histograms")

    def image(self, tag: str, images: Any, step: int, most: int = _MOST_IMAGES) -> None:
        """Pictures `[N, height, width, 1 | 3 | 4]` with values in [0, 1], the first `most` of them."""
        images = np.asarray(images)
        size = [str(images.shape[2]), str(images.shape[1])]
        pictures = [_png(picture) for picture in images[:most]]
        self._write(tag, np.array([s.encode() for s in size] + pictures, object), step, "images")

    def text(self, tag: str, text: str, step: int) -> None:
        """A text in Markdown."""
        self._write(tag, np.array(text.encode(), object), step, "text")

    def graph(self, model_json: str, step: int = 0) -> None:
        """A model's architecture, from its JSON."""
        self._write("keras", np.array(model_json.encode(), object), step, "graph_keras_model")

    def _write(self, tag: str, value: np.ndarray, step: int, plugin: str) -> None:
        metadata = self._summary.SummaryMetadata(plugin_data={"plugin_name": plugin})
        shape = {"dim": [{"size": n} for n in value.shape]}
        if value.dtype == object:
            tensor = self._tensor(dtype="DT_STRING", tensor_shape=shape, string_val=value.reshape(-1).tolist())
        else:
            kind = {"float32": "DT_FLOAT", "float64": "DT_DOUBLE"}[value.dtype.name]
            tensor = self._tensor(dtype=kind, tensor_shape=shape, tensor_content=value.tobytes())
        summary = self._summary.Summary(value=[{"tag": tag, "tensor": tensor, "metadata": metadata}])
        event = self._event(wall_time=time.time(), step=int(step), summary=summary)
        self._records.write(event.SerializeToString())


def _histogram(values: np.ndarray) -> np.ndarray:
    """`[30, 3]`: left end, right end and count of each interval; all in the last one if the values are equal."""
    values = values[np.isfinite(values)]
    if not len(values):
        return np.zeros((0, 3))
    low, high = values.min(), values.max()
    if low == high:
        counts = np.zeros(_BUCKETS)
        counts[-1] = len(values)
        edges = np.full(_BUCKETS + 1, low)
    else:
        counts, edges = np.histogram(values, _BUCKETS, (low, high))
    return np.stack([edges[:-1], edges[1:], counts], 1).astype(np.float64)


def _png(picture: np.ndarray) -> bytes:
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError("pillow", "tensorboard", "TensorBoard(write_images=True)") from error
    scaled = np.clip(np.nan_to_num(np.asarray(picture, np.float64)), 0, 1) * 255.5
    pixels = scaled.astype(np.uint8)
    made = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    target = io.BytesIO()
    made.save(target, "PNG")
    return target.getvalue()


def weight_images(weight: np.ndarray) -> np.ndarray | None:
    """A weight as pictures `[N, height, width, 1 | 3 | 4]`, None if it has no form of pictures.

    A vector is a column, a matrix lies on its long side, the last axis of three numbers the pictures;
    four axes are pictures already.
    """
    weight = np.squeeze(weight)
    if weight.dtype.kind not in "fV":
        return None
    weight = np.asarray(weight, np.float32)
    if weight.ndim == 1:
        return weight[None, :, None, None]
    if weight.ndim == 2:
        weight = weight if weight.shape[0] <= weight.shape[1] else weight.T
        return weight[None, :, :, None]
    if weight.ndim == 3:
        return np.moveaxis(weight, -1, 0)[..., None]
    return weight if weight.ndim == 4 and weight.shape[-1] in (1, 3, 4) else None
