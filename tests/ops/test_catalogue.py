"""The catalogue x (value, shape, dtype, jit, vmap, gradient), on every backend that is installed."""

from __future__ import annotations

import functools

import pytest

from kfun.errors import UnsupportedOp
from kfun.ops._dispatch import OPS, kind_named
from kfun.testing import check_op
from tests.conftest import BACKENDS
from tests.ops.catalogue import ROWS, cases, options, public

QUICK = {"jax": ("jit", "vmap", "grad"), "torch": ("vmap", "grad"), "tensorflow": ("grad",)}
SLOW = {"jax": ("jit", "vmap", "grad"), "torch": ("vmap", "grad"), "tensorflow": ("jit", "vmap", "grad")}
CASES = [(name, i) for name in ROWS for i in range(len(cases(name)))]


def pytest_id(value):
    return str(value)


def run(name, i, backend, properties):
    """One case on one backend; the properties in which the row or case is exempt stay off."""
    r, c = ROWS[name], cases(name)[i]
    given = options(r, c)
    asked = {prop: given.get(prop, True) if prop in properties else False for prop in ("jit", "vmap", "grad")}
    check = functools.partial(check_op, public(r), *c.args, **{**given, **asked}, backends=(backend,))
    if backend in r.gaps:
        with pytest.raises(UnsupportedOp) as caught:
            check()
        assert caught.value.reason
    else:
        check()


def test_every_op_has_a_row():
    declared = {name for name, op in OPS.items() if op.declared.__module__.startswith("kfun.")}
    assert sorted(declared - set(ROWS)) == [], "add a row to tests/ops/rows_*.py"
    assert sorted(set(ROWS) - declared) == [], "these rows name no op"


@pytest.mark.parametrize("name", ROWS)
def test_gaps_are_those_that_the_adapter_declares(name, backend):
    declared = name in kind_named(backend).reasons
    assert declared == (backend in ROWS[name].gaps)


@pytest.mark.parametrize(("name", "i"), CASES, ids=lambda v: str(v))
def test_values(name, i, backend):
    run(name, i, backend, ())


@pytest.mark.parametrize("backend", [b for b in BACKENDS if b in QUICK])
@pytest.mark.parametrize("name", ROWS)
def test_transformations(name, backend):
    run(name, 0, backend, QUICK[backend])


@pytest.mark.slow
@pytest.mark.parametrize("backend", [b for b in BACKENDS if b in SLOW])
@pytest.mark.parametrize(("name", "i"), CASES, ids=lambda v: str(v))
def test_transformations_of_every_case(name, i, backend):
    run(name, i, backend, SLOW[backend])
