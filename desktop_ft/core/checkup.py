"""What a check-up of the data found: each kind of finding as values, with its words, how much it matters, and what cures it."""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from desktop_ft.core.dataset import Sample
from desktop_ft.core.language import marked, tr, tr_n
from desktop_ft.core.metrics import Interval
from desktop_ft.core.words import percent

DOUBLES, LABELS, ODD = "doubles", "labels", "odd"
"""Kinds of findings, under which it is remembered that some are right as they are; each has a mark by which it is known again."""


class Weight(StrEnum):
    """How much a finding matters."""

    WRONG = marked("makes the score wrong")
    LIKELY = marked("probably a mistake")
    LOOK = marked("worth a look")


class Fault(StrEnum):
    """What may be the matter with a picture by itself."""

    TINY = marked("tiny")
    DARK = marked("dark")
    BLURRED = marked("blurred")


@dataclass(frozen=True, slots=True, kw_only=True)
class NearDoubles:
    """Pictures that are one: the same bytes, or resized, compressed again, or cut.

    Attributes:
        samples: in manifest order; a check-up finds two or more.
    """

    samples: tuple[Sample, ...]

    def among(self, samples: Mapping[str, Sample]) -> "NearDoubles":
        """The same pictures as they lie among these, by path: one or none is left where the others are not there."""
        return NearDoubles(samples=tuple(samples[sample.path] for sample in self.samples if sample.path in samples))

    @property
    def mark(self) -> str:
        """By which the group is known again: of all its pictures, as with one more it is another."""
        return hashlib.sha256(" ".join(sorted(sample.sha256 for sample in self.samples)).encode()).hexdigest()

    @property
    def torn(self) -> bool:
        """Whether they lie in several subsets, so that what was learned is asked."""
        return len({sample.subset for sample in self.samples}) > 1

    @property
    def contradicting(self) -> bool:
        """Whether they have several classes."""
        return len({sample.label for sample in self.samples}) > 1

    @property
    def weight(self) -> Weight:
        """How much it matters."""
        return Weight.WRONG if self.torn else Weight.LIKELY if self.contradicting else Weight.LOOK

    @property
    def words(self) -> str:
        """What was found, in a sentence."""
        number = len(self.samples)
        if self.torn:
            return tr_n(
                "{n:,} picture is nearly the same, and in several subsets.",
                "{n:,} pictures are nearly the same, and in several subsets.",
                n=number,
            )
        if self.contradicting:
            return tr_n(
                "{n:,} picture is nearly the same, and in several classes.",
                "{n:,} pictures are nearly the same, and in several classes.",
                n=number,
            )
        return tr_n("{n:,} picture is nearly the same.", "{n:,} pictures are nearly the same.", n=number)

    @property
    def cure(self) -> str:
        """What to do about it."""
        if self.torn:
            return tr("Repair the split: they come into one subset.")
        if self.contradicting:
            return tr("Give them the class that is right.")
        return tr("Leave all but one out, if they are not meant to count so often.")


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspectLabel:
    """A picture that probes which never saw it take for another class.

    Attributes:
        likely: the class they take it for, an index.
        given: how probable its own class is to them. found: how probable that class.
        clear: whether it is as probable in that class as the pictures that have it are, on average.
    """

    sample: Sample
    likely: int
    given: float
    found: float
    clear: bool

    @property
    def weight(self) -> Weight:
        """How much it matters."""
        return Weight.LIKELY if self.clear else Weight.LOOK

    def mark(self, classes: tuple[str, ...]) -> str:
        """By which it is known again: of the picture and its class, as with another class it is another finding."""
        return f"{self.sample.sha256} {classes[self.sample.label]}"

    def words(self, classes: tuple[str, ...]) -> str:
        """What was found, in a sentence."""
        return tr(
            "Looks like {likely} ({found}), not like {given} ({own}).",
            likely=classes[self.likely],
            found=percent(self.found),
            given=classes[self.sample.label],
            own=percent(self.given),
        )

    @property
    def cure(self) -> str:
        """What to do about it."""
        return tr("Look at it; change its class, leave it out, or keep it.")


