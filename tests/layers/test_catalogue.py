"""The catalogue x the invariants of layers."""

from __future__ import annotations

import pytest

from kfun import layers
from kfun.layer import Layer
from kfun.testing_layers import sweep_layer
from tests.layers.catalogue import ROWS

BASES = {"Cell"}  # abstract: what users derive their own from
CASES = [case for row in ROWS.values() for case in row.cases]


def test_every_layer_has_a_row():
    public = {n for n, v in vars(layers).items() if isinstance(v, type) and issubclass(v, Layer)} - BASES
    assert sorted(public - set(ROWS)) == [], "add a row to tests/layers/rows_*.py"
    assert sorted(set(ROWS) - public) == [], "these rows name no layer"


def check(case, **options):
    inputs, call_args = case.drawn()
    sweep_layer(
        case.of.kfun(), *inputs, call_args=call_args, known_batch=case.known_batch, json_round_trip=case.json, **options
    )


@pytest.mark.parametrize("name", ROWS)
def test_invariants(name):
    case = ROWS[name].cases[0]
    check(case, backends=(), training=case.modes())


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_invariants_of_every_case(case):
    check(case)
