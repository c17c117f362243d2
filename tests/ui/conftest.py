"""What the app's tests share."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit import config

from dvt_core.authors import AUTHORS, AuthorsPoint, AuthorsResults
from dvt_core.bundle import load_bundle
from dvt_core.macs import exit_macs
from tests.ui.tiny_model import write_bundle


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model, to be copied and not changed."""
    return write_bundle(tmp_path_factory.mktemp("models") / "tiny").path


@pytest.fixture
def models_dir(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models folder with the model "tiny", used by the app during the test."""
    folder = tmp_path / "bundled"
    shutil.copytree(tiny_folder, folder / "tiny")
    monkeypatch.setenv("DVT_MODELS", str(folder))
    monkeypatch.delenv("DVT_MODEL_ROOT", raising=False)
    return folder


@pytest.fixture
def own_folder(models_dir: Path, tiny_folder: Path, tmp_path: Path) -> Path:
    """A model folder that is not bundled and has no tables, as `dvt convert` leaves it."""
    folder = tmp_path / "home" / "mine"
    shutil.copytree(tiny_folder, folder)
    for table in folder.glob("*.parquet"):
        table.unlink()
    return folder


@pytest.fixture
def authors(own_folder: Path) -> AuthorsResults:
    """Numbers that the authors stored with the weights of `own_folder`; two points are poor."""
    first, _, last = exit_macs(load_bundle(own_folder).config)
    rows = ((0.0, 0.60), (0.2, 0.70), (0.3, 0.65), (0.5, 0.75), (0.7, 0.80), (0.9, 0.78))
    points = tuple(
        AuthorsPoint((0.9 - share / 2, 0.9 - share), first + share * (last - first), accuracy)
        for share, accuracy in rows
    )
    costs = (1.01 * first, 0.4 * last, 1.01 * last)
    results = AuthorsResults(costs, (0.61, 0.72, 0.81), points, "theirs.pth.tar, sha256 00ff")
    (own_folder / AUTHORS).write_text(json.dumps(results.to_dict()))
    return results


@pytest.fixture
def public_server() -> Iterator[None]:
    """A server that answers to other machines."""
    before = config.get_option("server.address")
    config.set_option("server.address", "0.0.0.0")
    yield
    config.set_option("server.address", before)
