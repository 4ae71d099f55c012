"""Who looks for how a backend does an op opens its folder, and the file named after the op's module in `kfun`."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import kfun.backends
import kfun.random
from kfun.ops._dispatch import OPS
from kfun.ops._kinds import kind_named

BACKENDS = ("jax", "numpy", "torch", "tensorflow", "openvino", "onnx")
Tables = Mapping[str, Mapping[str, Callable]]


def family(op: str) -> str:
    """The module in which the op is declared: the file that has its rule in every backend."""
    return OPS[op].declared.__module__.rpartition(".")[2]


def tables(backend: str) -> dict[str, dict[str, Callable]]:
    """`{file: its table of rules}` of a backend's folder, without the adapter, which joins them."""
    found = {}
    for path in sorted((Path(kfun.backends.__file__).parent / backend).glob("*.py")):
        module = importlib.import_module(f"kfun.backends.{backend}.{path.stem}")
        if path.stem not in ("__init__", "adapter") and hasattr(module, "RULES"):
            found[path.stem] = module.RULES
    return found


def misplaced(package: str, rules: Mapping[str, Callable], found: Tables) -> list[str]:
    """What is wrong with where the rules of a backend stand.

    A rule's entry stands in its family's file. Its function is defined there too, or is the framework's,
    or is made by what several families share; never is it that of another family's file or of the adapter.

    Args:
        package: the backend's folder as a package.
        rules: `{op: rule}`, those of the adapter.
        found: `{file: its table}`.
    """
    families = set(map(family, OPS)) | {"adapter"}
    wrong = []
    for op, rule in rules.items():
        own = family(op)
        if found.get(own, {}).get(op) is not rule:
            wrong.append(f"{op}: expected its rule in {package}.{own}")
        home, _, file = str(inspect.unwrap(rule).__module__).rpartition(".")
        if home == package and file in families - {own}:
            wrong.append(f"{op}: expected its function in {package}.{own}; it is in {file}")
    for file, table in found.items():
        wrong += [f"{op}: the rule in {package}.{file} is not the adapter's" for op in table if op not in rules]
    return wrong


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_rule_is_in_the_file_of_its_family(backend):
    rules = kind_named(backend).rules
    assert len(rules) > 100
    assert misplaced(f"kfun.backends.{backend}", rules, tables(backend)) == []


def test_a_misplaced_rule_is_found():
    def argsort(x, axis=-1):
        return x

    rules = {"argsort": argsort}
    argsort.__module__ = "made.shaping"
    assert misplaced("made", rules, {"shaping": rules}) == []
    assert misplaced("made", rules, {"reduction": rules}) == ["argsort: expected its rule in made.shaping"]
    assert misplaced("made", {}, {"shaping": rules}) == ["argsort: the rule in made.shaping is not the adapter's"]
    for file in ("adapter", "reduction"):
        argsort.__module__ = f"made.{file}"
        defined = f"argsort: expected its function in made.shaping; it is in {file}"
        assert misplaced("made", rules, {"shaping": rules}) == [defined]
