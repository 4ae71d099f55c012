"""Random numbers on NumPy."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from kfun.backends.numpy.arrays import native, quiet


def split_each(keys, num=2):
    words = threefry(keys.T[:, :, None], np.uint32(0), np.arange(num, dtype=np.uint32))
    return np.stack(words, -1)


_DISTANCES = ((13, 15, 26, 6), (17, 29, 16, 24))
_BLOCK = 2**14  # words that are enciphered at once: they stay in the processor's cache
# Of each round: how far to the left, and to the right. Arrays, which shifts take faster than numbers.
_ROTATIONS = [[(np.array(r, np.uint32), np.array(32 - r, np.uint32)) for r in four] for four in _DISTANCES]


def threefry(key, x0, x1):
    """The two words that the block cipher makes of counters, uint32 arrays of any shape."""
    k0, k1 = (np.uint32(k) for k in key)
    schedule = (k0, k1, k0 ^ k1 ^ np.uint32(0x1BD11BDA))
    shape = np.broadcast_shapes(np.shape(x0), np.shape(x1), np.shape(k0))
    # All that follows is in place: in small draws, the making of arrays is most of the time.
    x0, x1 = np.add(x0, k0, out=np.empty(shape, np.uint32)), np.add(x1, k1, out=np.empty(shape, np.uint32))
    high = np.empty(shape, np.uint32)
    for block in range(5):
        for left, right in _ROTATIONS[block % 2]:
            np.add(x0, x1, out=x0)
            np.left_shift(x1, left, out=high)
            np.right_shift(x1, right, out=x1)
            np.bitwise_or(x1, high, out=x1)
            np.bitwise_xor(x1, x0, out=x1)
        np.add(x0, schedule[(block + 1) % 3], out=x0)
        np.add(x1, schedule[(block + 2) % 3], out=x1)
        np.add(x1, np.uint32(block + 1), out=x1)
    return x0, x1


def _words(key, shape):
    """Both words for the counters 0, 1, ... of an array of `shape`."""
    if key.dtype != np.uint32 or key.shape != (2,):
        raise TypeError(
            f"expected one key, uint32 of shape (2,); received {key.dtype} of shape {key.shape}. "
            "Make one with kfun.random.key; map over several with vmap."
        )
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    size = math.prod(shape)
    words = np.empty((2, size), np.uint32)
    for start in range(0, size, _BLOCK):
        # A block does not reach over a multiple of 2^32, so that its counters have one high word.
        high, low = divmod(start, 2**32)
        counter = np.arange(min(_BLOCK, size - start), dtype=np.uint32) + np.uint32(low)
        words[:, start : start + _BLOCK] = threefry(key, np.uint32(high), counter)
    return words.reshape(2, *shape)


def bits(key, shape=(), width=32):
    high, low = _words(key, shape)
    if width == 64:
        return high.astype(np.uint64) << np.uint64(32) | low
    return np.asarray(high ^ low).astype(f"uint{width}")


def split(key, num=2):
    return np.stack(_words(key, num), -1)


def fold_in(key, data):
    return np.stack(threefry(key, np.uint32(0), np.uint32(int(data) & 0xFFFFFFFF)))


def uniform(key, shape=(), dtype="float32", minval=0.0, maxval=1.0):
    """Random mantissas of floats in [1, 2), less 1; float64 as on JAX with x64."""
    drawn = np.dtype(native(dtype))
    size, mantissa = (8 * drawn.itemsize, {"float64": 52, "float32": 23, "float16": 10, "bfloat16": 7}[drawn.name])
    width = 8 if mantissa < 8 else size
    whole = np.dtype(f"uint{size}")
    one = np.ones((), drawn).view(whole)
    floats = ((bits(key, shape, width).astype(whole) >> whole.type(width - mantissa)) | one).view(drawn)
    low, high = np.asarray(minval).astype(drawn), np.asarray(maxval).astype(drawn)
    floats = (floats - drawn.type(1)).astype(drawn)
    if size == 32:  # one fused operation, rounded once: what compilers make of it
        floats = floats.astype(np.float64)
    return np.maximum(low, (floats * (high - low) + low).astype(drawn))


def normal(key, shape=(), dtype="float32"):
    drawn = np.dtype(native(dtype))
    low = np.nextafter(drawn.type(-1), drawn.type(0))
    return _from_uniform(uniform(key, shape, drawn, low, 1.0))


def _from_uniform(u):
    """`sqrt(2) * erfinv(u)`."""
    wide = u if u.dtype == np.float64 else u.astype(np.float32)
    return (np.sqrt(wide.dtype.type(2)) * special.erfinv(wide)).astype(u.dtype)


def truncated_normal(key, shape=(), dtype="float32", lower=-2.0, upper=2.0):
    drawn = np.dtype(native(dtype))
    wide = np.float64 if drawn == np.float64 else np.float32
    low, high = drawn.type(lower), drawn.type(upper)
    ends = [special.erf(wide(b) / np.sqrt(wide(2))) for b in (low, high)]
    out = _from_uniform(uniform(key, shape, drawn, *ends))
    inside = np.nextafter(low, drawn.type(np.inf)), np.nextafter(high, drawn.type(-np.inf))
    return np.clip(out, *inside).astype(drawn)


def randint(key, shape, minval, maxval, dtype="int32"):
    """Two random words modulo the span of the range, in the arithmetic of one: 32 bits, 64 for 64-bit types."""
    target = np.dtype(native(dtype))
    info, width = np.iinfo(target), max(32, 8 * target.itemsize)
    low, high = (int(np.clip(int(bound), info.min, info.max + 1)) for bound in (minval, maxval))
    span = np.uint64(max(high - low, 1) % 2**64)  # of an empty range, minval; 0 stands for all 2**64 numbers
    word = np.uint64(2**width - 1)
    upper, lower = (bits(k, shape, width).astype(np.uint64) for k in split(key))
    if span:
        factor = np.uint64(2 ** (width // 2)) % span
        factor = (factor * factor & word) % span
        lower = (((upper % span) * factor & word) + lower % span & word) % span
    return (np.uint64(low % 2**64) + lower).astype(target)


def permutation(key, n):
    """Sorts by random words, so often that two elements are unlikely to meet equal words every time."""
    order = np.arange(n, dtype=np.int32)
    for _ in range(math.ceil(3 * math.log(max(1, n)) / math.log(2**32 - 1))):
        key, used = split(key)
        order = order[np.argsort(bits(used, (n,)), kind="stable")]
    return order


RULES = {
    "random_split_each": split_each,
    "random_bits": quiet(lambda key, shape=(): bits(key, shape)),
    "random_split": quiet(split),
    "random_fold_in": quiet(fold_in),
    "random_uniform": quiet(uniform),
    "random_normal": quiet(normal),
    "random_truncated_normal": quiet(truncated_normal),
    "random_randint": quiet(randint),
    "random_permutation": quiet(permutation),
}
