"""`text_dataset_from_directory`."""

from __future__ import annotations

from typing import Any

import numpy as np

from compat.utils import _directories, _grain

FORMATS = (".txt",)


def text_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: list[str] | None = None,
    batch_size: int | None = 32,
    max_length: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """Batches of texts from `.txt` files, labelled by the directory that they are in.

    Texts are `bytes` in UTF-8 in arrays of objects, as TensorFlow gives them; Python strings with
    `format="grain"`.

    Args:
        directory: as in `image_dataset_from_directory`, like all that follows.
        labels: `"inferred"`, None, or an integer for each file.
        label_mode: `"int"`, `"binary"`, `"categorical"` or None.
        class_names: the sub-directories in order.
        batch_size: texts of a batch; None gives single ones.
        max_length: bytes of a text, the rest of which is cut off.
        shuffle: whether files come in another order at each iteration.
        seed: of that order.
        validation_split: the share of files for validation.
        subset: `"training"`, `"validation"` or `"both"`.
        follow_links: whether linked directories are entered.
        format: `"tf"` or `"grain"`.
        verbose: whether to tell how many files there are.

    Returns:
        A dataset with `class_names` and `file_paths`; two for `subset="both"`.

    Raises:
        ValueError: if arguments are wrong or do not go together, or there are no files.
    """
    labels = _directories.checked_labels(labels, label_mode, class_names, validation_split, subset, shuffle, seed)
    _grain.check_format(format)

    def load(path: str) -> Any:
        with open(path, "rb") as file:
            text = file.read()
        text = text if max_length is None else text[:max_length]
        if format == "grain":
            return text.decode("utf-8", "replace")
        cell = np.empty((), object)  # NumPy's own type of bytes would drop zeros at the end
        cell[()] = text
        return cell

    make = _directories.maker(label_mode, load, batch_size, format)
    files = _directories.find(directory, labels, FORMATS, class_names, follow_links, verbose)
    return _directories.split_and_make(
        files, make, validation_split, subset, shuffle, seed, verbose, "text", FORMATS, directory
    )
