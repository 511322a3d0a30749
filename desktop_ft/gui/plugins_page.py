"""The page Plugins: what is there, from whom, what it brings, and what became of it; turned on and off, added and removed."""

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QFontDatabase, QGuiApplication, QShowEvent
from PySide6.QtWidgets import QMessageBox, QPlainTextEdit, QVBoxLayout, QWidget

from desktop_ft.core.errors import UserError
from desktop_ft.core.language import marked, tr, tr_n
from desktop_ft.gui import words
from desktop_ft.gui.folders import show_folder
from desktop_ft.gui.help_card import explained
from desktop_ft.gui.picker import choose_file, choose_folder
from desktop_ft.gui.session import Session
from desktop_ft.gui.table import Column, table
from desktop_ft.gui.widgets import Notice, Page, Progress, button, card, label, row, scrolled, splitter
from desktop_ft.plugin_manager import Origin, PluginRecord, PluginState, plugin_folder
from desktop_ft.runs import atomic
from desktop_ft.runs.logbook import report

_NAMED = 12
_BUSY = marked("{work} is under way, and may use plugins: wait for it, or stop it, before they come or go.")
_FILES = (".zip", ".py")
_LEVELS = {
    PluginState.LOADED: "good",
    PluginState.FAILED: "bad",
    PluginState.STOPPED: "warn",
    PluginState.INCOMPATIBLE: "warn",
    PluginState.MISNAMED: "warn",
}
_LEFT_OUT = (PluginState.SHADOWED, PluginState.MISNAMED)
_MEANINGS = {
    PluginState.LOADED: marked("It is on."),
    PluginState.DISABLED: marked("It is off. Nothing of it has been run."),
    PluginState.STOPPED: marked("It was turned off: {reason}."),
    PluginState.FAILED: marked("It is on, but could not be loaded: {reason}."),
    PluginState.INCOMPATIBLE: marked(
        "It does not fit this version of Desktop FT: {reason}. Get one that does from its author, or take this one away."
    ),
    PluginState.SHADOWED: marked("It is left out: {reason}."),
    PluginState.MISNAMED: marked("It is left out: {reason}."),
}
_TAKEN_AWAY = marked("It is off. What it brought is taken away.")
_KINDS = {
    "backbone": marked("Networks"),
    "augmentation": marked("Augmentations"),
    "export format": marked("File formats"),
    "sample": marked("Samples"),
    "event sink": marked("Listeners to runs"),
    "window panel": marked("Panels"),
}
"""What a catalog's kind is called as a heading."""
COLUMNS = (
    Column(title=marked("Plugin"), text=lambda each: words.printable(each.name), width=24),
    Column(title=marked("State"), text=lambda each: tr(each.state), width=16),
    Column(title=marked("Version"), text=lambda each: words.printable(each.version), width=9),
    Column(title=marked("From"), text=lambda each: words.printable(each.author) or tr(each.origin)),
)


