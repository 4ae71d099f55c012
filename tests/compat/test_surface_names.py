"""The namespaces and signatures of compat are those of Keras's API table; what is missing has a reason here.

A path that is listed here and is there after all is not complained about: entries go when their issue comes.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import pathlib

import pytest

import compat

SYMBOLS = json.loads((pathlib.Path(__file__).parent / "data" / "keras_api.json").read_text())["symbols"]

# Namespaces that later issues bring.
LATER = {
    "applications": "the model zoo comes next",
    "distribution": "distribution comes next",
    "distillation": "quantizers and distillation come next",
    "quantizers": "quantizers and distillation come next",
}
PREPROCESSING = {
    "AugMix", "AutoContrast", "CategoryEncoding", "CenterCrop", "ContrastLimitedAdaptiveHistogramEqualization",
    "CutMix", "Discretization", "Equalization", "HashedCrossing", "Hashing", "IntegerLookup", "MaxNumBoundingBoxes",
    "MelSpectrogram", "MixUp", "Normalization", "Pipeline", "RandAugment", "RandomBrightness",
    "RandomColorDegeneration", "RandomColorJitter", "RandomContrast", "RandomCrop", "RandomElasticTransform",
    "RandomErasing", "RandomFlip", "RandomGaussianBlur", "RandomGrayscale", "RandomHue", "RandomInvert",
    "RandomPerspective", "RandomPosterization", "RandomRotation", "RandomSaturation", "RandomSharpness",
    "RandomShear", "RandomTranslation", "RandomZoom", "Resizing", "STFTSpectrogram", "Solarization", "StringLookup",
    "TextVectorization",
}  # fmt: skip
MISSING = {
    **{f"layers.{name}": "preprocessing layers come next" for name in PREPROCESSING},
    "utils.FeatureSpace": "stands on preprocessing layers, which come next",
    "Quantizer": "quantizers come next",
    **{
        f"dtype_policies.{name}": "quantizers come next"
        for name in (
            "AWQDTypePolicy", "GPTQDTypePolicy", "Int4DTypePolicy", "QuantizedDTypePolicy",
            "QuantizedFloat8DTypePolicy",
        )
    },
    "export.ExportArchive": "its formats (SavedModel, LiteRT, ONNX) come with deployment; Model.export writes OpenVINO",
    "Function": "made by the work on models",
    "models.clone_model": "made by the work on models",
    "saving.KerasFileEditor": "made by the work on saving",
}  # fmt: skip

# Signatures that differ, and why.
WIDER = "says what Keras's *args and **kwargs hide"
OTHER_SIGNATURES = {
    "Layer": WIDER, "layers.Layer": WIDER, "Sequential": WIDER, "models.Sequential": WIDER, "name_scope": WIDER,
    "Variable": "layouts come with distribution", "KerasTensor": "made by the work on models",
    "ops.amax": "takes `initial` besides, as max does", "ops.numpy.amax": "takes `initial` besides, as max does",
    "ops.amin": "takes `initial` besides, as min does", "ops.numpy.amin": "takes `initial` besides, as min does",
    "losses.circle": "80.0 for 80",
    **dict.fromkeys(("models.load_model", "saving.load_model"), "takes `allowance` besides, of memory"),
    **dict.fromkeys(
        ("ops.einsum", "ops.numpy.einsum", "ops.layer_normalization", "ops.nn.layer_normalization", "ops.multi_hot",
         "ops.nn.multi_hot", "random.SeedGenerator"),
        "has no **kwargs, which Keras takes and does not use",
    ),
    **dict.fromkeys(("ops.vectorize", "ops.numpy.vectorize"), "its options can be given by position too"),
    **dict.fromkeys(
        ("saving.CustomObjectScope", "saving.custom_object_scope", "utils.CustomObjectScope",
         "utils.custom_object_scope", "saving.save_model", "models.save_model", "saving.load_weights",
         "saving.save_weights"),
        "made by the work on saving",
    ),
}  # fmt: skip

# Members that are made in the constructor: looked for on an object.
MAKERS = {
    "DTypePolicy": lambda api: api.DTypePolicy("float32"),
    "dtype_policies.DTypePolicyMap": lambda api: api.dtype_policies.DTypePolicyMap(),
    "Layer": lambda api: api.Layer(),
    "Loss": lambda api: api.losses.MeanSquaredError(),
    "Sequential": lambda api: api.Sequential([api.Input((2,)), api.layers.Dense(1)]),
    "layers.InputLayer": lambda api: api.layers.InputLayer((2,)),
    "layers.SimpleRNN": lambda api: api.layers.SimpleRNN(2),
    "layers.GRU": lambda api: api.layers.GRU(2),
    "layers.LSTM": lambda api: api.layers.LSTM(2),
    "layers.MultiHeadAttention": lambda api: api.layers.MultiHeadAttention(2, 2),
    "metrics.AUC": lambda api: api.metrics.AUC(),
}
QUANTIZERS = "quantizers come next"
MODELS = "made by the work on models"
MISSING_MEMBERS = {
    **dict.fromkeys(
        ("quantize", "quantized_build", "quantized_call", "get_quantization_layer_structure", "quantization_mode"),
        QUANTIZERS,
    ),
    "variable_serialization_spec": QUANTIZERS,
    **dict.fromkeys(
        ("add_metric", "add_variable", "rematerialized_call", "symbolic_call", "get_state_tree", "set_state_tree",
         "call", "compute_output_spec", "from_config", "get_config", "input_spec", "reshape", "squeeze", "ragged",
         "ragged_rank", "row_splits_dtype", "sparse"),
        MODELS,
    ),
    "inner_loop": "how Keras's backends plug their loops in; kfun's layers have one loop",
    **dict.fromkeys(("query_dense", "key_dense", "value_dense", "output_dense", "attention_axes"),
                    "made when the layer is built"),
    **dict.fromkeys(("interpolate_pr_auc", "check_finite", "lr_adjust", "transpose_last_axis",
                     "zeropower_via_newtonschulz5"), "a step of Keras's own computation, which kfun does otherwise"),
    "loss_scale_factor": "each optimizer of a MultiOptimizer has its own",
}  # fmt: skip

PATHS = [(path, symbol) for symbol in SYMBOLS for path in symbol["paths"]]
MODULES = sorted({path.rpartition(".")[0] for path, _ in PATHS})


@functools.cache
def _find(path):
    """What compat has at a path; AttributeError or ImportError if nothing."""
    found = compat
    done = []
    for part in path.split("."):
        done.append(part)
        try:
            found = getattr(found, part)
        except AttributeError:
            found = importlib.import_module("compat." + ".".join(done))
    return found


def _there(path):
    try:
        _find(path)
    except (AttributeError, ImportError):
        return False
    return True


def _reason(path):
    return LATER.get(path.partition(".")[0]) or MISSING.get(path)


@pytest.mark.parametrize("module", MODULES, ids=[m or "root" for m in MODULES])
def test_every_name_is_there_or_has_a_reason(module):
    paths = [path for path, _ in PATHS if path.rpartition(".")[0] == module]
    assert [path for path in paths if not _reason(path) and not _there(path)] == []


def test_only_what_comes_next_is_missing():
    missing = [path for path, _ in PATHS if not _there(path)]
    assert {path for path in missing if path.partition(".")[0] not in LATER} <= set(MISSING)
    assert set(MISSING) <= {path for path, _ in PATHS}, "the table names what Keras does not have"


def _written(parameter):
    return str(parameter.replace(annotation=inspect.Parameter.empty))


@pytest.mark.parametrize("module", MODULES, ids=[m or "root" for m in MODULES])
def test_signatures(module):
    differ = {}
    for path, symbol in PATHS:
        if path.rpartition(".")[0] != module or symbol["params"] is None or path in OTHER_SIGNATURES:
            continue
        if not _there(path):
            continue
        signature = inspect.signature(_find(path))
        bare = inspect.Signature([p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()])
        ours = [part for part in map(_written, bare.parameters.values()) if part != "self"]
        star = [part for part in symbol["params"] if part != "*"]
        if ours != star:
            differ[path] = (ours, star)
    assert differ == {}


CLASSES = [(symbol["paths"][0], symbol["members"]) for symbol in SYMBOLS if symbol.get("members")]


@pytest.mark.parametrize("path", [path for path, _ in CLASSES if not _reason(path)])
def test_members(path):
    cls = _find(path)
    found = MAKERS[path](compat) if path in MAKERS else cls
    members = dict(CLASSES)[path]
    assert [m for m in members if not hasattr(found, m) and not hasattr(cls, m) and m not in MISSING_MEMBERS] == []


def test_the_tables_of_exceptions_name_paths_of_keras():
    known = {path for path, _ in PATHS}
    assert set(OTHER_SIGNATURES) <= known
    assert set(MAKERS) <= known
    assert set(LATER) <= {path.partition(".")[0] for path in known}
    assert set(MISSING_MEMBERS) <= {m for _, members in CLASSES for m in members}


def test_unknown_names_get_the_nearest():
    for path, hint in (
        ("layers.Dens", "Dense"), ("optimizers.Adamm", "Adam"), ("losses.mean_square_error", "mean_squared_error"),
        ("utils.to_categoricl", "to_categorical"), ("callbacks.EarlyStoping", "EarlyStopping"),
        ("layer", "layers"),
        ("ops.matmull", "matmul"), ("config.flaotx", "floatx"), ("backend.clear_sesion", "clear_session"),
        ("random.norml", "normal"),
        ("initializers.GlorotUnifrom", "GlorotUniform"), ("tree.flaten", "flatten"), ("datasets.mnits", "mnist"),
        ("regularizers.L3", "L2"), ("metrics.Acuracy", "Accuracy"), ("activations.rellu", "relu"),
        ("dtype_policies.DTypePolcy", "DTypePolicy"), ("wrappers.SKLearnClasifier", "SKLearnClassifier"),
        ("visualization.plot_image_galery", "plot_image_gallery"), ("constraints.MaxNrom", "MaxNorm"),
        ("mixed_precision.set_global_polcy", "set_global_policy"), ("applications", "yet"), ("export", "yet"),
    ):  # fmt: skip
        if _there(path):
            continue
        module, _, name = path.rpartition(".")
        with pytest.raises(AttributeError, match=rf"{hint}"):
            getattr(_find(module) if module else compat, name)
