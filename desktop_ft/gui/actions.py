"""Commands as data: menu, tool bar, shortcuts and tool tips are drawn from one list, such as `menus.ACTIONS`."""

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QAbstractSpinBox, QApplication, QLineEdit, QMenu, QMenuBar, QToolBar

from desktop_ft.core.language import tr
from desktop_ft.gui.theme import Theme


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionSpec:
    """One command.

    Attributes:
        id: stable name.
        menu: the menu that it stands in, with the letter that opens it.
        other_keys: what does it besides `shortcut`, for hands that are used to that.
        handler: the method that does it, of the object that the actions are built for.
        enabled: the property of that object that says whether it can be done now; "" for always.
        tool: whether it stands in the tool bar.
        icon: a file in resources/icons, without its ending.
        checked: the property that says whether it is switched on; "" for commands that are no switch.
        submenu: the menu within `menu` where it stands; "" for none.
        value: for one of several choices: what `handler` is given, and what `checked` is while this one is chosen.
    """

    id: str
    menu: str
    text: str
    tip: str
    handler: str
    shortcut: str = ""
    other_keys: tuple[str, ...] = ()
    enabled: str = ""
    icon: str = ""
    tool: bool = False
    checked: str = ""
    separated: bool = False
    submenu: str = ""
    value: str | None = None


class Actions(QObject):
    """The QActions of a list of specs, bound to the methods and properties of one object.

    Args:
        obstacle: why the property that it is given (see `ActionSpec.enabled`) does not hold now, in a sentence; "": not known.
    """

    def __init__(
        self, specs: tuple[ActionSpec, ...], target: QObject, theme: Theme, obstacle: Callable[[str], str] = lambda enabled: ""
    ) -> None:
        super().__init__(target)
        self._obstacle = obstacle
        self._edits: dict[str, str] = {}
        self._specs = specs
        self._target = target
        self._theme = theme
        self._actions = {spec.id: self._make(spec) for spec in specs}
        theme.changed.connect(self._draw_icons)
        self._draw_icons()

    def __getitem__(self, name: str) -> QAction:
        return self._actions[name]

    def obstacle(self, name: str) -> str:
        """Why the action `name` cannot be done now; "" where it can, or that is not known."""
        enabled = next(spec.enabled for spec in self._specs if spec.id == name)
        return "" if self._actions[name].isEnabled() else self._obstacle(enabled)

    def listed(self) -> list[tuple[str, str, QAction]]:
        """Menu, text and action of each, in order; the text without the sign that a question follows."""
        return [(tr(spec.menu).replace("&", ""), tr(spec.text).removesuffix("…"), self._actions[spec.id]) for spec in self._specs]

    def fill_menu_bar(self, bar: QMenuBar) -> None:
        """Put every action into the menu its spec names."""
        menus: dict[str, QMenu] = {}
        for spec in self._specs:
            if spec.menu not in menus:
                menus[spec.menu] = bar.addMenu(tr(spec.menu))
                menus[spec.menu].setToolTipsVisible(True)
            if spec.separated:
                menus[spec.menu].addSeparator()
            if spec.submenu and spec.submenu not in menus:
                menus[spec.submenu] = menus[spec.menu].addMenu(tr(spec.submenu))
                menus[spec.submenu].setToolTipsVisible(True)
            menus[spec.submenu or spec.menu].addAction(self._actions[spec.id])

    def fill_tool_bar(self, bar: QToolBar) -> None:
        """Put the actions that stand in the tool bar there."""
        for spec in self._specs:
            if spec.tool:
                bar.addAction(self._actions[spec.id])

    def refresh(self) -> None:
        """Enable and tick what can be done and is on now."""
        for spec in self._specs:
            action = self._actions[spec.id]
            if spec.enabled:
                can = bool(getattr(self._target, spec.enabled))
                action.setEnabled(can)
                tip = _tip(spec, self._edits.get(spec.id, ""), "" if can else self._obstacle(spec.enabled))
                if tip != action.toolTip():  # each change tells every menu and button
                    action.setToolTip(tip)
            if spec.checked:
                state = getattr(self._target, spec.checked)
                action.setChecked(bool(state) if spec.value is None else state == spec.value)

    def say_edit(self, name: str, edit: str) -> None:
        """Let the tool tip of undo or redo name the edit that it is about, from the next `refresh` on; "": there is none."""
        self._edits[name] = edit

    def _make(self, spec: ActionSpec) -> QAction:
        action = QAction(tr(spec.text), self._target)
        action.setObjectName(spec.id)
        action.setCheckable(bool(spec.checked))
        if spec.shortcut:
            action.setShortcuts([QKeySequence(keys) for keys in (spec.shortcut, *spec.other_keys)])
        action.setToolTip(_tip(spec))
        action.setStatusTip(tr(spec.tip))
        action.triggered.connect(take_over_what_is_typed)  # keys leave the focus where it is
        handler = getattr(self._target, spec.handler)
        action.triggered.connect(handler if spec.value is None else lambda: handler(spec.value))
        return action

    def _draw_icons(self) -> None:
        for spec in self._specs:
            if spec.icon:
                self._actions[spec.id].setIcon(self._theme.icon(spec.icon))


def take_over_what_is_typed() -> None:
    """Let the number or text that is being typed count, as it does once its control loses the focus."""
    control = QApplication.focusWidget()
    if isinstance(control, QAbstractSpinBox | QLineEdit):
        control.clearFocus()
        if control.isVisible():  # an editor in a table is done with
            control.setFocus()


def _tip(spec: ActionSpec, edit: str = "", obstacle: str = "") -> str:
    """What it does, or the edit that it is about, and its keys; where it cannot be done, why."""
    keys = QKeySequence(spec.shortcut).toString(QKeySequence.SequenceFormat.NativeText)
    what = f"{tr(spec.text)}: {edit}" if edit else tr(spec.tip)
    tip = f"{what} ({keys})" if keys else what
    return f"{tip}\n{obstacle}" if obstacle else tip
