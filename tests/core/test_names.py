"""Unknown names of kfun's modules: the error names the neighbours."""

from __future__ import annotations

import importlib

import pytest

MODULES = {
    "kfun": ("Sequentail", "Sequential"), "kfun.layers": ("Dens", "Dense"), "kfun.losses": ("huberr", "huber"),
    "kfun.metrics": ("MeanIOU", "MeanIoU"), "kfun.optim": ("adamm", "adam"), "kfun.ops": ("matmull", "matmul"),
    "kfun.ops.numpy": ("nanmedain", "nanmedian"), "kfun.ops.nn": ("softmaxx", "softmax"),
    "kfun.ops.linalg": ("choleski", "cholesky"), "kfun.ops.image": ("resise", "resize"),
    "kfun.random": ("unifrom", "uniform"), "kfun.tree": ("partitoin", "partition"),
    "kfun.initializers": ("GlorotUnifrom", "GlorotUniform"), "kfun.activations": ("reluu", "relu"),
    "kfun.regularizers": ("L11", "L1"), "kfun.constraints": ("NonNegg", "NonNeg"), "kfun.transforms": ("vmapp", "vmap"),
    "kfun.checkpoints": ("describee", "describe"), "kfun.training": ("make_trainstep", "make_train_step"),
    "kfun.arrays": ("add_lorra", "add_lora"),
}  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_unknown_names_get_the_nearest(name):
    module = importlib.import_module(name)
    wrong, right = MODULES[name]
    assert hasattr(module, right)
    with pytest.raises(AttributeError, match=rf"module '{name}' has no attribute '{wrong}'; did you mean.*'{right}'"):
        getattr(module, wrong)
    with pytest.raises(AttributeError, match=r"has no attribute '__wrapped__'$"):
        module.__wrapped__  # noqa: B018


def test_modules_that_are_imported_later_are_neighbours():
    kfun = importlib.import_module("kfun")
    with pytest.raises(AttributeError, match="'optim'"):
        kfun.optm  # noqa: B018
    with pytest.raises(AttributeError, match="'from_torch'"):
        kfun.from_troch  # noqa: B018
    assert kfun.optim.adam
