"""What is asked of a window panel: words that say what it is. Whether it is a good one only a window can tell."""

from collections.abc import Callable
from pathlib import Path

from desktop_ft.api import WindowPanel
from desktop_ft.conformance.failure import require
from desktop_ft.plugin_manager import Plugins


def _is_described(plugins: Plugins, panel: WindowPanel, folder: Path) -> None:
    require(panel.title and panel.description, f"The panel {panel.name} lacks a title or a description: say what it shows.")


CHECKS: dict[str, Callable[[Plugins, WindowPanel, Path], None]] = {
    "is described": _is_described,
}
