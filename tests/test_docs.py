"""The Python blocks of each page of the documentation run, in order, as one program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_blocks_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.S | re.M)
    exec(compile("\n".join(blocks), page.name, "exec", dont_inherit=True), {"__name__": page.stem})


def test_the_coverage_page_is_that_of_the_rule_tables(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    import make_coverage

    assert make_coverage.PAGE.read_text() == make_coverage.page(), "run python docs/make_coverage.py"
