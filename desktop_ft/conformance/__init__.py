"""Whether a plugin keeps what the plugins' door promises: every thing that it brings, tried in the application's own machinery.

A plugin's tests come here through `desktop_ft.api.testing`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from desktop_ft.conformance import augmentations, backbones, exporters, module, panels, samples, sinks
from desktop_ft.conformance.failure import Nonconforming
from desktop_ft.plugin_manager import Plugins, load_module

__all__ = ["Check", "Nonconforming", "checks"]


class _Run(Protocol):
    def __call__(self, folder: Path) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is asked of a plugin, or of something that it brings.

    Attributes:
        of: what it is asked of, such as `backbone my_net`.
        name: what is asked, such as `takes a new head`.
        run: asks it. It is given an empty folder to work in, raises `Nonconforming` where the answer is no, and gives a sentence
            where it could not be asked.
    """

    of: str
    name: str
    run: _Run

    def __str__(self) -> str:
        return f"{self.of}: {self.name}"


def checks(plugin: ModuleType) -> list[Check]:
    """All that is asked of `plugin`, which is imported already. Its hooks are called, nothing that they bring is made yet."""
    plugins = load_module(plugin.__name__)
    asked = [
        Check(f"plugin {plugins.records[-1].name}", name, partial(ask, plugin, plugins)) for name, ask in module.CHECKS.items()
    ]
    return [*asked, *_of_contributions(plugins)]


def _of_contributions(plugins: Plugins) -> Iterator[Check]:
    kinds: tuple[tuple[str, Any, dict[str, Any]], ...] = (
        ("backbone", plugins.backbones, backbones.CHECKS),
        ("augmentation", plugins.augmentations, augmentations.CHECKS),
        ("exporter", plugins.exporters, exporters.CHECKS),
        ("sample dataset", plugins.samples, samples.CHECKS),
        ("event sink", plugins.sinks, sinks.CHECKS),
        ("window panel", plugins.panels, panels.CHECKS),
    )
    for kind, catalog, asked in kinds:
        for name, item in catalog.brought_by(plugins.records[-1].name).items():
            yield from (Check(f"{kind} {name}", what, partial(ask, plugins, item)) for what, ask in asked.items())
