"""Initializers: immutable definitions, called as `initializer(key, shape, dtype)`.

An initializer with a `seed` draws from that seed (`[seed, 0]`, as Keras does) whatever key it is
given; without one, from the key. For fans, a kernel's last two axes are inputs and outputs, and
the axes before them the receptive field.
"""

from __future__ import annotations

import functools
import math
import re
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from kfun import ops, random
from kfun.definition import REGISTRY, Convert, Definition
from kfun.errors import nearest
from kfun.errors import unknown_names_of as _unknown_names_of
from kfun.ops._kinds import Kind, backend, default_kind, kind_of


class Initializer(Definition):
    """Base of initializers: a subclass gives `draw(key, shape, dtype)`, written on `kfun.ops`.

    With a key whose numbers are known, a backend that compiles each op has them drawn on the host:
    the numbers are the same, and there is nothing to compile for each shape.
    """

    holds_arrays = True  # values to begin with are what some give

    def draw(self, key, shape: tuple[int, ...], dtype: str):
        """An array of `shape` and `dtype`."""
        raise TypeError(f"{type(self).__name__} must define draw(key, shape, dtype)")

    def __call__(self, key, shape, dtype: str = "float32"):
        key = self._own_key(key)
        kind = kind_of((key,)) or default_kind()
        known = kind.host(key) if kind.host and dtype != "float64" else None
        if known is None:
            return self.draw(key, tuple(shape), dtype)
        return self.draw_known(kind, known, shape, dtype)

    def draw_known(self, kind: Kind, key: np.ndarray, shape: tuple[int, ...], dtype: str):
        """An array of a kind, with the numbers of a key that NumPy holds."""
        with backend("numpy"):
            drawn = self.draw(self._own_key(key), tuple(shape), dtype)
        return kind.convert(drawn)

    def _own_key(self, key):
        seed = getattr(self, "seed", None)
        return key if seed is None else np.array([seed & 0xFFFFFFFF, 0], np.uint32)


class Zeros(Initializer):
    """All 0."""

    def draw(self, key, shape, dtype):
        return ops.zeros(shape, dtype)


class Ones(Initializer):
    """All 1."""

    def draw(self, key, shape, dtype):
        return ops.ones(shape, dtype)


class Constant(Initializer):
    """All `value`, a number or an array that broadcasts to the shape."""

    value: Any = 0.0

    def draw(self, key, shape, dtype):
        return ops.cast(ops.broadcast_to(ops.convert_to_tensor(self.value), shape), dtype)


class Identity(Initializer):
    """The identity matrix times `gain`, for 2-d shapes."""

    gain: float = 1.0

    def draw(self, key, shape, dtype):
        if len(shape) != 2:
            raise ValueError(f"Identity makes matrices; received shape {shape}")
        return ops.multiply(ops.eye(*shape, dtype=dtype), self.gain)


class RandomNormal(Initializer):
    """Normal with the given mean and standard deviation."""

    mean: float = 0.0
    stddev: float = 0.05
    seed: int | None = None

    def draw(self, key, shape, dtype):
        return ops.add(ops.multiply(random.normal(key, shape, dtype), self.stddev), self.mean)


class TruncatedNormal(Initializer):
    """Normal, redrawn beyond two standard deviations from the mean."""

    mean: float = 0.0
    stddev: float = 0.05
    seed: int | None = None

    def draw(self, key, shape, dtype):
        return ops.add(ops.multiply(random.truncated_normal(key, shape, dtype), self.stddev), self.mean)


class RandomUniform(Initializer):
    """Uniform in `[minval, maxval)`."""

    minval: float = -0.05
    maxval: float = 0.05
    seed: int | None = None

    def draw(self, key, shape, dtype):
        return random.uniform(key, shape, dtype, self.minval, self.maxval)


