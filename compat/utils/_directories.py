"""The files of a directory and their labels, as all `..._dataset_from_directory` functions find them."""

from __future__ import annotations

import concurrent.futures
import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from compat.state import messages
from compat.training.data.in_order import in_order
from compat.training.data.shuffle import Shuffle
from compat.utils import _grain
from compat.utils._batches import Batches, stacked
from compat.utils._encoding import encoded

SHUFFLED_BATCHES = 8  # batches in the buffer from which samples are drawn
SHUFFLED_SAMPLES = 1024  # samples in it, where there are no batches


class Files(NamedTuple):
    """Files in order, with their labels."""

    paths: list[str]
    labels: list[int] | None
    class_names: list[str] | None

    def part(self, where: slice) -> Files:
        """Some of the files."""
        return self._replace(paths=self.paths[where], labels=None if self.labels is None else self.labels[where])


def checked_labels(
    labels: Any, label_mode: Any, class_names: Any, validation_split: Any, subset: Any, shuffle: bool, seed: Any
) -> Any:
    """The labels that are meant, None without a `label_mode`; and the checks that all kinds of files share.

    Raises:
        ValueError: where arguments are not among those known, or do not go together.
    """
    if labels not in (None, "inferred") and not isinstance(labels, (list, tuple)):
        raise ValueError(f"labels: expected 'inferred', None, or a list of integers; received {labels!r}")
    if class_names is not None and (labels != "inferred" or label_mode is None):
        raise ValueError("class_names says the order of directories, so it needs labels='inferred' and a label_mode")
    if label_mode not in (None, "int", "binary", "categorical"):
        raise ValueError(f"label_mode: expected 'int', 'binary', 'categorical' or None; received {label_mode!r}")
    if labels is None and label_mode is not None and label_mode != "int":
        raise ValueError(f"label_mode={label_mode!r} needs labels")
    if (validation_split is None) != (subset is None):
        raise ValueError("validation_split and subset need each other: pass both, or none")
    if validation_split is not None:
        if not 0 < validation_split < 1:
            raise ValueError(f"validation_split: expected a share between 0 and 1; received {validation_split}")
        if subset not in ("training", "validation", "both"):
            raise ValueError(f"subset: expected 'training', 'validation' or 'both'; received {subset!r}")
        if shuffle and seed is None:
            raise ValueError("a shuffled split needs a seed, or training and validation would share files")
    return None if label_mode is None else labels


def find(
    directory: Any, labels: Any, formats: tuple[str, ...], class_names: Any, follow_links: bool, verbose: bool
) -> Files:
    """The files of a directory: each class's by name, those of its sub-directories after its own.

    Raises:
        ValueError: if `class_names` names no sub-directory, or there are not as many labels as files.
    """
    root = os.fspath(directory)
    if labels == "inferred":
        found = sorted(n for n in os.listdir(root) if os.path.isdir(os.path.join(root, n)) and not n.startswith("."))
        names = list(class_names) if class_names else found
        if not set(names) <= set(found):
            raise ValueError(f"class_names: expected names of the sub-directories {found}; received {names}")
        folders = names
    else:
        names, folders = None, [""]
    paths: list[str] = []
    inferred: list[int] = []
    for number, folder in enumerate(folders):
        mine = list(_walk(os.path.join(root, folder) if folder else root, formats, follow_links))
        paths += mine
        inferred += [number] * len(mine)
    if labels == "inferred":
        labels = inferred
    elif labels is not None:
        if len(labels) != len(paths):
            raise ValueError(f"labels: {len(labels)} labels for {len(paths)} files in {root}")
        labels, names = list(labels), [str(n) for n in sorted(set(labels))]
    if verbose:
        classes = "" if names is None else f" belonging to {len(names)} classes"
        messages.say(f"Found {len(paths)} files{classes}.")
    return Files(paths, labels, names)


