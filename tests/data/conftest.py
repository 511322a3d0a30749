"""Nothing of a data test touches this machine's own cache."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own for caches."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("DESKTOP_FT_HOME", str(folder))
    return folder