class VarianceScaling(Initializer):
    """Random with variance `scale / n`, n the mean, input or output fan (He et al. 2015, arXiv:1502.01852).

    Args:
        scale: positive.
        mode: `"fan_in"`, `"fan_out"` or `"fan_avg"`.
        distribution: `"truncated_normal"`, `"untruncated_normal"` or `"uniform"`.
        seed: an int, or None to draw from the key.
        input_axes, output_axes: the axes whose sizes multiply to the input and to the output fan; both or
            neither. By default the last two, and the receptive field before them counts for both.
    """

    scale: float = 1.0
    mode: str = "fan_in"
    distribution: str = "truncated_normal"
    seed: int | None = None
    input_axes: tuple[int, ...] | None = None
    output_axes: tuple[int, ...] | None = None

    def check(self):
        _check_axes(self)
        if self.scale <= 0:
            raise ValueError(f"expected a positive `scale`; received {self.scale}")
        modes, distributions = ("fan_in", "fan_out", "fan_avg"), ("truncated_normal", "untruncated_normal", "uniform")
        if self.mode not in modes:
            raise ValueError(f"unknown mode {self.mode!r}; expected one of {modes}")
        if self.distribution not in distributions:
            raise ValueError(f"unknown distribution {self.distribution!r}; expected one of {distributions}")

    def draw(self, key, shape, dtype):
        fan_in, fan_out = fans(shape, self.input_axes, self.output_axes)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, n)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return random.uniform(key, shape, dtype, -limit, limit)
        if self.distribution == "untruncated_normal":
            return ops.multiply(random.normal(key, shape, dtype), math.sqrt(variance))
        # The constant is the standard deviation of a standard normal cut at two.
        return ops.multiply(random.truncated_normal(key, shape, dtype), math.sqrt(variance) / 0.87962566103423978)


def _check_axes(initializer: Any) -> None:
    if (initializer.input_axes is None) != (initializer.output_axes is None):
        raise ValueError(
            f"{type(initializer).__name__}: expected both of input_axes and output_axes or neither; received "
            f"{initializer.input_axes} and {initializer.output_axes}"
        )


def fans(shape: tuple[int, ...], input_axes: Any = None, output_axes: Any = None) -> tuple[int, int]:
    """Input and output fan of a weight of this shape; of given axes the products of their sizes.

    Raises:
        ValueError: if the shape has no such axis.
    """
    if input_axes is not None and output_axes is not None:
        if any(not -len(shape) <= axis < len(shape) for axis in (*input_axes, *output_axes)):
            raise ValueError(f"input_axes {input_axes} and output_axes {output_axes} are not all axes of {shape}")
        return math.prod(shape[a] for a in input_axes), math.prod(shape[a] for a in output_axes)
    if len(shape) < 2:
        n = shape[0] if shape else 1
        return n, n
    field = math.prod(shape[:-2])
    return shape[-2] * field, shape[-1] * field


def _scaled(name: str, doc: str, scale: float, mode: str, distribution: str) -> type[Initializer]:
    """A named case of `VarianceScaling`: its fields are the seed and the axes of the fans."""
    axes = "tuple[int, ...] | None"
    body = {
        "__annotations__": {"seed": "int | None", "input_axes": axes, "output_axes": axes},
        "seed": None,
        "input_axes": None,
        "output_axes": None,
        "scale": scale,
        "mode": mode,
        "distribution": distribution,
        "check": _check_axes,
        "draw": VarianceScaling.draw,
        "__doc__": doc,
        "__module__": __name__,
    }
    return type(name, (Initializer,), body)


GlorotUniform = _scaled("GlorotUniform", "Uniform by the mean fan (Glorot & Bengio 2010).", 1.0, "fan_avg", "uniform")
GlorotNormal = _scaled(
    "GlorotNormal", "Truncated normal by the mean fan (Glorot & Bengio 2010).", 1.0, "fan_avg", "truncated_normal"
)
HeUniform = _scaled("HeUniform", "Uniform by the input fan, scale 2 (arXiv:1502.01852).", 2.0, "fan_in", "uniform")
HeNormal = _scaled(
    "HeNormal", "Truncated normal by the input fan, scale 2 (arXiv:1502.01852).", 2.0, "fan_in", "truncated_normal"
)
LecunUniform = _scaled("LecunUniform", "Uniform by the input fan (LeCun et al. 1998).", 1.0, "fan_in", "uniform")
LecunNormal = _scaled(
    "LecunNormal", "Truncated normal by the input fan (LeCun et al. 1998).", 1.0, "fan_in", "truncated_normal"
)


