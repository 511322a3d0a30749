"""What the tests of jobs share."""

from pathlib import Path

import pytest

from desktop_ft.core.recipe import BackboneChoice, DatasetChoice, Optimisation, Recipe
from desktop_ft.plugin_manager import Plugins, load_plugins
from tests.e2e.conftest import shapes


@pytest.fixture
def plugins() -> Plugins:
    """Those that ship, and no others."""
    return load_plugins(safe_mode=True)


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """One epoch over a few drawn shapes."""
    return Recipe(
        dataset=DatasetChoice(folder=str(shapes(tmp_path / "photos", pictures=8))),
        backbone=BackboneChoice(image_size=32),
        optimisation=Optimisation(epochs=1, batch_size=8),
    )
