"""What is found by comparing: the same picture twice, and classes that are called nearly alike."""

import unicodedata
from collections.abc import Iterator

from desktop_ft.core.dataset import Problem, Sample, Severity, Subset
from desktop_ft.core.language import tr


def similar(classes: tuple[str, ...]) -> Iterator[Problem]:
    """Classes whose names are told apart by letter case, accents' encoding or blanks alone; they stay separate."""
    first: dict[str, str] = {}
    for name in classes:
        other = first.setdefault(unicodedata.normalize("NFC", name).casefold().strip(" ."), name)
        if other != name:
            yield Problem(
                path=name,
                class_name=name,
                kind="similar-classes",
                severity=Severity.NOTE,
                reason=tr(
                    "The classes '{other}' and '{name}' differ in letter case or spelling alone; they are kept apart.",
                    other=other,
                    name=name,
                ),
                cure=tr("Move the pictures into one folder if they are the same class."),
            )


def duplicates(samples: tuple[Sample, ...], classes: tuple[str, ...]) -> Iterator[Problem]:
    """The same bytes in two classes, or in two subsets that the folder names."""
    same: dict[str, Sample] = {}
    for other in samples:
        first = same.setdefault(other.sha256, other)
        if first.label != other.label:
            reason = tr(
                "Is the same picture as {path}, which is of the class {name}.", path=first.path, name=classes[first.label]
            )
            yield _duplicate(other, classes, "contradicting-label", reason, tr("Keep it in the class that is right."))
        if first.subset is not other.subset:
            reason = tr(
                "Is the same picture as {path}, so {one} and {other} are not apart.",
                path=first.path,
                one=_name(first.subset),
                other=_name(other.subset),
            )
            yield _duplicate(other, classes, "duplicate-across-subsets", reason, tr("Keep it in one of them."))


def _duplicate(sample: Sample, classes: tuple[str, ...], kind: str, reason: str, cure: str) -> Problem:
    return Problem(
        path=sample.path, class_name=classes[sample.label], kind=kind, severity=Severity.NOTE, reason=reason, cure=cure
    )


def _name(subset: Subset | None) -> str:
    return subset.value if subset is not None else tr("the rest")
