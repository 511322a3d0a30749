"""Findings of a check-up on a wall, and what a person does about them: keep, another class, leave out, another subset."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QAbstractItemView, QComboBox, QVBoxLayout, QWidget

from desktop_ft.core.checkup import DOUBLES, Checkup, Outlier, PictureFault, Weight
from desktop_ft.core.dataset import DatasetManifest, Sample
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import marked, tr, tr_n
from desktop_ft.core.recipe import DatasetChoice, Part
from desktop_ft.gui import words
from desktop_ft.gui.actions import ActionSpec
from desktop_ft.gui.data_edits import DataEdits
from desktop_ft.gui.help_card import explained
from desktop_ft.gui.kept_findings import KeptFindings
from desktop_ft.gui.local_actions import buttons, local_actions
from desktop_ft.gui.theme import Theme
from desktop_ft.gui.thumbnails import Thumb, Wall, tip
from desktop_ft.gui.widgets import Empty, filling, label, row

_MENU = marked("Findings")
_NAMED = 3
_WEIGHTS = list(Weight)
_LEVELS = {Weight.WRONG: "bad", Weight.LIKELY: "bad", Weight.LOOK: ""}


def _verb(name: str, text: str, keys: str, tip: str, enabled: str = "any_chosen") -> ActionSpec:
    return ActionSpec(id=f"finding.{name}", menu=_MENU, text=text, tip=tip, handler=name, shortcut=keys, enabled=enabled)


ACTIONS = (
    _verb(
        "keep",
        marked("Keep"),
        "K",
        marked(
            "The selected photos are right as they are: do not show them again, nor at the next check-up. "
            "Of near doubles all are kept that are the same, until another one comes."
        ),
    ),
    _verb(
        "change_class",
        marked("Change the class"),
        "C",
        marked("Give the selected photos the class that is chosen beside this. The folder stays as it is."),
        "can_change",
    ),
    _verb(
        "to_left_out", marked("Leave out"), "Del", marked("Leave the selected photos out of the run. The folder stays as it is.")
    ),
    _verb("to_train", marked("To training"), "T", marked("Let the network learn from the selected photos.")),
    _verb("to_val", marked("To validation"), "V", marked("Hold the selected photos out, to judge the network on them.")),
    _verb("show_kept", marked("Show kept ones again"), "", marked("Show the photos again that were kept here."), "any_kept"),
)
OBSTACLES = {
    "any_chosen": marked("Select one photo or more first."),
    "can_change": marked("Select one photo or more first, and choose a class."),
    "any_kept": marked("Nothing is kept here."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One photo of which something is to be said.

    Attributes:
        caption: below the photo. said: what was found and what to do, in sentences.
        likely: the class that it looks like; "" where nothing is said of its class.
        mark: by which it is known again once it was kept: of all that a person looked at who said that it is right.
    """

    sample: Sample
    caption: str
    said: str
    weight: Weight
    mark: str
    likely: str = ""


def doubles(found: Checkup, now: DatasetManifest | Checkup) -> list[Finding]:
    """The photos of each group of near doubles as they lie `now`, one group after the other; one photo alone is no double.

    Args:
        now: `found` itself: as they lay when they were found.
    """
    present = {sample.path: sample for sample in now.samples}
    return [
        Finding(
            sample=sample,
            caption=tr("{number}: {name}", number=number, name=now.classes[sample.label]),
            said=f"{group.words} {group.cure}",
            weight=group.weight,
            mark=mark,
        )
        for number, group in enumerate(found.among(present), start=1)
        if len(group.samples) > 1
        for mark in (group.mark,)
        for sample in group.samples
    ]


def suspects(found: Checkup) -> list[Finding]:
    """The photos whose label is probably wrong."""
    return [
        Finding(
            sample=each.sample,
            caption=f"{found.classes[each.sample.label]} → {found.classes[each.likely]}",
            said=f"{each.words(found.classes)} {each.cure}",
            weight=each.weight,
            mark=each.mark(found.classes),
            likely=found.classes[each.likely],
        )
        for each in found.suspects
    ]


def oddities(found: Checkup) -> list[Finding]:
    """The photos that are unlike all others, and those that show little."""
    far: list[tuple[Outlier | PictureFault, str]] = [(each, tr("unlike all others")) for each in found.outliers]
    poor: list[tuple[Outlier | PictureFault, str]] = [(each, tr(each.fault)) for each in found.faults]
    return [
        Finding(sample=each.sample, caption=caption, said=f"{each.words} {each.cure}", weight=each.weight, mark=each.mark)
        for each, caption in (*far, *poor)
    ]


