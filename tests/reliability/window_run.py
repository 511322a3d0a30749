"""The application, as `desktop-ft` starts it, in which a recipe is trained and which is ended after a while. To be run by others.

python -m tests.reliability.window_run RECIPE RUN HOW SECONDS [--isolate]
HOW is `keep` or `cancel`, as a person who closes the window answers, or the name of a signal.
"""

import os
import signal
import sys
from pathlib import Path

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QMessageBox

from desktop_ft import app
from desktop_ft.core.recipe import Recipe
from desktop_ft.engine import process
from desktop_ft.gui.faults import Faults
from desktop_ft.gui.main_window import MainWindow

_ANSWERS = {"keep": QMessageBox.ButtonRole.AcceptRole, "cancel": QMessageBox.ButtonRole.DestructiveRole}


def main() -> int:
    """Run the window until it ends."""
    process.prepare()
    recipe, run, how, seconds = Recipe.from_toml(Path(sys.argv[1]).read_text(), "recipe"), Path(sys.argv[2]), *sys.argv[3:5]
    build = app.build_window

    def built(faults: Faults) -> MainWindow:
        window = build(faults)
        window.begun.connect(lambda: window.session.opening.open_recipe(recipe))
        window.session.opening.moved.connect(lambda folder: begin(window))
        return window

    def begin(window: MainWindow) -> None:
        window.session.settings.isolate = "--isolate" in sys.argv
        window.session.starting.start(recipe, run)
        QTimer.singleShot(round(1000 * float(seconds)), lambda: end(window))

    def end(window: MainWindow) -> None:
        run.with_name(f"{run.name}.asked").touch()
        if how in _ANSWERS:
            answer.start(20)
            window.close()
        else:
            os.kill(os.getpid(), getattr(signal, how))

    def click() -> None:
        box = QApplication.activeModalWidget()
        if isinstance(box, QMessageBox):
            answer.stop()
            next(each for each in box.buttons() if box.buttonRole(each) is _ANSWERS[how]).click()

    app.build_window = built
    QApplication(sys.argv[:1])
    answer = QTimer()
    answer.timeout.connect(click)
    return app.run_window()


if __name__ == "__main__":
    sys.exit(main())
