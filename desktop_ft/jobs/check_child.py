"""As `export.check_child`, for the files of exporters that bring their own way to open them: it loads the plugins.

Run as `python -m desktop_ft.jobs.check_child`. What it is asked names the `exporter` besides.
"""

import sys
from pathlib import Path
from typing import Any

from desktop_ft.api import ExportedFile, Exporter
from desktop_ft.export.check_child import main, require_no_torch
from desktop_ft.plugin_manager import load_plugins


def _check() -> None:
    plugins, used = load_plugins(), list[Exporter]()

    def opening(request: dict[str, Any]) -> ExportedFile:
        exporter = plugins.exporters.get(request["exporter"])
        used.append(exporter)
        if exporter.open is None:
            raise RuntimeError(f"the exporter {exporter.name} opens no files")
        return exporter.open(Path(request["model"]))

    main(sys.stdin, sys.stdout, opening)
    if not any(exporter.with_torch for exporter in used):
        require_no_torch()


if __name__ == "__main__":
    _check()
