"""Every layer of the catalogue, exported to ONNX with an open batch, against JAX."""

from __future__ import annotations

import pytest

from tests.export.layer_cases import CASES, FIRST, check

for needed in ("onnx_ir", "onnx", "onnxruntime"):
    pytest.importorskip(needed)

from kfun.export import onnx as exporter


@pytest.mark.parametrize("name", FIRST)
def test_layers(name):
    check(CASES[name], exporter)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_every_case_of_every_layer(name):
    check(CASES[name], exporter)
