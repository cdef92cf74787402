"""A data folder that one test has for itself."""

from pathlib import Path

import pytest


@pytest.fixture
def own_folders(settings, tmp_path) -> Path:
    """The data folder of the test, with empty folders for uploads, originals, packages and the archive."""
    settings.DATA_DIR = tmp_path
    for name in ("uploads", "sources", "media", "archive"):
        (tmp_path / name).mkdir()
        setattr(settings, f"{name.upper()}_DIR", tmp_path / name)
    settings.FILE_UPLOAD_TEMP_DIR = settings.UPLOADS_DIR
    return tmp_path
