"""What the tests of jobs share."""

import pytest

from desktop_ft.plugin_manager import Plugins, load_plugins


@pytest.fixture
def plugins() -> Plugins:
    """Those that ship, and no others."""
    return load_plugins(safe_mode=True)
