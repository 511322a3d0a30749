"""The window as `desktop-ft` opens it, which prints why something could not be opened."""

import sys

from desktop_ft import app
from desktop_ft.gui.main_window import MainWindow

build = app.build_window


def tell(error: BaseException) -> None:
    sys.stdout.write(f"{error}\n")
    sys.stdout.flush()


def telling(*given: object) -> MainWindow:
    window = build(*given)  # type: ignore[arg-type]
    window.session.opening.failed.connect(tell)
    return window


app.build_window = telling  # type: ignore[assignment]
raise SystemExit(app.run_window())
