"""Every layer of the catalogue, exported to OpenVINO with an open batch, against JAX."""

from __future__ import annotations

import pytest

from tests.export.layer_cases import CASES, FIRST, check

pytest.importorskip("openvino")

from kfun.export import openvino as exporter


@pytest.mark.parametrize("name", FIRST)
def test_layers(name):
    check(CASES[name], exporter)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_every_case_of_every_layer(name):
    check(CASES[name], exporter)
