"""Unmodified programs: `install`, `python -m compat`, and the few names of `keras.src`."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

import compat
from compat._keras_src import PROVIDED, module_of


def _run(*arguments, code=None, cwd=None, succeeds=True):
    if code is not None:
        arguments = ("-c", textwrap.dedent(code))
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=cwd, check=False)
    assert (done.returncode == 0) is succeeds, done.stderr
    return done


def test_install_makes_keras_mean_compat():
    done = _run(
        code="""
        import compat
        compat.install(); compat.install()
        import keras, keras.layers, keras.utils.bounding_boxes as boxes
        from keras import ops
        from keras.layers import Dense
        from keras.optimizers.schedules import ExponentialDecay
        from keras.preprocessing.image import load_img
        from keras._tf_keras.keras.layers import Dense as Same
        assert keras is compat and keras.layers is compat.layers and ops is compat.ops and Dense is Same
        assert compat.layers.__spec__.name == "compat.layers"

        def message(statement):
            try:
                exec(statement)
            except ImportError as error:
                return str(error)

        for statement in ("import keras.layer", "from keras.layers import Dens", "import keras.layers.core",
                          "from keras.src.callbacks import EarlyStopping", "import keras.distillation.x"):
            print(message(statement))
        import pickle
        assert type(pickle.loads(pickle.dumps(Dense(2)))) is Dense
        compat.uninstall()
        assert "keras" not in __import__("sys").modules
        import importlib.util
        spec = importlib.util.find_spec("keras")
        print("none" if spec is None else spec.origin)
        """
    )
    lines = done.stdout.splitlines()
    assert lines[0] == "no module 'keras.layer'; did you mean 'layers'?"
    assert lines[1].startswith("cannot import name 'Dens' from 'keras.layers'; did you mean 'Dense'")
    assert lines[2].endswith("import from keras.layers, whose names have no modules of their own")
    assert lines[3] == "keras.src.callbacks is inside Keras and not provided here: use keras.callbacks"
    assert "compat" not in lines[-1]


def test_tensorflows_keras_too():
    pytest.importorskip("tensorflow", reason="the extra `tensorflow`")
    done = _run(
        code="""
        import compat; compat.install()
        from tensorflow import keras
        import tensorflow.keras as same
        from tensorflow.keras.layers import Dense
        print(keras.layers.Dense is compat.layers.Dense is Dense is same.layers.Dense)
        """
    )
    assert done.stdout.split() == ["True"]


def test_install_after_the_real_keras_is_refused():
    done = _run(
        code="import sys, types; sys.modules['keras'] = types.ModuleType('keras'); import compat; compat.install()",
        succeeds=False,
    )
    assert "before anything imports keras" in done.stderr


SCRIPT = """
import sys
import keras
import helper
if __name__ == "__main__":
    print(keras.__name__, sys.argv[1:], helper.NAME, __name__, sys.modules["__main__"].__dict__ is globals())
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "helper.py").write_text("import keras.layers\nNAME = keras.layers.Dense.__name__\n")
    (tmp_path / "script.py").write_text(SCRIPT)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["script.py", "-x", "1"], "compat ['-x', '1'] Dense __main__ True"),
        (["-m", "script", "a"], "compat ['a'] Dense __main__ True"),
        (["-c", "import sys, keras, helper; print(keras.__name__, sys.argv)", "b"], "compat ['-c', 'b']"),
    ],
    ids=["script", "module", "code"],
)
def test_the_command_line(folder, arguments, shown, monkeypatch):
    import os

    monkeypatch.setenv("PYTHONPATH", os.path.dirname(os.path.dirname(compat.__file__)))
    assert _run("-m", "compat", *arguments, cwd=folder).stdout.strip() == shown


def test_command_lines_that_say_nothing(folder, monkeypatch):
    import os

    monkeypatch.setenv("PYTHONPATH", os.path.dirname(os.path.dirname(compat.__file__)))
    assert "usage" in _run("-m", "compat", "--help").stdout
    assert "no file 'none.py'" in _run("-m", "compat", "none.py", succeeds=False).stderr
    assert "expected a module" in _run("-m", "compat", "-m", succeeds=False).stderr
    assert "unknown option '-z'" in _run("-m", "compat", "-z", succeeds=False).stderr


@pytest.mark.parametrize("name", sorted(n for n in PROVIDED if n))
def test_provided_names_are_keras_own_names(name):
    import importlib
    import os

    os.environ["KERAS_BACKEND"] = "jax"
    theirs = importlib.import_module(f"keras.src.{name}")
    ours = module_of(name)
    for key in PROVIDED[name]:
        if key != "*":
            assert getattr(ours, key) is not None
            assert hasattr(theirs, key), f"keras.src.{name} has no {key}"


def test_masks_of_keras_src_are_those_of_layers():
    backend = module_of("backend")
    x = compat.layers.Masking()(compat.ops.convert_to_tensor([[[0.0], [1.0]]]))
    assert backend.get_keras_mask(x).tolist() == [[False, True]]
    y = compat.ops.ones((1, 2))
    backend.set_keras_mask(y, x[..., 0] > 0)
    assert backend.get_keras_mask(y).tolist() == [[False, True]]


@pytest.mark.parametrize(
    ("name", "public"),
    [
        ("layers.core.dense.Dense", "keras.layers.Dense"),
        ("callbacks.early_stopping", "keras.callbacks"),
        ("utils.sequence_utils.pad_sequences", "keras.utils.pad_sequences"),
        ("engine.base_layer.Layer", "keras.Layer"),
    ],
    ids=str,
)
def test_other_names_are_refused_with_the_public_path(name, public):
    with pytest.raises(ModuleNotFoundError, match=f"use {public}$"):
        module_of(name)
