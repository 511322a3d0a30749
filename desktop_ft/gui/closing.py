"""The questions before the window closes."""

from PySide6.QtWidgets import QMessageBox, QWidget

from desktop_ft.core.events import RunEnded, RunStatus
from desktop_ft.core.language import tr
from desktop_ft.gui.session import Session
from desktop_ft.gui.strip import kept_words


def ask_about_run(session: Session, window: QWidget) -> RunStatus | None:
    """What shall become of the run under way: STOPPED with its best kept, CANCELLED; None: it goes on, and the window stays."""
    box = QMessageBox(window)
    box.setIcon(QMessageBox.Icon.Question)
    box.setWindowTitle(tr("A run is under way"))
    box.setText(tr("A run is under way. What shall become of it?"))
    box.setInformativeText(_what_is_kept(session))
    keep = box.addButton(tr("Stop, keep the best, and close"), QMessageBox.ButtonRole.AcceptRole)
    drop = box.addButton(tr("Cancel it and close"), QMessageBox.ButtonRole.DestructiveRole)
    stay = box.addButton(tr("Go on training"), QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(stay)
    box.setEscapeButton(stay)
    box.exec()
    if box.clickedButton() is keep:
        return RunStatus.STOPPED
    return RunStatus.CANCELLED if box.clickedButton() is drop else None


def sure_to_drop(what: str, window: QWidget) -> bool:
    """Whether the person wants to close although `what` is under way."""
    box = QMessageBox(window)
    box.setWindowTitle(tr("Something is under way"))
    box.setText(tr("{work} is under way, and is dropped when the window closes.", work=what))
    drop = box.addButton(tr("Drop it and close"), QMessageBox.ButtonRole.DestructiveRole)
    stay = box.addButton(tr("Stay"), QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(stay)
    box.setEscapeButton(stay)
    box.exec()
    return box.clickedButton() is drop


def sure_to_lose_edits(why: str, window: QWidget) -> bool:
    """Whether the person wants to close although the project could not be saved, for which `why` is the reason."""
    return _sure_to_lose(tr("The project is not saved"), tr("The last changes of the project could not be saved."), why, window)


def sure_to_lose_notes(why: str, window: QWidget) -> bool:
    """Whether the person wants to close although what was written about a run could not be kept; `why` is the reason."""
    return _sure_to_lose(tr("A note is not saved"), tr("What you wrote about a run could not be saved."), why, window)


def _sure_to_lose(title: str, what: str, why: str, window: QWidget) -> bool:
    box = QMessageBox(window)
    box.setWindowTitle(title)
    box.setText(what)
    box.setInformativeText(why)
    lose = box.addButton(tr("Close without saving"), QMessageBox.ButtonRole.DestructiveRole)
    box.setDefaultButton(box.addButton(tr("Stay"), QMessageBox.ButtonRole.RejectRole))
    box.exec()
    return box.clickedButton() is lose


def _what_is_kept(session: Session) -> str:
    """What there is of the run under way after it was ended, whichever way."""
    kept = kept_words(RunEnded(status=RunStatus.CANCELLED), session.training.history)
    return f"{kept} {tr('It waits in the queue no more.')}" if session.queue.now is not None else kept
