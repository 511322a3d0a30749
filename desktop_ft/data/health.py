"""Whether a divided dataset can be trained on, and what a person should know before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from desktop_ft.core.dataset import DatasetManifest, Subset
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr, tr_n
from desktop_ft.data.edits import EMPTIED, STALE

if TYPE_CHECKING:
    import numpy as np

_SKEWED = 5.0
_FEW = 10
_LISTED = 5


def check_trainable(manifest: DatasetManifest, batch_size: int) -> tuple[str, ...]:
    """Sentences that a person should read before training on `manifest`, whose samples have subsets.

    Raises:
        UserError: fewer than two classes, no pictures to train or to validate on, or a class without any to train on.
    """
    train, val = manifest.counts(Subset.TRAIN), manifest.counts(Subset.VAL)
    if len(manifest.classes) < 2:
        what = tr("There is no class left.")
        if manifest.classes:
            what = tr("There is only one class ({name}).", name=manifest.classes[0])
        raise UserError(
            what,
            tr(
                "Add a folder with pictures of something else; or, on the page Data, take in what is left out again (Put back), "
                "or part what was merged (Names of the folder)."
            ),
        )
    if not any(train.values()):
        raise UserError(
            tr("There are no training pictures in {source}.", source=manifest.source), tr("Add some, or hold out less.")
        )
    if lacking := [name for name, number in train.items() if not number]:
        raise UserError(
            tr("The class {name} has no training picture.", name=lacking[0]),
            tr("Add or move some to it, or leave out the class."),
        )
    if not any(val.values()):
        raise UserError(
            tr("There are no validation pictures in {source}.", source=manifest.source),
            tr("Give each class two different pictures at least."),
        )
    return tuple(_warnings(manifest, train, val, batch_size))


def verdict(manifest: DatasetManifest, batch_size: int) -> tuple[bool, tuple[str, ...]]:
    """Whether `manifest` can be trained on, and what to know before; or, where it cannot, the one reason why."""
    try:
        return True, check_trainable(manifest, batch_size)
    except UserError as error:
        return False, (str(error),)


def class_weights(manifest: DatasetManifest) -> np.ndarray:
    """A weight for each class, float32 (classes,): inverse to the number of its training pictures; 0 where it has none.

    Over all training pictures the weights are 1 on average, so that the loss keeps its size.
    """
    import numpy as np  # the window starts without it

    counts = np.array(list(manifest.counts(Subset.TRAIN).values()), dtype=np.float64)
    present = counts > 0
    weights = np.zeros_like(counts)
    weights[present] = counts.sum() / (present.sum() * counts[present])
    return weights.astype(np.float32)


def rare(manifest: DatasetManifest) -> dict[str, float]:
    """The classes with so few training pictures that the skew is worth a warning; and how many times more the largest has."""
    counts = manifest.counts(Subset.TRAIN)
    most = max(counts.values(), default=0)
    return {name: most / number for name, number in counts.items() if number and most >= _SKEWED * number}


def _warnings(manifest: DatasetManifest, train: dict[str, int], val: dict[str, int], batch_size: int) -> list[str]:
    said: list[str] = []
    if left_out := len(manifest.left_out()):
        said.append(tr("Files and folders left out as they cannot be used: {count}; see the list of problems.", count=left_out))
    if empty := [problem.path for problem in manifest.problems if problem.kind == "empty-class"]:
        said.append(tr("Left out for want of a readable picture: the class {names}.", names=listed(empty)))
    if skewed := rare(manifest):
        said.append(
            tr(
                "The largest class has {times:.0f} times the pictures of the smallest; class weights or balanced sampling help.",
                times=max(skewed.values()),
            )
        )
    if few := [name for name, number in train.items() if number < _FEW]:
        said.append(tr("Fewer than {few} training pictures in {names}: expect mistakes there.", few=_FEW, names=listed(few)))
    if unseen := [name for name, number in val.items() if not number]:
        said.append(tr("No validation picture in {names}: how well it is recognised cannot be told.", names=listed(unseen)))
    if doubles := sum(problem.kind == "duplicate-across-subsets" for problem in manifest.problems):
        said.append(
            tr_n(
                "{n:,} picture is in more than one subset, so the accuracy will look better than it is.",
                "{n:,} pictures are in more than one subset, so the accuracy will look better than it is.",
                n=doubles,
            )
        )
    if alike := [problem.path for problem in manifest.problems if problem.kind == "similar-classes"]:
        said.append(
            tr("Classes that differ in spelling alone are kept apart: see {names} in the list of problems.", names=listed(alike))
        )
    if torn := sum(problem.kind == "contradicting-label" for problem in manifest.problems):
        said.append(
            tr_n(
                "{n:,} picture is in two classes at once, so one of the two teaches something wrong.",
                "{n:,} pictures are in two classes at once, so one of the two teaches something wrong.",
                n=torn,
            )
        )
    said += [f"{problem.reason} {problem.cure}" for problem in manifest.problems if problem.kind in (STALE, EMPTIED)]
    if batch_size == 1:
        said.append(tr("With a batch size of 1 some networks (batch normalisation) learn badly or not at all; take 8 or more."))
    return said


def listed(names: Sequence[str]) -> str:
    """The first few of `names`, and how many more there are."""
    first = ", ".join(names[:_LISTED])
    return tr("{names} and {count} more", names=first, count=len(names) - _LISTED) if len(names) > _LISTED else first
