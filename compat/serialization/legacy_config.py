"""Configs of Keras 2, and of Keras 3's `.h5` files, in the form of today."""

from __future__ import annotations

from typing import Any

_MODELS = ("Functional", "Model", "Sequential")
# Arguments of Keras 2 that say how to compute and not what, or that have gone with their only meaning.
_GONE = {
    "implementation", "time_major", "fused", "virtual_batch_size", "adjustment", "jit_compile", "is_legacy_optimizer",
    "input_length", "ragged", "experimental_autocast",
}  # fmt: skip
_OF_KERNEL = ("groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint")
_GONE_OF = {
    "DepthwiseConv1D": (*_OF_KERNEL, "filters"), "DepthwiseConv2D": (*_OF_KERNEL, "filters"),
    "SeparableConv1D": _OF_KERNEL, "SeparableConv2D": _OF_KERNEL,
}  # fmt: skip


def modern(data: Any) -> Any:
    """A model's config with Keras 2's names and forms replaced."""
    if isinstance(data, list):
        return [modern(v) for v in data]
    if not isinstance(data, dict):
        return data
    if data.get("class_name") in ("Policy", "PolicyV1"):
        return {"module": "keras", "class_name": "DTypePolicy", "config": data["config"], "registered_name": None}
    inner = data.get("config")
    if "class_name" not in data or not isinstance(inner, (dict, list)):
        return {k: modern(v) for k, v in data.items()}
    if data["class_name"] == "Sequential" and isinstance(inner, list):  # before Keras 2.2.3
        inner = {"layers": inner}
    config = {k: modern(v) for k, v in inner.items()} if isinstance(inner, dict) else modern(inner)
    name = data["class_name"]
    if isinstance(config, dict):
        config = _of_today(name, config)
    return {**data, "class_name": "Functional" if name == "Model" and "layers" in config else name, "config": config}


def _of_today(name: str, config: dict) -> dict:
    """The config of a class without arguments that have gone, and with those that have another form now."""
    if name == "InputLayer" and "batch_input_shape" in config:
        config["batch_shape"] = config.pop("batch_input_shape")
    elif name != "InputLayer":
        config = {k: v for k, v in config.items() if k not in _GONE or (k == "ragged" and v)}
    if name == "BatchNormalization" and isinstance(config.get("axis"), list):
        config["axis"] = config["axis"][0]
    for key in _GONE_OF.get(name, ()):
        config.pop(key, None)
    if name in ("Functional", "Model") and "layers" in config:
        _connect(config)
    return config


def _connect(config: dict) -> None:
    """Turns the calls of a functional model into today's form, if they are in Keras 2's."""
    old = [n for layer in config["layers"] for n in layer.get("inbound_nodes", ()) if not isinstance(n, dict)]
    if not old:
        return
    used: dict[str, set[int]] = {}
    for place in _all_places([*old, config.get("output_layers", [])]):
        used.setdefault(place[0], set()).add(place[1])
    # The graph of a model inside counts as its first call, so that its calls begin with 1.
    kinds = {layer["config"].get("name", layer.get("name")): layer["class_name"] for layer in config["layers"]}
    shift = {n: min(used[n]) for n, kind in kinds.items() if kind in _MODELS and used.get(n)}
    for layer in config["layers"]:
        layer["name"] = layer.get("name") or layer["config"].get("name")
        layer["inbound_nodes"] = [_call(n, shift) for n in layer.get("inbound_nodes", ())]
    for key in ("input_layers", "output_layers"):  # a list of one stood for the one
        if isinstance(config.get(key), list) and len(config[key]) == 1 and _is_place(config[key][0]):
            config[key] = config[key][0]
    for place in _all_places(config.get("output_layers", [])):
        if kinds.get(place[0]) == "Sequential":
            place[1] -= shift.get(place[0], 0)


def _is_place(value: Any) -> bool:
    return (
        isinstance(value, list) and len(value) in (3, 4) and isinstance(value[0], str)
        and all(isinstance(v, int) for v in value[1:3])
    )  # fmt: skip


def _all_places(value: Any) -> Any:
    if _is_place(value):
        yield value
        value = value[3] if len(value) == 4 else None
    if isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _all_places(item)


def _call(node: Any, shift: dict[str, int]) -> dict:
    if isinstance(node, dict):
        return node
    if _is_place(node):
        node = [node]

    def tensor(value: Any) -> Any:
        if _is_place(value):
            history = [value[0], value[1] - shift.get(value[0], 0), value[2]]
            return {"class_name": "__keras_tensor__", "config": {"keras_history": history}}
        if isinstance(value, dict):
            return {k: tensor(v) for k, v in value.items()}
        return [tensor(v) for v in value] if isinstance(value, list) else value

    kwargs = {}
    for place in node:
        if isinstance(place, list) and len(place) == 4:
            kwargs |= {k: tensor(v) for k, v in place[3].items()}
    args = [tensor(place) for place in node]
    return {"args": args if len(args) == 1 else [args], "kwargs": kwargs}


def modern_training(data: dict) -> dict:
    """What `compile_from_config` takes, of the training configuration of a `.h5` file."""
    optimizer = modern(data.get("optimizer_config"))
    if isinstance(optimizer, dict) and isinstance(optimizer.get("config"), dict):
        optimizer = {**optimizer, "class_name": str(optimizer["class_name"]).rpartition(">")[2]}
        config = dict(optimizer["config"])
        if "lr" in config:
            config["learning_rate"] = config.pop("lr")
        decay = config.pop("decay", None)
        if decay:
            config["learning_rate"] = {
                "module": "keras.optimizers.schedules", "class_name": "InverseTimeDecay", "registered_name": None,
                "config": {"initial_learning_rate": config["learning_rate"], "decay_steps": 1, "decay_rate": decay},
            }  # fmt: skip
        optimizer["config"] = config
    found: dict[str, Any] = {"optimizer": optimizer}
    for key in ("loss", "loss_weights", "metrics", "weighted_metrics"):
        found[key] = _losses(data.get(key))
    for key in ("run_eagerly", "steps_per_execution", "jit_compile"):
        if data.get(key) is not None:
            found[key] = data[key]
    return found


def _losses(value: Any) -> Any:
    if isinstance(value, list):
        items = [_losses(v) for v in value]
        return items[0] if len(items) == 1 and isinstance(items[0], list) else items
    if not isinstance(value, dict):
        return value
    if "class_name" not in value:
        return {k: _losses(v) for k, v in value.items()}
    config = dict(value.get("config") or {}) if isinstance(value.get("config"), dict) else value.get("config")
    if value["class_name"] in ("MeanMetricWrapper", "LossFunctionWrapper") and isinstance(config, dict):
        return config.get("fn", config.get("name"))
    if isinstance(config, dict):
        config.pop("fn", None)
        if config.get("reduction") == "auto":
            config["reduction"] = "sum_over_batch_size"
    return {**value, "config": config}
