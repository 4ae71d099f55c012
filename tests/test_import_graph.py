"""No module leads back to itself by imports, wherever they stand: a circle says that code is in the wrong room."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("kfun", "compat")


def import_graph(root: Path, package: str) -> dict[str, set[str]]:
    """The modules of a package, and which of them each imports.

    What is read is the source, so that imports in functions and for type checkers count, and so do the
    re-exports of a package's `__init__` and `import_module` of a literal name.

    Args:
        root: the folder that the package lies in.
        package: its name.
    """
    files = {}
    for path in sorted((root / package).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    graph = {}
    for module, path in files.items():
        inside = module if path.name == "__init__.py" else module.rpartition(".")[0]
        found = {_module_in(name, files) for name in _imported(ast.parse(path.read_text("utf-8")), inside)}
        graph[module] = found - {module, ""}
    return graph


def _imported(tree: ast.AST, inside: str) -> Iterator[str]:
    """Dotted names that a source imports, each perhaps with the name of what is taken from the module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = importlib.util.resolve_name("." * node.level + (node.module or ""), inside)
            yield from (f"{source}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value


def _module_in(name: str, modules: dict[str, Path]) -> str:
    """The module that a dotted name is, or is taken from; "" if it is none of these."""
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The groups of modules that lead to each other, each module once."""
    ahead = {module: _reachable(graph, module) for module in graph}
    mutual = {frozenset(other for other in ahead[m] if m in ahead[other]) for m in graph if m in ahead[m]}
    return sorted(sorted(group) for group in mutual)


def _reachable(graph: dict[str, set[str]], module: str) -> set[str]:
    seen: set[str] = set()
    stack = list(graph[module])
    while stack:
        found = stack.pop()
        if found not in seen:
            seen.add(found)
            stack.extend(graph[found])
    return seen


@pytest.mark.parametrize("package", PACKAGES)
def test_no_modules_import_each_other(package):
    graph = import_graph(ROOT, package)
    assert len(graph) > 100
    assert sum(map(len, graph.values())) > len(graph)
    assert circles(graph) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("import made.second", "import made.first"),
        ("from made import second", "from made.first import value"),
        ("from . import second", "def late():\n    from .first import value"),
        ("from made.second import value", "if TYPE_CHECKING:\n    from made.first import value"),
        ("import made.second", "importlib.import_module('made.first')"),
        ("from made.inner import value", "from made.first import value"),  # through the re-export of a package
    ],
)
def test_a_circle_is_found(tmp_path, first, second):
    package = tmp_path / "made"
    (package / "inner").mkdir(parents=True)
    sources = {"__init__": "", "first": first, "second": second, "third": "from made import first"}
    sources["inner/__init__"] = "from made.second import value as value"
    for name, source in sources.items():
        (package / f"{name}.py").write_text(source)
    members = ["made.first", *(["made.inner"] if "inner" in first else []), "made.second"]
    assert circles(import_graph(tmp_path, "made")) == [members]


def test_a_line_of_imports_is_no_circle(tmp_path):
    package = tmp_path / "made"
    package.mkdir()
    sources = {"__init__": "from made.last import value", "last": "", "first": "from made import last"}
    for name, source in sources.items():
        (package / f"{name}.py").write_text(source)
    graph = import_graph(tmp_path, "made")
    assert graph == {"made": {"made.last"}, "made.last": set(), "made.first": {"made.last"}}
    assert circles(graph) == []
