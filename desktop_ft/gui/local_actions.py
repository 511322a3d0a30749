"""Actions that belong to one list: its context menu, its keys and the buttons beside it, from one description."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QPushButton, QWidget

from desktop_ft.core.language import tr
from desktop_ft.gui.actions import Actions, ActionSpec
from desktop_ft.gui.theme import Theme
from desktop_ft.gui.widgets import enable_or_say


def local_actions(
    specs: tuple[ActionSpec, ...],
    target: QObject,
    view: QWidget,
    theme: Theme,
    obstacles: Mapping[str, str] = MappingProxyType({}),
) -> Actions:
    """The actions of `specs`, in the context menu of `view` and on its keys while it has the focus.

    Args:
        obstacles: why what an action needs (`ActionSpec.enabled`) does not hold, in English, each to be found by `tr`.
    """
    made = Actions(specs, target, theme, lambda enabled: tr(obstacles.get(enabled, "")))
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

    def __init__(self, text: str, tip: str, actions: Actions, ids: Sequence[str]) -> None:
        super().__init__(text)
        self._tip, self._actions, self._ids = tip, actions, ids
        self.setAutoDefault(False)
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        menu.addActions([actions[name] for name in ids])
        self.setMenu(menu)
        for name in ids:
            actions[name].changed.connect(self._follow)
        self._follow()

    def _follow(self) -> None:
        can = any(self._actions[name].isEnabled() for name in self._ids)
        enable_or_say(self, "" if can else self._actions.obstacle(self._ids[0]), self._tip)
        self.setEnabled(can)


def buttons(actions: Actions, ids: Sequence[str]) -> list[QWidget]:
    """A button for each of these actions."""
    return [ActionButton(actions[name]) for name in ids]
