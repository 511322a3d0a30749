"""Every command of the window as data: menu, tool bar, shortcuts and tool tips are drawn from one list."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenu, QMenuBar, QToolBar

from desktop_ft.core.language import LANGUAGES, marked, tr
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


_FILE, _EDIT, _GO, _RUN = marked("&File"), marked("&Edit"), marked("&Go"), marked("&Run")
_VIEW, _HELP = marked("&View"), marked("&Help")


def _language(code: str, text: str) -> ActionSpec:
    return ActionSpec(
        id=f"language.{code or 'system'}",
        menu=_VIEW,
        submenu=marked("Language"),
        text=text,
        tip=marked("The language of the window, from its next start."),
        handler="choose_language",
        checked="language",
        value=code,
        separated=not code,
        enabled=f"can_draw_{code}" if code in ("ja", "zh") else "",
    )


PAGE_TITLES = {
    "data": marked("Data"),
    "model": marked("Model"),
    "layers": marked("Layers"),
    "augment": marked("Augment"),
    "train": marked("Train"),
    "results": marked("Results"),
    "export": marked("Export"),
    "runs": marked("Runs"),
    "plugins": marked("Plugins"),
}
_PAGE_TIPS = (
    marked("Show the page Data."),
    marked("Show the page Model."),
    marked("Show the page Layers."),
    marked("Show the page Augment."),
    marked("Show the page Train."),
    marked("Show the page Results."),
    marked("Show the page Export."),
    marked("Show the page Runs."),
    marked("Show the page Plugins."),
)


def _pages() -> Iterator[ActionSpec]:
    for number, (name, tip) in enumerate(zip(PAGE_TITLES, _PAGE_TIPS, strict=True), start=1):
        yield ActionSpec(
            id=f"go.{name}",
            menu=_GO,
            text=PAGE_TITLES[name],
            tip=tip,
            handler=f"go_{name}",
            shortcut=f"Ctrl+{number}",
            icon=name,
        )


ACTIONS = (
    ActionSpec(
        id="open.folder",
        menu=_FILE,
        text=marked("Open folder…"),
        tip=marked("Choose a folder of pictures, a folder a class."),
        handler="open_folder",
        shortcut="Ctrl+O",
        enabled="can_open",
        icon="open",
        tool=True,
    ),
    ActionSpec(
        id="open.zip",
        menu=_FILE,
        text=marked("Open .zip…"),
        tip=marked("Choose a .zip of such a folder."),
        handler="open_zip",
        enabled="can_open",
    ),
    ActionSpec(
        id="open.recent",
        menu=_FILE,
        text=marked("Open recent…"),
        tip=marked("Choose among the folders that were opened last."),
        handler="open_recent",
        enabled="can_open",
        shortcut="Ctrl+R",
    ),
    ActionSpec(
        id="open.sample",
        menu=_FILE,
        text=marked("Try the sample"),
        tip=marked("Open the handwritten digits that come with Desktop FT."),
        handler="open_sample",
        enabled="can_open",
    ),
    ActionSpec(
        id="recipe.open",
        menu=_FILE,
        text=marked("Open recipe…"),
        tip=marked("Take over everything that a saved recipe decides, its folder included."),
        handler="open_recipe",
        enabled="can_open",
        shortcut="Ctrl+Shift+O",
        separated=True,
    ),
    ActionSpec(
        id="recipe.save",
        menu=_FILE,
        text=marked("Save recipe…"),
        tip=marked("Save everything that decides the run; `desktop-ft train --recipe` gives the same run."),
        handler="save_recipe",
        enabled="has_data",
        shortcut="Ctrl+S",
        icon="save",
        tool=True,
    ),
    ActionSpec(
        id="run.open",
        menu=_FILE,
        text=marked("Open run…"),
        tip=marked("Show the results of an earlier run."),
        handler="open_run",
        enabled="can_open",
        separated=True,
    ),
    ActionSpec(
        id="model.open",
        menu=_FILE,
        text=marked("Open an exported model…"),
        tip=marked("Look at a file that was exported, try it, judge it on photos, or train on from its run."),
        handler="open_exported",
    ),
    ActionSpec(
        id="quit",
        menu=_FILE,
        text=marked("Quit"),
        tip=marked("Close the window; a run under way is asked about first."),
        handler="close",
        shortcut="Ctrl+Q",
        separated=True,
    ),
    ActionSpec(
        id="edit.undo",
        menu=_EDIT,
        text=marked("Undo"),
        tip=marked("Take back the last change of the recipe."),
        handler="undo",
        enabled="can_undo",
        shortcut="Ctrl+Z",
        icon="undo",
        tool=True,
    ),
    ActionSpec(
        id="edit.redo",
        menu=_EDIT,
        text=marked("Redo"),
        tip=marked("Make the change again that was taken back."),
        handler="redo",
        enabled="can_redo",
        shortcut="Ctrl+Shift+Z",
        other_keys=("Ctrl+Y",),
        icon="redo",
        tool=True,
    ),
    ActionSpec(
        id="palette",
        menu=_EDIT,
        text=marked("Find an action or setting…"),
        tip=marked("Type a part of the name of anything that can be done or set."),
        handler="show_palette",
        shortcut="Ctrl+K",
        separated=True,
    ),
    ActionSpec(
        id="plan.copy",
        menu=_EDIT,
        text=marked("Copy the freeze plan"),
        tip=marked("Put what learns, and how fast, on the clipboard, as it stands in a recipe."),
        handler="copy_plan",
        shortcut="Ctrl+Shift+C",
        separated=True,
    ),
    ActionSpec(
        id="plan.options",
        menu=_EDIT,
        text=marked("Copy the freeze plan as options"),
        tip=marked("Put what learns, and how fast, on the clipboard, as options of the command line."),
        handler="copy_plan_options",
    ),
    ActionSpec(
        id="plan.paste",
        menu=_EDIT,
        text=marked("Paste a freeze plan"),
        tip=marked("Take over the plan, recipe or command line that was copied."),
        handler="paste_plan",
        shortcut="Ctrl+Shift+V",
    ),
    *_pages(),
    ActionSpec(
        id="run.start",
        menu=_RUN,
        text=marked("Start training"),
        tip=marked("Train with the recipe as it stands."),
        handler="start_training",
        enabled="can_start",
        shortcut="Ctrl+Return",
        icon="start",
        tool=True,
    ),
    ActionSpec(
        id="queue.add",
        menu=_RUN,
        text=marked("Add to the queue"),
        tip=marked("Let the recipe as it stands wait, and be trained when its turn comes."),
        handler="add_to_queue",
        enabled="can_queue",
        shortcut="Ctrl+Shift+Return",
    ),
    ActionSpec(
        id="queue.show",
        menu=_RUN,
        text=marked("Queue…"),
        tip=marked("See what waits to be trained, put it in another order, start and pause it."),
        handler="show_queue",
        shortcut="Ctrl+J",
    ),
    ActionSpec(
        id="compare",
        menu=_RUN,
        text=marked("Compare…"),
        tip=marked("Train from scratch and in several ways from the pre-trained network, and see what fine-tuning gains."),
        handler="compare",
        enabled="has_data",
    ),
    ActionSpec(
        id="forecast",
        menu=_RUN,
        text=marked("How long?"),
        tip=marked("Take a few steps, and say how long the whole run will take here and what memory it needs."),
        handler="forecast",
        enabled="can_forecast",
    ),
    ActionSpec(
        id="rate.find",
        menu=_RUN,
        text=marked("Find a learning rate…"),
        tip=marked("Try rising learning rates for a moment, see where the loss is lowest, and take one."),
        handler="find_rate",
        enabled="can_start",
        shortcut="Ctrl+L",
    ),
    ActionSpec(
        id="run.pause",
        menu=_RUN,
        text=marked("Pause"),
        tip=marked("Wait, with everything saved; switch off to go on."),
        handler="pause_training",
        enabled="running",
        checked="paused",
        shortcut="Ctrl+P",
    ),
    ActionSpec(
        id="run.replan",
        menu=_RUN,
        text=marked("Use these layers in the run"),
        tip=marked("Let the run under way go on with the layers that are ticked now, from its next epoch on."),
        handler="replan",
        enabled="can_replan",
    ),
    ActionSpec(
        id="run.rate",
        menu=_RUN,
        text=marked("Change the rate of the run"),
        tip=marked("Let the run under way go on at another learning rate, from its next epoch on."),
        handler="go_to_rate",
        enabled="can_change",
    ),
    ActionSpec(
        id="run.stop",
        menu=_RUN,
        text=marked("Stop and keep"),
        tip=marked("End now and keep the best model so far."),
        handler="stop_training",
        enabled="running",
    ),
    ActionSpec(
        id="run.cancel",
        menu=_RUN,
        text=marked("Cancel the run"),
        tip=marked("End now; what was learned since the last checkpoint is dropped."),
        handler="cancel_training",
        enabled="running",
    ),
    ActionSpec(
        id="kept.show",
        menu=_RUN,
        text=marked("What is kept…"),
        tip=marked("See what is kept on this machine for the next run and how much it takes, and drop it."),
        handler="show_kept",
        separated=True,
    ),
    ActionSpec(
        id="run.isolate",
        menu=_RUN,
        text=marked("Train in a process of its own"),
        tip=marked("From the next run on: a crash leaves this window as it is, and a pause gives back all that a run holds."),
        handler="toggle_isolate",
        checked="isolates",
    ),
    ActionSpec(
        id="run.notify",
        menu=_RUN,
        text=marked("Tell me when it ends"),
        tip=marked("Tell that a run is done or has failed, where this window is not in front."),
        handler="toggle_notify",
        checked="notifies",
    ),
    ActionSpec(
        id="theme.system",
        menu=_VIEW,
        text=marked("Colours of the system"),
        tip=marked("Dark or light as the system says."),
        handler="theme_system",
        checked="theme_is_system",
    ),
    ActionSpec(
        id="theme.light",
        menu=_VIEW,
        text=marked("Light colours"),
        tip=marked("Light colours."),
        handler="theme_light",
        checked="theme_is_light",
    ),
    ActionSpec(
        id="theme.dark",
        menu=_VIEW,
        text=marked("Dark colours"),
        tip=marked("Dark colours."),
        handler="theme_dark",
        checked="theme_is_dark",
    ),
    _language("", marked("Language of the system")),
    *(_language(code, own_name) for code, own_name in LANGUAGES.items()),
    ActionSpec(
        id="panel.detach",
        menu=_VIEW,
        text=marked("Panel in a window of its own"),
        tip=marked("Show the curves or the layers of this page in a window of their own, or bring them back."),
        handler="toggle_panel",
        shortcut="Ctrl+Shift+D",
        separated=True,
    ),
    ActionSpec(
        id="panel.plugin",
        menu=_VIEW,
        text=marked("Panels of plugins…"),
        tip=marked("Choose among the panels that plugins bring, each in a window of its own."),
        handler="open_panel",
        enabled="has_panels",
    ),
    ActionSpec(
        id="lesson.start",
        menu=_HELP,
        text=marked("Lesson: fine-tuning in five steps…"),
        tip=marked(
            "See in short runs on a small sample what a network has learned, and what freezing, rates and augmentation do."
        ),
        handler="start_lesson",
    ),
    ActionSpec(
        id="help.control",
        menu=_HELP,
        text=marked("Explain this control"),
        tip=marked("Say what the control with the keyboard's focus does, when to change it and what that costs."),
        handler="explain_control",
        shortcut="F1",
    ),
    ActionSpec(
        id="help.page",
        menu=_HELP,
        text=marked("Explain this page"),
        tip=marked("Say what this page is for, what to do on it and what can be set there."),
        handler="explain_page",
        shortcut="Shift+F1",
    ),
    ActionSpec(
        id="help.words",
        menu=_HELP,
        text=marked("The words explained"),
        tip=marked("Read what the words of the field mean, from accuracy to weights."),
        handler="explain_words",
    ),
    ActionSpec(
        id="log.show",
        menu=_HELP,
        text=marked("Log…"),
        tip=marked("Read everything that was told: notes, warnings and errors, with details to copy."),
        handler="show_log",
        shortcut="Ctrl+Shift+J",
        separated=True,
    ),
    ActionSpec(
        id="about",
        menu=_HELP,
        text=marked("About Desktop FT"),
        tip=marked("Version and licence."),
        handler="about",
        separated=True,
    ),
)


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
        handler = getattr(self._target, spec.handler)
        action.triggered.connect(handler if spec.value is None else lambda: handler(spec.value))
        return action

    def _draw_icons(self) -> None:
        for spec in self._specs:
            if spec.icon:
                self._actions[spec.id].setIcon(self._theme.icon(spec.icon))


def _tip(spec: ActionSpec, edit: str = "", obstacle: str = "") -> str:
    """What it does, or the edit that it is about, and its keys; where it cannot be done, why."""
    keys = QKeySequence(spec.shortcut).toString(QKeySequence.SequenceFormat.NativeText)
    what = f"{tr(spec.text)}: {edit}" if edit else tr(spec.tip)
    tip = f"{what} ({keys})" if keys else what
    return f"{tip}\n{obstacle}" if obstacle else tip
