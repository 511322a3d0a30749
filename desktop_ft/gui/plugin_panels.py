"""Panels that plugins bring, each in a window of its own beside the application's."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QDialog, QVBoxLayout, QWidget

from desktop_ft.api import EpochDone, StepDone, WindowPanel
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.gui import words
from desktop_ft.gui.palette import Entry
from desktop_ft.gui.session import Session
from desktop_ft.gui.training_job import Training
from desktop_ft.gui.widgets import Notice

_SIZE = (560, 400)


def entries(session: Session, window: QWidget, failed: Callable[[BaseException], object]) -> list[Entry]:
    """The panels on offer, to choose among; `failed` is told why one could not be made."""

    def show(panel: WindowPanel) -> None:
        open_panels = window.findChildren(PanelDialog)
        try:
            shown = next((each for each in open_panels if each.panel is panel), None) or PanelDialog(panel, session, window)
        except UserError as error:
            failed(error)
            return
        shown.show()
        shown.raise_()
        shown.activateWindow()

    panels = session.plugins.panels
    return [
        Entry(
            text=words.printable(each.title),
            place=panels.author(each.name),
            keys="",
            tip=words.printable(each.description),
            run=partial(show, each),
        )
        for each in panels
    ]


class Host(QObject):
    """What a panel sees of the window: `desktop_ft.api.PanelHost`. One whose callback raises is called no more."""

    failed = Signal(object)

    def __init__(self, training: Training) -> None:
        super().__init__()
        self._training = training
        self._told: list[Callable[[], None]] = []
        training.updated.connect(self._tell)

    @property
    def run(self) -> Path | None:
        """The folder of the run that is shown."""
        return self._training.run

    @property
    def steps(self) -> Sequence[StepDone]:
        """Every batch learned so far."""
        return self._training.history.steps

    @property
    def epochs(self) -> Sequence[EpochDone]:
        """Every epoch done so far."""
        return self._training.history.epochs

    def follow(self, told: Callable[[], None]) -> None:
        """Call `told` whenever there is more to show."""
        self._told.append(told)

    def _tell(self) -> None:
        for told in list(self._told):
            try:
                told()
            except (Exception, SystemExit) as error:  # a plugin can raise anything, and this comes 20 times a second
                self._told.remove(told)
                self.failed.emit(error)


class PanelDialog(QDialog):
    """One panel, for as long as its plugin is on.

    Raises:
        UserError: the plugin could not make it.
    """

    def __init__(self, panel: WindowPanel, session: Session, parent: QWidget) -> None:
        self.panel = panel
        self._name = session.plugins.panels.author(panel.name)
        host = Host(session.training)
        try:
            made = panel.make(host)
            if not isinstance(made, QWidget):
                raise TypeError(f"it gave {type(made).__name__} instead of a widget")
        except (Exception, SystemExit) as error:  # a plugin can raise anything
            host.deleteLater()
            raise self._broken(error) from error
        super().__init__(parent)
        host.setParent(self)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(words.printable(panel.title))
        self.resize(*_SIZE)
        self.notice = Notice()
        layout = QVBoxLayout(self)
        layout.addWidget(self.notice)
        layout.addWidget(made, 1)
        host.failed.connect(self._say)
        self._panels = session.plugins.panels
        session.plugin_work.changed.connect(self._close_with_its_plugin)

    def _say(self, error: BaseException) -> None:
        self.notice.fail(self._broken(error))

    def _broken(self, error: BaseException) -> UserError:
        said = f"{type(error).__name__}: {error}"
        return UserError(
            tr("The panel of the plugin {name} failed: {error}", name=self._name, error=said),
            tr("Turn the plugin off, or ask whoever made it."),
        )

    def _close_with_its_plugin(self) -> None:
        if self.panel not in list(self._panels):
            self.close()
