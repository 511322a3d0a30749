"""What can be done now and what is switched on: each condition that `menus.ACTIONS` names, and why it does not hold."""

from PySide6.QtCore import QObject

from desktop_ft.core.language import marked, tr
from desktop_ft.gui import languages
from desktop_ft.gui.readiness import UNDER_WAY
from desktop_ft.gui.session import Session
from desktop_ft.gui.theme import ThemeChoice

_NO_FONT = marked("No font on this machine has its letters. Install one, such as Debian's fonts-noto-cjk.")
_NO_RUN = marked("No run is under way.")
OBSTACLES = {
    "can_open": UNDER_WAY,
    "has_data": marked("There are no pictures yet."),
    "can_undo": marked("There is no change to take back."),
    "can_redo": marked("No change was taken back."),
    "can_put_back": marked("No run has been moved to the trash since this window was opened that is still there."),
    "can_forecast": marked("Other work is under way, beside which nothing can be measured."),
    "running": _NO_RUN,
    "can_replan": marked("No run is under way that could go on with them, or it has these layers already."),
    "can_change": marked("No run is under way that has an epoch left."),
    "has_panels": marked("No plugin that is on brings a panel."),
    "can_draw_ja": _NO_FONT,
    "can_draw_zh": _NO_FONT,
}
"""Why what an action needs does not hold, in English."""


class Conditions(QObject):
    """How the session stands, one property for each question that menu and tool bar ask."""

    def __init__(self, session: Session, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self._drawable = languages.drawable()

    def obstacle(self, enabled: str) -> str:
        """Why the property `enabled` does not hold now, in a sentence."""
        blocker = {
            "can_start": self._session.blocker, "can_forecast": self._session.blocker, "can_queue": self._session.queue_blocker
        }.get(enabled)  # fmt: skip
        found = blocker() if blocker is not None else None
        return found.reason if found is not None else tr(OBSTACLES.get(enabled, ""))

    @property
    def can_open(self) -> bool:
        """Whether other pictures or runs may be opened now."""
        return self._session.can_open

    @property
    def has_data(self) -> bool:
        """Whether there is a recipe worth saving."""
        return bool(self._session.state.recipe.dataset.folder)

    @property
    def can_undo(self) -> bool:
        """Whether there is an edit to take back."""
        return self._session.state.undo_stack.canUndo()

    @property
    def can_redo(self) -> bool:
        """Whether there is an edit to make again."""
        return self._session.state.undo_stack.canRedo()

    @property
    def can_put_back(self) -> bool:
        """Whether a run that was moved to the trash here still lies there."""
        return self._session.runs.last_trashed is not None

    @property
    def can_start(self) -> bool:
        """Whether nothing stands in the way of a run."""
        return self._session.blocker() is None

    @property
    def can_forecast(self) -> bool:
        """Whether a few steps of the run can be taken now."""
        return self._session.forecast.can_ask

    @property
    def running(self) -> bool:
        """Whether a run is under way."""
        return self._session.training.running

    @property
    def paused(self) -> bool:
        """Whether the run under way was asked to wait."""
        return self.running and self._session.training.control.pause.is_set()

    @property
    def can_replan(self) -> bool:
        """Whether the run under way could go on with the layers that are ticked now."""
        return self._session.replanning.can_replan

    @property
    def can_change(self) -> bool:
        """Whether the run under way has an epoch left, in which it could do otherwise."""
        return self._session.replanning.can_change

    @property
    def can_queue(self) -> bool:
        """Whether the recipe as it stands could wait for its turn."""
        return self._session.can_queue

    @property
    def notifies(self) -> bool:
        """Whether the end of a run is told where the window is not in front."""
        return self._session.settings.notify

    @property
    def isolates(self) -> bool:
        """Whether runs are trained in a process of their own."""
        return self._session.settings.isolate

    @property
    def has_panels(self) -> bool:
        """Whether a plugin brings a panel."""
        return len(self._session.plugins.panels) > 0

    @property
    def theme_is_system(self) -> bool:
        """Whether colours follow the system."""
        return self._session.theme.choice is ThemeChoice.SYSTEM

    @property
    def theme_is_light(self) -> bool:
        """Whether colours are light by choice."""
        return self._session.theme.choice is ThemeChoice.LIGHT

    @property
    def theme_is_dark(self) -> bool:
        """Whether colours are dark by choice."""
        return self._session.theme.choice is ThemeChoice.DARK

    @property
    def language(self) -> str:
        """The code of the language the window speaks from its next start; "" for the system's."""
        return self._session.settings.language

    @property
    def can_draw_ja(self) -> bool:
        """Whether a font has Japanese letters."""
        return "ja" in self._drawable

    @property
    def can_draw_zh(self) -> bool:
        """Whether a font has Chinese letters."""
        return "zh" in self._drawable