class PluginsPage(Page):
    """A table of plugins, and all that is known of the current one beside it."""

    def __init__(self, session: Session) -> None:
        super().__init__(tr("Plugins"), tr("Networks, augmentations, file formats and more that others made, or you."))
        self._session = session
        self._work = session.plugin_work
        self._shown: PluginRecord | None = None
        self._told_of: tuple[str, Origin] | None = None
        self._used: QWidget | None = None
        self.troubles = Notice(logged=False)
        self.notice = Notice()
        self.progress = Progress("")
        self.progress.cancellable(False)
        self.table = table(COLUMNS, session.theme, tr("Plugins"))
        self.table.selectionModel().currentRowChanged.connect(self._show)
        self.body.addWidget(self.troubles)
        self.body.addWidget(self.notice)
        self.body.addWidget(self.progress)
        self.body.addWidget(splitter("plugins", session.settings, self._left(), self._right(), shares=(3, 2)), 1)
        self._work.began.connect(self._began)
        self._work.changed.connect(self.refresh)
        self._work.installed.connect(self._installed)
        self._work.turned.connect(self._turned)
        self._work.failed.connect(self._failed)
        self._work.ended.connect(self._ended)
        for signal in session.can_open_changed:
            signal.connect(self._enable)
        self.refresh()

    def refresh(self) -> None:
        """List what was found; the same one stays chosen."""
        if self.puts_off(self.refresh):
            return
        chosen = self.table.current()
        key = _key(chosen) if chosen is not None else None
        records = self._session.plugins.records
        if troubles := words.printable("\n".join(self._session.plugins.troubles)):
            self.troubles.say(troubles, "warn")
        else:
            self.troubles.clear()
        own_first = sorted(records, key=lambda each: (each.origin is Origin.BUILT_IN, each.always_on))
        self.table.rows.set_rows(own_first)
        self.table.select(lambda each: _key(each) == key)
        if self.table.current() is None and own_first:
            self.table.select(lambda each: each is own_first[0])
        self._show()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """Files may have come into the plugin folder, or changed there."""
        super().showEvent(event)
        self._work.look_again()

    def take_drop(self, paths: tuple[Path, ...]) -> bool:
        """What is dropped here is a plugin."""
        if not self._work.can_begin:
            self.notice.say(tr(_BUSY, work=words.printable(self._work.under_way)), "warn")
        elif len(paths) > 1:
            self.notice.say(tr("Drop one plugin at a time."), "warn")
        else:
            self._install(paths[0])
        return True

    def _left(self) -> QWidget:
        self.add_folder = button(tr("Add a folder…"), self._add_folder, tip=tr("Copy a plugin from a folder. It stays off."))
        self.add_file = button(tr("Add a file…"), self._add_file, tip=tr("Copy a plugin from a .zip or .py file. It stays off."))
        self.show_folder = button(tr("Show folder"), self._show_folder, tip=tr("Where your plugins lie."))
        left = QWidget()
        layout = QVBoxLayout(left)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.table, 1)
        layout.addLayout(row(self.add_folder, self.add_file, self.show_folder, None))
        return left

    def _right(self) -> QWidget:
        frame, layout = card()
        self.name = label(role="heading", wrap=True)
        self.about = label(wrap=True)
        self.state = label(wrap=True)
        self.facts = label(role="muted", wrap=True)
        self.brings = label(wrap=True)
        for each in (self.name, self.about, self.state, self.facts, self.brings):
            each.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.trust = label(tr("A plugin that is on can do whatever you can. Turn on only what you trust."), "muted", wrap=True)
        self.turn = button("", self._turn, primary=True)
        self.off = button(tr("Turn off"), self._turn_off)
        self.remove = button(
            tr("Move to trash"), self._remove, tip=tr("Turn it off, and take its files out of the plugin folder.")
        )
        self.trace = QPlainTextEdit()
        self.trace.setReadOnly(True)
        self.trace.setTabChangesFocus(True)
        self.trace.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.trace.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.trace.setAccessibleName(tr("Where it failed"))
        self.copy = button(tr("Copy details"), self._copy, tip=tr("What its author needs: where it failed, and versions."))
        for each in (self.name, self.about, self.state, self.brings, self.facts, self.trust):
            layout.addWidget(each)
        self.waits = label(role="muted", wrap=True)
        layout.addWidget(self.waits)
        layout.addLayout(row(explained(self.turn, "plugins.turn"), None))
        layout.addLayout(row(self.off, self.remove, None))
        layout.addWidget(self.trace, 1)
        layout.addLayout(row(self.copy, None))
        layout.addStretch(0)
        return scrolled(frame)

    def _show(self) -> None:
        found: PluginRecord | None = self.table.current()
        self._shown = found
        own = found is not None and not found.always_on and found.state not in _LEFT_OUT
        unfit = found is not None and found.state is PluginState.INCOMPATIBLE
        failed = found is not None and found.state is PluginState.FAILED
        self.trust.setVisible(own and found is not None and found.origin is not Origin.BUILT_IN)
        self.turn.setVisible(own and not unfit)
        self.off.setVisible(own and (failed or unfit) and found is not None and found.enabled)
        self.remove.setVisible(found is not None and found.origin is Origin.FOLDER)
        self.trace.setVisible(found is not None and bool(found.traceback))
        self.copy.setVisible(found is not None and not _is_well(found))
        if found is None:
            return
        if _key(found) != self._told_of:  # what was said of another
            self._told_of = _key(found)
            self.notice.clear()
        self.name.setText(words.printable(found.name))
        self.about.setText(words.printable(tr(found.about) if found.origin is Origin.BUILT_IN else found.about))
        self.about.setVisible(bool(found.about))
        self.state.setText(_meaning(found))
        self.state.setProperty("level", _LEVELS.get(found.state, ""))
        self.state.style().polish(self.state)
        self.brings.setText(_brought(found))
        self.brings.setVisible(bool(found.brings))
        self.facts.setText(_facts(found))
        self.trace.setPlainText(words.printable(found.traceback))
        self.turn.setText(tr("Try again") if failed else tr("Turn on") if _is_off(found) else tr("Turn off"))
        self.remove.setProperty("role", "primary" if unfit else None)
        self.remove.style().polish(self.remove)
        self._enable()

    def _enable(self) -> None:
        free = self._work.can_begin
        for each in (self.add_folder, self.add_file, self.remove, self.off, self.turn):
            each.setEnabled(free)
        self.waits.setText("" if free else tr(_BUSY, work=words.printable(self._work.under_way)))
        self.waits.setVisible(not free and not self._work.busy)
        foreign = self._shown is not None and self._shown.origin is not Origin.BUILT_IN
        kept_off = self._session.plugins.safe_mode and foreign
        self.turn.setEnabled(free and not kept_off)
        self.turn.setToolTip(tr("Desktop FT was started without plugins. Start it again with them.") if kept_off else "")

    def _turn(self) -> None:
        if self._shown is not None:
            self.notice.clear()
            self._work.turn(self._shown.name, on=self._shown.state is not PluginState.LOADED)

    def _turn_off(self) -> None:
        if self._shown is not None:
            self.notice.clear()
            self._work.turn(self._shown.name, on=False)

    def _remove(self) -> None:
        if self._shown is not None and self._sure_to_remove(name := self._shown.name):
            self.notice.clear()
            self._work.remove(name)

    def _sure_to_remove(self, name: str) -> bool:
        box = QMessageBox(self)
        box.setWindowTitle(tr("Move to trash"))
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setText(tr("Move the plugin {name} to the trash?", name=words.printable(name)))
        box.setInformativeText(tr("It is turned off, and what it brings is on offer no more."))
        move = box.addButton(tr("Move to trash"), QMessageBox.ButtonRole.DestructiveRole)
        box.setDefaultButton(box.addButton(tr("Keep"), QMessageBox.ButtonRole.RejectRole))
        box.exec()
        return box.clickedButton() is move

    def _add_folder(self) -> None:
        if folder := choose_folder(self, self._session.settings, tr("Choose a plugin's folder")):
            self._install(folder)

    def _add_file(self) -> None:
        kinds = tr("Plugins ({patterns})", patterns=" ".join(f"*{ending}" for ending in _FILES))
        if file := choose_file(self, self._session.settings, tr("Choose a plugin's file"), kinds):
            self._install(file)

    def _install(self, source: Path) -> None:
        self.notice.clear()
        self._work.install(source)

    def _began(self, what: str) -> None:
        self._used = next((each for each in (self.turn, self.add_folder, self.add_file) if each.hasFocus()), None)
        self.progress.begin(what)
        self._enable()

    def _ended(self) -> None:
        self.progress.end()
        self._enable()
        if self._used is not None and self.isVisible():  # who uses the keyboard goes on from there
            self._used.setFocus()

    def _failed(self, error: BaseException) -> None:
        from desktop_ft.plugin_manager.installing import AlreadyThere

        if not isinstance(error, AlreadyThere):
            self.notice.fail(error)
            return
        self.table.select(lambda each: _key(each) == (error.name, Origin.FOLDER))
        there = tr("There is a plugin '{name}' already. Move that one to the trash first.", name=words.printable(error.name))
        self.notice.say(there, "warn")

    def _installed(self, name: str) -> None:
        self.table.select(lambda each: each.name == name)
        if self.isVisible():  # who uses the keyboard goes on from there
            self.table.setFocus()
        if self._shown is not None and self._shown.state is PluginState.INCOMPATIBLE:
            self.notice.say(f"{words.printable(name)}: {_meaning(self._shown)}", "warn")
            return
        self.notice.say(tr("{name} was copied, and is off. Look at it before you turn it on.", name=name), "good")

    def _turned(self, found: PluginRecord | None) -> None:
        if found is None or found.state is PluginState.DISABLED:
            return
        if found.state is not PluginState.LOADED:
            self.notice.say(f"{words.printable(found.name)}: {_meaning(found)}", "warn")
        elif found.tampers:
            self.notice.say(f"{words.printable(found.name)}: {words.printable(found.reason)}", "warn")

    def _show_folder(self) -> None:
        folder = plugin_folder()
        try:
            atomic.make_folder(folder)
        except UserError as error:
            self.notice.fail(error)
            return
        show_folder(folder, self.notice)

    def _copy(self) -> None:
        if self._shown is not None:
            shown = self._shown
            told = (f"{shown.name}: {tr(shown.state)}", _meaning(shown), shown.advice, _facts(shown), shown.traceback)
            QGuiApplication.clipboard().setText(report("\n".join(filter(None, told))))
            self.notice.say(tr("The details are on the clipboard."), "good")


