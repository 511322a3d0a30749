"""What a folder of pictures holds, once it has been looked at. Knows nothing of pixels."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum


class Subset(StrEnum):
    """The part a sample plays in a run."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


class Layout(StrEnum):
    """How a folder tells classes and subsets."""

    CLASS_FOLDERS = "class/…"
    SPLIT_FOLDERS = "split/class/…"
    LABELS_CSV = "labels.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One picture that can be learned from.

    Attributes:
        path: relative to the manifest's root, `/`-separated; bytes that are not UTF-8 are kept as surrogate escapes.
        label: index into the manifest's classes.
        subset: None until a split has been made.
        sha256: hex digest of the file's bytes; the identity of the picture.
        width, height: in pixels, upright (after the EXIF orientation).
        bytes, mtime_ns: of the file, when it was looked at.
    """

    path: str
    label: int
    subset: Subset | None
    sha256: str
    width: int
    height: int
    bytes: int
    mtime_ns: int


class Severity(StrEnum):
    """What a finding means for the run."""

    LEFT_OUT = "left out"
    NOTE = "note"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something found in the folder that a person should know.

    Attributes:
        kind: a short stable word, such as `truncated`, `empty`, `not-an-image`, `too-large`, `duplicate-across-subsets`.
        severity: left out of training; used, with a note; or ignored by rule (junk such as .DS_Store).
        class_name: the class the file would have belonged to, where it has one.
    """

    path: str
    class_name: str | None
    kind: str
    severity: Severity
    reason: str
    cure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetManifest:
    """Classes, samples and problems of one dataset folder or .zip.

    Attributes:
        root: absolute path of the folder the sample paths start from.
        source: what the person named (a folder, or a .zip that was unpacked to `root`).
        classes: names in a stable order; a sample's label is an index into it.
    """

    root: str
    source: str
    layout: Layout
    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
    problems: tuple[Problem, ...]

    def of(self, subset: Subset) -> tuple[Sample, ...]:
        """The samples of one subset, in manifest order."""
        return tuple(sample for sample in self.samples if sample.subset is subset)

    def counts(self, subset: Subset | None = None) -> dict[str, int]:
        """Samples by class name (all subsets where none is given); classes without samples count 0."""
        tally = Counter(s.label for s in self.samples if subset is None or s.subset is subset)
        return {name: tally[label] for label, name in enumerate(self.classes)}

    def left_out(self) -> tuple[Problem, ...]:
        """The problems whose files take no part in training."""
        return tuple(problem for problem in self.problems if problem.severity is Severity.LEFT_OUT)

    def with_samples(self, samples: Iterable[Sample]) -> "DatasetManifest":
        """The same manifest with other samples."""
        return replace(self, samples=tuple(samples))
