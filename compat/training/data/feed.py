"""`Feed`: the batches of one call of `fit`, `evaluate` or `predict`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np

from compat.state.policy import floatx
from compat.training.data.arrays import as_arrays
from compat.training.data.class_weight import ClassWeight
from compat.training.data.parts import converted, pack, unpack, with_class_weight
from compat.training.data.sources import Source, source_of
from compat.training.data.sources.py_dataset import is_py_dataset
from kfun.spec import Spec
from kfun.training import ArrayFeed, StreamFeed
from kfun.training.feed import Group, check_lengths


class Feed:
    """An `ArrayFeed` or `StreamFeed` that also tells the specs of its batches.

    Args:
        inner: the feed that is run.
        steps: batches of an epoch, None if unknown.
        peek: takes the first batch, and from random numbers what Keras takes for it.
        source: whose hooks are called around an epoch.
    """

    def __init__(self, inner: Any, steps: int | None, peek: Callable[[], Any], source: Source | None = None):
        self.inner, self.steps = inner, steps
        self._peek, self._source = peek, source or Source()
        self._first: Any = None
        self._looked = False
        self._used = 0  # batches since the data began anew

    def groups(self, size: int) -> Iterator[Group]:
        """The epoch's groups of up to `size` batches; warns if the data end before the steps do."""
        if self._begins_anew:
            self._used = 0
        if self._looked:  # as Keras does, the iteration that was looked at ends, and another one begins
            self.reset()
        self._source.begin_epoch()
        for group in self.inner.groups(size):
            self._used += group.count
            yield group
        self._source.end_epoch()
        if self.inner.short:
            warnings.warn(
                f"the data ended before the {self.steps} steps that were asked for; pass data that repeat, or fewer "
                "steps",
                stacklevel=2,
            )

    @property
    def coming(self) -> int | None:
        """Batches of the next epoch, which may be fewer than `steps`; None if unknown."""
        whole, steps = self._whole, self.steps if self.inner.steps is None else self.inner.steps
        if whole is None or steps is None:
            return steps
        return min(steps, whole - (0 if self._begins_anew else self._used))

    @property
    def _whole(self) -> int | None:
        return self.inner.whole if isinstance(self.inner, ArrayFeed) else self._source.steps

    @property
    def _begins_anew(self) -> bool:
        resumes = self.inner.resumes if isinstance(self.inner, ArrayFeed) else self.inner.steps is not None
        ended = self._whole is not None and self._used >= self._whole
        return self._looked or not resumes or self.inner.short or ended

    def reset(self) -> None:
        """Lets the next epoch begin with the first batch."""
        self._looked, self._used = False, 0
        self.inner.reset()
        self._source.end_epoch()

    def check(self, look: Callable[[Any], None]) -> None:
        """Calls `look` with all data in memory now, or with each batch of a stream when it comes."""
        if isinstance(self.inner, ArrayFeed):
            look(self.inner.data)
        else:
            self.inner.look = look
            if self._first is not None:
                look(self._first)

    def specs(self) -> Any:
        """A batch of specs, the batch axis None."""
        return specs_of(self.batch())

    def batch(self) -> Any:
        """The first batch."""
        if self._first is None:
            self._first, self._looked = self._peek(), True
        return self._first


def specs_of(batch: Any) -> Any:
    """The specs of a batch, the batch axis None."""
    return jax.tree.map(lambda x: Spec((None, *x.shape[1:]), x.dtype), batch)


def make_feed(
    x: Any,
    y: Any,
    sample_weight: Any,
    batch_size: int | None,
    shuffle: Any,
    class_weight: ClassWeight | None,
    steps: int | None,
    method: str,
) -> Feed:
    """The feed of a method's arguments.

    Raises:
        ValueError: if arrays differ in length or are empty, or arguments do not go together.
    """
    if x is None:
        raise ValueError(f"{method}: no data; pass arrays `x`, or an iterable of batches")
    if steps is not None and (isinstance(steps, bool) or int(steps) != steps or steps < 1):
        raise ValueError(f"{method}: expected a positive number of steps; received {steps!r}")
    if is_iterable_of_batches(x):
        source = source_of(x, batch_size, shuffle)
        for name, value in (("y", y), ("sample_weight", sample_weight)):
            if value is not None:
                raise ValueError(f"{method}: `x` is {source.kind}, so {name} must be in its batches")
        return stream_feed(source, class_weight, steps, method)
    parts = _parts(x, y, sample_weight)
    check_lengths(parts)
    batch = pack(*with_class_weight(parts, class_weight))
    size = 32 if batch_size is None else batch_size
    order = _batch_order(size) if shuffle == "batch" else np.random.permutation if shuffle else None
    inner = ArrayFeed(batch, size, order, steps)

    def peek() -> Any:
        if inner.order is not None:  # Keras shuffles once more to look at the first batch
            inner.order(min(size, inner.rows) if shuffle == "batch" else inner.rows)
        return jax.tree.map(lambda a: a[: min(size, inner.rows)], batch)

    return Feed(inner, inner.steps, peek)