def _walk(root: str, formats: tuple[str, ...], follow_links: bool) -> Iterator[str]:
    for folder, _, names in sorted(os.walk(root, followlinks=follow_links), key=lambda walked: walked[0]):
        yield from (os.path.join(folder, n) for n in sorted(names) if n.lower().endswith(formats))


def split_and_make(
    files: Files, make: Callable[[Files, bool, int | None], Batches], validation_split: Any, subset: Any,
    shuffle: bool, seed: int | None, verbose: bool, kind: str, formats: tuple[str, ...], directory: Any,
) -> Any:  # fmt: skip
    """Shuffles the files, takes the subset's part, and makes its dataset, or both.

    Args:
        make: `make(files, shuffle, seed)` gives the dataset of some files.
        kind: of the files, for messages.

    Raises:
        ValueError: if there are no files.
    """
    if not files.paths:
        raise ValueError(f"no {kind} files in {os.fspath(directory)}; their names end in {', '.join(formats)}")
    if shuffle:
        seed = int(np.random.randint(1e6)) if seed is None else seed
        order = np.random.RandomState(seed).permutation(len(files.paths))
        labels = None if files.labels is None else [files.labels[i] for i in order]
        files = files._replace(paths=[files.paths[i] for i in order], labels=labels)
    if subset is None:
        return make(files, shuffle, seed)
    held = int(validation_split * len(files.paths))
    training, validation = (
        files.part(slice(0, len(files.paths) - held)),
        files.part(slice(-held, None) if held else slice(0, 0)),
    )
    if verbose:
        wanted = {"training": f"{len(training.paths)} files for training", "validation": f"{held} files for validation"}
        messages.say("Using " + " and ".join(v for k, v in wanted.items() if subset in (k, "both")) + ".")
    for part, name in ((training, "training"), (validation, "validation")):
        if subset in (name, "both") and not part.paths:
            raise ValueError(f"validation_split={validation_split} of {len(files.paths)} files leaves none: {name}")
    if subset == "both":
        return make(training, shuffle, seed), make(validation, False, seed)
    return make(training if subset == "training" else validation, shuffle, seed)


def samples(
    files: Files, label_mode: Any, load: Callable[[str], Any], batch_size: int | None, shuffle: bool, seed: int | None
) -> Callable[[], Iterator[Any]]:
    """Gives new iterators of `(sample, label)`, or of samples without labels; files are read in threads."""
    labels = encoded(files, label_mode)
    buffer = SHUFFLED_SAMPLES if batch_size is None else batch_size * SHUFFLED_BATCHES
    order = Shuffle(buffer, seed or 0) if shuffle else iter

    def read(number: int) -> Any:
        sample = load(files.paths[number])
        return sample if labels is None else (sample, labels[number])

    def make() -> Iterator[Any]:
        executor = concurrent.futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1), "compat-files")
        return in_order(executor, read, order(range(len(files.paths))), 2 * (batch_size or 16))

    return make


def check_binary(label_mode: Any, files: Files) -> None:
    """Raises ValueError if binary labels were asked for, and there are not two classes."""
    if label_mode == "binary" and len(files.class_names or ()) != 2:
        raise ValueError(f"label_mode='binary' needs exactly 2 classes; found {files.class_names}")


def maker(label_mode: Any, load: Callable, batch_size: int | None, format: str) -> Callable:
    """`make(files, shuffled, seed) -> dataset` of samples that are equally large, for `split_and_make`."""

    def make(files: Files, shuffled: bool, seed: int | None) -> Any:
        check_binary(label_mode, files)
        if format == "grain":
            return _grain.of_files(files, label_mode, load, batch_size, shuffled, seed)
        source = samples(files, label_mode, load, batch_size, shuffled, seed)
        dataset = Batches(source, len(files.paths))
        if batch_size is not None:
            dataset = Batches(lambda: stacked(source(), batch_size), -(-len(files.paths) // batch_size))
        dataset.class_names, dataset.file_paths = files.class_names, files.paths
        return dataset

    return make
