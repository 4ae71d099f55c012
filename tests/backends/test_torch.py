"""The PyTorch adapter against JAX's rules."""

from __future__ import annotations

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import kfun
from kfun import ops, random
from kfun.backends.common.tree import leaves, tree_map
from kfun.backends.torch.arrays import convert
from kfun.backends.torch.creation import convert_to_numpy
from kfun.ops._dispatch import OPS
from tests.backends import cases, function_cases
from tests.backends.function_cases import INPUT, PARAMS, control, net

# Forward mode loads decompositions that PyTorch itself scripts.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script.* is deprecated:DeprecationWarning")


def _tensor(x):
    return convert(np.array(x))


def _numpy(leaf):
    return convert_to_numpy(leaf) if isinstance(leaf, torch.Tensor) else np.asarray(leaf)


def _run(case, dtype):
    with kfun.backend("torch"):
        out = OPS[case.op].public(*cases.arguments(case, dtype, _tensor), **case.kwargs)
    return [_numpy(leaf) for leaf in leaves(out)]


def _close(actual, wanted, tolerance=1e-5):
    for a, w in zip(jax.tree.leaves(tree_map(_numpy, actual)), jax.tree.leaves(wanted), strict=True):
        assert a.shape == w.shape
        np.testing.assert_allclose(a, np.asarray(w), tolerance, tolerance)


def test_every_op_has_a_rule_or_a_body():
    assert not [op for op, how in ops.coverage("torch").items() if how["torch"].startswith("no")]


@pytest.mark.parametrize(("case", "dtype"), cases.SWEEP, ids=cases.labels(cases.SWEEP))
def test_same_as_jax(case, dtype):
    wanted = cases.expected(case, dtype)
    if wanted is not None:
        cases.check_same(_run(case, dtype), wanted, f"{case} {dtype}")


@pytest.mark.parametrize("case", cases.DIFFERENTIABLE)
def test_same_gradient_as_jax(case):
    wanted = cases.expected_gradients(case)
    if wanted is None:
        return
    args = cases.arguments(case, "float32", _tensor)
    floats = [a.requires_grad_() for a in args if isinstance(a, torch.Tensor) and a.dtype is torch.float32]
    outputs = leaves(OPS[case.op].public(*args, **case.kwargs))
    pairs = [(o, convert(cases.weights(o.shape, i))) for i, o in enumerate(outputs) if o.dtype is torch.float32]
    found = torch.autograd.grad(sum((o * w).sum() for o, w in pairs), floats, materialize_grads=True)
    for a, w in zip(found, wanted, strict=True):
        scale = max(1.0, float(np.abs(w).max()))
        np.testing.assert_allclose(a.numpy(), w, 1e-4, 1e-5 * scale, err_msg=str(case))


@pytest.mark.parametrize(("op", "args", "kwargs"), cases.MADE)
def test_made_from_nothing(op, args, kwargs):
    wanted = np.asarray(OPS[op].public(*args, **kwargs))
    with kfun.backend("torch"):
        made = OPS[op].public(*args, **kwargs)
    assert isinstance(made, torch.Tensor)
    cases.check_same([_numpy(made)], [wanted], op)


@pytest.mark.parametrize(("op", "args", "kwargs"), cases.EXACT + cases.CLOSE)
def test_random_draws_are_those_of_jax(op, args, kwargs):
    drawn = _numpy(OPS[op].public(_tensor(cases.KEY), *args, **kwargs))
    wanted = cases.drawn(op, args, kwargs)
    assert drawn.dtype == wanted.dtype
    np.testing.assert_array_equal(drawn, wanted)


def test_uniform_with_bounds_that_are_tensors():
    key, low = _tensor(cases.KEY), torch.tensor([0.5, -1.0], requires_grad=True)
    drawn = random.uniform(key, (3, 2), "float32", low, 2.0)
    wanted = random.uniform(jnp.asarray(cases.KEY), (3, 2), "float32", jnp.array([0.5, -1.0]), 2.0)
    _close(drawn.detach(), wanted)
    (gradient,) = torch.autograd.grad(drawn.sum(), low)
    units = random.uniform(jnp.asarray(cases.KEY), (3, 2))
    _close(gradient, jnp.sum(1 - units, 0))


