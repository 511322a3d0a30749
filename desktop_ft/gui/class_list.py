"""The classes of a dataset: how many photos each has, and what they are called in the run; and those that are left out."""

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QAbstractItemView, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from desktop_ft.core.dataset import DatasetManifest, Subset
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import grouped, marked, tr, tr_n
from desktop_ft.data.edits import classes_left_out, pictures_left_out
from desktop_ft.data.health import rare
from desktop_ft.gui import words
from desktop_ft.gui.actions import ActionSpec
from desktop_ft.gui.data_edits import DataEdits
from desktop_ft.gui.help_card import explained
from desktop_ft.gui.local_actions import ActionButton, buttons, local_actions
from desktop_ft.gui.name_dialog import NameDialog
from desktop_ft.gui.table import ROW_ROLE, Column, table
from desktop_ft.gui.theme import Theme
from desktop_ft.gui.widgets import label, row

_FOUND_ROLE = int(Qt.ItemDataRole.UserRole)
_LINES = 3


@dataclass(frozen=True, slots=True)
class ClassRow:
    """A class and its counts.

    Attributes:
        share: its photos, as a share of the largest class's.
        fewer: how many times more training photos the largest has; 0 where that is not worth a word.
        found: its names in the folder, where they are others.
    """

    name: str
    train: int
    val: int
    test: int
    share: float
    fewer: float
    found: tuple[str, ...]

    @property
    def in_folder(self) -> tuple[str, ...]:
        """Its names in the folder, whether or not they are others."""
        return self.found or (self.name,)


def _tip(row: ClassRow) -> str:
    said = [words.printable(row.name)]
    if row.found:
        said.append(tr("In the folder: {names}.", names=", ".join(map(words.printable, row.found))))
    if row.fewer:
        said.append(
            tr(
                "{times:.0f} times fewer training photos than the largest class, so the model will lean away from it.\n"
                "Set Balance to class weights or sampler on the page Train, add photos, or merge it with another class.",
                times=row.fewer,
            )
        )
    return "\n".join(said)


COLUMNS = (
    Column(
        title=marked("Class"),
        text=lambda row: ("⚠ " if row.fewer else "") + words.printable(row.name),
        sort=lambda row: row.name,
        tip=_tip,
        bar=lambda row: row.share,
        warn=lambda row: bool(row.fewer),
    ),
    Column(title=marked("Train"), text=lambda row: grouped(row.train), sort=lambda row: row.train, number=True, width=6),
    Column(title=marked("Val"), text=lambda row: grouped(row.val), sort=lambda row: row.val, number=True, width=6),
    Column(title=marked("Test"), text=lambda row: grouped(row.test), sort=lambda row: row.test, number=True, width=6),
)

ACTIONS = (
    ActionSpec(
        id="class.rename",
        menu=marked("Classes"),
        text=marked("Rename…"),
        tip=marked("Give the class another name in the run; with the name of another class, the two become one."),
        handler="rename",
        shortcut="F2",
        enabled="one_chosen",
    ),
    ActionSpec(
        id="class.merge",
        menu=marked("Classes"),
        text=marked("Merge…"),
        tip=marked("Make one class of those that are selected (click with Ctrl or Shift to select several)."),
        handler="merge",
        shortcut="Ctrl+M",
        enabled="several_chosen",
    ),
    ActionSpec(
        id="class.leave_out",
        menu=marked("Classes"),
        text=marked("Leave out"),
        tip=marked("Leave the selected classes out of the run. The folder stays as it is."),
        handler="leave_out",
        shortcut="Del",
        enabled="any_chosen",
    ),
    ActionSpec(
        id="class.as_found",
        menu=marked("Classes"),
        text=marked("Names of the folder"),
        tip=marked("Call the selected classes as they are called in the folder; what was merged comes apart."),
        handler="name_as_found",
        shortcut="Shift+F2",
        enabled="any_renamed",
    ),
)
BACK = (
    ActionSpec(
        id="class.put_back",
        menu=marked("Classes"),
        text=marked("Put back"),
        tip=marked("Take what is selected into the run again."),
        handler="put_back",
        shortcut="Del",
        enabled="any_left_out",
    ),
)
OBSTACLES = {
    "one_chosen": marked("Select one class first."),
    "several_chosen": marked("Select two classes or more first."),
    "any_chosen": marked("Select one class or more first."),
    "any_renamed": marked("None of the selected classes has another name in the folder."),
    "any_left_out": marked("Select first what is to come back."),
}


