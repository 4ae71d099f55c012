"""Feeds of what `fit`, `evaluate` and `predict` are given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from kfun import ops
from kfun.spec import Spec
from kfun.training import ArrayFeed, StreamFeed
from kfun.training.feed import check_lengths


def unpack(batch: Any) -> tuple[Any, Any, Any]:
    """`(x, y, sample_weight)` of a batch; what is missing is None."""
    if isinstance(batch, list):
        batch = tuple(batch)
    if not isinstance(batch, tuple):
        return batch, None, None
    if not 1 <= len(batch) <= 3:
        raise ValueError(f"a batch is x, (x, y) or (x, y, sample_weight); received {len(batch)} parts")
    return (*batch, None, None)[:3]


def as_arrays(tree: Any, what: str) -> Any:
    """Arrays of any library as NumPy or JAX arrays, in their structure; lists of numbers as arrays.

    float64 becomes float32 and int64 stays, as in Keras.
    """
    if tree is None:
        return None
    if isinstance(tree, dict):
        return {k: as_arrays(v, f"{what}[{k!r}]") for k, v in tree.items()}
    if isinstance(tree, (list, tuple)) and any(hasattr(v, "shape") or isinstance(v, dict) for v in tree):
        return type(tree)(as_arrays(v, f"{what}[{i}]") for i, v in enumerate(tree))
    return _array(tree, what)


def _array(x: Any, what: str) -> Any:
    if isinstance(x, jax.Array):
        return x
    if hasattr(x, "detach"):
        x = x.detach().cpu()
    if type(x).__module__.partition(".")[0] in ("pandas", "polars"):
        x = x.to_numpy()
        x = x[:, None] if x.ndim == 1 and what.startswith("x") else x
    x = np.asarray(x)
    if x.dtype == np.float64:
        x = x.astype(np.float32)
    if x.dtype.kind not in "fiubV" or (x.dtype.kind == "V" and x.dtype.names):
        raise ValueError(
            f"{what} has dtype {x.dtype}: expected numbers. Encode strings and objects first, e.g. with a "
            "StringLookup layer, and make ragged rows equally long with pad_sequences."
        )
    if x.ndim == 0:
        raise ValueError(f"{what} is a scalar; expected an array with one row per example")
    return x


class Feed:
    """An `ArrayFeed` or `StreamFeed` that also tells the specs of its batches."""

    def __init__(self, inner: Any, first: Any, steps: int | None):
        self.inner, self.first, self.steps = inner, first, steps

    def groups(self, size: int) -> Any:
        """The epoch's groups of up to `size` batches."""
        return self.inner.groups(size)

    def check(self, look: Callable[[Any], None]) -> None:
        """Calls `look` with all data in memory now, or with each batch of a stream when it comes."""
        if isinstance(self.inner, ArrayFeed):
            look(self.inner.data)
        else:
            self.inner.look = look

    def specs(self) -> Any:
        """A batch of specs, the batch axis None."""
        return jax.tree.map(lambda x: Spec((None, *x.shape[1:]), x.dtype), self.first)

    def batch(self) -> Any:
        """The first batch."""
        return self.first


def make_feed(
    x: Any,
    y: Any,
    sample_weight: Any,
    batch_size: int | None,
    shuffle: Any,
    class_weight: dict | None,
    steps: int | None,
    method: str,
) -> Feed:
    """The feed of a method's arguments.

    Raises:
        ValueError: if arrays differ in length or are empty, or arguments do not go together.
    """
    if x is None:
        raise ValueError(f"{method}: no data; pass arrays `x`, or an iterable of batches")
    if is_iterable_of_batches(x):
        if y is not None or sample_weight is not None:
            raise ValueError(f"{method}: `x` is an iterable of batches, so y and sample_weight must be in its batches")
        return stream_feed(x, class_weight, steps)
    parts = as_arrays(x, "x"), as_arrays(y, "y"), as_arrays(sample_weight, "sample_weight")
    parts = with_class_weight(parts, class_weight)
    check_lengths(parts)
    order = np.random.permutation if shuffle else None
    inner = ArrayFeed(_trimmed(parts), batch_size or 32, order, steps)
    first = jax.tree.map(lambda a: a[: min(inner.batch_size, inner.rows)], _trimmed(parts))
    return Feed(inner, first, inner.steps)


def _trimmed(parts: tuple) -> tuple:
    """A batch tuple without the Nones at its end."""
    while len(parts) > 1 and parts[-1] is None:
        parts = parts[:-1]
    return parts


