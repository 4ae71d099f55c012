"""The honest files that are changed: small models of very different parts, in every format."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import warnings
import zipfile
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

MATRIX = [
    "conv_norm", "shapes", "lstm_masked", "bidirectional_given", "stacked_cells", "time_distributed_model", "noise",
    "normalizations", "spectral_norm", "activations", "regularized", "constrained", "initialized", "layer_policies",
    "nested", "einsum_dense", "mixed_float16", "deferred", "dict_io", "nested_twice", "ops_of_tensors", "attention",
    "multi_head_attention", "grouped_attention", "tied_embedding", "encoder_decoder", "integer_outputs",
    "optimizer_adamw_ema", "optimizer_loss_scale", "optimizer_piecewise", "custom_block", "custom_cell",
    "custom_build_config", "custom_training", "subclassed_nested", "subclass_in_graph",
]  # fmt: skip
SAMPLE = [
    "measured", "sizes", "foreign", "dict_io", "lstm_masked", "stacked_cells", "subclassed_nested", "layer_policies",
]  # fmt: skip
_CHECKPOINTS = ("dict_io", "subclassed_nested", "lstm_masked")
SECRET = 7265.125  # a number of a file outside that no model may come to hold


def doubled(x: Any) -> Any:
    """A function that files may name."""
    return x * 2


def carried(state: Any, x: Any) -> Any:
    """A function of two arguments that files may name."""
    return state + x, x


def register() -> None:
    """Registers what the models are made of; whoever reads them needs that too."""
    import compat
    from tests.compat import saving_custom

    saving_custom.classes(compat)
    for function in (doubled, carried):
        compat.saving.register_keras_serializable("fuzzing")(function)


def _sizes(k: Any) -> Any:
    """Ops with sizes in their settings."""
    x, ids, ops = k.Input((4, 3)), k.Input((4,), dtype="int32"), k.ops
    h = ops.tile(ops.repeat(x, 2, axis=1), (1, 1, 2))
    h = ops.pad(ops.reshape(h, (-1, 8, 6)), ((0, 0), (1, 2), (0, 0)), constant_values=1.0)
    wide = ops.full_like(ops.broadcast_to(ops.sum(x), (1, 4, 5)), 3.0)
    hot = ops.one_hot(ids, 5) + ops.linspace(wide, wide + 1, num=3, axis=1)[:, 0]
    parts = [ops.mean(h, axis=(1, 2)), ops.sum(hot, axis=(1, 2)), ops.max(ops.roll(x, 1, axis=1)[:, ::2, -1], axis=1)]
    more = [ops.segment_sum(ids[0], ids[0], num_segments=4), ops.diagonal(ops.eye(3, 4)), ops.arange(0, 6, 2)]
    return k.Model([x, ids], [ops.stack(parts, axis=-1), *(m for m in more if hasattr(m, "node"))])


def _images(k: Any) -> Any:
    """Resized, padded, and cut into patches."""
    x = k.Input((8, 8, 3))
    h = k.ops.image.resize(x, (6, 6), interpolation="bilinear")
    h = k.layers.UpSampling2D(2)(k.layers.ZeroPadding2D(1)(k.layers.Rescaling(0.5)(h)))
    return k.Model(x, [h, k.ops.image.extract_patches(x, (2, 2)), k.layers.AdaptiveAveragePooling2D(3)(h)])


def _control(k: Any) -> Any:
    """Control flow, with functions that are registered."""
    x = k.Input((3, 4))
    h = k.ops.vectorized_map(doubled, k.ops.map(doubled, x))
    last, _ = k.ops.scan(carried, k.ops.sum(x, axis=(0, 1)), k.ops.sum(x, axis=0))
    y = k.layers.Lambda(doubled)(h)
    return k.Model(x, [k.layers.Dense(2)(y), last])


def _measured(k: Any) -> Any:
    """Metrics with sizes, losses with functions, constants with arrays."""
    given = k.initializers.Constant(np.arange(12, dtype="float32").reshape(4, 3))
    made = k.Sequential([k.Input((4,)), k.layers.Dense(3, "softmax", kernel_initializer=given), k.layers.Dropout(0.1)])
    metrics = [
        k.metrics.AUC(num_thresholds=9, curve="PR"), k.metrics.PrecisionAtRecall(0.5, num_thresholds=7),
        k.metrics.SensitivityAtSpecificity(0.4), k.metrics.MeanIoU(3), k.metrics.F1Score(average="macro"),
        k.metrics.TopKCategoricalAccuracy(2), k.metrics.MeanMetricWrapper(carried), "accuracy",
    ]  # fmt: skip
    schedule = k.optimizers.schedules.CosineDecayRestarts(0.1, 5)
    loss = k.losses.CategoricalFocalCrossentropy(alpha=0.3, label_smoothing=0.1)
    made.compile(k.optimizers.Adam(schedule, gradient_accumulation_steps=2), loss, metrics=metrics, loss_weights=[0.5])
    return made


def _foreign(k: Any) -> Any:
    """Definitions of the core in layers."""
    import kfun
    from kfun import layers

    x = k.Input((4,))
    net = layers.Dense(4, "relu")
    h = k.layers.KfunLayer(kfun.Sequential([net, layers.LayerNormalization(), layers.Dropout(0.1)]))(x)
    y = k.layers.KfunLayer(layers.Bidirectional(layers.LSTM(3)))(k.ops.expand_dims(h, 1))
    return k.Model(x, [h, y])


def _stateful(k: Any) -> Any:
    x = k.Input(batch_shape=(2, 4, 3))
    h = k.layers.ConvLSTM1D(2, 2, stateful=True)(k.ops.expand_dims(x, -1))
    y = k.layers.RNN([k.layers.LSTMCell(2), k.layers.GRUCell(3)], stateful=True, unroll=True)(x)
    return k.Model(x, [h, k.layers.Bidirectional(k.layers.SimpleRNN(2, stateful=True))(x), y])


OWN: dict[str, Callable] = {f.__name__[1:]: f for f in (
    _sizes, _images, _control, _measured, _foreign, _stateful)}  # fmt: skip


def build(folder: Path, names: list[str] | None = None) -> None:
    """Writes the corpus to a folder, one folder for each model.

    Args:
        folder: that is there.
        names: of models; all if None.
    """
    import compat

    register()
    warnings.simplefilter("ignore")
    for name in names or [*MATRIX, *OWN]:
        compat.utils.set_random_seed(7)
        compat.utils.clear_session()
        model = OWN[name](compat) if name in OWN else _of_matrix(name)
        _write(model, folder / name)
        if name in _CHECKPOINTS:
            _write_orbax(model, folder / "orbax" / name)
    _write_others(folder)
    _write_outside(folder)


def _of_matrix(name: str) -> Any:
    import compat
    from tests.compat import saving_custom, saving_graphs, saving_models  # noqa: F401

    model, x = saving_models.MODELS[name](compat)
    if not model.built:
        model(x)
    if not getattr(model, "compiled", False) and len(name) % 2:  # some are files without training
        model.compile(compat.optimizers.SGD(0.05, momentum=0.9))
    return model


def _write(model: Any, folder: Path) -> None:
    folder.mkdir()
    model.save(folder / "m.keras")
    model.save(folder / "m.h5")
    with zipfile.ZipFile(folder / "m.keras") as archive:
        archive.extractall(folder / "parts")
    if model.built and model.weights:
        model.save_weights(folder / "m.weights.json", max_shard_size=model.count_params() * 3 / (1 << 30) + 1e-6)


def _write_orbax(model: Any, folder: Path) -> None:
    from compat.saving import orbax

    if importlib.util.find_spec("orbax") is None:
        return
    folder.parent.mkdir(exist_ok=True)
    orbax.orbax("").save_checkpointables(str(folder), orbax.checkpointables(model, False))


def _write_others(folder: Path) -> None:
    import kfun
    from kfun import checkpoints, layers

    net = kfun.Sequential(
        [layers.Conv2D(4, 3), layers.BatchNormalization(), layers.Flatten(), layers.Dense(2, "softmax")]
    )
    params, state = net.init(kfun.random.key(0), kfun.Spec((None, 6, 6, 2)))
    checkpoints.save(folder / "checkpoint", {"params": params, "state": [state, (np.ones(3, "int8"),)]}, definition=net)
    np.savez(folder / "arrays.npz", x=np.arange(12).reshape(3, 4), y=np.ones(3, "float32"), z=np.array(["a", "bc"]))
    np.savez_compressed(folder / "packed.npz", x=np.zeros((50, 40)), y=np.array(2j), z=np.zeros((0, 3), "uint8"))


def _write_outside(folder: Path) -> None:
    """What lies outside of the cases' folders: no reader may open it."""
    import h5py

    outside = folder / "outside"
    outside.mkdir()
    secret = np.full(64, SECRET, "float32")
    secret.tofile(outside / "secret.bin")
    np.save(outside / "secret.npy", secret)
    (outside / "secret.txt").write_text(f"secret {SECRET}\n")
    with h5py.File(outside / "secret.h5", "w") as file:
        file["a"] = secret


class Corpus:
    """What `build` wrote."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.names = sorted(p.name for p in folder.iterdir() if (p / "m.keras").is_file())
        self.outside = folder / "outside"

    @cached_property
    def configs(self) -> dict[str, Any]:
        """The config of each model."""
        return {n: json.loads((self.folder / n / "parts" / "config.json").read_text()) for n in self.names}

    @cached_property
    def old_configs(self) -> dict[str, tuple[dict, dict | None]]:
        """The model's and the training's config of each model's file of the older format."""
        import h5py

        found = {}
        for name in self.names:
            with h5py.File(self.folder / name / "m.h5") as file:
                training = file.attrs.get("training_config")
                found[name] = json.loads(file.attrs["model_config"]), training and json.loads(training)
        return found

    def weights(self, name: str) -> Path:
        """The weights of a model's archive."""
        return self.folder / name / "parts" / "model.weights.h5"

    def file(self, name: str, file: str) -> Path:
        """Another file of a model."""
        return self.folder / name / file

    def copy(self, name: str, file: str, target: Path) -> Path:
        """A copy of a model's file in a case's folder, by that file's name."""
        os.makedirs(target, exist_ok=True)
        return Path(shutil.copy(self.folder / name / file, target))
