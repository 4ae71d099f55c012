"""The invariants of ops, as assertions to which a new op or a new backend can be held."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from kfun import dtypes, ops
from kfun.ops import _kinds
from kfun.ops._kinds import Kind, kind_named

_FRAMEWORKS = {name: name for name in ("jax", "numpy", "torch", "tensorflow", "openvino")} | {"onnx": "onnx_ir"}
_NARROW = {"float64": "float32", "int64": "int32", "uint64": "uint32", "complex128": "complex64"}
_STEP = 1e-5  # of the central differences, in float64


def installed_backends() -> tuple[str, ...]:
    """Names of the backends that can be used here: built-in ones whose framework is installed, and third parties'."""
    found = [
        name
        for name, framework in _FRAMEWORKS.items()
        if importlib.util.find_spec(framework) and importlib.util.find_spec(f"kfun.backends.{name}")
    ]
    return (*found, *_kinds._third_party())


def check_op(
    op: Callable,
    *args: Any,
    kwargs: dict[str, Any] | None = None,
    reference: Any = None,
    dtype: str | None = None,
    rtol: float = 1e-5,
    atol: float = 1e-6,
    grad: bool | Sequence[int] = True,
    gradient_tolerance: float = 1e-4,
    jit: bool | Collection[str] = True,
    vmap: bool | Collection[str] = True,
    backends: Sequence[str] | None = None,
) -> None:
    """Checks an op against a reference on each backend: value, shape, dtype, jit, vmap, gradient.

    Every NumPy array among the arguments, also inside lists, tuples and dicts, becomes an array
    of the backend; all else is passed as it is. A property whose transformation a backend does
    not have (plain NumPy has no gradient) is not checked there.

    Args:
        op: a public op, or any function of arrays that is written on `kfun.ops`.
        args: its positional arguments.
        kwargs: its keyword arguments.
        reference: a function of the same arguments on NumPy arrays, or its results; JAX's results if None.
        dtype: of every result; by default that of the reference, 64 bits taken as 32 unless an argument has 64.
        rtol: relative tolerance of values.
        atol: absolute tolerance of values.
        grad: whether to check gradients with respect to all floating arrays, or which arrays (counted
            in the order of the arguments). Compared in float64 with central differences, and with JAX's gradient.
        gradient_tolerance: relative tolerance of gradients.
        jit: whether to compare the compiled op with the eager one, or on which backends. On Torch a
            compilation takes seconds.
        vmap: whether to compare the vectorized op with a loop, or on which backends.
        backends: names; all that are installed by default.

    Raises:
        AssertionError: naming op, backend, property, and the greatest difference.

    Example:
        >>> import numpy as np
        >>> from kfun import ops
        >>> check_op(ops.exp, np.float32([[0.0, 1.0]]), reference=np.exp, backends=("jax",))
    """
    call = _Call(op, args, kwargs or {}, bool(jit))
    if reference is None:
        expected = [value for value, _ in _evaluate(kind_named("jax"), call, call.arrays)]
    else:
        expected = list(_leaves(reference(*args, **call.kwargs) if callable(reference) else reference))
    wide = any(a.dtype.itemsize // (2 if a.dtype.kind == "c" else 1) == 8 for a in call.arrays)
    expected_dtypes = [dtype or _expected_dtype(e, wide) for e in expected]
    expected = [np.asarray(e) for e in expected]
    wanted = call.floating() if grad is True else tuple(grad or ())
    native = None
    for name in installed_backends() if backends is None else backends:
        kind = kind_named(name)
        check = _Check(call.name, name, rtol, atol)
        with _precision(wide):
            eager = _evaluate(kind, call, call.arrays)
            check.results("value", eager, expected, expected_dtypes)
            if _asked(jit, kind, "jit"):
                compiled = _evaluate(kind, call, call.arrays, kind.transforms["jit"])
                check.results("jit", compiled, [v for v, _ in eager], [d for _, d in eager])
            if call.arrays and _asked(vmap, kind, "vmap"):
                _check_vmap(check, kind, call)
        if wanted and "grad" in kind.transforms:
            check = _Check(call.name, name, gradient_tolerance, gradient_tolerance)
            native = _check_gradient(check, kind, call, wanted, [v.shape for v, _ in eager], native)


def _asked(given: bool | Collection[str], kind: Kind, transform: str) -> bool:
    return transform in kind.transforms and (given if isinstance(given, bool) else kind.name in given)


class _Call:
    """An op with its arguments, as a function of the arrays among them."""

    def __init__(self, op: Callable, args: tuple, kwargs: dict, compiles: bool):
        self.op, self.args, self.kwargs, self.compiles = op, args, kwargs, compiles
        self.arrays = [a for a in _leaves((args, kwargs)) if isinstance(a, np.ndarray)]
        self.name = getattr(op, "__name__", repr(op))

    def __call__(self, *arrays: Any) -> Any:
        given = iter(arrays)
        args, kwargs = _fill((self.args, self.kwargs), given)
        return self.op(*args, **kwargs)

    def compiler(self, kind: Kind) -> Callable:
        """JAX compiles every eager op by itself, so that the whole is faster; others differentiate eagerly."""
        return kind.transforms["jit"] if self.compiles and kind.name == "jax" else lambda function: function

    def floating(self) -> tuple[int, ...]:
        return tuple(i for i, a in enumerate(self.arrays) if dtypes.is_float(dtypes.name(a.dtype)) and a.size)


def _leaves(tree: Any) -> Iterator[Any]:
    if isinstance(tree, (list, tuple, dict)):
        for element in tree.values() if isinstance(tree, dict) else tree:
            yield from _leaves(element)
    elif tree is not None:
        yield tree


def _fill(tree: Any, arrays: Iterator[Any]) -> Any:
    """`tree` with its NumPy arrays replaced by the next of `arrays`."""
    if isinstance(tree, dict):
        return {k: _fill(v, arrays) for k, v in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(_fill(v, arrays) for v in tree)
    return next(arrays) if isinstance(tree, np.ndarray) else tree


def _expected_dtype(value: Any, wide: bool) -> str | None:
    """The dtype that a backend should give where the reference gave `value`; None for a plain Python number."""
    if not hasattr(value, "dtype"):
        return None
    name = dtypes.name(value.dtype)
    return name if wide else _NARROW.get(name, name)


def _evaluate(kind: Kind, function: Callable, arrays: Sequence[np.ndarray], transform: Callable | None = None) -> list:
    """The results of `function` as `(NumPy array, dtype name or None)`.

    A kind of graph values, which hold no numbers, gives the transformation
    `evaluate(function, *numpy arrays) -> results` that builds a graph and runs it.
    """
    if "evaluate" in kind.transforms:
        results = kind.transforms["evaluate"](function, *arrays)
        return [(np.asarray(r), dtypes.name(r.dtype) if hasattr(r, "dtype") else None) for r in _leaves(results)]
    with _kinds.backend(kind.name):
        native = [ops.convert_to_tensor(a) for a in arrays]
        return list(map(_host, _leaves((transform(function) if transform else function)(*native))))


def _host(x: Any) -> tuple[np.ndarray, str | None]:
    if not hasattr(x, "dtype"):
        return np.asarray(x), None
    return np.asarray(ops.convert_to_numpy(x)), dtypes.name(x.dtype)


def _precision(wide: bool):
    """JAX has 64-bit types only where they are switched on."""
    return jax.enable_x64(bool(wide or jax.config.read("jax_enable_x64")))


def _check_vmap(check: _Check, kind: Kind, call: _Call) -> None:
    turned = [np.flip(a) if a.ndim else a for a in call.arrays]  # other data of the same shapes and ranges
    batch = [np.stack(pair) for pair in zip(call.arrays, turned, strict=True)]
    rows = zip(_evaluate(kind, call, call.arrays), _evaluate(kind, call, turned), strict=True)
    looped = [(np.stack([first[0], second[0]]), first[1]) for first, second in rows]
    compiled = call.compiler(kind)
    vectorized = _evaluate(kind, call, batch, lambda f: compiled(kind.transforms["vmap"](f)))
    check.results("vmap", vectorized, [v for v, _ in looped], [d for _, d in looped])


def _check_gradient(check: _Check, kind: Kind, call: _Call, wanted: tuple, shapes: list[tuple], native: list | None):
    """Returns JAX's gradients, `native` if they are known already."""
    arrays = [a.astype("float64") if i in call.floating() else a for i, a in enumerate(call.arrays)]
    random = np.random.default_rng(0)
    with _precision(True):
        loss = _weighted_sum(call, [random.normal(size=shape) for shape in shapes])
        gradients = _gradients(kind, call, loss, arrays, wanted)
        if native is None:
            native = gradients if kind.name == "jax" else _gradients(kind_named("jax"), call, loss, arrays, wanted)
        for gradient, by_jax, i in zip(gradients, native, wanted, strict=True):
            check.shape(f"gradient of array {i}", gradient, arrays[i])
            direction = random.normal(size=arrays[i].shape)
            slope = _slope(kind, call.compiler(kind)(loss), arrays, i, direction)
            check.value(f"gradient of array {i} against differences", np.sum(gradient * direction), slope)
            check.value(f"gradient of array {i} against JAX", gradient, by_jax)
    return native


def _weighted_sum(call: _Call, weights: Sequence[np.ndarray]) -> Callable:
    """The sum of the floating results, each element with a weight of its own, so that no two errors cancel."""

    def loss(*arrays):
        total = 0.0
        for out, weight in zip(_leaves(call(*arrays)), weights, strict=True):
            if hasattr(out, "dtype") and dtypes.is_float(dtypes.name(out.dtype)):
                total = ops.add(total, ops.sum(ops.multiply(out, weight)))
        return total

    return loss


def _gradients(kind: Kind, call: _Call, loss: Callable, arrays: list[np.ndarray], wanted: tuple) -> list[np.ndarray]:
    def transform(function):
        return call.compiler(kind)(kind.transforms["grad"](function, argnums=wanted))

    return [value for value, _ in _evaluate(kind, loss, arrays, transform)]


def _slope(kind: Kind, loss: Callable, arrays: list[np.ndarray], i: int, direction: np.ndarray) -> np.ndarray:
    def at(step):
        moved = [a + step * direction if k == i else a for k, a in enumerate(arrays)]
        return _evaluate(kind, loss, moved)[0][0]

    return (at(_STEP) - at(-_STEP)) / (2 * _STEP)


class _Check:
    """Comparisons that know what to say when they fail."""

    def __init__(self, op: str, backend: str, rtol: float, atol: float):
        self.op, self.backend, self.rtol, self.atol = op, backend, rtol, atol

    def fail(self, prop: str, message: str) -> None:
        raise AssertionError(f"ops.{self.op} on {self.backend}: {prop}: {message}")

    def results(self, prop: str, received: list, expected: Sequence[np.ndarray], expected_dtypes: Sequence) -> None:
        if len(received) != len(expected):
            self.fail(prop, f"expected {len(expected)} results; received {len(received)}")
        for i, ((value, dtype), wanted, wanted_dtype) in enumerate(
            zip(received, expected, expected_dtypes, strict=True)
        ):
            where = prop if len(expected) == 1 else f"{prop} of result {i}"
            self.shape(where, value, wanted)
            if dtype is not None and wanted_dtype is not None and dtype != wanted_dtype:
                self.fail(where, f"dtype: expected {wanted_dtype}; received {dtype}")
            self.value(where, value, wanted)

    def shape(self, prop: str, received: np.ndarray, expected: np.ndarray) -> None:
        if received.shape != expected.shape:
            self.fail(prop, f"shape: expected {expected.shape}; received {received.shape}")

    def value(self, prop: str, received: np.ndarray, expected: np.ndarray) -> None:
        """Integers, bools and strings are compared exactly, the rest within the tolerances."""
        if expected.dtype.kind in "biuSUO":
            good = np.asarray(received == expected)
        else:
            received, expected = _widest(received), _widest(expected)
            good = np.isclose(received, expected, self.rtol, self.atol, equal_nan=True)
        if np.all(good):
            return
        at = np.unravel_index(np.argmax(~good), good.shape)
        message = f"expected {expected[at]}, received {received[at]} at index {tuple(map(int, at))}"
        if received.dtype.kind in "biufc":
            with np.errstate(invalid="ignore"):
                difference = np.abs(_widest(received) - _widest(expected))[~good]
            message = f"max difference {np.max(difference)} (rtol {self.rtol}, atol {self.atol}): {message}"
        self.fail(prop, message)


def _widest(x: np.ndarray) -> np.ndarray:
    return np.asarray(x, "complex128" if np.asarray(x).dtype.kind == "c" else "float64")