def _parts(x: Any, y: Any, sample_weight: Any) -> tuple:
    return tuple(as_arrays(a, n, floatx()) for a, n in ((x, "x"), (y, "y"), (sample_weight, "sample_weight")))


def _batch_order(size: int) -> Callable[[int], np.ndarray]:
    """An order that keeps rows in their batch and shuffles them there."""

    def order(rows: int) -> np.ndarray:
        return np.concatenate([i + np.random.permutation(min(size, rows - i)) for i in range(0, rows, size)])

    return order


def is_iterable_of_batches(x: Any) -> bool:
    """Whether `x` gives batches (a generator, loader, dataset) rather than being an array or a tree of them."""
    if type(x).__module__.partition(".")[0] == "datasets" and hasattr(x, "column_names"):
        return True  # though it has a shape, or is a dict of such
    if is_py_dataset(x):
        return True  # one that tells `num_batches` has no length
    if isinstance(x, (np.ndarray, jax.Array, list, tuple, dict)):
        return False
    if hasattr(x, "shape") or hasattr(x, "__array__") or isinstance(x, Mapping):
        return False
    return hasattr(x, "__iter__") or hasattr(x, "__next__") or (hasattr(x, "__getitem__") and hasattr(x, "__len__"))


def stream_feed(source: Source, class_weight: ClassWeight | None, steps: int | None, method: str) -> Feed:
    """A feed of a source of batches.

    Raises:
        ValueError: if the source never ends and there is no number of steps.
    """
    if source.endless and steps is None:
        name = {"fit": "steps_per_epoch", "validation": "validation_steps"}.get(method, "steps")
        raise ValueError(f"{method}: {source.kind} never ends here: say how many batches to take with `{name}`")

    def batches() -> Iterator[Any]:
        for number, batch in enumerate(source.batches()):
            yield _clean(batch, class_weight, f"batch {number}: ")

    def peek() -> Any:
        first = source.first()
        if first is None:
            raise ValueError("the data gave no batch: an epoch needs at least one example")
        return _clean(first, class_weight, "batch 0: ")

    inner = StreamFeed(batches, steps, source.ahead)
    return Feed(inner, source.steps if steps is None else int(steps), peek, source)


def _clean(batch: Any, class_weight: ClassWeight | None, what: str) -> Any:
    x, y, weight = unpack(batch)
    try:
        parts = as_arrays(x, "x"), as_arrays(y, "y"), as_arrays(weight, "sample_weight")
        x, y, weight = with_class_weight(parts, class_weight)
    except ValueError as error:
        raise ValueError(f"{what}{error}") from error
    check_lengths((x, y, weight), what)
    wrapped = isinstance(batch, (tuple, list)) and y is None and weight is None
    return (x,) if wrapped else pack(x, y, weight)


def validation_feed(validation: Any, batch_size: int | None, steps: int | None) -> Feed:
    """The feed of `validation_data`."""
    if hasattr(validation, "shape") and hasattr(validation, "dtype"):
        raise ValueError(
            f"validation_data: expected (x, y), (x, y, sample_weight) or an iterable of batches; received one array of "
            f"shape {tuple(validation.shape)}"
        )
    if isinstance(validation, (tuple, list)):
        x, y, weight = unpack(validation)
        return make_feed(x, y, weight, batch_size, False, None, steps, "validation")
    return make_feed(validation, None, None, batch_size, False, None, steps, "validation")


def split(x: Any, y: Any, sample_weight: Any, share: float) -> tuple[tuple, tuple]:
    """Takes the last rows off to validate on.

    Raises:
        ValueError: if the share is not between 0 and 1, leaves no rows on a side, or x is no array.
    """
    if not 0 < share < 1:
        raise ValueError(f"validation_split: expected a share between 0 and 1; received {share}")
    if is_iterable_of_batches(x):
        raise ValueError("validation_split needs arrays; for an iterable of batches pass validation_data")
    parts = _parts(x, y, sample_weight)
    rows = check_lengths(parts)
    cut = int(np.floor(rows * (1.0 - share)))
    if cut == 0 or cut == rows:
        raise ValueError(f"validation_split={share} of {rows} rows leaves nothing to train or to validate on")
    head, tail = (jax.tree.map(lambda a, s=s: a[s], parts) for s in (slice(0, cut), slice(cut, None)))
    return head, tail


def one_batch(x: Any, y: Any, sample_weight: Any, class_weight: ClassWeight | None) -> Feed:
    """A feed of the one batch that is given; as in Keras a tuple of three, with None for what is missing."""
    parts = _parts(x, y, sample_weight)
    rows = check_lengths(parts)
    parts = with_class_weight(parts, class_weight)
    dense = jax.tree.map(lambda a: np.asarray(a) if hasattr(a, "matrix") else a, parts)
    return Feed(ArrayFeed(dense, rows), 1, lambda: converted(dense))