def plain(found: Checkup, numbers: Sequence[int]) -> list[Finding]:
    """The samples so numbered, of which nothing is said."""
    return [
        Finding(sample=sample, caption=found.classes[sample.label], said="", weight=Weight.LOOK, mark=sample.sha256)
        for sample in (found.samples[number] for number in numbers)
    ]


def _parted(weights: Sequence[Weight]) -> set[int]:
    """Where what matters less begins, as long as what matters most comes first: doubles stay where they are once repaired."""
    ranks = [_WEIGHTS.index(weight) for weight in weights]
    if ranks != sorted(ranks):
        return set()
    return {number for number, (one, other) in enumerate(pairwise(ranks), start=1) if one != other}


class FindingsPanel(QWidget):
    """A wall of findings with its verbs. What was dealt with goes from the wall, and comes back when that is undone.

    `failed` tells of an edit that cannot be made, `left_changed` that another number of findings is left.

    Args:
        kind: under which name what is kept here is remembered.
        narrow: what can be done stands in several lines, so that there is room beside this.
    """

    failed = Signal(object)
    left_changed = Signal()

    def __init__(
        self,
        edits: DataEdits,
        kept: KeptFindings,
        theme: Theme,
        name: str,
        nothing: str,
        kind: str,
        *,
        narrow: bool = False,
    ) -> None:
        super().__init__()
        self._edits, self._kept, self._kind = edits, kept, kind
        self._root = Path()
        self._before: DatasetChoice | None = None
        self._findings: Sequence[Finding] = ()
        self._paths: defaultdict[str, set[str]] = defaultdict(set)
        self.shown: list[Finding] = []
        self.wall = Wall(theme, name)
        self.wall.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        explained(self.wall, "data.findings")
        self.none = Empty(tr("Nothing here"), nothing)
        self.said = label(wrap=True)
        self.said.setTextFormat(Qt.TextFormat.PlainText)
        self.actions_ = local_actions(ACTIONS, self, self.wall, theme, OBSTACLES)
        self.to = QComboBox()
        self.to.setAccessibleName(tr("New class"))
        self.to.setToolTip(tr("The class that Change the class gives."))
        self.to.currentIndexChanged.connect(self._refresh)
        keep, change, *others, again = buttons(self.actions_, [spec.id for spec in ACTIONS])
        lines = ((keep, *others), (change, self.to), (again,)) if narrow else ((keep, change, self.to, *others, again),)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 8, 0, 0)
        layout.addWidget(filling(self.wall, self.none), 1)
        layout.addWidget(self.said)
        for line in lines:
            layout.addLayout(row(*line, None))
        self.wall.selectionModel().selectionChanged.connect(self._refresh)
        self._draw()

    def show_findings(self, findings: Sequence[Finding], found: Checkup, root: Path, before: DatasetChoice) -> None:
        """Show these of `found`, whose samples lie below `root`; `before` is what the recipe said when they were found."""
        self._findings, self._root, self._before = findings, root, before
        self._paths = defaultdict(set)
        for sample in found.samples:
            self._paths[sample.sha256].add(sample.path)
        self.to.blockSignals(True)
        self.to.clear()
        self.to.addItem(tr("as it looks") if any(finding.likely for finding in findings) else tr("choose a class"), "")
        for name in found.classes:
            self.to.addItem(words.printable(name), name)
        self.to.blockSignals(False)
        self._draw()

    def refresh(self, findings: Sequence[Finding] | None = None) -> None:
        """The recipe, or what is kept, has changed: show what is left; `findings`: of which this is to be said from now on."""
        said, self._findings = self._findings, self._findings if findings is None else findings
        if self._findings != said or self._left() != self.shown:
            self._draw()

    def stop(self) -> None:
        """Decode nothing any more; to be called before the window goes."""
        self.wall.stop()

    @property
    def chosen(self) -> list[Finding]:
        """What is selected."""
        return [self.shown[number] for number in self.wall.chosen_rows()]

    @property
    def any_chosen(self) -> bool:
        """Whether anything is."""
        return self.wall.selectionModel().hasSelection()

    @property
    def can_change(self) -> bool:
        """Whether there is a class to give to each of the selected photos."""
        chosen = self.chosen
        return bool(chosen) and self.to.count() > 0 and all(self.to.currentData() or finding.likely for finding in chosen)

    @property
    def any_kept(self) -> bool:
        """Whether a photo that would be shown was kept."""
        kept = self._kept.of(self._kind)
        return any(finding.mark in kept for finding in self._findings)

    def keep(self) -> None:
        """Show the selected photos no more, neither here nor at the next check-up."""
        chosen = {finding.mark for finding in self.chosen}
        self._kept.keep(self._kind, chosen, sum(finding.mark in chosen for finding in self.shown))
        self.refresh()

    def show_kept(self) -> None:
        """Show what was kept again."""
        self._kept.show_again(self._kind)
        self.refresh()

    def change_class(self) -> None:
        """Give the selected photos the chosen class, or each the one that it looks like."""
        by_name: dict[str, list[Sample]] = {}
        for finding in self.chosen:
            by_name.setdefault(self.to.currentData() or finding.likely, []).append(finding.sample)
        self._try(lambda: self._edits.relabel(by_name))

    def to_left_out(self) -> None:
        """Leave the selected photos out."""
        self._move(Part.LEFT_OUT)

    def to_train(self) -> None:
        """Move them to training."""
        self._move(Part.TRAIN)

    def to_val(self) -> None:
        """Move them to validation."""
        self._move(Part.VAL)

    def _move(self, part: Part) -> None:
        self._edits.move([finding.sample for finding in self.chosen], part)

    def _try(self, edit: Callable[[], None]) -> None:
        try:
            edit()
        except UserError as error:
            self.failed.emit(error)

    def _left(self) -> list[Finding]:
        return [finding for finding in self._findings if not self._is_done(finding)]

    def _is_done(self, finding: Finding) -> bool:
        now, before, sha = self._edits.dataset, self._before, finding.sample.sha256
        relabelled = before is not None and now.labels.get(sha) != before.labels.get(sha)
        changed = relabelled and self._kind != DOUBLES  # in another class it is a double still
        return finding.mark in self._kept.of(self._kind) or changed or now.pictures.get(sha) is Part.LEFT_OUT

    def _draw(self) -> None:
        at, first = self.wall.verticalScrollBar().value(), next(iter(self.wall.chosen_rows()), 0)
        self.shown = self._left()
        parted = _parted([finding.weight for finding in self.shown])
        self.wall.thumbs.set_thumbs([self._thumb(finding, number in parted) for number, finding in enumerate(self.shown)])
        self.wall.doItemsLayout()
        self.wall.verticalScrollBar().setValue(at)
        self.wall.setVisible(bool(self.shown))
        self.none.setVisible(not self.shown)
        if self.shown:  # the next one comes in the place of what was dealt with, so that keys go on there
            self.wall.choose_rows([min(first, len(self.shown) - 1)])
        self._refresh()
        self.left_changed.emit()

    def _thumb(self, finding: Finding, parted: bool) -> Thumb:
        return Thumb(
            path=self._root / finding.sample.path,
            caption=words.printable(finding.caption),
            tip=tip(finding.sample.path, words.printable(finding.said)),
            level=_LEVELS[finding.weight],
            parted=parted,
        )

    def _refresh(self) -> None:
        self.actions_.refresh()
        chosen = self.chosen
        if len(chosen) == 1:
            said = words.printable(": ".join(filter(None, (chosen[0].sample.path, chosen[0].said))))
        else:
            said = tr_n("{chosen:,} of {n:,} photo", "{chosen:,} of {n:,} photos", n=len(self.shown), chosen=len(chosen))
        self.said.setText("\n".join(filter(None, (said, self._copies_of(chosen)))))

    def _copies_of(self, chosen: Sequence[Finding]) -> str:
        """Which other files go the same way: a recipe knows photos by their bytes, wherever they lie."""
        paths = {finding.sample.path for finding in chosen}
        others = sorted(set().union(*(self._paths[finding.sample.sha256] for finding in chosen)) - paths)
        if not others:
            return ""
        named = words.printable(", ".join(others[:_NAMED]) + (", …" if len(others) > _NAMED else ""))
        return tr_n(
            "{n:,} more file has the same bytes, and goes the same way: {paths}. Where that is wrong, delete one in the folder.",
            "{n:,} more files have the same bytes, and go the same way: {paths}. Where that is wrong, delete some in the folder.",
            n=len(others),
            paths=named,
        )
