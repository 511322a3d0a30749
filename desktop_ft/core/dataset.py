"""What a folder of pictures holds, once it has been looked at. Knows nothing of pixels."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

from desktop_ft.core.language import marked


class Subset(StrEnum):
    """The part a sample plays in a run."""

    TRAIN = marked("train")
    VAL = marked("val")
    TEST = marked("test")


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

    def placed(self, label: int, subset: Subset | None) -> "Sample":
        """The same picture with another label or subset; spelled out, as `replace` takes three times as long for each."""
        if label == self.label and subset is self.subset:
            return self
        return Sample(
            path=self.path,
            label=label,
            subset=subset,
            sha256=self.sha256,
            width=self.width,
            height=self.height,
            bytes=self.bytes,
            mtime_ns=self.mtime_ns,
        )


class Severity(StrEnum):
    """What a finding means for the run."""

    LEFT_OUT = marked("left out")
    NOTE = marked("note")
    IGNORED = marked("ignored")


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


@dataclass(frozen=True, kw_only=True)
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

    @property
    def held_out_subset(self) -> Subset:
        """Which subset a model is judged on: test where there is one, else validation."""
        return Subset.TEST if self.of(Subset.TEST) else Subset.VAL

    def counts(self, subset: Subset | None = None) -> dict[str, int]:
        """Samples by class name (all subsets where none is given); classes without samples count 0."""
        subsets = (None, *Subset) if subset is None else (subset,)
        return {name: sum(self._tally[label, each] for each in subsets) for label, name in enumerate(self.classes)}

    @cached_property
    def _tally(self) -> Counter[tuple[int, Subset | None]]:
        """Counted once: the window asks on every change, and there may be 100,000 samples."""
        return Counter((sample.label, sample.subset) for sample in self.samples)

    def left_out(self) -> tuple[Problem, ...]:
        """The problems whose files take no part in training."""
        return tuple(problem for problem in self.problems if problem.severity is Severity.LEFT_OUT)

    def with_samples(self, samples: Iterable[Sample]) -> "DatasetManifest":
        """The same manifest with other samples."""
        return replace(self, samples=tuple(samples))
