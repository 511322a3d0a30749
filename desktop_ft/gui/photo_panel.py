"""The photos of a dataset on a wall, filtered by class, subset and problem; several at once are moved or left out."""

from collections.abc import Collection, Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QAbstractItemView, QComboBox, QSizePolicy, QVBoxLayout, QWidget

from desktop_ft.core.dataset import DatasetManifest, Problem, Sample, Subset
from desktop_ft.core.language import marked, tr, tr_n
from desktop_ft.core.recipe import Part
from desktop_ft.data.edits import pictures_left_out
from desktop_ft.gui import words
from desktop_ft.gui.actions import ActionSpec
from desktop_ft.gui.data_edits import DataEdits, some_of
from desktop_ft.gui.help_card import explained
from desktop_ft.gui.local_actions import MenuButton, buttons, local_actions
from desktop_ft.gui.photos import Photos, Wanted, notes_of
from desktop_ft.gui.theme import Theme
from desktop_ft.gui.thumbnails import Wall
from desktop_ft.gui.widgets import Empty, Notice, label, row
from desktop_ft.gui.words import SUBSET_WORDS

_MOVED = "moved"
_MENU = marked("Photos")


def _move(name: str, text: str, keys: str, tip: str) -> ActionSpec:
    return ActionSpec(
        id=f"photo.{name}", menu=_MENU, text=text, tip=tip, handler=f"to_{name}", shortcut=keys, enabled="any_chosen"
    )


ACTIONS = (
    ActionSpec(
        id="photo.look",
        menu=_MENU,
        text=marked("Look at it large"),
        tip=marked(
            "Show the photo as large as there is room, and the others of the wall from there: as Return or a double click."
        ),
        handler="look",
        enabled="any_chosen",
    ),
    _move("train", marked("To training"), "T", marked("Let the network learn from the selected photos.")),
    _move(
        "val",
        marked("To validation"),
        "V",
        marked("Hold the selected photos out, to judge the network on them while it learns."),
    ),
    _move("test", marked("To test"), "E", marked("Keep the selected photos apart, for the judgement after training.")),
    _move("left_out", marked("Leave out"), "Del", marked("Leave the selected photos out of the run. The folder stays as it is.")),
    ActionSpec(
        id="photo.put_back",
        menu=_MENU,
        text=marked("Put back"),
        tip=marked(
            "Take back what was done to the selected photos: they are in the run, where the split or the folder has them."
        ),
        handler="put_back",
        shortcut="Backspace",
        enabled="any_moved",
    ),
)
OBSTACLES = {
    "any_chosen": marked("Select one photo or more first."),
    "any_moved": marked("None of the selected photos was moved or left out by hand."),
}


