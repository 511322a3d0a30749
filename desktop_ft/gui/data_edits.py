"""The edits of classes and photos that a person makes in the window: each is one change of the recipe, named in the Undo menu."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from desktop_ft.core.dataset import DatasetManifest, Sample
from desktop_ft.core.language import tr, tr_n
from desktop_ft.core.recipe import LEFT_OUT, DatasetChoice, Part
from desktop_ft.data import edits
from desktop_ft.gui import words
from desktop_ft.gui.opening import Opening
from desktop_ft.gui.state import ProjectState

_NAMED = 3


class DataEdits:
    """The verbs of the page Data. A class is named as in the run, or `found` as in the folder."""

    def __init__(self, state: ProjectState, opening: Opening) -> None:
        self._state = state
        self._opening = opening

    @property
    def dataset(self) -> DatasetChoice:
        """What the recipe says about the pictures."""
        return self._state.recipe.dataset

    @property
    def scanned(self) -> DatasetManifest | None:
        """The folder as it is, without any edit."""
        return self._opening.scanned

    def rename(self, names: Sequence[str], new: str) -> None:
        """Call the classes `names` so; several become one, and one that is called so already takes them in.

        Raises:
            UserError: it is no name.
        """
        others = self._state.manifest is not None and new in self._state.manifest.classes and new not in names
        merging = len(names) > 1 or others
        values = {"names": some_of(names), "new": _word(new)}
        self._change(tr("merge {names} into {new}", **values) if merging else tr("rename {names} to {new}", **values), names, new)

    def leave_out(self, names: Sequence[str]) -> None:
        """Leave the classes `names` out of the run.

        Raises:
            UserError: the recipe cannot hold the name of one.
        """
        self._change(tr("leave out {names}", names=some_of(names)), names, LEFT_OUT)

    def found_names(self) -> dict[str, tuple[str, ...]]:
        """What classes are called in the folder, where that is something else: several names where some were merged."""
        found: dict[str, list[str]] = {}
        for each in self.scanned.classes if self.scanned else ():
            found.setdefault(self.dataset.rename.get(each, each), []).append(each)
        return {name: tuple(names) for name, names in found.items() if names != [name]}

    def name_as_found(self, names: Sequence[str]) -> None:
        """Call the classes `names` as in the folder; what was merged comes apart."""
        known = self.found_names()
        found = [each for name in names for each in known.get(name, ())]
        self._opening.edit(tr("names of the folder for {names}", names=some_of(names)), edits.put_back(self.dataset, found))

    def put_back(self, found: Sequence[str], *, photos: bool) -> None:
        """Take classes into the run again, under the names that they have in the folder; and `photos` left out one by one."""
        dataset = edits.put_back(self.dataset, found)
        if photos and self.scanned is not None:
            out = edits.pictures_left_out(self.scanned, dataset)
            dataset = edits.moved(dataset, (sample.sha256 for sample in out), None)
        names = some_of([*found, *([tr("single photos")] if photos else [])])
        self._opening.edit(tr("put back {names}", names=names), dataset)

    def move(self, samples: Collection[Sample], part: Part | None) -> None:
        """Put photos into a subset or leave them out; None: where the split has them."""
        number = len(samples)
        if part is None:
            text = tr_n("put back {n:,} photo", "put back {n:,} photos", n=number)
        elif part is Part.LEFT_OUT:
            text = tr_n("leave out {n:,} photo", "leave out {n:,} photos", n=number)
        else:
            subset = tr(words.SUBSET_WORDS[part.value])
            text = tr_n("move {n:,} photo to {subset}", "move {n:,} photos to {subset}", n=number, subset=subset)
        self._opening.edit(text, edits.moved(self.dataset, (sample.sha256 for sample in samples), part))

    def relabel(self, by_name: Mapping[str, Collection[Sample]]) -> None:
        """Give photos another class: the photos by the name of their new class, all in one edit.

        Raises:
            UserError: there is no such class.
        """
        dataset, number = self.dataset, sum(map(len, by_name.values()))
        if self.scanned is None:
            return
        for name, samples in by_name.items():
            dataset = edits.relabelled(dataset, self.scanned, (sample.sha256 for sample in samples), name)
        names = some_of(sorted(by_name))
        text = tr_n("class of {n:,} photo: {names}", "class of {n:,} photos: {names}", n=number, names=names)
        self._opening.edit(text, dataset)

    def repair(self, groups: Iterable[Sequence[Sample]]) -> None:
        """Bring the photos of each group, which are one, into one subset; the groups as they lie now."""
        now = {sample.path: sample for sample in self._state.manifest.samples} if self._state.manifest is not None else {}
        present = [[now[sample.path] for sample in group if sample.path in now] for group in groups]
        self._opening.edit(tr("repair the split"), edits.repaired(self.dataset, present))

    def _change(self, text: str, names: Iterable[str], new: str) -> None:
        if self.scanned is not None:
            self._opening.edit(text, edits.renamed(self.dataset, self.scanned.classes, names, new))


def some_of(names: Sequence[str]) -> str:
    """The first of `names`, and how many more there are."""
    shown = ", ".join(map(_word, names[:_NAMED]))
    return tr("{names} and {n} more", names=shown, n=len(names) - _NAMED) if len(names) > _NAMED else shown


def _word(name: str) -> str:
    return words.printable(name)
