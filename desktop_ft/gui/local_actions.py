"""Actions that belong to one list: its context menu, its keys and the buttons beside it, from one description."""

from collections.abc import Sequence

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QPushButton, QWidget

from desktop_ft.gui.actions import Actions, ActionSpec
from desktop_ft.gui.theme import Theme


def local_actions(specs: tuple[ActionSpec, ...], target: QObject, view: QWidget, theme: Theme) -> Actions:
    """The actions of `specs`, in the context menu of `view` and on its keys while it has the focus."""
    made = Actions(specs, target, theme)
    for spec in specs:
        made[spec.id].setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        view.addAction(made[spec.id])
    view.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
    return made


class ActionButton(QPushButton):
    """A button that does, and is enabled as, an action."""

    def __init__(self, action: QAction, text: str = "") -> None:
        super().__init__(text or action.text())
        self._action = action
        self.setAutoDefault(False)
        self.setAccessibleName(action.text().removesuffix("…"))
        self.clicked.connect(action.trigger)
        action.changed.connect(self._follow)
        self._follow()

    def _follow(self) -> None:
        self.setEnabled(self._action.isEnabled())
        self.setToolTip(self._action.toolTip())


class MenuButton(QPushButton):
    """A button that opens a menu of actions, where there is no room for a button each; enabled where one of them is."""

    def __init__(self, text: str, tip: str, actions: Sequence[QAction]) -> None:
        super().__init__(text)
        self._listed = actions
        self.setToolTip(tip)
        self.setAutoDefault(False)
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        menu.addActions(actions)
        self.setMenu(menu)
        for action in actions:
            action.changed.connect(self._follow)
        self._follow()

    def _follow(self) -> None:
        self.setEnabled(any(action.isEnabled() for action in self._listed))


def buttons(actions: Actions, ids: Sequence[str]) -> list[QWidget]:
    """A button for each of these actions."""
    return [ActionButton(actions[name]) for name in ids]