class Orthogonal(Initializer):
    """A random orthogonal matrix times `gain`, leading axes taken flat (Saxe et al. 2013, arXiv:1312.6120)."""

    gain: float = 1.0
    seed: int | None = None

    def draw(self, key, shape, dtype):
        if len(shape) < 2:
            raise ValueError(f"Orthogonal needs at least 2 axes; received shape {shape}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        drawn = "float64" if dtype == "float64" else "float32"
        normal = random.normal(key, (max(rows, columns), min(rows, columns)), drawn)
        q, r = ops.qr(normal)
        q = ops.multiply(q, ops.sign(ops.einsum("ii->i", r)))
        q = ops.transpose(q) if rows < columns else q
        return ops.cast(ops.multiply(ops.reshape(q, shape), self.gain), dtype)


class STFT(Initializer):
    """A kernel that computes one part of a short-time Fourier transform as a convolution.

    For the shape `(frame, 1, bins)` it is `window[t] * cos(2 pi t k / n)`, or minus the sine, with
    t < frame, k < bins and `n = 2 (bins - 1)`.

    Args:
        side: `"real"` or `"imag"`.
        window: the name of one of `scipy.signal.get_window`, its values `[frame]`, or None for none.
        scaling: `"density"` divides by the window's Euclidean norm, `"spectrum"` by its sum, None by 1;
            without a window by 1 in any case.
        periodic: whether a named window is periodic, else symmetric.

    Raises:
        ValueError: for an unknown side, window or scaling, a shape of another rank, or window values of
            another number than frames.
    """

    side: str = "real"
    window: Any = "hann"
    scaling: str | None = "density"
    periodic: bool = False

    def check(self):
        if self.side not in ("real", "imag"):
            raise ValueError(f"STFT: expected side 'real' or 'imag'; received {self.side!r}")
        if self.scaling not in ("density", "spectrum", None):
            raise ValueError(f"STFT: expected scaling 'density', 'spectrum' or None; received {self.scaling!r}")
        if isinstance(self.window, str):
            self._window(1)  # raises for an unknown name

    def _window(self, frame: int) -> np.ndarray:
        if isinstance(self.window, str):
            from scipy.signal import get_window

            return np.asarray(get_window(self.window, frame, self.periodic))
        values = np.asarray(self.window, "float64")
        if values.shape != (frame,):
            raise ValueError(f"STFT: expected a window of shape ({frame},), a value a frame; received {values.shape}")
        return values

    def draw(self, key, shape, dtype):
        if len(shape) != 3:
            raise ValueError(f"STFT makes kernels of shape (frame, 1, bins); received shape {shape}")
        frame, _, bins = shape
        angles = np.arange(frame)[:, None] * np.arange(bins) * (2 * math.pi / max(2 * (bins - 1), 1))
        waves = np.cos(angles) if self.side == "real" else -np.sin(angles)  # [frame, bins]
        if self.window is not None:
            window = self._window(frame)
            scale = {"density": np.linalg.norm(window), "spectrum": window.sum(), None: 1.0}[self.scaling]
            waves = waves * (window / scale)[:, None]
        kernel = np.broadcast_to(waves[:, None], shape)
        return ops.cast(ops.convert_to_tensor(kernel.astype("float64" if dtype == "float64" else "float32")), dtype)


class Stacked(Initializer):
    """`n` independent draws of another initializer along a new leading axis.

    Raises:
        ValueError: if that one says, by its `same_draws`, that they would all be one value that was given to it.
    """

    initializer: Any
    n: int

    def draw(self, key, shape, dtype):
        refusal = getattr(self.initializer, "same_draws", None)
        if refusal and self.n > 1:
            raise ValueError(refusal)
        keys = random.split(key, self.n)
        return ops.stack([self.initializer(ops.getitem(keys, i), shape[1:], dtype) for i in range(self.n)])


@functools.lru_cache(1)  # a network asks for each of its weights, and seldom defines an initializer in between
def _names(registered: tuple[type[Definition], ...]) -> dict[str, type[Initializer]]:
    hidden = (Initializer, Stacked)
    own = {c.__name__: c for c in registered if issubclass(c, Initializer) and c not in hidden and c.__name__[0] != "_"}
    snake = {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", n).lower(): c for n, c in own.items()}
    return own | snake | {"normal": RandomNormal, "uniform": RandomUniform, "zero": Zeros, "one": Ones}


def get(identifier: Any) -> Any:
    """The initializer for a name, an initializer, a class, its JSON, or a function `(shape, dtype)`.

    Raises:
        ValueError: if no initializer has that name.
        TypeError: if `identifier` is none of these.
    """
    if isinstance(identifier, str):
        names = _names((*REGISTRY.values(),))
        if identifier not in names:
            raise ValueError(f"unknown initializer {identifier!r}; {nearest(identifier, names)}")
        return names[identifier]()
    if isinstance(identifier, type) and issubclass(identifier, Initializer):
        return identifier()
    if callable(identifier):
        return identifier
    raise TypeError(f"expected the name of an initializer or an initializer; received {identifier!r}")


InitializerField = Annotated[Any, Convert(get)]


if not TYPE_CHECKING:  # a type checker tells of unknown names itself
    __getattr__ = _unknown_names_of(globals())
