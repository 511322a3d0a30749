"""The window as a person uses it: opens a folder, trains, exports, closes. Run as a process of its own, by whoever watches it."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

from PySide6.QtWidgets import QApplication

from desktop_ft import app
from desktop_ft.gui.faults import Faults

_PATIENCE_S = 240.0


def main(recipe: Path) -> int:
    """Do all that with `recipe`; the exit status says whether it went well."""
    application = QApplication(sys.argv[:1])
    faults = Faults(application)
    window = app.build_window(faults)
    window.begin_with(recipe)
    window.show()
    session = window.session

    def until(done: Callable[[], bool]) -> None:
        end = time.monotonic() + _PATIENCE_S
        while not done():
            assert time.monotonic() < end, "it hung"
            application.processEvents()

    until(lambda: session.state.manifest is not None and not session.opening.running)
    for name in ("model", "layers", "augment", "train"):
        session.state.go(name)
        until(lambda: not session.worker.busy)
    window.page("train").start.click()
    assert session.training.running
    until(lambda: not session.training.running and not session.worker.busy)
    session.state.go("results")
    session.state.go("export")
    window.page("export").export.click()
    until(lambda: not session.runs.busy)
    assert session.state.export is not None and session.state.export.accepted, window.page("export").notice.text
    window.close()
    until(lambda: not session.worker.busy)
    assert not faults.seen, faults.seen
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
