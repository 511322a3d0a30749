"""Divides pictures into training and validation by what is in them.

Each picture's side is a threshold on a hash of its bytes: it depends on nothing else, so adding, removing, renaming or
reordering pictures moves none of the others, and equal bytes land on one side. The price is that a class's share is only
near `val` (for n pictures it strays by about sqrt(val (1 - val) / n)) and that a small class may by chance have no picture
on one side: with 10 pictures and a fifth held out that happens to one class in nine.

No rule can mend that and stay stable always: among three pictures two have the same side when alone, and a class of just
these two would need them apart. So the one exception: where the threshold leaves a class of two or more different
pictures without any on a side, the picture nearest to the threshold goes there; a class with a single picture has it in training.
Only such a picture can change sides later, when its class grows enough to have a picture there of its own.
"""

import hashlib
from collections import defaultdict
from dataclasses import replace

from desktop_ft.core.dataset import DatasetManifest, Sample, Subset


def split(manifest: DatasetManifest, val: float) -> DatasetManifest:
    """Give every sample a subset, and keep those that the folder names.

    Where it names validation pictures, those without a subset are for training; where it names none, the share `val`
    (0 to 1) of what is not for testing is held out.
    """
    if any(sample.subset is Subset.VAL for sample in manifest.samples):
        return manifest.with_samples(_with(sample, sample.subset or Subset.TRAIN) for sample in manifest.samples)
    open_ones = [sample for sample in manifest.samples if sample.subset is not Subset.TEST]
    sides = _sides(open_ones, val)
    return manifest.with_samples(
        sample if sample.subset is Subset.TEST else _with(sample, sides[sample.sha256]) for sample in manifest.samples
    )


def place(sha256: str) -> float:
    """Where a picture stands between 0 and 1, spread evenly over pictures; below the share held out, it is for validation."""
    return int.from_bytes(hashlib.sha256(b"desktop-ft split 1:" + sha256.encode()).digest()[:8], "big") / 2**64


def _sides(samples: list[Sample], val: float) -> dict[str, Subset]:
    places = {sample.sha256: place(sample.sha256) for sample in samples}
    sides = {sha: Subset.VAL if at < val else Subset.TRAIN for sha, at in places.items()}
    classes: dict[int, set[str]] = defaultdict(set)
    for sample in samples:
        classes[sample.label].add(sample.sha256)
    for label in sorted(classes):
        by_place = sorted(classes[label], key=lambda sha: (places[sha], sha))
        here = {sides[sha] for sha in by_place}
        if Subset.TRAIN not in here:
            sides[by_place[-1]] = Subset.TRAIN
        elif Subset.VAL not in here and len(by_place) > 1:
            sides[by_place[0]] = Subset.VAL
    return sides


def _with(sample: Sample, subset: Subset) -> Sample:
    return sample if sample.subset is subset else replace(sample, subset=subset)
