"""Names of variables in Orbax checkpoints: none is lost, none takes long."""

from __future__ import annotations

import string

import numpy as np
import pytest

from compat.saving.orbax_paths import Nearest, numbered


class _Named:
    def __init__(self, path):
        self.path = path


def _paths_by_definition(names):
    """Valid for names of which none begins with another that came before it."""
    used = []
    for name in names:
        path, n = name, 0
        while any(u == path or u.startswith(f"{path}/") for u in used):
            n += 1
            path = f"{name}_{n}"
        used.append(path)
    return used


def _some_names(random, count):
    letters = np.array(list("ab/_1"))
    return ["x" + "".join(random.choice(letters, random.integers(0, 6))) + "y" for _ in range(count)]


@pytest.mark.parametrize("seed", range(5))
def test_paths_in_a_checkpoint(seed):
    random = np.random.default_rng(seed)
    names = sorted(["a", "a", "a_1", "a", *_some_names(random, 60)], reverse=True)
    found = ["/".join(parts) for _, parts in numbered([_Named(name) for name in names])]
    assert found == _paths_by_definition(names)


@pytest.mark.parametrize("seed", range(5))
def test_no_path_in_a_checkpoint_begins_another(seed):
    random = np.random.default_rng(seed)
    names = ["c", "c/d", "c/d/e", "c/e", "c_1", *_some_names(random, 200), "c"]
    found = ["/".join(parts) for _, parts in numbered([_Named(name) for name in names])]
    assert found[:4] == ["c", "c_1/d", "c_1/d_1/e", "c_1/e"]
    assert len(set(found)) == len(found)
    assert not any(a.startswith(f"{b}/") for a in found for b in found)


def _nearest_by_definition(path, stored, by_name):
    if path in stored:
        return path
    for last in (False, True)[: 1 + by_name]:
        key = path.rpartition("/")[2] if last else path
        found = []
        for other in stored:
            name = other.rpartition("/")[2] if last else other
            long, short = (name, key) if len(name) > len(key) else (key, name)
            if long == short or (long.endswith(short) and long[-len(short) - 1] in "/_"):
                found.append(other)
        if len(found) == 1:
            return found[0]
    return None


@pytest.mark.parametrize("by_name", [False, True])
def test_the_nearest_path_in_a_checkpoint(by_name):
    random, found = np.random.default_rng(0), 0
    for _ in range(200):
        stored = dict.fromkeys(_some_names(random, 4))
        nearest = Nearest(stored, by_name)
        for path in [*stored, *_some_names(random, 20), *(f"m/{s}" for s in stored), *(f"m_{s}" for s in stored)]:
            near = _nearest_by_definition(path, stored, by_name)
            found += near is not None
            assert nearest.to(path) == near, (path, list(stored))
    assert found > 1000


def test_many_variables_of_one_name():
    variables = [_Named("m/kernel") for _ in range(100_000)]
    assert [parts[-1] for _, parts in numbered(variables)][-1] == "kernel_99999"
    nearest = Nearest({f"other/{c}_{n}": None for n in range(50_000) for c in string.ascii_lowercase[:2]}, True)
    assert nearest.to("m/a_7") == "other/a_7"