def _key(found: PluginRecord) -> tuple[str, Origin]:
    return found.name, found.origin


def _is_off(found: PluginRecord) -> bool:
    return found.state in (PluginState.DISABLED, PluginState.STOPPED)


def _is_well(found: PluginRecord) -> bool:
    return found.state in (PluginState.LOADED, PluginState.DISABLED) and not found.tampers


def _meaning(found: PluginRecord) -> str:
    off_again = found.state is PluginState.DISABLED and found.was_on
    said = tr(_TAKEN_AWAY if off_again else _MEANINGS[found.state], reason=words.printable(found.reason).rstrip(".。"))
    if found.lacks and _is_off(found):
        lacks = tr("It needs what is not installed here. Install that first: {command}", command=words.printable(found.lacks))
        return f"{said} {lacks}"
    if found.state is PluginState.DISABLED and found.reason:
        return f"{said} {tr('Note: {reason}.', reason=words.printable(found.reason))}"
    if found.state is PluginState.FAILED and found.cure and not found.traceback:
        return f"{said} {words.printable(found.cure)}"
    return f"{said} {words.printable(found.reason)}." if found.tampers else said


def _facts(found: PluginRecord) -> str:
    facts = [
        tr("Version {version}", version=words.printable(found.version)) if found.version else "",
        tr("by {author}", author=words.printable(found.author)) if found.author else "",
        tr(found.origin),
    ]
    return " · ".join(filter(None, facts))


def _brought(found: PluginRecord) -> str:
    lines = []
    for kind, names in found.brings.items():
        more = [tr_n("and {n} more", "and {n} more", n=len(names) - _NAMED)] if len(names) > _NAMED else []
        lines.append(f"{tr(_KINDS[kind])}: {', '.join((*names[:_NAMED], *more))}")
    return words.printable("\n".join(lines))