class PhotoPanel(QWidget):
    """Filters, wall and verbs; `notice` says what the last verb did.

    `shown_changed` tells that other photos are shown, `looked` which of them is to be seen large.
    """

    shown_changed = Signal()
    looked = Signal(object, int)

    def __init__(self, edits: DataEdits, theme: Theme) -> None:
        super().__init__()
        self._edits = edits
        self._manifest: DatasetManifest | None = None
        self._notes: dict[str, list[Problem]] = {}
        self._photos: Photos | None = None
        self._found: tuple[str, ...] = ()
        self._sought = set[str]()  # paths of what is to be shown as soon as it stands where it was moved to
        self.class_filter = _filter(tr("Class shown"))
        self.subset_filter = _filter(tr("Part shown"))
        self.problem_filter = _filter(tr("Problem shown"))
        for text, data in (
            (tr("All photos"), None),
            *((tr("Only {subset}", subset=tr(SUBSET_WORDS[s])), s.value) for s in Subset),
            (tr("Only moved by hand"), _MOVED),
            (tr("Left out"), Part.LEFT_OUT.value),
        ):
            self.subset_filter.addItem(text, data)
        self.shown = label(role="muted", wrap=True)
        self.shown.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.wall = Wall(theme, tr("Photos"))
        self.wall.setObjectName("pictures")
        explained(self.wall, "dataset.pictures")
        self.wall.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.notice = Notice()
        self.none = Empty(tr("No photo"), tr("No photo fits these filters."))
        self.actions_ = local_actions(ACTIONS, self, self.wall, theme, OBSTACLES)
        self.move_to = MenuButton(
            tr("Move to"),
            tr("Move the selected photos (click with Ctrl or Shift to select several) to another subset."),
            self.actions_,
            [f"photo.{subset.value}" for subset in Subset],
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 8, 0, 0)
        layout.addLayout(row(self.class_filter, self.subset_filter, self.problem_filter))
        layout.addWidget(self.notice)
        layout.addWidget(self.wall, 1)
        layout.addWidget(self.none, 1)
        layout.addLayout(row(self.move_to, *buttons(self.actions_, ("photo.left_out", "photo.put_back")), self.shown))
        for each in (self.class_filter, self.subset_filter, self.problem_filter):
            each.currentIndexChanged.connect(self._filter)
        self.wall.activated.connect(self.look)
        self.wall.selectionModel().selectionChanged.connect(self._refresh)
        self._refresh()

    def show_manifest(self, manifest: DatasetManifest | None) -> None:
        """Show these photos; of the same folder, with the same filters, in the same place and with the same ones selected."""
        same = manifest is not None and self._manifest is not None and manifest.source == self._manifest.source
        self._manifest = manifest
        if manifest is None:
            self._photos = None
            self.wall.thumbs.set_thumbs(())
            return
        self._notes = notes_of(manifest)
        self._offer_classes({self._edits.dataset.rename.get(found, found) for found in self._found} if same else ())
        kinds = sorted({problem.kind for notes in self._notes.values() for problem in notes})
        told = [(tr("Only: {kind}", kind=words.title_within(words.problem(kind))), kind) for kind in kinds]
        offered = [(tr("Problems or not"), None), (tr("Only with a problem"), ""), *told]
        shown = self.problem_filter.currentText()
        _refill(
            self.problem_filter,
            offered,
            next((at for at, (text, _) in enumerate(offered) if text == shown), 0) if same else 0,
        )
        self.problem_filter.setVisible(bool(kinds))
        if not same:
            self.subset_filter.blockSignals(True)
            self.subset_filter.setCurrentIndex(0)
            self.subset_filter.blockSignals(False)
        self._show(stay=same)

    def pick_classes(self, names: Collection[str]) -> None:
        """Show the photos of these classes."""
        before = self._labels
        self._offer_classes(names)
        if self._labels != before:
            self._filter()

    def show_left_out(self) -> None:
        """Show the photos that are left out one by one."""
        self._filter_by(Part.LEFT_OUT)

    def show_photo(self, path: str) -> bool:
        """Select the photo at `path` among all, and scroll to it; returns whether there is such a photo in the run."""
        self._filter_by(None)
        return self._find({path})

    @property
    def chosen(self) -> list[Sample]:
        """The photos that are selected."""
        return [self._photos.samples[number] for number in self.wall.chosen_rows()] if self._photos is not None else []

    @property
    def any_chosen(self) -> bool:
        """Whether any is."""
        return self.wall.selectionModel().hasSelection()

    @property
    def any_moved(self) -> bool:
        """Whether one is that was moved or left out by hand."""
        moved = self._edits.dataset.pictures
        return bool(moved) and any(sample.sha256 in moved for sample in self.chosen)

    def look(self) -> None:
        """Let the photo where the keyboard is be seen large."""
        number = self.wall.currentIndex().row()
        if self._photos is not None and 0 <= number < len(self._photos):
            self.looked.emit(self._photos, number)

    def to_train(self) -> None:
        """Move the selected photos to training."""
        self._move(Part.TRAIN)

    def to_val(self) -> None:
        """Move them to validation."""
        self._move(Part.VAL)

    def to_test(self) -> None:
        """Move them to test."""
        self._move(Part.TEST)

    def to_left_out(self) -> None:
        """Leave them out."""
        self._move(Part.LEFT_OUT)

    def put_back(self) -> None:
        """Take back what was done to them."""
        self._move(None)

    def _move(self, part: Part | None) -> None:
        moved = self.chosen
        self._edits.move(moved, part)
        self.notice.offer(_told(len(moved), part), tr("Show them"), lambda: self._show_moved(moved, part), "good")

    def _show_moved(self, samples: Sequence[Sample], part: Part | None) -> None:
        self._filter_by(part)
        self._sought = {sample.path for sample in samples}
        self._seek()
        self.wall.setFocus()

    @property
    def _labels(self) -> tuple[int, ...]:
        """The classes that are shown; none: all."""
        return tuple(self.class_filter.currentData() or ())

    def _offer_classes(self, shown: Collection[str]) -> None:
        """Offer each class, and together those that are `shown` now; where none of them is there any more, all are."""
        named = list(enumerate(self._manifest.classes if self._manifest is not None else ()))
        labels = tuple(number for number, name in named if name in shown)
        items = [(tr("All classes"), ()), *((words.printable(name), (number,)) for number, name in named)]
        if len(labels) > 1:
            items.append((some_of([name for number, name in named if number in labels]), labels))
        _refill(self.class_filter, items, next(at for at, (_, of) in enumerate(items) if of == labels))

    def _filter_by(self, part: Part | None) -> None:
        """Show the photos of `part`, all of them; None: all that are in the run."""
        self.class_filter.setCurrentIndex(0)
        self.problem_filter.setCurrentIndex(0)
        self.subset_filter.setCurrentIndex(self.subset_filter.findData(part.value if part is not None else None))

    def _seek(self) -> None:
        if self._sought and self._find(self._sought):
            self._sought = set()

    def _find(self, paths: set[str]) -> bool:
        """Select the photos at `paths` among those that are shown, and scroll to them; whether there is any."""
        samples = self._photos.samples if self._photos is not None else ()
        rows = [number for number, sample in enumerate(samples) if sample.path in paths]
        if rows:
            self.wall.choose_rows(rows)
            self.wall.scrollTo(self.wall.currentIndex(), QAbstractItemView.ScrollHint.PositionAtCenter)
        return bool(rows)

    def _filter(self) -> None:
        self._sought = set()
        self._show(stay=False)

    def _show(self, *, stay: bool) -> None:
        manifest, scanned, dataset = self._manifest, self._edits.scanned, self._edits.dataset
        if manifest is None or scanned is None:
            return
        at, row_before = self.wall.verticalScrollBar().value(), self.wall.currentIndex().row()
        chosen = {sample.path for sample in self.chosen} if stay else set()
        part = self.subset_filter.currentData()  # Qt keeps it as a plain text
        wanted = Wanted(
            labels=self._labels,
            part=Part(part) if part in list(Part) else None,
            moved=part == _MOVED,
            kind=self.problem_filter.currentData(),
        )
        called, found = [manifest.classes[label] for label in wanted.labels], self._edits.found_names()
        self._found = tuple(each for name in called for each in found.get(name, (name,)))  # outlives a new name of a class
        left_out = pictures_left_out(scanned, dataset) if wanted.part is Part.LEFT_OUT else ()
        photos = Photos(manifest, dataset, left_out, scanned.classes, self._notes, wanted)
        self._photos = photos
        self.wall.thumbs.set_thumbs(photos, photos.captions)
        self.wall.doItemsLayout()
        self.wall.verticalScrollBar().setValue(at if stay else 0)
        if chosen:
            self._choose_again(chosen, row_before)
        self._seek()
        self.wall.setVisible(bool(photos))
        self.none.setVisible(not photos)
        self._refresh()
        self.shown_changed.emit()

    def _choose_again(self, paths: set[str], row_before: int) -> None:
        """What was selected stays so; where the filter hides all of it now, what came in its place is: so keys go on there."""
        samples = self._photos.samples if self._photos is not None else ()
        rows = [number for number, sample in enumerate(samples) if sample.path in paths]
        if not rows and samples:
            rows = [min(max(0, row_before), len(samples) - 1)]
        self.wall.choose_rows(rows)

    def _refresh(self) -> None:
        self.actions_.refresh()
        shown, chosen = len(self._photos) if self._photos is not None else 0, self.wall.chosen_count
        if chosen:
            self.shown.setText(tr_n("{chosen:,} of {n:,} photo", "{chosen:,} of {n:,} photos", n=shown, chosen=chosen))
        else:
            self.shown.setText(tr_n("{n:,} photo", "{n:,} photos", n=shown))


def _told(number: int, part: Part | None) -> str:
    """What was done with so many photos, and where they are now."""
    if part is None:
        return tr_n("{n:,} photo is where the split has it.", "{n:,} photos are where the split has them.", n=number)
    if part is Part.LEFT_OUT:
        return tr_n("{n:,} photo is left out of the run.", "{n:,} photos are left out of the run.", n=number)
    subset = tr(SUBSET_WORDS[part.value])
    return tr_n("{n:,} photo moved to {subset}.", "{n:,} photos moved to {subset}.", n=number, subset=subset)


def _filter(name: str) -> QComboBox:
    made = QComboBox()
    made.setAccessibleName(name)
    # They share what room there is: a name of a class may be of any length.
    made.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    made.setMinimumContentsLength(8)
    made.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return made


def _refill(box: QComboBox, items: Sequence[tuple[str, object]], current: int) -> None:
    """Other items, without a signal; that of the place `current` is chosen. (By its text it could be another's.)"""
    box.blockSignals(True)
    box.clear()
    for text, data in items:
        box.addItem(text, data)
    box.setCurrentIndex(current)
    box.blockSignals(False)
