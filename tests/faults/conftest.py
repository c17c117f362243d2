"""The tiny model of the app's tests."""

from tests.ui.conftest import models_dir, tiny_folder

__all__ = ["models_dir", "tiny_folder"]
