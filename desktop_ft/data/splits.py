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
from collections.abc import Sequence
from functools import lru_cache

from desktop_ft.core.dataset import DatasetManifest, Sample, Subset


def names_validation(manifest: DatasetManifest) -> bool:
    """Whether the folder itself says which pictures are held out, so that no share decides it."""
    return any(manifest.counts(Subset.VAL).values())


def split(manifest: DatasetManifest, val: float, *, named: bool | None = None) -> DatasetManifest:
    """Give every sample a subset, and keep those that the folder names.

    Where it names validation pictures, those without a subset are for training; where it names none, the share `val`
    (0 to 1) of what is not for testing is held out.

    Args:
        named: whether it names validation pictures, where `manifest` no longer holds all that lies in it.
    """
    return manifest.with_samples(
        sample.placed(sample.label, subset)
        for sample, subset in zip(manifest.samples, subsets(manifest, val, named=named), strict=True)
    )


def subsets(manifest: DatasetManifest, val: float, *, named: bool | None = None) -> list[Subset]:
    """The subset of each sample, in order; as `split`."""
    if names_validation(manifest) if named is None else named:
        return [sample.subset or Subset.TRAIN for sample in manifest.samples]
    sides = _sides([sample for sample in manifest.samples if sample.subset is not Subset.TEST], val)
    return [Subset.TEST if sample.subset is Subset.TEST else sides[sample.sha256] for sample in manifest.samples]


@lru_cache(maxsize=1 << 17)
def place(sha256: str) -> float:
    """Where a picture stands between 0 and 1, spread evenly over pictures; below the share held out, it is for validation."""
    return int.from_bytes(hashlib.sha256(b"desktop-ft split 1:" + sha256.encode()).digest()[:8], "big") / 2**64


def drawn(samples: Sequence[Sample], count: int, draw: int) -> tuple[Sample, ...]:
    """At most `count` of the `samples` of each class, in their order.

    Which ones a picture's content and the number `draw` decide: what a smaller `count` takes is among what a larger one takes,
    and a picture that is added may take the place of one, but moves no other.
    """
    by_class: dict[int, list[tuple[bytes, str]]] = defaultdict(list)
    for sample in samples:
        rank = hashlib.sha256(f"desktop-ft draw 1:{draw}:{sample.sha256}".encode()).digest()
        by_class[sample.label].append((rank, sample.path))
    taken = {path for ranked in by_class.values() for _, path in sorted(ranked)[:count]}
    return tuple(sample for sample in samples if sample.path in taken)


def _sides(samples: list[Sample], val: float) -> dict[str, Subset]:
    places = {sample.sha256: place(sample.sha256) for sample in samples}
    sides = {sha: Subset.VAL if at < val else Subset.TRAIN for sha, at in places.items()}
    classes: dict[int, set[str]] = defaultdict(set)
    for sample in samples:
        classes[sample.label].add(sample.sha256)
    for label in sorted(classes):
        shas = classes[label]
        here = {sides[sha] for sha in shas}
        if Subset.TRAIN not in here:
            sides[max(shas, key=lambda sha: (places[sha], sha))] = Subset.TRAIN
        elif Subset.VAL not in here and len(shas) > 1:
            sides[min(shas, key=lambda sha: (places[sha], sha))] = Subset.VAL
    return sides
