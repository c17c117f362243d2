"""What the app's tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st

from tests.ui.tiny_model import write_bundle


@pytest.fixture
def models_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A models folder with the model "tiny", used by the app during the test."""
    write_bundle(tmp_path / "tiny")
    monkeypatch.setenv("DVT_MODELS", str(tmp_path))
    yield tmp_path
    st.cache_resource.clear()
    st.cache_data.clear()
