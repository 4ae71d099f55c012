"""What moved between a checkpoint and the tree that it is loaded into, told by names and shapes.

A layer without a name is called after its class and counted within its model: `dense`, `dense_1`, ...; one that is
inserted takes the name of the next, which takes that of the one after it.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from kfun.layer import snake_case

Shapes = Mapping[str, tuple[int, ...]]


def moved(found: Shapes, wanted: Shapes) -> dict[str, str]:
    """`{path of a layer in the file: its path in the tree}` of counted layers whose shapes are now under another name.

    Args:
        found: shapes by path in the file.
        wanted: shapes by path in the tree.
    """
    theirs, ours = _families(found), _families(wanted)
    pairs: dict[str, str] = {}
    for family in theirs.keys() & ours.keys():
        old, new = _unlike(theirs[family], ours[family])
        same = difflib.SequenceMatcher(None, [f for _, f in old], [f for _, f in new], autojunk=False)
        for block in same.get_matching_blocks():
            for i in range(block.size):
                before, now = old[block.a + i][0], new[block.b + i][0]
                if before != now:
                    pairs[before] = now
    return pairs


def _unlike(old: list, new: list) -> tuple[list, list]:
    """What is left of both without the layers in front that still fit: fewest are taken to have moved."""
    same = 0
    while same < min(len(old), len(new)) and old[same][1] == new[same][1]:
        same += 1
    return old[same:], new[same:]


def _families(shapes: Shapes) -> dict[str, list[tuple[str, tuple]]]:
    """Layers whose names differ by their count alone: `{path without it: [(path, form of the weights)] in order}`."""
    layers: dict[str, list] = {}
    for path, shape in shapes.items():
        layer, _, weight = path.rpartition("/")
        layers.setdefault(layer, []).append((weight, shape))
    families: dict[str, list] = {}
    for layer in sorted(layers, key=_place):
        families.setdefault(_place(layer)[0], []).append((layer, tuple(sorted(layers[layer]))))
    return families


def _place(path: str) -> tuple[str, int]:
    base, count = re.fullmatch(r"(.*?)(?:_(\d+))?", path, re.DOTALL).groups()  # type: ignore[union-attr]
    return base, int(count or 0)


def hint(found: Shapes, wanted: Shapes) -> str:
    """A sentence on what moved and what to do, empty if nothing is recognized."""
    pairs = _short(moved(found, wanted))
    if not pairs:
        return ""
    shown = ", ".join(f"{old!r} of the file has the shapes of {new!r}" for old, new in list(pairs.items())[:4])
    renamed = ", ".join(f'"{old}": "{new}"' for old, new in list(pairs.items())[:4])
    more = ", ..." if len(pairs) > 4 else ""
    return (
        f". Layers without a name are counted, so that one that is inserted renames those after it: {shown}{more}. "
        'Give layers names that stay, as in Dense(4, name="head"); this file: '
        f"kfun.tree.rename(kfun.checkpoints.load(path), {{{renamed}{more}}})"
    )


def _short(pairs: dict[str, str]) -> dict[str, str]:
    """The names alone, where they moved alike in all places: in the params and in what an optimizer keeps of them."""
    names: dict[str, set[str]] = {}
    for old, new in pairs.items():
        names.setdefault(old.rpartition("/")[2], set()).add(new.rpartition("/")[2])
    if any(len(new) > 1 for new in names.values()):
        return pairs
    return {old: next(iter(new)) for old, new in names.items()}


def changed(saved: Any, definition: Any) -> list[str]:
    """Counted layers that are another layer than when the net was saved, as `"'dense_1' was ..., is ..."`.

    Args:
        saved, definition: configs of the net, as `Definition.to_config` gives them.
    """
    before, now = (dict(_named(json.loads(json.dumps(config)))) for config in (saved, definition))
    return [
        f"{path!r} was {_shown(before[path])}, is {_shown(now[path])}"
        for path in before
        if path in now and before[path] != now[path]
    ]


def _named(config: Any, path: str = "") -> Iterator[tuple[str, dict]]:
    """The layers of a config by path, as far as they have no name and so are counted in a list."""
    fields = config.get("config") if isinstance(config, dict) else None
    for value in fields.values() if isinstance(fields, dict) else ():
        taken: set[str] = set()
        for part in value if isinstance(value, list) else ():
            if not isinstance(part, dict) or not isinstance(part.get("config"), dict):
                continue
            given = part["config"].get("name")
            base = name = given or snake_case(str(part.get("class_name")).rpartition(">")[2])
            n = 0
            while name in taken:
                n += 1
                name = f"{base}_{n}"
            taken.add(name)
            inside = f"{path}/{name}" if path else name
            if not given:
                yield inside, part
            yield from _named(part, inside)


def _shown(config: dict) -> str:
    name = str(config["class_name"]).rpartition(">")[2]
    plain = [str(v) for v in config["config"].values() if isinstance(v, (int, float)) and not isinstance(v, bool)]
    return f"{name}({', '.join(plain[:2])})"
