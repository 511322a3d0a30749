"""Photos of a dataset as a wall shows them: each is made when it comes into sight, so that 100,000 cost no more than a list."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

from desktop_ft.core.dataset import DatasetManifest, Problem, Sample, Severity, Subset
from desktop_ft.core.language import tr
from desktop_ft.core.recipe import DatasetChoice, Part
from desktop_ft.gui import words
from desktop_ft.gui.thumbnails import Thumb, tip
from desktop_ft.gui.words import SUBSET_WORDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which photos are to be seen.

    Attributes:
        labels: of which classes; none: of all.
        part: a subset; LEFT_OUT: those that are left out one by one, and none of the others; None: all that are in the run.
        moved: only those that were moved by hand.
        kind: only those with a problem of this kind; "": with any; None: with or without.
    """

    labels: tuple[int, ...] = ()
    part: Part | None = None
    moved: bool = False
    kind: str | None = None


class Photos(Sequence[Thumb]):
    """The `wanted` samples of a manifest, as thumbs.

    Args:
        left_out: the samples that are left out one by one, with labels of the scanned folder; `found` are its classes.
    """

    def __init__(
        self,
        manifest: DatasetManifest,
        dataset: DatasetChoice,
        left_out: Sequence[Sample],
        found: Sequence[str],
        notes: Mapping[str, Sequence[Problem]],
        wanted: Wanted,
    ) -> None:
        self._root = Path(manifest.root)
        self._moved = dataset.pictures
        self._marks = {part: f" → {tr(SUBSET_WORDS[part.value])}" for part in set(dataset.pictures.values()) - {Part.LEFT_OUT}}
        self._notes = notes
        gone = wanted.part is Part.LEFT_OUT
        names = [dataset.rename.get(name, name) for name in found] if gone else manifest.classes
        self._names = [words.printable(name) for name in names]
        class_names = {manifest.classes[label] for label in wanted.labels}
        labels = {label for label, name in enumerate(names) if not class_names or name in class_names}
        self.samples = _chosen(left_out if gone else manifest.samples, labels, len(names), wanted, dataset.pictures, notes)

    @property
    def captions(self) -> list[str]:
        """Every caption there may be."""
        return [name + mark for name in self._names for mark in ("", *self._marks.values())]

    def __len__(self) -> int:
        return len(self.samples)

    @overload
    def __getitem__(self, index: int) -> Thumb: ...

    @overload
    def __getitem__(self, index: slice) -> list[Thumb]: ...

    def __getitem__(self, index: int | slice) -> Thumb | list[Thumb]:
        if isinstance(index, slice):
            return [self._thumb(sample) for sample in self.samples[index]]
        return self._thumb(self.samples[index])

    def __iter__(self) -> Iterator[Thumb]:
        return map(self._thumb, self.samples)

    def _thumb(self, sample: Sample) -> Thumb:
        part = self._moved.get(sample.sha256)
        pixels = tr("{width} × {height} pixels", width=sample.width, height=sample.height)
        lines = [f"{pixels}, {words.size(sample.bytes)}, {_where(sample, part)}"]
        lines += [f"{note.reason} {note.cure}".strip() for note in self._notes.get(sample.path, ())]
        return Thumb(
            path=self._root / sample.path,
            caption=self._names[sample.label] + (self._marks.get(part, "") if part is not None else ""),
            tip=tip(sample.path, *lines),
        )


def notes_of(manifest: DatasetManifest) -> dict[str, list[Problem]]:
    """The problems of photos that can be used, by path."""
    found: dict[str, list[Problem]] = {}
    for problem in manifest.problems:
        if problem.severity is Severity.NOTE:
            found.setdefault(problem.path, []).append(problem)
    return found


def _where(sample: Sample, part: Part | None) -> str:
    if part is Part.LEFT_OUT:
        return tr("left out")
    subset = tr(SUBSET_WORDS[sample.subset]) if sample.subset else tr("undecided")
    return tr("moved to {subset} by hand", subset=subset) if part is not None else subset


def _chosen(
    samples: Sequence[Sample],
    labels: set[int],
    classes: int,
    wanted: Wanted,
    moved: Mapping[str, Part],
    notes: Mapping[str, Sequence[Problem]],
) -> Sequence[Sample]:
    """Filter by filter, each in one go: of 100,000 that is a matter of milliseconds."""
    found: Iterable[Sample] = samples
    if len(labels) < classes:
        found = [sample for sample in found if sample.label in labels]
    if wanted.part is not None and wanted.part is not Part.LEFT_OUT:
        subset = Subset(wanted.part.value)
        found = [sample for sample in found if sample.subset is subset]
    if wanted.moved:
        found = [sample for sample in found if sample.sha256 in moved]
    if wanted.kind is not None:
        kinds = {path for path, own in notes.items() if not wanted.kind or any(note.kind == wanted.kind for note in own)}
        found = [sample for sample in found if sample.path in kinds]
    return found if isinstance(found, Sequence) else list(found)
