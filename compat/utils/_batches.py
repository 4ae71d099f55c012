"""`Batches`: what the `..._dataset_from_...` functions give, with the methods that users know from `tf.data`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np

from compat.training.data.shuffle import Shuffle
from kfun.bridges._leaves import require

INFINITE, UNKNOWN = -1, -2
_OF_TENSORFLOW = (
    "apply", "bucket_by_sequence_length", "element_spec", "flat_map", "get_single_element", "group_by_window",
    "ignore_errors", "interleave", "padded_batch", "ragged_batch", "rebatch", "reduce", "rejection_resample", "save",
    "scan", "shard", "snapshot", "sparse_batch", "take_while", "unique", "window", "with_options",
)  # fmt: skip


class Element(np.ndarray):
    """A NumPy array that also answers `.numpy()`, as elements of a `tf.data.Dataset` do."""

    def numpy(self) -> Any:
        """The plain array, or scalar."""
        plain = self.view(np.ndarray)
        return plain if plain.ndim else plain[()]


def element(x: Any) -> Any:
    """An array as an `Element`, without a copy; other things as they are."""
    return x.view(Element) if isinstance(x, np.ndarray) else np.asarray(x).view(Element) if _is_number(x) else x


def _is_number(x: Any) -> bool:
    return isinstance(x, (int, float, bool, bytes, str, np.generic))


class Batches:
    """An iterable of arrays, or of tuples or dicts of them, that begins anew each time.

    Methods give new datasets and change nothing. Nothing is read before it is asked for. The rarer methods of
    `tf.data.Dataset`, such as `window` and `reduce`, are those of `to_tensorflow()`, which needs TensorFlow.

    Args:
        make: gives a new iterator.
        size: how many elements it gives; `-1` for endless, `-2` for unknown.
        class_names: the names of the labels.
        file_paths: the files behind the elements.
    """

    def __init__(
        self,
        make: Callable[[], Iterator[Any]],
        size: int = UNKNOWN,
        class_names: list[str] | None = None,
        file_paths: list[str] | None = None,
    ):
        self._make, self._size = make, size
        if class_names is not None or file_paths is not None:
            self.class_names, self.file_paths = class_names, file_paths

    def __getattr__(self, name: str) -> Any:
        if name in _OF_TENSORFLOW:
            return getattr(self.to_tensorflow(), name)
        raise AttributeError(f"a dataset has no attribute {name!r}")

    def to_tensorflow(self) -> Any:
        """The same elements as a `tf.data.Dataset`; sizes of first axes may change from one to the next.

        Raises:
            MissingExtraError: without TensorFlow.
            ValueError: if there are no elements, whose form would be unknown.
        """
        tf = require("tensorflow", "tensorflow", "to_tensorflow, or a method that is tf.data's alone,")
        first = next(self.as_numpy_iterator(), None)
        if first is None:
            raise ValueError("the dataset has no elements, so their form is not known")

        def spec(leaf: Any) -> Any:
            leaf = np.asarray(leaf)
            kind = tf.string if leaf.dtype.kind in "OSU" else leaf.dtype
            return tf.TensorSpec([None, *leaf.shape[1:]] if leaf.ndim else [], kind)

        dataset = tf.data.Dataset.from_generator(self.as_numpy_iterator, output_signature=jax.tree.map(spec, first))
        return dataset if self._size == UNKNOWN else dataset.apply(tf.data.experimental.assert_cardinality(self._size))

    def __iter__(self) -> Iterator[Any]:
        return (jax.tree.map(element, item) for item in self._make())

    def __len__(self) -> int:
        if self._size < 0:
            raise TypeError("the dataset is endless" if self._size == INFINITE else "the dataset's length is unknown")
        return self._size

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return (
            f"<Batches: {self._size if self._size >= 0 else ('endless' if self._size == INFINITE else '?')} elements>"
        )

    def cardinality(self) -> Element:
        """How many elements there are: `-1` for endless, `-2` for unknown."""
        return np.asarray(self._size, "int64").view(Element)

    def as_numpy_iterator(self) -> Iterator[Any]:
        """The elements as plain arrays."""
        return (jax.tree.map(lambda a: a.numpy() if isinstance(a, Element) else a, item) for item in self)

    def _bounded(self, change: Callable[[int], int]) -> int:
        return self._size if self._size < 0 else max(0, change(self._size))

    def take(self, count: int) -> Batches:
        """The first elements; all for -1."""
        if count < 0:
            return self
        size = count if self._size == INFINITE else self._bounded(lambda n: min(n, count))
        return Batches(lambda: itertools.islice(self._make(), count), size)

    def skip(self, count: int) -> Batches:
        """What comes after the first elements."""
        return Batches(lambda: itertools.islice(self._make(), count, None), self._bounded(lambda n: n - count))

    def repeat(self, count: int | None = None) -> Batches:
        """The elements several times; endlessly for None or -1."""
        endless = count is None or count < 0

        def rounds() -> Iterable[int]:
            return itertools.count() if endless else range(count)

        size = INFINITE if endless and self._size != 0 else self._bounded(lambda n: n * (count or 0))
        return Batches(lambda: itertools.chain.from_iterable(self._make() for _ in rounds()), size)

    def map(
        self,
        map_func: Callable,
        num_parallel_calls: Any = None,
        deterministic: bool | None = None,
        name: str | None = None,
    ) -> Batches:
        """A function of each element; a tuple's parts are its arguments.

        The other arguments are those of `tf.data`, for which there is nothing to decide here: the
        function runs in order, in the thread that reads ahead of the training.
        """
        return Batches(lambda: (_call(map_func, item) for item in self), self._size)

    def filter(self, predicate: Callable, name: str | None = None) -> Batches:
        """The elements for which a function is true."""
        return Batches(lambda: (i for i in self if bool(_call(predicate, i))), UNKNOWN if self._size else 0)

    def shuffle(
        self,
        buffer_size: int,
        seed: int | None = None,
        reshuffle_each_iteration: bool | None = None,
        name: str | None = None,
    ) -> Batches:
        """The elements through a buffer from which they are drawn at random, as `tf.data` draws them."""
        seed = int(np.random.randint(2**31 - 1)) if seed is None else int(seed)
        same = reshuffle_each_iteration is False
        shuffle = Shuffle(buffer_size, seed)
        return Batches(lambda: (Shuffle(buffer_size, seed) if same else shuffle)(self._make()), self._size)

    def batch(
        self,
        batch_size: int,
        drop_remainder: bool = False,
        num_parallel_calls: Any = None,
        deterministic: bool | None = None,
        name: str | None = None,
    ) -> Batches:
        """Neighbouring elements stacked along a new first axis."""
        size = self._bounded(lambda n: n // batch_size if drop_remainder else -(-n // batch_size))
        return Batches(lambda: stacked(self._make(), batch_size, drop_remainder), size)

    def unbatch(self, name: str | None = None) -> Batches:
        """The rows of the elements, one by one."""

        def rows() -> Iterator[Any]:
            for item in self._make():
                leaves, form = jax.tree.flatten(item)
                yield from (jax.tree.unflatten(form, [x[i] for x in leaves]) for i in range(len(leaves[0])))

        return Batches(rows)

    def cache(self, filename: str = "", name: str | None = None) -> Batches:
        """The elements kept in memory after the first complete iteration.

        Raises:
            ValueError: for a file name; only memory is kept in.
        """
        if filename:
            raise ValueError("cache: elements are kept in memory only; leave `filename` away")
        kept: list[list[Any]] = []

        def read() -> Iterator[Any]:
            if not kept:
                items = []
                for item in self._make():
                    items.append(item)
                    yield item
                kept[:] = [items]
            else:
                yield from kept[0]

        return Batches(read, self._size)

    def prefetch(self, buffer_size: Any = None, name: str | None = None) -> Batches:
        """The dataset itself, names and all: `fit` reads ahead anyway."""
        return self

    def concatenate(self, dataset: Iterable[Any], name: str | None = None) -> Batches:
        """The elements, then those of another dataset."""
        other = int(dataset.cardinality()) if hasattr(dataset, "cardinality") else UNKNOWN
        size = INFINITE if INFINITE in (self._size, other) else UNKNOWN
        size = self._size + other if min(self._size, other) >= 0 else size
        return Batches(lambda: itertools.chain(self._make(), iter(dataset)), size)

    def enumerate(self, start: int = 0, name: str | None = None) -> Batches:
        """Pairs of a number and an element."""
        return Batches(lambda: ((np.int64(i), x) for i, x in enumerate(self._make(), start)), self._size)


def _call(function: Callable, item: Any) -> Any:
    return function(*item) if isinstance(item, tuple) else function(item)


def stacked(items: Iterator[Any], batch_size: int, drop_remainder: bool = False) -> Iterator[Any]:
    """Neighbouring items as arrays with a new first axis."""
    while batch := list(itertools.islice(items, batch_size)):
        if len(batch) < batch_size and drop_remainder:
            return
        yield jax.tree.map(lambda *parts: np.stack([np.asarray(p) for p in parts]), *batch)
