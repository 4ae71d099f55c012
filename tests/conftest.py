"""A harsh environment: strict promotion, few threads, the real Keras on JAX as an oracle; warnings are errors."""

from __future__ import annotations

import atexit
import os
import random
import shutil
import tempfile

# Before any framework is imported.
os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

# Compiled programs are shared by the workers of a run and by the scripts that tests start, and are gone with the run.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="compiled-")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)

import hypothesis
import numpy as np
import pytest

from kfun.testing import installed_backends

collect_ignore = ["programs"]  # scripts, which tests/test_programs.py runs

hypothesis.settings.register_profile(
    "seeded", derandomize=True, deadline=None, max_examples=25, database=None, print_blob=False
)
hypothesis.settings.load_profile("seeded")

BACKENDS = installed_backends()
GRAPHS = [b for b in ("openvino", "onnx") if b in BACKENDS]  # these build graphs and hold no numbers


@pytest.fixture(autouse=True)
def seeded():
    """compat draws weights and the order of batches from Python's and NumPy's global generators, as Keras does."""
    random.seed(0)
    np.random.seed(0)


@pytest.fixture(params=BACKENDS)
def backend(request):
    """The name of each backend whose framework is installed."""
    return request.param


@pytest.fixture
def x64():
    """JAX with 64-bit types for one test."""
    import jax

    with jax.enable_x64(True):
        yield


@pytest.fixture
def leaked_tracers():
    """Makes a tracer that outlives its trace an error (slow, so asked for by name)."""
    import jax

    with jax.checking_leaks():
        yield
