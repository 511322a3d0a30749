"""As `export.check_child`, for the files of exporters that bring their own way to open them: it loads the plugin that brings it.

Run as `python -m desktop_ft.jobs.check_child`. What it is asked names the `exporter` and its `plugin` besides; for one that is
not turned on (whoever tests a plugin asks so) its `module` and, in `path`, where that is imported from.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from desktop_ft.api import ExportedFile, Exporter
from desktop_ft.export import failure
from desktop_ft.export.answering import Floats, Pixels, Real
from desktop_ft.export.check_child import main, require_no_torch
from desktop_ft.plugin_manager import Plugins, load_module, load_plugins


class _Opened:
    """The file at `path` as `exporter`, of `plugin`, opens it; where either fails, that is told by its name."""

    def __init__(self, exporter: Exporter, plugin: str, path: Path) -> None:
        if exporter.open is None:
            raise RuntimeError(f"the exporter {exporter.name} opens no files")
        self._names = exporter.name, plugin
        with failure.named(*self._names):
            self._file = exporter.open(path)
            self.metadata: Mapping[str, str] = dict(self._file.metadata)

    def run(self, pictures: Sequence[Pixels]) -> tuple[Real, Floats]:
        """As `ExportedFile`."""
        with failure.named(*self._names):
            return self._file.run(pictures)


def _check() -> None:
    used = list[Exporter]()

    def opening(request: dict[str, Any]) -> ExportedFile:
        exporters = _plugins(request).exporters
        exporter = exporters.get(request["exporter"])
        used.append(exporter)
        return _Opened(exporter, exporters.author(exporter.name), Path(request["model"]))

    def require() -> None:
        if not any(exporter.with_torch for exporter in used):
            require_no_torch()

    main(sys.stdin, sys.stdout, opening, require)


def _plugins(request: dict[str, Any]) -> Plugins:
    if "module" not in request:
        return load_plugins(only=request["plugin"])  # another may import torch, which is no matter of this file
    sys.path.extend(place for place in request["path"].split(os.pathsep) if place not in sys.path)
    return load_module(request["module"])


if __name__ == "__main__":
    _check()
