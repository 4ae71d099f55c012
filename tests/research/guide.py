"""The guide's programs, taken from its pages: their sources, and what they define."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.glob("research*.md"))


def source(program: str) -> str:
    """The block of a page that is marked `<!-- program: ... -->`."""
    (found,) = re.findall(rf"^<!-- program: {program} -->\n```python\n(.*?)^```", _text(), re.S | re.M)
    return found


def run(program: str, **given: Any) -> SimpleNamespace:
    """What a program defines, run alone: by itself it needs only the imports of its page and what is given."""
    names = dict(given)
    exec(compile("\n".join([*_imports(), source(program)]), program, "exec", dont_inherit=True), names)
    return SimpleNamespace(**{name: value for name, value in names.items() if name != "__builtins__"})


def body(function: Any) -> str:
    """The source of a function's body without its docstring and its last statement, which gives the results."""
    text = textwrap.dedent(inspect.getsource(function))
    statements = ast.parse(text).body[0].body  # pyright: ignore
    last = statements[-1]
    assert isinstance(last, ast.Return)
    return textwrap.dedent("\n".join(text.split("\n")[1 : last.lineno - 1]))


def lines_of_code(text: str) -> int:
    """How many lines hold code: neither blank, nor comment, nor docstring alone."""
    tree = ast.parse(text)
    held = {n for i, line in enumerate(text.split("\n"), 1) for n in [i] if line.strip() and line.strip()[0] != "#"}
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node) is not None:
            held -= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return len(held)


def _text() -> str:
    return "\n".join(page.read_text() for page in PAGES)


def _imports() -> list[str]:
    return sorted(set(re.findall(r"^(?:import|from) (?:jax|kfun|optax)\b.*$", _text(), re.M)))
