"""Changes of JSON data: numbers, texts, lists, classes, connections, depth."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from tests.compat.test_saving_attacks import GADGETS

NUMBERS = [0, -1, 1, 2, 3, 255, 10**4, 10**7, 10**9, 2**31, 2**63, 10**30, -(2**31), -(2**63) - 1]
REALS = [float("nan"), float("inf"), float("-inf"), 1e308, -1e308, 1e-320, 0.0, -0.0, -1.0, 0.5, 1.0, 2.0]
TEXTS = ["", "x" * 70_000, "../x", "/etc/passwd", "a\0b", ".", "..", "\ud800", "\u202e名", "None", "float32", "int4",
         "<U9", "O", "V8", "datetime64[s]", "relu", "sum", "%s%n", "{0.__class__}", "__class__", "name", "a/b", "1",
         "-1"]  # fmt: skip
NAMES = ["__class__", "__init__", "_Stack", "function", "Layer", "Operation", "Variable", "Metric", "Optimizer", "Loss",
         "Initializer", "Wrapper", "load_model", "get_file", "doubled", "fuzzing>doubled", "Mine>Scale", "Mine>Graph",
         "Mine>Block", "Reshape", "Tile", "Repeat", "Pad", "Full", "Zeros", "Arange", "Eye", "OneHot", "Map",
         "WhileLoop", "__tuple__", "__numpy__", "__tensor__", "__slice__", "__bytes__", "__lambda__",
         "__keras_tensor__", "Dense", "StackedRNNCells", "Functional", "Sequential", "Model", "LossScaleOptimizer",
         "InputLayer", "AUC"]  # fmt: skip
MODULES = ["keras", "keras.layers", "keras.src.ops.numpy", "keras.ops", "builtins", "os", "compat.saving",
           "kfun.layers", "keras.optimizers", "keras.src.models.functional", "", None, 3, "numpy",
           "keras.src.saving"]  # fmt: skip
OTHERS = [None, True, False, [], {}, "", "x", 0, 1.5, [[]], [None], {"a": 1}, [1, [2, [3]]], ["a", "b"], {"": {}}]
DEPTHS = [10, 400, 5000]
_LONGEST = 3_000_000  # characters that a config may grow to
_DEEP, _AGAIN = "@@deep ", "@@again"

Slot = tuple[Any, Any]  # a dict or list, and where in it


class Pool:
    """Parts of honest configs, which are put where they do not belong."""

    def __init__(self, configs: list[Any]):
        slots = [s for config in configs for s in slots_of(config)]
        values = [holder[at] for holder, at in slots]
        self.entries = [v for v in values if isinstance(v, dict) and "class_name" in v and "config" in v]
        self.values = [v for v in values if len(repr(v)) < 3000]
        self.texts = sorted({v for v in values if isinstance(v, str)}) + TEXTS
        self.keys = sorted({at for _, at in slots if isinstance(at, str)})
        self.names = sorted({str(e["class_name"]) for e in self.entries}) + NAMES
        functions = [{"module": "builtins", "class_name": "function", "config": n, "registered_name": "function"}
                     for n in ("fuzzing>doubled", "doubled", "relu", "mse", "Mine>swash", "exec")]  # fmt: skip
        bare = [{k: v for k, v in e.items() if k != "config"} | {"config": None} for e in self.entries[:200]]
        self.odd = functions + bare + list(GADGETS.values())


def slots_of(value: Any) -> Iterator[Slot]:
    """Every place in JSON data."""
    waiting = [value]
    while waiting:
        holder = waiting.pop()
        items = holder.items() if isinstance(holder, dict) else enumerate(holder) if isinstance(holder, list) else ()
        for at, inner in items:
            yield holder, at
            waiting.append(inner)


def changed(config: Any, rng: random.Random, pool: Pool) -> tuple[Any, list[str]]:
    """A copy of a config with one to four changes, and these in words."""
    root = [copy.deepcopy(config)]
    words: list[str] = []
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        change = rng.choice(CHANGES)
        wanted = _WANTED.get(change, lambda holder, at: True)
        slots = [s for s in slots_of(root) if wanted(*s)]
        if slots and len(words) < 4:
            words.append(change(rng, pool, slots))
    return root[0], words


def written(config: Any) -> str:
    """JSON text, with what Python's writer does not do: depth beyond its own, a key twice."""
    text = json.dumps(config)
    for depth in DEPTHS:
        text = text.replace(f'"{_DEEP}list {depth}"', "[" * depth + "]" * depth)
        text = text.replace(f'"{_DEEP}dict {depth}"', '{"config": ' * depth + "1" + "}" * depth)
        head = '{"class_name": "__tuple__", "config": {}, "items": ['
        text = text.replace(f'"{_DEEP}tuple {depth}"', head * depth + "]}" * depth)
    return text.replace(_AGAIN, "")


