"""The command palette: every action and every setting, found by typing a part of its name."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence, QPalette
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHeaderView,
    QLineEdit,
    QScrollArea,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.language import tr
from desktop_ft.core.recipe import BackboneChoice, DatasetChoice, Optimisation, Recipe
from desktop_ft.core.values import Described
from desktop_ft.gui import words
from desktop_ft.gui.actions import Actions
from desktop_ft.gui.menus import ACTIONS
from desktop_ft.gui.widgets import GAP, Page, label
from desktop_ft.gui.words import PAGE_TITLES
from desktop_ft.plugin_manager import Plugins

SIZE = (560, 420)
_LISTS = {Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_PageUp, Qt.Key.Key_PageDown}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A field of the recipe that a person sets on a page; the control there has the field's name as its object name.

    `text` and `tip` are English.
    """

    page: str
    field: str
    text: str
    tip: str


def _of(page: str, kind: type[Described], *names: str) -> Iterable[Setting]:
    for name, field in kind.model_fields.items():
        if name in names:
            yield Setting(page=page, field=name, text=words.english_title(name), tip=field.description or "")


SETTINGS = (
    *_of("data", DatasetChoice, "val", "rename", "pictures", "images_per_class", "draw"),
    *_of("model", BackboneChoice, "image_size"),
    *_of("layers", FreezePlan, "preset", "backbone_rate", "batch_norm"),
    *_of("train", Optimisation, *Optimisation.model_fields),
    *_of("train", Recipe, "seed", "device", "precision", "processes"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing to be found: its name, where it belongs, its keys, what it does; and whether it can be done now.

    Attributes:
        obstacle: why not, where it cannot.
        english: the name as manuals and other people may have it.
    """

    text: str
    place: str
    keys: str
    tip: str
    run: Callable[[], object]
    enabled: bool = True
    obstacle: str = ""
    english: str = ""

    def matches(self, typed: str) -> bool:
        """Whether every word of `typed` begins a word of a name or the place, or stands somewhere in what it does."""
        own = f"{self.text} {self.place} {self.english}".lower()
        return all(_begins_one(word, own) or word in self.tip.lower() for word in typed.lower().split())

    def rank(self, typed: str) -> tuple[bool, bool]:
        """Sorts what is called so, and of that what can be done, first."""
        names = f"{self.text} {self.english}".lower()
        return (not all(word in names for word in typed.lower().split()), not self.enabled)


def _begins_one(word: str, text: str) -> bool:
    """Whether `word` begins a word of `text`; or stands anywhere in it, as Japanese and Chinese set no words apart."""
    return any(part.startswith(word) for part in text.split()) or (not word.isascii() and word in text)


def entries(actions: Actions, page_of: Callable[[str], Page], go: Callable[[str], object]) -> list[Entry]:
    """All actions, and all settings; `page_of` gives a page by name and `go` shows it."""

    def lead_to(setting: Setting) -> Callable[[], object]:
        def run() -> None:
            go(setting.page)
            if (control := page_of(setting.page).findChild(QWidget, setting.field)) is not None:
                show_within(control)
                control.setFocus(Qt.FocusReason.ShortcutFocusReason)

        return run

    specs = {spec.id: spec for spec in ACTIONS}
    found = [
        Entry(
            text=text,
            place=menu,
            keys=action.shortcut().toString(QKeySequence.SequenceFormat.NativeText),
            tip=action.statusTip(),
            run=action.trigger,
            enabled=action.isEnabled(),
            obstacle=actions.obstacle(action.objectName()),
            english=specs[action.objectName()].text,
        )
        for menu, text, action in actions.listed()
    ]
    return found + [
        Entry(
            text=tr(setting.text),
            place=tr(PAGE_TITLES[setting.page]),
            keys="",
            tip=tr(setting.tip),
            run=lead_to(setting),
            english=setting.text,
        )
        for setting in SETTINGS
    ]


def show_within(control: QWidget) -> None:
    """Scroll whatever `control` lies in until it is seen."""
    above = control.parentWidget()
    while above is not None:
        if isinstance(above, QScrollArea):
            above.ensureWidgetVisible(control)
        above = above.parentWidget()


def recent(
    paths: Iterable[str],
    open_paths: Callable[[tuple[Path, ...]], object],
    left: Recipe | None,
    use_recipe: Callable[[Recipe], object],
) -> list[Entry]:
    """What was opened before; what is not there now cannot be opened.

    Args:
        left: the project of the folder that was open before, as it was left.
    """

    def entry(text: str, folder: str, run: Callable[[], object]) -> Entry:
        return Entry(
            text=words.printable(text),
            place=words.printable(str(Path(folder).parent)),
            keys="",
            tip=words.printable(folder),
            run=run,
            enabled=Path(folder).exists(),
            obstacle=tr("It is not there any more, or its disk is not connected."),
        )

    found = [entry(Path(path).name, path, partial(open_paths, (Path(path),))) for path in paths]
    if left is None:
        return found
    folder = left.dataset.folder
    return [entry(tr("{name}, as you left it", name=Path(folder).name), folder, partial(use_recipe, left)), *found]


def samples(plugins: Plugins, open_sample: Callable[[str], object]) -> list[Entry]:
    """The sample datasets that plugins bring."""
    return [
        Entry(
            text=tr(sample.title),
            place=tr("plugin {plugin}", plugin=plugins.samples.author(sample.name)),
            keys="",
            tip=f"{tr(sample.description)}\n{sample.licence}",
            run=partial(open_sample, sample.name),
        )
        for sample in plugins.samples
    ]


class Palette(QDialog):
    """A line to type in, and what matches below it. The arrow keys move in the list, Return does it."""

    def __init__(self, offered: list[Entry], parent: QWidget, title: str = "") -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        title = title or tr("Find an action or a setting")
        self.setWindowTitle(title)
        self.resize(*SIZE)
        self._offered = offered
        self._shown: list[Entry] = []
        self.line = QLineEdit()
        self.line.setPlaceholderText(tr("Type a part of its name"))
        self.line.setAccessibleName(title)
        self.line.textChanged.connect(self._filter)
        self.line.installEventFilter(self)
        self.list = QTreeWidget()
        self.list.setAccessibleName(tr("What was found"))
        self.list.setColumnCount(3)
        self.list.setHeaderHidden(True)
        self.list.setRootIsDecorated(False)
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        header = self.list.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.list.itemClicked.connect(self._do)
        self.list.currentItemChanged.connect(self._explain)
        self.tip = label(role="muted", wrap=True)
        self.tip.setMinimumHeight(2 * self.fontMetrics().lineSpacing())
        layout = QVBoxLayout(self)
        layout.setSpacing(GAP)
        for widget in (self.line, self.list, self.tip):
            layout.addWidget(widget)
        self._filter("")

    @property
    def found(self) -> list[Entry]:
        """What is shown, in order."""
        return self._shown

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Let the keys of a list work while the line has the focus."""
        if isinstance(event, QKeyEvent) and event.type() is QEvent.Type.KeyPress:
            if event.key() in _LISTS:
                self.list.event(event)
                return True
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self._do(self.list.currentItem())
                return True
        return super().eventFilter(watched, event)

    def _filter(self, typed: str) -> None:
        self._shown = sorted((entry for entry in self._offered if entry.matches(typed)), key=lambda entry: entry.rank(typed))
        self.list.clear()
        pale = self.palette().brush(QPalette.ColorGroup.Disabled, QPalette.ColorRole.Text)
        for entry in self._shown:
            item = QTreeWidgetItem([entry.text, entry.place, entry.keys])
            for column in range(item.columnCount() if not entry.enabled else 0):
                item.setForeground(column, pale)  # not disabled: the keyboard would pass it by, and nobody read why
            self.list.addTopLevelItem(item)
        if (first := self.list.topLevelItem(0)) is not None:
            self.list.setCurrentItem(first)
        else:
            self.tip.setText(tr("Nothing is called so.") if typed else tr("There is nothing yet."))

    def _explain(self, item: QTreeWidgetItem | None) -> None:
        if item is not None:
            entry = self._shown[self.list.indexOfTopLevelItem(item)]
            told = [entry.tip] if entry.enabled else [tr("Cannot be done now."), entry.obstacle, entry.tip]
            self.tip.setText(" ".join(filter(None, told)))
            self.list.setPalette(self.palette() if entry.enabled else self._pale())

    def _pale(self) -> QPalette:
        """Colours in which what is chosen and cannot be done does not look as if it could."""
        pale, disabled = QPalette(self.palette()), QPalette.ColorGroup.Disabled
        pale.setBrush(QPalette.ColorRole.Highlight, pale.brush(QPalette.ColorRole.Mid))
        pale.setBrush(QPalette.ColorRole.HighlightedText, pale.brush(disabled, QPalette.ColorRole.Text))
        return pale

    def _do(self, item: QTreeWidgetItem | None) -> None:
        entry = self._shown[self.list.indexOfTopLevelItem(item)] if item is not None else None
        if entry is None or not entry.enabled:
            return
        self.accept()
        entry.run()
