"""What the window offers at its start where other windows had projects of their own: to open one of those."""

from PySide6.QtWidgets import QHBoxLayout, QWidget

from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.gui import words
from desktop_ft.gui.autosave import KeptProject
from desktop_ft.gui.commands import Commands
from desktop_ft.gui.session import Session
from desktop_ft.gui.widgets import GAP, Notice, button, enable_or_say


class OtherProject(QWidget):
    """A line with the ways on; hidden until `look` finds a project, and gone once each was opened or left where it is."""

    def __init__(self, session: Session, commands: Commands) -> None:
        super().__init__()
        self._session = session
        self._commands = commands
        self._found: list[KeptProject] = []
        self.notice = Notice()
        self.open = button(
            tr("Open it here"), self._open, tip=tr("The project that is open now is kept, and offered at the next start.")
        )
        self.later = button(tr("Not now"), self._later, tip=tr("It stays as it is, and is not mentioned any more."))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, GAP, 0, 0)
        layout.addWidget(self.notice, 1)
        layout.addWidget(self.open)
        layout.addWidget(self.later)
        self.hide()
        for signal in session.can_open_changed:
            signal.connect(self._enable)

    def look(self) -> None:
        """Offer what other windows had open that have closed since, one after another."""
        left = self._session.settings.left_projects
        self._found = [each for each in self._session.autosave.others() if left.get(each.name) != each.used]
        self._offer()

    def _offer(self) -> None:
        self.setVisible(bool(self._found))
        if self._found:
            folder = words.printable(self._found[0].recipe.dataset.folder)
            self.notice.say(tr("Another project was open in a window of its own: {folder}.", folder=folder))
        self._enable()

    def _enable(self) -> None:
        enable_or_say(self.open, self._session.obstacle)

    def _open(self) -> None:
        try:
            self._commands.open_kept(self._found[0])
        except UserError as error:
            self.notice.fail(error)
        else:
            self._next()

    def _later(self) -> None:
        self._session.settings.leave_project(self._found[0].name, self._found[0].used)
        self._next()

    def _next(self) -> None:
        self._found = self._found[1:]
        self._offer()
