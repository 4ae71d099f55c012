"""OpenVINO graphs against the rules of JAX: every op with open sizes, and what only graphs have."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kfun import ops, random
from kfun.errors import UnsupportedOp
from kfun.ops._dispatch import OPS, coverage
from tests.backends import graph_suites
from tests.backends.graph_suites import check_with_open_sizes, normal
from tests.ops.catalogue import ROWS, cases

from tests.backends.graphs import adapter, graph_input, model_of  # isort: skip - skips without openvino
from kfun.backends.openvino import KIND  # isort: skip


DONE = [name for name in ROWS if name not in KIND.reasons]


@pytest.mark.parametrize("name", DONE)
def test_values_and_dtypes_with_open_sizes(name):
    check_with_open_sizes("openvino", name, cases(name)[:3])


@pytest.mark.slow
@pytest.mark.parametrize("name", DONE)
def test_every_case_with_open_sizes(name):
    chosen = cases(name)
    if name == "associative_scan":  # after a loop of no steps the runtime knows no size that is open
        chosen = [case for case in chosen if 0 not in getattr(case.args[1], "shape", ())]
    check_with_open_sizes("openvino", name, chosen)


def test_every_op_has_a_rule_a_body_or_a_reason():
    table = coverage("openvino")
    assert [name for name, by in table.items() if by["openvino"] == "no: no rule"] == []
    assert all(reason for reason in KIND.reasons.values())


@pytest.mark.parametrize("name", sorted(KIND.reasons))
def test_refused_ops_say_why(name):
    x = graph_input((None, 2), "uint32" if name.startswith("random") else "float32")
    needed = [p for p in OPS[name].signature.parameters.values() if p.default is p.empty][1:]
    op = getattr(random, name.removeprefix("random_")) if name.startswith("random_") else getattr(ops, name)
    with pytest.raises(UnsupportedOp) as caught:
        op(x, *[3 for _ in needed])
    assert KIND.reasons[name] in str(caught.value)


class OnOpenVINO:
    adapter = adapter
    graph_input = staticmethod(graph_input)


class TestOperators(OnOpenVINO, graph_suites.Operators):
    pass


class TestSizes(OnOpenVINO, graph_suites.Sizes):
    pass


class TestValues(OnOpenVINO, graph_suites.Values):
    def test_one_constant_per_array(self):
        tied = normal(64, 8)
        found = model_of(lambda x: (ops.matmul(x, tied), ops.matmul(x + 1, tied)), (None, 64))
        assert sum(n.get_type_name() == "Constant" and list(n.shape) == [64, 8] for n in found.get_ops()) == 1


class TestAccuracy(OnOpenVINO, graph_suites.Accuracy):
    pass


def test_importing_kfun_imports_no_openvino_and_its_telemetry_never():
    code = (
        "import sys, kfun; assert 'openvino' not in sys.modules;"
        "import kfun.backends.openvino; assert 'openvino_telemetry' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)
