"""What the app's tests share."""

import shutil
from pathlib import Path

import pytest

from tests.ui.tiny_model import write_bundle


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model, to be copied and not changed."""
    return write_bundle(tmp_path_factory.mktemp("models") / "tiny").path


@pytest.fixture
def models_dir(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models folder with the model "tiny", used by the app during the test."""
    shutil.copytree(tiny_folder, tmp_path / "tiny")
    monkeypatch.setenv("DVT_MODELS", str(tmp_path))
    return tmp_path
