"""Orbax checkpoints to be spoilt."""

from __future__ import annotations

import shutil

import pytest

from compat.saving import orbax
from tests.hostile import readers


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """An Orbax checkpoint of readers.small_model."""
    from orbax.checkpoint import v1

    folder = tmp_path_factory.mktemp("checkpoint") / "steps" / "3"
    v1.save_checkpointables(str(folder), orbax.checkpointables(readers.small_model(), False))
    return folder


@pytest.fixture
def copied(checkpoint, tmp_path):
    """A copy of it, alone in a folder of steps."""
    return shutil.copytree(checkpoint, tmp_path / "steps" / "3")