def with_class_weight(parts: tuple, class_weight: dict | None) -> tuple:
    """The batch parts with class weights multiplied into the sample weights."""
    x, y, weight = parts
    if class_weight is None:
        return parts
    if y is None or isinstance(y, (dict, list, tuple)):
        raise ValueError("class_weight needs one target array `y`; for several outputs pass sample_weight")
    labels = np.asarray(y)
    labels = labels.argmax(-1) if labels.ndim > 1 and labels.shape[-1] > 1 else labels.reshape(len(labels))
    weights = np.ones(len(labels), np.float32)
    for label, value in class_weight.items():
        weights[labels.round().astype("int64") == int(label)] = value
    return x, y, weights if weight is None else np.asarray(weight) * weights


def is_iterable_of_batches(x: Any) -> bool:
    """Whether `x` gives batches (a generator, loader, dataset) rather than being an array or a tree of them."""
    if isinstance(x, (np.ndarray, jax.Array, list, tuple, dict)) or hasattr(x, "shape"):
        return False
    return hasattr(x, "__iter__") or hasattr(x, "__next__") or (hasattr(x, "__getitem__") and hasattr(x, "__len__"))


def stream_feed(source: Any, class_weight: dict | None, steps: int | None) -> Feed:
    """A feed of an iterable of batches; an iterator goes on from epoch to epoch."""
    once = hasattr(source, "__next__")
    iterator = iter(_batches(source)) if once else None
    first = next(iterator if iterator is not None else iter(_batches(source)), None)
    if first is None:
        raise ValueError("the data gave no batch: an epoch needs at least one example")
    waiting = [first] if once else []

    def begin() -> Any:
        if iterator is None:
            return map(clean, _batches(source))
        return map(clean, _rest(waiting, iterator))

    def clean(batch: Any) -> Any:
        x, y, weight = unpack(batch)
        parts = as_arrays(x, "x"), as_arrays(y, "y"), as_arrays(weight, "sample_weight")
        return _trimmed(with_class_weight(parts, class_weight))

    known = steps if steps is not None else (len(source) if hasattr(source, "__len__") else None)
    return Feed(StreamFeed(begin, steps), clean(first), known)


def _rest(waiting: list, iterator: Any) -> Any:
    while waiting:
        yield waiting.pop()
    for batch in iterator:  # noqa: UP028 - `yield from` would close the user's generator with this one
        yield batch


def _batches(source: Any) -> Any:
    if hasattr(source, "__iter__") or hasattr(source, "__next__"):
        return source
    return (source[i] for i in range(len(source)))


def validation_feed(validation: Any, batch_size: int | None, steps: int | None) -> Feed:
    """The feed of `validation_data`."""
    if isinstance(validation, (tuple, list)):
        x, y, weight = unpack(validation)
        return make_feed(x, y, weight, batch_size, False, None, steps, "validation")
    return make_feed(validation, None, None, batch_size, False, None, steps, "validation")


def split(x: Any, y: Any, sample_weight: Any, share: float) -> tuple[tuple, tuple]:
    """Takes the last rows off to validate on."""
    if not 0 < share < 1:
        raise ValueError(f"validation_split: expected a share between 0 and 1; received {share}")
    if is_iterable_of_batches(x):
        raise ValueError("validation_split needs arrays; for an iterable of batches pass validation_data")
    parts = as_arrays(x, "x"), as_arrays(y, "y"), as_arrays(sample_weight, "sample_weight")
    rows = check_lengths(parts)
    cut = int(np.floor(rows * (1.0 - share)))
    if cut == 0 or cut == rows:
        raise ValueError(f"validation_split={share} of {rows} rows leaves nothing to train or to validate on")
    head, tail = (jax.tree.map(lambda a, s=s: a[s], parts) for s in (slice(0, cut), slice(cut, None)))
    return head, tail


def one_batch(x: Any, y: Any, sample_weight: Any, class_weight: dict | None) -> Feed:
    """A feed of the one batch that is given."""
    parts = as_arrays(x, "x"), as_arrays(y, "y"), as_arrays(sample_weight, "sample_weight")
    parts = _trimmed(with_class_weight(parts, class_weight))
    rows = check_lengths(parts)
    return Feed(ArrayFeed(parts, rows), jax.tree.map(ops.convert_to_tensor, parts), 1)