def labels_told(clear: int, doubtful: int) -> str:
    """How many labels are suspicious, and how many in doubt, in a sentence or two."""
    if not clear + doubtful:
        return tr("No label looks wrong.")
    first = tr_n(
        "{n:,} label is suspicious: look at that one first.",
        "{n:,} labels are suspicious: look at these first.",
        n=clear,
    )
    then = tr_n(
        "{n:,} label is in doubt; as a rule such a label is right.",
        "{n:,} labels are in doubt; as a rule most of them are right.",
        n=doubtful,
    )
    return " ".join([first if clear else tr("No label is suspicious."), *([then] if doubtful else [])])


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlier:
    """A picture that is unlike all others.

    Attributes:
        distance: to its nearest others, in times of what is usual here.
    """

    sample: Sample
    distance: float

    weight = Weight.LOOK

    @property
    def mark(self) -> str:
        """By which it is known again."""
        return self.sample.sha256

    @property
    def words(self) -> str:
        """What was found, in a sentence."""
        return tr("Is {times:.1f} times as far from its nearest pictures as is usual here.", times=self.distance)

    @property
    def cure(self) -> str:
        """What to do about it."""
        return tr("Leave it out if it does not belong here.")


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFault:
    """A picture that shows a network little."""

    sample: Sample
    fault: Fault

    weight = Weight.LOOK

    @property
    def mark(self) -> str:
        """By which it is known again."""
        return self.sample.sha256

    @property
    def words(self) -> str:
        """What was found, in a sentence."""
        if self.fault is Fault.TINY:
            return tr(
                "Has {width} × {height} pixels, less than a quarter of what the network is shown.",
                width=self.sample.width,
                height=self.sample.height,
            )
        if self.fault is Fault.DARK:
            return tr("Is dark: hardly a pixel is lighter than a quarter of white.")
        return tr("Is blurred, even at the size in which the network sees it.")

    @property
    def cure(self) -> str:
        """What to do about it."""
        return tr("Leave it out, unless pictures that are met later are like it.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfusedClasses:
    """Two classes that probes hardly tell apart.

    Attributes:
        one, other: indices of the classes.
        apart: share of their pictures that are told apart; of guesses it is a half.
    """

    one: int
    other: int
    apart: Interval

    weight = Weight.LIKELY

    def words(self, classes: tuple[str, ...]) -> str:
        """What was found, in a sentence."""
        values = {
            "one": classes[self.one],
            "other": classes[self.other],
            "share": percent(self.apart.value),
            "low": percent(self.apart.low),
            "high": percent(self.apart.high),
        }
        if self.apart.low <= 0.5:
            return tr(
                "{one} and {other} cannot be told apart: {share} right ({low} to {high}), and guesses are half right.", **values
            )
        return tr(
            "{one} and {other} are hardly told apart: {share} right ({low} to {high}), and guesses are half right.", **values
        )

    @property
    def cure(self) -> str:
        """What to do about it."""
        return tr("Merge them, or look through their labels; more layers that learn may help where the difference is fine.")


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """What a probe knows that learned from so many pictures: share of those held out."""

    pictures: int
    accuracy: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurve:
    """How the accuracy of a probe grows with the pictures it learns from.

    Attributes:
        measured: rising.
        coming: what the curve comes to with more pictures than there are, with the interval of its repeats.
    """

    measured: tuple[CurvePoint, ...]
    coming: tuple[CurvePoint, ...]

    @property
    def words(self) -> str:
        """What more pictures would bring, in sentences."""
        if not self.coming:
            return tr("There are too few pictures to say what more of them would bring.")
        now = self.measured[-1]
        said = [
            tr(
                "A probe, a quick stand-in for training, that learns from {n:,} pictures knows {share} of the others.",
                n=now.pictures,
                share=percent(now.accuracy.value),
            )
        ]
        said += [
            tr(
                "With {n:,} it would be {share} ({low} to {high}).",
                n=point.pictures,
                share=percent(point.accuracy.value),
                low=percent(point.accuracy.low),
                high=percent(point.accuracy.high),
            )
            for point in self.coming
        ]
        return " ".join(said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inflation:
    """How much better the score looks for pictures that are in training and in validation.

    Attributes:
        twins: validation pictures with a near double in training; judged: all of them.
        everything: what a probe knows of all, of those without, as shares; None: of none.
    """

    twins: int
    judged: int
    everything: float | None
    without: float | None

    @property
    def words(self) -> str:
        """What it comes to, in a sentence; "" where there is none."""
        if not self.twins:
            return ""
        said = tr_n(
            "{n:,} of {judged:,} validation pictures has a near double among the training pictures.",
            "{n:,} of {judged:,} validation pictures have a near double among the training pictures.",
            n=self.twins,
            judged=self.judged,
        )
        if self.everything is None or self.without is None:
            return said
        return (
            said
            + " "
            + tr(
                "A probe, a quick stand-in for training, knows {everything} of all and {without} of the others: the score is "
                "{points:+.1f} points off.",
                everything=percent(self.everything),
                without=percent(self.without),
                points=100 * (self.everything - self.without),
            )
        )


def kept_told(torn: int) -> str:
    """That so many groups across subsets are kept as right, which every figure of the score counts, in a sentence; "": none."""
    if not torn:
        return ""
    return tr_n(
        "{n:,} group that is kept as right lies in several subsets: it counts here, and a repair leaves it where it is.",
        "{n:,} groups that are kept as right lie in several subsets: they count here, and a repair leaves them where they are.",
        n=torn,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkup:
    """All that was found in the pictures of one manifest.

    Attributes:
        classes: their names. samples: what was looked at, in manifest order.
        doubles: those across subsets first, then those in several classes.
        suspects: the clear ones first, then the most suspicious first. outliers: the farthest first.
        faults: of pictures one by one; widespread: those that most pictures have, which are no fault of any.
        places: where each sample lies on the map, near those that look like it; () where no map was asked for.
        kept_torn: groups across subsets that are not among `doubles` as they are kept as right; `inflation` counts them.
    """

    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
    doubles: tuple[NearDoubles, ...]
    inflation: Inflation
    suspects: tuple[SuspectLabel, ...]
    outliers: tuple[Outlier, ...]
    faults: tuple[PictureFault, ...]
    widespread: tuple[Fault, ...]
    confused: tuple[ConfusedClasses, ...]
    curve: LearningCurve
    places: tuple[tuple[float, float], ...] = ()
    kept_torn: int = 0

    def among(self, samples: Mapping[str, Sample]) -> tuple[NearDoubles, ...]:
        """The `doubles` as they lie among these, by path; of some, one picture or none may be left."""
        return tuple(group.among(samples) for group in self.doubles)

    @property
    def torn(self) -> tuple[NearDoubles, ...]:
        """The near doubles that lie in several subsets."""
        return tuple(group for group in self.doubles if group.torn)

    @property
    def findings(self) -> int:
        """How many there are of groups and pictures."""
        return sum(map(len, (self.doubles, self.suspects, self.outliers, self.faults)))

    def without(self, kept: Mapping[str, Collection[str]]) -> "Checkup":
        """The same but for the findings that are `kept` as right: their marks by kind."""
        doubles, labels, odd = (kept.get(kind, ()) for kind in (DOUBLES, LABELS, ODD))
        left = tuple(each for each in self.doubles if each.mark not in doubles)
        return replace(
            self,
            doubles=left,
            kept_torn=self.kept_torn + len(self.torn) - sum(each.torn for each in left),
            suspects=tuple(each for each in self.suspects if each.mark(self.classes) not in labels),
            outliers=tuple(each for each in self.outliers if each.mark not in odd),
            faults=tuple(each for each in self.faults if each.mark not in odd),
        )

    def summary(self) -> Iterator[str]:
        """What was found, a sentence each; nothing found is told, too."""
        yield tr_n("{n:,} group of near doubles", "{n:,} groups of near doubles", n=len(self.doubles)) + (
            tr(", {torn:,} of them across subsets.", torn=len(self.torn)) if self.torn else "."
        )
        yield from filter(None, (self.inflation.words, kept_told(self.kept_torn)))
        clear = sum(each.clear for each in self.suspects)
        yield labels_told(clear, len(self.suspects) - clear)
        yield tr_n("{n:,} picture unlike all others.", "{n:,} pictures unlike all others.", n=len(self.outliers))
        yield tr_n(
            "{n:,} picture that is tiny, dark or blurred.", "{n:,} pictures that are tiny, dark or blurred.", n=len(self.faults)
        )
        for fault in self.widespread:
            yield tr("Most of the pictures are {fault}: that is their kind, and none is listed for it.", fault=tr(fault))
        for pair in self.confused:
            yield pair.words(self.classes)
        yield self.curve.words