def test_random_over_mapped_keys():
    keys = random.split(_tensor(cases.KEY), 5)
    wanted = jax.vmap(lambda k: jax.random.uniform(jax.random.fold_in(k, 3), (4,)))(jnp.asarray(keys.numpy()))
    drawn = torch.func.vmap(lambda k: random.uniform(random.fold_in(k, 3), (4,)))(keys)
    np.testing.assert_array_equal(drawn.numpy(), wanted)
    steps = torch.arange(5)
    folded = torch.func.vmap(random.fold_in, (None, 0))(keys[0], steps)
    wanted = jax.vmap(jax.random.fold_in, (None, 0))(jnp.asarray(keys[0].numpy()), jnp.arange(5))
    np.testing.assert_array_equal(folded.numpy(), wanted)


def test_a_bad_key_is_refused():
    with pytest.raises(TypeError, match="expected one key"):
        random.uniform(torch.zeros(2))
    with pytest.raises(TypeError, match=r"received torch\.uint32 of shape \(3, 2\)"):
        random.bits(torch.zeros(3, 2, dtype=torch.uint32))


def test_conversion_of_numpy_data():
    shared, frozen = np.ones(3, np.float32), np.ones(3, np.float32)
    frozen.flags.writeable = False
    convert(shared)[0] = 5
    convert(frozen)[0] = 5
    assert shared[0] == 5
    assert frozen[0] == 1
    assert convert(np.ones(4)[::-2]).dtype is torch.float64
    for name in ("bfloat16", "uint32", "bool", "float8_e4m3fn"):
        data = np.asarray(jnp.array([0, 1, 1]).astype(name))
        assert convert_to_numpy(convert(data)).dtype == data.dtype
        np.testing.assert_array_equal(convert_to_numpy(convert(data)), data)
    with pytest.raises(OverflowError, match="32 bits"):
        convert([2**40])
    assert convert([[torch.ones(2), torch.zeros(2)]]).shape == (1, 2, 2)


def test_weak_scalars_and_strong_zero_axis_tensors():
    half = torch.ones(2, dtype=torch.float16)
    assert ops.add(half, 1.5).dtype is torch.float16
    assert ops.add(half, torch.tensor(1.5)).dtype is torch.float32
    assert ops.add(torch.ones(2, dtype=torch.int32), 1.5).dtype is torch.float32
    with pytest.raises(TypeError, match="cast one with ops"):
        ops.add(torch.ones(2).to(torch.float8_e5m2), half)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: ops.split(x, 2, 0), "does not divide"),
        (lambda x: ops.squeeze(x, 0), "expected size 1"),
        (lambda x: ops.pad(x, 1, "wrap"), "expected mode"),
        (lambda x: ops.max_pool(x[None, :, :, None], 2, padding="full"), "expected padding"),
        (lambda x: ops.resize(x[None, :, :, None], (2, 2), "area"), "expected"),
        (lambda x: ops.cast(x, "float31"), "unknown dtype"),
        (lambda x: ops.scan(lambda c, x: (c, x), x, x, length=7), "one length"),
    ],
)
def test_errors_say_what_was_expected(call, message):
    with pytest.raises(ValueError, match=message):
        call(torch.ones(3, 5))


def test_control_flow_is_that_of_jax():
    for got, wanted in zip(control(_tensor32), control(jnp.asarray), strict=True):
        _close(got, wanted)


def _tensor32(x):
    return convert(x)


def test_control_flow_under_transformations():
    preds = torch.tensor([True, False, True])
    chosen = torch.func.vmap(lambda p, x: ops.cond(p, lambda: x * 2, lambda: x - 1))(preds, torch.arange(3.0))
    assert chosen.tolist() == [0.0, 0.0, 4.0]
    gradient = torch.func.grad(lambda x: ops.add(x * x, ops.stop_gradient({"x": x * x})["x"]))(torch.tensor(3.0))
    assert gradient.item() == 6.0
    updated = torch.func.vmap(lambda u: ops.slice_update(torch.zeros(4), (1,), u))(torch.ones(3, 2))
    assert updated.sum().item() == 6.0


def _both(call):
    """`call(params, x)` with tensors and with JAX arrays."""
    tensors = call(tree_map(_tensor, PARAMS), _tensor(INPUT))
    return tensors, call(tree_map(jnp.asarray, PARAMS), jnp.asarray(INPUT))