def _is(*types: type) -> Callable:
    return lambda holder, at: type(holder[at]) in types


def _is_entry(holder: Any, at: Any) -> bool:
    return isinstance(holder[at], dict) and "class_name" in holder[at]


def _is_field(holder: Any, at: Any) -> bool:
    return isinstance(holder, dict)


def _short(value: Any) -> str:
    return f"{value!r:.100}"


def _set(slot: Slot, value: Any, what: str) -> str:
    holder, at = slot
    said = f"{at!r}: {what} {_short(holder[at])} -> {_short(value)}"
    holder[at] = value
    return said


def number(rng: random.Random, pool: Pool, slots: list[Slot]) -> str:
    """A number that is extreme."""
    return _set(rng.choice(slots), rng.choice(NUMBERS + REALS[:4] if rng.random() < 0.9 else REALS), "number")


def same_number(rng: random.Random, pool: Pool, slots: list[Slot]) -> str:
    """One number everywhere, so that the config agrees with itself."""
    holder, at = rng.choice(slots)
    old, new = holder[at], rng.choice(NUMBERS)
    for other, place in slots:
        if type(other[place]) is type(old) and other[place] == old:
            other[place] = new
    return f"every {old} -> {new}"


def real(rng: random.Random, pool: Pool, slots: list[Slot]) -> str:
    """A real number that is none, or extreme."""
    return _set(rng.choice(slots), rng.choice(REALS), "real")


def text(rng: random.Random, pool: Pool, slots: list[Slot]) -> str:
    """Another text."""
    return _set(rng.choice(slots), rng.choice(pool.texts), "text")


