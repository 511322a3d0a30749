"""What a recipe changes about a folder without touching it: names and pictures of classes, what is left out, and the subsets.

`prepared` is the one place where the edits are applied; everything else here makes edits, as plain functions on the choice.
A picture is known by its bytes (SHA-256), a class by the name found in the folder: so edits outlive renamed files and new scans.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from pydantic import ValidationError

from desktop_ft.core.dataset import DatasetManifest, Problem, Sample, Severity, Subset
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr, tr_n
from desktop_ft.core.recipe import LEFT_OUT, DatasetChoice, Part
from desktop_ft.core.values import explain
from desktop_ft.data.doubles import duplicates, similar
from desktop_ft.data.splits import drawn, names_validation, subsets

STALE, EMPTIED, NOT_DRAWN = "stale-edit", "emptied-class", "not-drawn"
"""Kinds of problems that edits bring: one that finds nothing to change, a class of which no picture is left, and training
pictures that the recipe has no use for.
"""
_RECIPE = "recipe"
"""Where such a problem lies: not in a file of the folder."""


def prepared(scanned: DatasetManifest, dataset: DatasetChoice, before: DatasetManifest | None = None) -> DatasetManifest:
    """What a run on `dataset` sees of the folder that was `scanned`: edited, and every sample in a subset.

    Pictures that were moved are where they were put, with every copy of them. All others are divided as if none had been
    moved, so moving one moves no other. An edit of what is not in the folder (any more) becomes a problem of the kind `STALE`.

    Args:
        before: what an earlier call gave for this scan; its samples are taken again where nothing changes about them.
    """
    kept = edited(scanned, dataset)
    known = {sample.path: sample for sample in before.samples} if before is not None else {}
    given = subsets(kept, dataset.val, named=names_validation(scanned))
    samples = tuple(
        _same_or_new(sample, _part(sample, dataset) or subset, known) for sample, subset in zip(kept.samples, given, strict=True)
    )
    return _fewer(kept.with_samples(samples), dataset)


def edited(scanned: DatasetManifest, dataset: DatasetChoice) -> DatasetManifest:
    """The manifest with the classes and pictures that `dataset` leaves in, under their names in the run; nothing is moved.

    Classes without any picture left are gone.
    """
    if not dataset.rename and not dataset.pictures and not dataset.labels:
        return scanned
    right = _right_labels(scanned, dataset)
    names = [dataset.rename.get(found, found) for found in scanned.classes]
    out = {sha for sha, part in dataset.pictures.items() if part is Part.LEFT_OUT}
    kept = [sample for sample in right if names[sample.label] != LEFT_OUT and sample.sha256 not in out]
    left = {names[label] for label in {sample.label for sample in kept}}
    classes = tuple(sorted(left))
    label = [classes.index(name) if name in left else -1 for name in names]
    samples = tuple(sample.placed(label[sample.label], sample.subset) for sample in kept)
    return replace(
        scanned,
        classes=classes,
        samples=samples,
        problems=tuple(
            sorted(
                (
                    *_still_so(scanned, dataset, out),
                    *similar(classes),
                    *duplicates(tuple(s.placed(s.label, _part(s, dataset) or s.subset) for s in samples), classes),
                    *_emptied(sorted(set(names) - left - {LEFT_OUT})),
                    *_stale(scanned, dataset),
                ),
                key=lambda problem: (problem.path, problem.kind),
            )
        ),
    )


def _fewer(manifest: DatasetManifest, dataset: DatasetChoice) -> DatasetManifest:
    """`manifest` with the training pictures that `dataset` draws, where it does not take all; and a note of how many are left."""
    if not dataset.images_per_class:
        return manifest
    taken = set(drawn(manifest.of(Subset.TRAIN), dataset.images_per_class, dataset.draw))
    kept = [sample for sample in manifest.samples if sample.subset is not Subset.TRAIN or sample in taken]
    if not (unused := len(manifest.samples) - len(kept)):
        return manifest
    reason = tr(
        "The recipe uses {count} training pictures of each class; {unused} others are not used.",
        count=dataset.images_per_class,
        unused=unused,
    )
    note = _told(NOT_DRAWN, None, reason, tr("Set the pictures of each class to 0 to use all."))
    return replace(manifest, samples=tuple(kept), problems=(*manifest.problems, note))


def renamed(dataset: DatasetChoice, found: Iterable[str], names: Iterable[str], new: str) -> DatasetChoice:
    """`dataset` with the classes called `names` in the run called `new` from now on; where another is called so, they merge.

    Args:
        found: every class of the folder.
        new: `LEFT_OUT` leaves them out.

    Raises:
        UserError: `new` is no name, or a class has one that no recipe can hold.
    """
    chosen = set(names)
    rename = dict(dataset.rename)
    for name in found:
        if rename.get(name, name) in chosen:
            rename[name] = new
    return _named(dataset, rename)


def put_back(dataset: DatasetChoice, found: Iterable[str]) -> DatasetChoice:
    """`dataset` with the classes of the folder in `found` called as they are there, and in the run again."""
    back = set(found)
    return _named(dataset, {name: new for name, new in dataset.rename.items() if name not in back})


def moved(dataset: DatasetChoice, shas: Iterable[str], part: Part | None) -> DatasetChoice:
    """`dataset` with the pictures `shas` put in `part`, or left to the split again where that is None."""
    pictures = dict(dataset.pictures)
    for sha in shas:
        if part is None:
            pictures.pop(sha, None)
        else:
            pictures[sha] = part
    return dataset.model_copy(update={"pictures": pictures})


def relabelled(dataset: DatasetChoice, scanned: DatasetManifest, shas: Iterable[str], name: str | None) -> DatasetChoice:
    """`dataset` with the pictures `shas` in the class that is called `name` in the run; None: in that where they lie.

    Raises:
        UserError: no class of the folder is called so, or no recipe can hold its name.
    """
    called = {found for found in scanned.classes if dataset.rename.get(found, found) == name}
    if name is not None and not called:
        raise UserError(tr("There is no class '{name}'.", name=name), tr("Take one of those of the folder."))
    where = {sample.sha256: scanned.classes[sample.label] for sample in scanned.samples}
    labels = dict(dataset.labels)
    for sha in shas:
        if name is None or where.get(sha) in called:
            labels.pop(sha, None)
        else:
            labels[sha] = min(called)
    try:
        checked = DatasetChoice(folder=dataset.folder, labels=labels)
    except ValidationError as error:
        raise UserError(f"{explain(error).removeprefix('labels: ')}.", tr("Take another name.")) from error
    return dataset.model_copy(update={"labels": checked.labels})


def repaired(dataset: DatasetChoice, groups: Iterable[Sequence[Sample]]) -> DatasetChoice:
    """`dataset` with each of the `groups`, pictures that are one, in one subset: training where one of them is, else validation.

    All of a group that was torn are held there, so that another validation share does not tear it again.
    """
    for group in groups:
        subsets = {sample.subset for sample in group}
        if len(subsets) > 1:
            part = Part.TRAIN if Subset.TRAIN in subsets else Part.VAL
            dataset = moved(dataset, (sample.sha256 for sample in group), part)
    return dataset


def classes_left_out(dataset: DatasetChoice) -> tuple[str, ...]:
    """The names, as found in the folder, of the classes that `dataset` leaves out."""
    return tuple(sorted(found for found, name in dataset.rename.items() if name == LEFT_OUT))


def pictures_left_out(scanned: DatasetManifest, dataset: DatasetChoice) -> tuple[Sample, ...]:
    """The samples of `scanned` that `dataset` leaves out one by one, in order; those of classes left out are not among them."""
    out = {sha for sha, part in dataset.pictures.items() if part is Part.LEFT_OUT}
    return tuple([sample for sample in scanned.samples if sample.sha256 in out]) if out else ()


def tally(dataset: DatasetChoice) -> dict[str, int]:
    """How many pictures are moved by hand, by where to; only what there is."""
    count = Counter(dataset.pictures.values())
    return {part.value: count[part] for part in Part if count[part]}


def _right_labels(scanned: DatasetManifest, dataset: DatasetChoice) -> Sequence[Sample]:
    """The samples of `scanned`, each with the class of the folder that it was given by hand, where it was."""
    if not dataset.labels:
        return scanned.samples
    known = {name: label for label, name in enumerate(scanned.classes)}
    given = {sha: known[name] for sha, name in dataset.labels.items() if name in known}
    return [sample.placed(given.get(sample.sha256, sample.label), sample.subset) for sample in scanned.samples]


def _named(dataset: DatasetChoice, rename: Mapping[str, str]) -> DatasetChoice:
    """`dataset` with these names; a class called as it is found is no edit."""
    rename = dict(sorted((found, name) for found, name in rename.items() if found != name))
    try:
        checked = DatasetChoice(folder=dataset.folder, rename=rename)
    except ValidationError as error:
        raise UserError(f"{explain(error).removeprefix('rename: ')}.", tr("Take another name.")) from error
    return dataset.model_copy(update={"rename": checked.rename})


def _part(sample: Sample, dataset: DatasetChoice) -> Subset | None:
    """Where the picture was moved by hand; None where it was not."""
    part = dataset.pictures.get(sample.sha256)
    return None if part is None else Subset(part.value)


def _same_or_new(sample: Sample, subset: Subset, known: Mapping[str, Sample]) -> Sample:
    before = known.get(sample.path)
    if before is not None and before.label == sample.label and before.subset is subset and before.sha256 == sample.sha256:
        return before
    return sample.placed(sample.label, subset)


def _still_so(scanned: DatasetManifest, dataset: DatasetChoice, out: set[str]) -> Iterator[Problem]:
    """The problems of files that stay in the run, without those that come of comparing them: these are found anew."""
    compared = {*similar(scanned.classes), *duplicates(scanned.samples, scanned.classes)}
    gone = {sample.path for sample in scanned.samples if sample.sha256 in out}
    for problem in scanned.problems:
        name = None if problem.class_name is None else dataset.rename.get(problem.class_name, problem.class_name)
        if problem not in compared and name != LEFT_OUT and problem.path not in gone:
            yield replace(problem, class_name=name)


def _emptied(names: Iterable[str]) -> Iterator[Problem]:
    for name in names:
        reason = tr("All pictures of the class '{name}' are left out, and so is the class.", name=name)
        yield _told(EMPTIED, name, reason, tr("Put one of them back if the class is wanted."))


def _stale(scanned: DatasetManifest, dataset: DatasetChoice) -> Iterator[Problem]:
    known = {*scanned.classes, *(problem.class_name for problem in scanned.problems if problem.kind == "empty-class")}
    for found, name in sorted(dataset.rename.items()):
        if found not in known:
            reason = (
                tr("The recipe renames the class '{found}' to '{name}', which the folder does not have.", found=found, name=name)
                if name
                else tr("The recipe leaves out the class '{found}', which the folder does not have.", found=found)
            )
            yield _told(STALE, found, reason, tr("Check the name, or drop the change."))
    for name in sorted(set(dataset.labels.values()).difference(scanned.classes)):
        reason = tr("The recipe puts pictures into the class '{name}', which the folder does not have.", name=name)
        yield _told(STALE, name, reason, tr("Check the name, or drop the change."))
    if lost := len((dataset.pictures.keys() | dataset.labels.keys()) - {sample.sha256 for sample in scanned.samples}):
        reason = tr_n(
            "The recipe moves or leaves out a picture that the folder does not have (any more).",
            "The recipe moves or leaves out {n:,} pictures that the folder does not have (any more).",
            n=lost,
        )
        yield _told(STALE, None, reason, tr("Nothing need be done if they were removed."))


def _told(kind: str, class_name: str | None, reason: str, cure: str) -> Problem:
    return Problem(path=_RECIPE, class_name=class_name, kind=kind, severity=Severity.NOTE, reason=reason, cure=cure)