TRANSFORMED = function_cases.TRANSFORMED | {
    "vmap with an unmapped result": lambda p, x: kfun.vmap(lambda x: (x, p["w"]), 0, (0, None))(x),
    "checkpoint in forward mode": lambda p, x: kfun.jacfwd(lambda x: kfun.checkpoint(net)(p, x))(x),
    "attention's hessian": lambda p, x: kfun.hessian(
        lambda x: ops.sum(ops.square(ops.dot_product_attention(*(x[None, :, None, :],) * 3)))
    )(x[:2]),
}


SECONDS = ("attention's hessian", "hessian of several")


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n in SECONDS else ()) for n in TRANSFORMED])
def test_transformations_are_those_of_jax(name):
    _close(*_both(TRANSFORMED[name]), 1e-4)


def test_arguments_that_torch_cannot_honour():
    from kfun.backends.torch.transforms import TRANSFORMS

    for name, options in (("vmap", {"axis_name": "i"}), ("grad", {"holomorphic": True}), ("checkpoint", {"policy": 1})):
        with pytest.raises(TypeError, match=f"PyTorch does not take {next(iter(options))}"):
            TRANSFORMS[name](net, **options)
    with pytest.raises(ValueError, match="out_axes=None"):
        kfun.vmap(lambda x: x, 0, None)(_tensor(INPUT))
    sized = TRANSFORMS["vmap"](lambda x: x, None, axis_size=3)(_tensor(INPUT))
    assert sized.shape == (3, 3, 2)


def test_checkpoint_keeps_nothing_and_runs_again():
    runs = []

    def layer(x):
        runs.append(1)
        return ops.tanh(x)

    x = torch.ones(2, requires_grad=True)
    kfun.checkpoint(layer)(x).sum().backward()
    assert len(runs) == 2
    kfun.grad(lambda x: ops.sum(kfun.checkpoint(layer)(x)))(torch.ones(2))
    assert len(runs) == 4
    np.testing.assert_allclose(x.grad, 1 - np.tanh(1) ** 2, 1e-6)


def test_compiles_whole_with_slices():
    x = torch.arange(24.0).reshape(2, 3, 4)
    ops.exp(x)

    def f(x):
        return ops.getitem(x, (slice(None), slice(0, 2), -1)) + ops.getitem(x, (0, slice(1, None), None, 3))

    torch.testing.assert_close(torch.compile(f, fullgraph=True, backend="eager")(x), f(x))


ON_A_DEVICE = """
import numpy as np
import torch

torch.accelerator.is_available = lambda: True  # the device without numbers stands for one with an accelerator
from kfun import ops

x, n, mask = torch.ones(2, 4, 3, device="meta"), np.ones(3, "float32"), np.ones((4, 3), bool)
heads = x[:, :, None]
for y in (
    ops.add(x, n), ops.hard_swish(x), ops.where(mask, x, n), ops.softmax(x), ops.layer_normalization(x),
    ops.var(x, axis=1), ops.diag(x[0, 0]), ops.triu(x[0]), ops.one_hot(x[..., 0].int(), 5), ops.take(x, [0, 2], 1),
    ops.rot90(x), ops.stft(x[..., 0], 4, 2, 4)[0], ops.elu(x), ops.linspace(x, x + 1, 3), ops.tensordot(x, n, 1),
    ops.dot_product_attention(heads, heads, heads, is_causal=True), ops.concatenate([x, np.ones((2, 1, 3))], 1),
):
    assert y.device.type == "meta", y
"""


def test_constants_are_made_on_the_device_of_the_arrays():
    subprocess.run([sys.executable, "-c", ON_A_DEVICE], check=True)


def test_compiles_whole_with_dropout():
    """One MLP step: dispatch, a random mask and a gradient go through the compiler without a break."""

    def loss(params, key, x):
        h = ops.relu(ops.add(ops.matmul(x, params["w"]), params["b"][0]))
        key = random.fold_in(key, 1)
        kept = random.bernoulli(key, 0.5, ops.shape(h))
        h = ops.layer_normalization(ops.where(kept, ops.divide(h, 0.5), 0.0))
        return ops.sum(ops.square(ops.softmax(h)))

    def step(params, key, x):
        value, gradient = kfun.value_and_grad(loss)(params, key, x)
        return value, gradient["w"]

    params, key, x = tree_map(_tensor, PARAMS), _tensor(cases.KEY), _tensor(INPUT)
    compiled = torch.compile(step, fullgraph=True, backend="aot_eager")
    wanted = step(tree_map(jnp.asarray, PARAMS), jnp.asarray(cases.KEY), jnp.asarray(INPUT))
    _close(compiled(params, key, x), wanted, 1e-4)
