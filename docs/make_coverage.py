"""Writes docs/coverage.md, the table ops x backends: `python docs/make_coverage.py`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from kfun import ops
from kfun.ops._dispatch import OPS

PAGE = Path(__file__).with_name("coverage.md")
HEAD = """# Ops and backends

Made from the rule tables by `python docs/make_coverage.py`. `rule`: the backend's own function;
`body`: composed of other ops; a number: not supported, for the reason below the table. Symbolic
tensors, which infer shapes, take every op.
"""


def page() -> str:
    """The text of the page."""
    table = ops.coverage()
    backends = list(next(iter(table.values())))
    reasons: dict[str, int] = {}
    rows = []
    for name, by in table.items():
        entries = []
        for backend in backends:
            entry = by[backend]
            if entry.startswith("no: "):
                reason = f"{backend}: {entry[4:]}"
                entry = f"[{reasons.setdefault(reason, len(reasons) + 1)}]"
            entries.append({"derived": "body"}.get(entry, entry))
        rows.append(f"| `{name}` | {' | '.join(entries)} |")
    bodies = sum(op.body is not None for op in OPS.values())
    counts = [f"{backend} {Counter(by[backend][:2] for by in table.values())['no']}" for backend in backends]
    lines = [
        HEAD,
        f"{len(table)} ops: {len(table) - bodies} primitives, {bodies} derived. Not supported: {', '.join(counts)}.\n",
        f"| op | {' | '.join(backends)} |",
        "|---" * (len(backends) + 1) + "|",
        *rows,
        "",
        *(f"{number}. {reason}" for reason, number in reasons.items()),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
