"""Saving and loading a model of 100 million parameters against Keras: seconds, and memory beyond the model's."""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import gc
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

from bench._timing import interleaved, report

_WIDTH, _LAYERS = 5000, 4  # 100 million parameters
GOALS = {"save": 0.4, "load": 0.7}
_MEMORY_GOAL = 0.5


def _model(api: Any) -> Any:
    model = api.Sequential([api.Input((_WIDTH,)), *(api.layers.Dense(_WIDTH, name=f"d{i}") for i in range(_LAYERS))])
    model.build((None, _WIDTH))
    for variable in model.variables:
        variable.value  # noqa: B018 (drawn now, not while it is measured)
    return model


def _resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def extra_memory(function: Callable[[], Any]) -> int:
    """The most resident memory during a call beyond that before it, in bytes."""
    gc.collect()
    start = most = _resident()
    done = threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.is_set():
            most = max(most, _resident())
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        kept = function()
    finally:
        done.set()
        watcher.join()
    most = max(most, _resident())
    del kept
    return most - start


def main() -> None:
    """Prints seconds and memory of ours and Keras's, for `.keras` and `.weights.h5`."""
    import keras

    import compat

    apis = {"compat": compat, "keras": keras}
    models = {name: _model(api) for name, api in apis.items()}
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None  # a disk takes its time as it likes
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        for ending in (".keras", ".weights.h5"):
            paths = {name: os.path.join(folder, f"{name}{ending}") for name in apis}
            for what, goal in GOALS.items():
                calls = {name: _call(what, ending, apis[name], models[name], paths[name]) for name in apis}
                times = interleaved(calls, rounds=5)
                report(f"{what} {ending}, 100M parameters", times, "compat", "keras", goal, 1, "s ")
                used = {name: extra_memory(call) / 2**20 for name, call in calls.items()}
                ratio = used["compat"] / max(used["keras"], 1.0)
                verdict = "ok" if ratio <= _MEMORY_GOAL else "MISSED"
                print(f"  extra memory: compat {used['compat']:.0f} MiB, keras {used['keras']:.0f} MiB, "
                      f"ratio {ratio:.2f}   goal at most {_MEMORY_GOAL}   {verdict}")  # fmt: skip


def _call(what: str, ending: str, api: Any, model: Any, path: str) -> Callable[[], Any]:
    if ending == ".keras":
        return (lambda: model.save(path)) if what == "save" else (lambda: api.saving.load_model(path))
    return (lambda: model.save_weights(path)) if what == "save" else (lambda: model.load_weights(path))


if __name__ == "__main__":
    main()
