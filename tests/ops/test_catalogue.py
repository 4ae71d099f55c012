"""The catalogue x (value, shape, dtype, jit, vmap, gradient), on every backend that is installed."""

from __future__ import annotations

import functools

import jax
import numpy as np
import pytest

from kfun.errors import UnsupportedOp
from kfun.ops._dispatch import OPS
from kfun.ops._kinds import backend, kind_named
from kfun.testing import check_op
from tests.conftest import BACKENDS, GRAPHS
from tests.ops.catalogue import ROWS, cases, options, public

# Torch compiles for seconds per function.
VECTORIZED = [b for b in ("jax", "torch") if b in BACKENDS]
COMPILED = [b for b in ("jax", "tensorflow") if b in BACKENDS]
UNCOMPILED = [b for b in ("numpy", "torch") if b in BACKENDS]  # every further case is cheap there
CASES = [(name, i) for name in ROWS for i in range(len(cases(name)))]


def run(name, i, backends, op=None, **asked):
    """One case; the properties from which the row or the case is exempt stay off, as do those not asked for."""
    r, c = ROWS[name], cases(name)[i]
    given = options(r, c)
    properties = {prop: given.get(prop, True) and asked.get(prop, False) for prop in ("jit", "vmap", "grad")}
    check = functools.partial(check_op, op or public(r), *c.args, **{**given, **properties})
    complex_given = any(
        isinstance(a, np.ndarray) and a.dtype.kind == "c" for a in c.args
    )  # graphs cannot even be given those
    for missing in [b for b in backends if b in r.gaps and not (complex_given and b in GRAPHS)]:
        with pytest.raises(UnsupportedOp) as caught:
            check(backends=(missing,))
        assert caught.value.reason
    check(backends=[b for b in backends if b not in r.gaps])


def test_every_op_has_a_row():
    declared = {name for name, op in OPS.items() if op.declared.__module__.startswith("kfun.")}
    assert sorted(declared - set(ROWS)) == [], "add a row to tests/ops/rows_*.py"
    assert sorted(set(ROWS) - declared) == [], "these rows name no op"


@pytest.mark.parametrize("target", BACKENDS)
def test_gaps_are_those_that_the_adapter_declares(target):
    gaps = {name for name, r in ROWS.items() if target in r.gaps}
    assert set(kind_named(target).reasons) & set(OPS) == gaps


@pytest.mark.parametrize("name", ROWS)
def test_values_gradients_and_transformations(name):
    run(name, 0, BACKENDS, jit=("jax",), vmap=("jax",), grad=True)


@pytest.mark.parametrize(("name", "i"), [(name, i) for name, i in CASES if i > 0], ids=str)
def test_values_of_further_cases(name, i):
    run(name, i, UNCOMPILED)


@pytest.mark.parametrize(("name", "i"), [(n, i) for n, i in CASES if OPS[n].body is not None], ids=str)
def test_derived_bodies(name, i):
    """The body over other ops, also where every backend here has a rule of its own."""
    with backend("numpy"):
        run(name, i, ("numpy",), op=OPS[name].body)


@pytest.mark.parametrize("target", [b for b in ("torch", "tensorflow") if b in BACKENDS])
@pytest.mark.parametrize("name", ROWS)
def test_arrays_alone_decide_the_backend(name, target):
    """The default backend is JAX, of which no constant may be made inside the body of an op over other arrays."""
    kind, found = kind_named(target), []
    for c in [] if target in ROWS[name].gaps else cases(name)[: None if target == "torch" else 1]:
        kwargs = options(ROWS[name], c)["kwargs"] or {}
        given = jax.tree.map(lambda a: kind.convert(a) if isinstance(a, np.ndarray) else a, (c.args, kwargs))
        if any(isinstance(a, np.ndarray) for a in jax.tree.leaves((c.args, kwargs))):
            found += jax.tree.leaves(public(ROWS[name])(*given[0], **given[1]))
    assert not [x for x in found if isinstance(x, jax.Array)]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "i"), CASES, ids=str)
def test_everything_of_every_case(name, i):
    run(name, i, BACKENDS, jit=COMPILED, vmap=VECTORIZED, grad=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n, r in ROWS.items() if OPS[n].body is not None and n != "fori_loop"])
def test_gradients_of_derived_bodies(name):
    """JAX differentiates no `while_loop` backwards, so its `fori_loop` is a rule."""
    run(name, 0, ("jax",), op=OPS[name].body, grad=True)
