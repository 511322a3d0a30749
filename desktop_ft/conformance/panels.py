"""What is asked of a window panel: words that say what it is. Whether it is a good one only a window can tell."""

from collections.abc import Callable
from pathlib import Path

from desktop_ft.api import WindowPanel
from desktop_ft.conformance.failure import require
from desktop_ft.plugin_manager import Plugins


def _is_described(plugins: Plugins, panel: WindowPanel, folder: Path) -> None:
    require(panel.title and panel.description, f"The panel {panel.name} lacks a title or a description: say what it shows.")


def _can_be_made(plugins: Plugins, panel: WindowPanel, folder: Path) -> None:
    require(callable(panel.make), f"The panel {panel.name} has no function as its `make`: give one that returns a new widget.")


CHECKS: dict[str, Callable[[Plugins, WindowPanel, Path], None]] = {
    "is described": _is_described,
    "can be made": _can_be_made,
}