def sequence(rng: random.Random, pool: Pool, slots: list[Slot]) -> str:
    """A list emptied, repeated, turned, cut, or with one item more."""
    holder, at = slot = rng.choice(slots)
    items, way = holder[at], rng.randrange(6)
    times = max(1, min(1000, _LONGEST // (len(repr(items)) + 1)))
    new = [[], items * times, items[::-1], items[:-1], [*items, copy.deepcopy(rng.choice(pool.values))], items * 2][way]
    return _set(slot, copy.deepcopy(new), f"list {('emptied', f'x{times}', 'turned', 'cut', 'longer', 'x2')[way]}")


def graft(rng: random.Random, pool: Pool, slots: list[Slot]) -> str:
    """A part of another config."""
    kind = rng.randrange(4)
    found = rng.choice((pool.values, pool.entries, pool.entries, pool.odd)[kind])
    return _set(rng.choice(slots), copy.deepcopy(found), "grafted")


def swap_entries(rng: random.Random, pool: Pool, slots: list[Slot]) -> str:
    """Another object in an object's place."""
    return _set(rng.choice(slots), copy.deepcopy(rng.choice(pool.entries + pool.odd)), "object")


def other_type(rng: random.Random, pool: Pool, slots: list[Slot]) -> str:
    """A value of another type."""
    return _set(rng.choice(slots), copy.deepcopy(rng.choice(OTHERS)), "other")


def drop(rng: random.Random, pool: Pool, slots: list[Slot]) -> str:
    """A key less."""
    holder, at = rng.choice(slots)
    return f"dropped {at!r}: {_short(holder.pop(at))}"


def rename(rng: random.Random, pool: Pool, slots: list[Slot]) -> str:
    """A key of another name."""
    holder, at = rng.choice(slots)
    new = rng.choice([*pool.keys, "", "self", "cls", "__class__", "kwargs", "a\0"])
    holder[new] = holder.pop(at)
    return f"renamed {at!r} to {new!r}"


def repeat_key(rng: random.Random, pool: Pool, slots: list[Slot]) -> str:
    """A key twice, with different values."""
    holder, at = rng.choice(slots)
    holder[f"{at}{_AGAIN}"] = copy.deepcopy(rng.choice(pool.values))
    return f"key {at!r} again"


def more_keys(rng: random.Random, pool: Pool, slots: list[Slot]) -> str:
    """A key that belongs elsewhere."""
    holder, _ = rng.choice(slots)
    key = rng.choice(pool.keys)
    holder[key] = copy.deepcopy(rng.choice(pool.values))
    return f"key {key!r} added: {_short(holder[key])}"


def class_of(rng: random.Random, pool: Pool, slots: list[Slot]) -> str:
    """An object of another class."""
    holder, at = rng.choice(slots)
    key = rng.choice(["class_name"] * 3 + ["module", "registered_name"])
    new = rng.choice(MODULES if key == "module" else pool.names)
    old = holder[at].get(key)
    holder[at][key] = new
    return f"{at!r}: {key} {old!r} -> {new!r}"


def settings_of(rng: random.Random, pool: Pool, slots: list[Slot]) -> str:
    """An object with another's settings."""
    holder, at = rng.choice(slots)
    other = copy.deepcopy(rng.choice(pool.entries))
    holder[at]["config"] = other["config"]
    return f"{at!r}: {holder[at]['class_name']} with the config of {other['class_name']}"


def gadget(rng: random.Random, pool: Pool, slots: list[Slot]) -> str:
    """What would run code."""
    name = rng.choice(sorted(GADGETS))
    slot = rng.choice(slots)
    _set(slot, copy.deepcopy(GADGETS[name]), "gadget")
    return f"{slot[1]!r}: gadget {name}"


def deep(rng: random.Random, pool: Pool, slots: list[Slot]) -> str:
    """Many levels."""
    return _set(rng.choice(slots), f"{_DEEP}{rng.choice(('list', 'dict', 'tuple'))} {rng.choice(DEPTHS)}", "deep")


def wrapped(rng: random.Random, pool: Pool, slots: list[Slot]) -> str:
    """An object in itself, again and again: a layer around a layer."""
    holder, at = rng.choice(slots)
    outer = holder[at]
    inner = copy.deepcopy(outer)
    levels = min(rng.choice((2, 30, 200)), _LONGEST // (10 * len(repr(outer)) + 1) + 1)
    for _ in range(levels):
        kind = rng.choice(("TimeDistributed", "Bidirectional", "SpectralNormalization", "Wrapper"))
        inner = {"module": "keras.layers", "class_name": kind, "config": {"name": "w", "layer": inner}}
    holder[at] = inner
    return f"{at!r}: in {levels} wrappers"


def connect(rng: random.Random, pool: Pool, slots: list[Slot]) -> str:
    """A tensor of another layer, call or output."""
    history = rng.choice(slots)
    names = [h[a][0] for h, a in slots if isinstance(h[a], list) and h[a] and isinstance(h[a][0], str)] + ["none", 3]
    new = [rng.choice(names), rng.choice((0, 0, 1, -1, 10**9)), rng.choice((0, 0, 1, -1, 2**63))]
    return _set(history, new, "tensor")


def special(rng: random.Random, pool: Pool, slots: list[Slot]) -> str:
    """A node for an array, a slice, a tuple or bytes, damaged inside."""
    value = rng.choice(
        [[1, 2], [[1, 2], [3]], [], "x" * 9, None, {}, 3, [[[]] * 1000], [1e400, 2], [["a"], [3]], [2**70]]
    )
    dtype = rng.choice(
        ["float32", "int4", "bfloat16", "<U1000", "<U999999999", "|S3", "O", "V3", "bool", 3, None, "complex64"]
    )
    config = rng.choice(
        [{"value": value, "dtype": dtype}] * 4 + [{"start": value, "stop": 1, "step": 0}, value, {}, None]
    )
    kind = rng.choice(("__numpy__", "__numpy__", "__tensor__", "__slice__", "__tuple__", "__bytes__", "__ellipsis__"))
    return _set(rng.choice(slots), {"class_name": kind, "config": config}, "special")


def _is_history(holder: Any, at: Any) -> bool:
    value = holder[at]
    return isinstance(value, list) and len(value) == 3 and isinstance(value[0], str) and isinstance(value[1], int)


_WANTED: dict[Callable, Callable] = {
    number: _is(int, float), same_number: _is(int), real: _is(float), text: _is(str), sequence: _is(list),
    swap_entries: _is_entry, class_of: _is_entry, settings_of: _is_entry, wrapped: _is_entry, drop: _is_field,
    rename: _is_field, repeat_key: _is_field, more_keys: _is_field, connect: _is_history,
}  # fmt: skip
CHANGES = [
    number, number, number, same_number, same_number, real, text, text, sequence, sequence, graft, graft, swap_entries,
    swap_entries, other_type, drop, rename, repeat_key, more_keys, class_of, class_of, settings_of, gadget, deep,
    wrapped, connect, connect, special,
]  # fmt: skip