class ClassList(QWidget):
    """Shows a manifest's classes. `picked` tells the names of those that are selected when one is clicked,
    `failed` what an edit was refused for.

    `photos_asked`: the photos that are left out one by one are to be shown.
    """

    picked = Signal(list)
    failed = Signal(object)
    photos_asked = Signal()

    def __init__(self, edits: DataEdits, theme: Theme) -> None:
        super().__init__()
        self._edits = edits
        self.table = table(COLUMNS, theme, tr("Classes"))
        self.table.setObjectName("rename")
        explained(self.table, "dataset.rename")
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.table.clicked.connect(self._pick)
        self.table.activated.connect(self._pick)
        self.actions_ = local_actions(ACTIONS, self, self.table, theme, OBSTACLES)
        self.left_out = QListWidget()
        self.left_out.setAccessibleName(tr("Left out"))
        self.left_out.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.left_out.setFixedHeight(_LINES * (self.fontMetrics().height() + 6) + 4)
        self.left_out.itemActivated.connect(self._look)
        self.back = local_actions(BACK, self, self.left_out, theme, OBSTACLES)
        self._out = QWidget()
        below = QVBoxLayout(self._out)
        below.setContentsMargins(0, 0, 0, 0)
        below.addLayout(row(label(tr("Left out"), "muted"), None, ActionButton(self.back["class.put_back"])))
        below.addWidget(self.left_out)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.table, 1)
        *usual, self.as_found = buttons(self.actions_, [spec.id for spec in ACTIONS])
        layout.addLayout(row(*usual, None))
        layout.addLayout(row(self.as_found, None))
        layout.addWidget(self._out)
        self.table.selectionModel().selectionChanged.connect(self._refresh)
        self.left_out.itemSelectionChanged.connect(self._refresh)
        self.as_found.hide()
        self._refresh()

    def show_manifest(self, manifest: DatasetManifest) -> None:
        """Show these classes; what was selected stays so, by its names in the folder: it may be called otherwise now."""
        chosen = {name for row in self._chosen_rows for name in row.in_folder}
        at = self.table.verticalScrollBar().value()
        counts = {subset: manifest.counts(subset) for subset in Subset}
        totals, fewer, found = manifest.counts(), rare(manifest), self._edits.found_names()
        most = max(1, *totals.values()) if totals else 1
        self.table.rows.set_rows(
            [
                ClassRow(
                    name=name,
                    train=counts[Subset.TRAIN][name],
                    val=counts[Subset.VAL][name],
                    test=counts[Subset.TEST][name],
                    share=totals[name] / most,
                    fewer=fewer.get(name, 0.0),
                    found=found.get(name, ()),
                )
                for name in manifest.classes
            ]
        )
        self.table.setColumnHidden(3, not any(counts[Subset.TEST].values()))
        self.as_found.setVisible(bool(found))
        self.table.choose(lambda each: not chosen.isdisjoint(each.in_folder))
        self.table.verticalScrollBar().setValue(at)
        self._show_left_out()
        self._refresh()

    @property
    def chosen(self) -> list[str]:
        """The names of the classes that are selected, as they stand in the table."""
        return [row.name for row in self._chosen_rows]

    @property
    def _chosen_rows(self) -> list[ClassRow]:
        return [index.data(ROW_ROLE) for index in self.table.selectionModel().selectedRows()]

    @property
    def one_chosen(self) -> bool:
        """Whether exactly one is."""
        return len(self.chosen) == 1

    @property
    def several_chosen(self) -> bool:
        """Whether more than one is."""
        return len(self.chosen) > 1

    @property
    def any_chosen(self) -> bool:
        """Whether any is."""
        return bool(self.chosen)

    @property
    def any_renamed(self) -> bool:
        """Whether one is that has another name in the folder."""
        return any(row.found for row in self._chosen_rows)

    @property
    def any_left_out(self) -> bool:
        """Whether something is selected that can be put back."""
        return bool(self.left_out.selectedItems())

    def rename(self) -> None:
        """Ask for the name of the selected class."""
        self._ask(self.chosen)

    def merge(self) -> None:
        """Ask for one name for the selected classes."""
        self._ask(self.chosen)

    def leave_out(self) -> None:
        """Leave the selected classes out."""
        try:
            self._edits.leave_out(self.chosen)
        except UserError as error:
            self.failed.emit(error)

    def name_as_found(self) -> None:
        """Call the selected classes as they are called in the folder."""
        self._edits.name_as_found(self.chosen)

    def put_back(self) -> None:
        """Take what is selected among what was left out into the run again."""
        found = [item.data(_FOUND_ROLE) for item in self.left_out.selectedItems()]
        self._edits.put_back([name for name in found if name is not None], photos=None in found)

    def _ask(self, names: Sequence[str]) -> None:
        others = [each.name for each in self.table.rows.rows if each.name not in names]
        NameDialog(names, others, self._edits.rename, self).open()

    def _show_left_out(self) -> None:
        scanned = self._edits.scanned
        self.left_out.clear()
        if scanned is None:
            return
        counts = scanned.counts()
        for found in classes_left_out(self._edits.dataset):
            text = tr_n("{name} ({n:,} photo)", "{name} ({n:,} photos)", n=counts.get(found, 0), name=words.printable(found))
            self._add(text, found, tr("A class of the folder."))
        if photos := len(pictures_left_out(scanned, self._edits.dataset)):
            self._add(tr_n("{n:,} single photo", "{n:,} single photos", n=photos), None, tr("Return shows them."))
        self._out.setVisible(self.left_out.count() > 0)

    def _add(self, text: str, found: str | None, tip: str) -> None:
        item = QListWidgetItem(text)
        item.setData(_FOUND_ROLE, found)
        item.setToolTip(f"{text}\n{tip}")
        self.left_out.addItem(item)

    def _look(self, item: QListWidgetItem) -> None:
        if item.data(_FOUND_ROLE) is None:
            self.photos_asked.emit()

    def _pick(self) -> None:
        if self.chosen:
            self.picked.emit(self.chosen)

    def _refresh(self) -> None:
        self.actions_.refresh()
        self.back.refresh()
