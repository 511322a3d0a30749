"""Curves of a run, and what a trained model gets right and wrong, as values."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from pydantic import Field

from desktop_ft.core.events import (
    CheckpointSaved,
    EpochDone,
    LayersSeen,
    MachineUse,
    Paused,
    PlanChanged,
    PrecisionChosen,
    PrefixProgress,
    PrefixReady,
    RatesSet,
    RunEnded,
    RunStarted,
    StepDone,
    TrainEvent,
    Warned,
    WorkPlanned,
)
from desktop_ft.core.exporting import AS_IT_IS, ExportSettings
from desktop_ft.core.language import tr_n
from desktop_ft.core.values import Described

_LIKE = 3.0
"""Steps whose work differs by no more than this take time in proportion."""
_MOST_APART, _MOST_WORK, _MOST_EPOCHS = 1e9, 1e30, 1_000_000
"""No two steps of a run differ by such a factor, none computes so much, no run is so long; what a damaged file says may be."""


@dataclass(slots=True)
class _Times:
    """Where the seconds since one start went.

    Attributes:
        before: of all earlier starts. now: the latest second that an event told.
        learning, validating: spent on `steps` steps and `validations` validations.
        work: of those steps, each by what is computed in it; as many as they are where nobody told.
        first_step: what the first of them took, and its work.
        first: learning, work and validating of the first epoch since the start, once another one has followed: it paid for
            what comes only once, such as decoding pictures that are kept.
        readying: spent on the frozen layers' own passes, `passes` of them: one for each change of what learns.
    """

    before: float = 0.0
    now: float = 0.0
    learning: float = 0.0
    steps: int = 0
    work: float = 0.0
    first_step: tuple[float, float] = (0.0, 0.0)
    validating: float = 0.0
    validations: int = 0
    first: tuple[float, float, float] | None = None
    readying: float = 0.0
    passes: int = 0

    @property
    def unit(self) -> float:
        """What a unit of work takes, as far as can be told. The first step since a start is not typical: it loads code."""
        if self.first is not None and self.validations > 1:
            learning, work, _ = self.first
        else:
            learning, work = self.first_step if self.steps > 1 else (0.0, 0.0)
        return (self.learning - learning) / (self.work - work)

    @property
    def validation(self) -> float:
        """What a validation takes; 0 where none was."""
        if self.first is not None and self.validations > 1:
            return (self.validating - self.first[2]) / (self.validations - 1)
        return self.validating

    @property
    def readied(self) -> float:
        """What it takes to get ready when other layers learn; 0 where that never was."""
        return self.readying / max(1, self.passes)

    def afresh(self) -> "_Times":
        """These, where a step takes something else from now on."""
        return _Times(before=self.before, now=self.now)

    def passed(self, seconds: float, *, passes: int = 0) -> None:
        """What took `seconds` before the steps, so many `passes` of the frozen layers among it."""
        self.now += seconds
        self.readying += seconds
        self.passes += passes

    def learned(self, now: float, work: float) -> None:
        """A step with so much `work` ended at the second `now`."""
        took = max(0.0, now - self.now)
        self.learning += took
        self.first_step = self.first_step if self.steps else (took, work)
        self.steps += 1
        self.work += work
        self.now = max(self.now, now)

    def validated(self, now: float) -> None:
        """A validation ended at the second `now`."""
        self.validating += max(0.0, now - self.now)
        self.validations += 1
        self.first = self.first or (self.learning, self.work, self.validating)
        self.now = max(self.now, now)


@dataclass(slots=True)
class MetricHistory:
    """The curves of a run, rebuilt from its events alone; the one value here that grows.

    A resumed run repeats the steps after its last checkpoint: what comes later replaces what was there.

    Attributes:
        begun: the first start; `started` is the last, after a resumption another one.
        prefix: how far the frozen layers' own pass is, while it is under way.
        ready: what that pass came to, since the last start.
        chosen: what the steps compute in, where that was measured.
        replanned: the changes of plan, in order.
        saved: the last checkpoint; None while there is none.
        took: working seconds of each of `steps`.
        work: what a step of each epoch computes, where that was told; of epochs before, as of the first that it was told of.
        rates: from which epochs on layers learned at which shares of the head's rate.
        layers: what the last step of each epoch has done to the layers that learn.
        machine: what the run took of the machine, each with the seconds since its first start, without those between two starts.
    """

    begun: RunStarted | None = None
    started: RunStarted | None = None
    steps: list[StepDone] = field(default_factory=list)
    epochs: list[EpochDone] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    prefix: PrefixProgress | None = None
    ready: PrefixReady | None = None
    chosen: PrecisionChosen | None = None
    replanned: list[PlanChanged] = field(default_factory=list)
    saved: CheckpointSaved | None = None
    took: list[float] = field(default_factory=list)
    work: tuple[float, ...] = ()
    rates: list[RatesSet] = field(default_factory=list)
    machine: list[tuple[float, MachineUse]] = field(default_factory=list)
    layers: list[LayersSeen] = field(default_factory=list)
    paused: bool = False
    ended: RunEnded | None = None
    _times: _Times = field(default_factory=_Times)
    _before: float = 0.0

    @classmethod
    def of(cls, events: Iterable[TrainEvent]) -> "MetricHistory":
        """The history that `events` tell."""
        history = cls()
        for event in events:
            history.add(event)
        return history

    def add(self, event: TrainEvent) -> None:
        """Take in the next event."""
        match event:
            case RunStarted():
                self.begun = self.begun or event
                self.started, self.ended, self.paused = event, None, False
                at = (event.first_epoch, event.first_step)
                self.steps = [step for step in self.steps if (step.epoch, step.step) < at]
                self.took = self.took[: len(self.steps)]
                self.rates = [rates for rates in self.rates if rates.epoch < event.first_epoch]
                self._before = self.machine[-1][0] if self.machine else 0.0
                self.epochs = [epoch for epoch in self.epochs if epoch.epoch < event.first_epoch]
                self.layers = [seen for seen in self.layers if seen.epoch < event.first_epoch]
                self.prefix, self.ready, self.chosen, self.work = None, None, None, ()
                self.replanned = [change for change in self.replanned if (change.epoch, 0) < at]  # made again in its epoch
                self._times = _Times(before=self._times.before + self._times.now)
            case PrefixProgress():
                self.prefix = event
            case PrefixReady():
                self.prefix, self.ready = None, event
                self._times.passed(event.seconds, passes=1)
            case PrecisionChosen():
                self.chosen = event
                self._times.passed(event.seconds)
            case StepDone():
                if self.steps and not self._is_like(self._work_in(event.epoch), self._work_in(self.steps[-1].epoch)):
                    self._times = self._times.afresh()
                self.steps.append(event)
                self.took.append(max(0.0, event.seconds - self._times.now))
                self._times.learned(event.seconds, self._work_in(event.epoch))
            case EpochDone():
                self.epochs.append(event)
                self._times.validated(event.seconds)
            case RunEnded():
                self.ended, self.prefix = event, None
            case _:
                self._note(event)

    def _note(self, event: TrainEvent) -> None:
        """Take in what is told beside the curves."""
        match event:
            case Warned():
                self.warnings.append(event.message)
            case PlanChanged():
                self.replanned.append(event)
                if event.change.freeze is not None:
                    self._times = self._times.afresh()
            case WorkPlanned():
                self.work = _work_by_epoch(self.work, event)
            case RatesSet():
                self.rates.append(event)
            case LayersSeen():
                self.layers.append(event)
            case MachineUse():
                self.machine.append((self._before + event.seconds, event))
            case Paused():
                self.paused = event.paused
            case CheckpointSaved():
                self.saved = event
            case _:
                return

    @property
    def best(self) -> EpochDone | None:
        """The best epoch so far."""
        return next((epoch for epoch in reversed(self.epochs) if epoch.best), None)

    @property
    def precision(self) -> str:
        """What the steps compute in; "" before the start."""
        if self.chosen is not None:
            return self.chosen.precision
        return self.started.precision if self.started is not None else ""

    @property
    def learning_share(self) -> float:
        """Share of the network's parameters that learn now, 0 to 1; 0 before the start."""
        if self.started is None:
            return 0.0
        later = [change for change in self.replanned if change.epoch >= self.started.first_epoch]
        return later[-1].learning_share if later else self.started.learning_share

    @property
    def epochs_without_improvement(self) -> int:
        """How many epochs have passed since the best one."""
        return self.epochs[-1].epoch - self.best.epoch if self.epochs and self.best else 0

    @property
    def progress(self) -> float:
        """Share of the planned work that is done, 0 to 1; where nobody told what steps compute, of the planned steps."""
        if self.started is None:
            return 0.0
        (epoch, step), per = self._position(self.started), max(1, self.started.steps_per_epoch)
        each = [self._work_in(number) for number in range(self.started.epochs)]
        done = sum(each[:epoch]) + step / per * self._work_in(epoch)
        return min(1.0, done / max(sum(each), 1e-12))

    @property
    def prefix_eta_seconds(self) -> float | None:
        """Working time until the frozen layers' own pass is over; None where none is under way."""
        if self.prefix is None:
            return None
        return self.prefix.seconds / max(1, self.prefix.done) * (self.prefix.total - self.prefix.done)

    @property
    def eta_seconds(self) -> float | None:
        """Working time still to come at the pace since this start or resumption; None before it can be told.

        Before the first validation it is the training's alone: at least that long.
        """
        times = self._times
        if self.started is None or not times.steps:
            return None
        epoch, step = self._position(self.started)
        coming = [self._work_in(later) for later in range(epoch, self.started.epochs)]
        before = self._work_in(epoch if step else epoch - 1)
        turns = sum(one != other for one, other in pairwise([before, *coming]))
        # What computes far more in a step takes at least as long as a step does now.
        likely = [work if self._is_like(work, before) else min(work, before) for work in coming]
        work = self.started.steps_per_epoch * sum(likely) - (step * likely[0] if likely else 0)
        validations = self.started.epochs - (self.epochs[-1].epoch + 1 if self.epochs else 0)
        return work * times.unit + turns * times.readied + validations * times.validation

    @property
    def eta_is_whole(self) -> bool:
        """Whether `eta_seconds` is all that it will take: validations are known, and coming steps are like those that were."""
        if self.started is None or not self._times.validations:
            return False
        epoch, step = self._position(self.started)
        before = self._work_in(epoch if step else epoch - 1)
        return all(self._is_like(self._work_in(later), before) for later in range(epoch, self.started.epochs))

    @property
    def work_seconds(self) -> float:
        """Working time of the whole run so far, pauses excluded: every start, and every validation."""
        return self._times.before + self._times.now

    def rates_in(self, epoch: int) -> tuple[tuple[str, float], ...]:
        """Layers that learn in `epoch` (0-based), in words, and their share of the head's rate; the head alone where not told."""
        return next((rates.groups for rates in reversed(self.rates) if rates.epoch <= epoch), (("head", 1.0),))

    def speeds(self) -> list[float | None]:
        """Samples a second of each of `steps`; None of an epoch's last, which may have fewer, and where nobody told how many."""
        started = self.started
        size, per = (started.batch_size, started.steps_per_epoch) if started is not None else (0, 0)
        known = [
            size > 0 and took > 0 and (step.step + 1 < per or per == 1) for step, took in zip(self.steps, self.took, strict=True)
        ]
        return [size / took if able else None for took, able in zip(self.took, known, strict=True)]

    @staticmethod
    def _is_like(work: float, other: float) -> bool:
        """Whether what one takes tells what the other will: little work takes more time than its share."""
        return max(work, other) <= _LIKE * min(work, other)

    def _work_in(self, epoch: int) -> float:
        """What a step in `epoch` computes, in a unit of this run's; 1 where nobody told."""
        return self.work[min(max(0, epoch), len(self.work) - 1)] if self.work else 1.0

    def _position(self, started: RunStarted) -> tuple[int, int]:
        """The epoch of the next step, and its place there."""
        at = (self.steps[-1].epoch, self.steps[-1].step + 1) if self.steps else (started.first_epoch, started.first_step)
        per = max(1, started.steps_per_epoch)
        return divmod(at[0] * per + at[1], per)


def _work_by_epoch(known: tuple[float, ...], told: WorkPlanned) -> tuple[float, ...]:
    """What a step of each epoch computes, by what was `known` of those before; nothing where what is told cannot be."""
    likely = told.steps and 0 < max(told.steps) <= _MOST_APART * min(told.steps) <= _MOST_WORK
    if not likely or not 0 <= told.epoch <= _MOST_EPOCHS:
        return ()
    before = known[: told.epoch] + (known[-1:] or told.steps[:1]) * max(0, told.epoch - len(known))
    return (*before, *told.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A figure with its 95 % confidence interval, which holds it."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScore:
    """How one class fares. `support` is the number of pictures that are of the class.

    Attributes:
        precision: None where no picture was called so.
        recall, f1: None where no picture is of the class.
    """

    name: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the model says of one picture. `path` is relative to the dataset's root; labels index the classes."""

    path: str
    label: int
    predicted: int
    confidence: float
    probabilities: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a trained model gets right and wrong on a set of pictures.

    Attributes:
        dataset: last part of the folder's name.
        accuracy: share of pictures whose most likely class is right.
        top5: share whose class is among the five most likely; None with fewer than six classes.
        confusion: `confusion[i][j]` pictures of class i that were called class j.
        calibration_error: expected calibration error over 15 equal bins (Guo et al. 2017).
        answers: one a picture, in manifest order.
        checkpoint: the name of the run's checkpoint that answered; "" in what older versions kept.
    """

    dataset: str
    subset: str
    classes: tuple[str, ...]
    accuracy: Interval
    top5: float | None
    per_class: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    calibration_error: float
    answers: tuple[Answer, ...]
    checkpoint: str = ""

    @property
    def mistakes(self) -> tuple[Answer, ...]:
        """The wrong answers, the most confident first."""
        wrong = (answer for answer in self.answers if answer.predicted != answer.label)
        return tuple(sorted(wrong, key=lambda answer: (-answer.confidence, answer.path)))


class Threshold(Described):
    """How sure an answer must be; a less sure one is *don't know*. It belongs to a run, with the pictures it was picked on.

    Attributes:
        dataset, subset, pictures: what they are called, and how many.
        fingerprint: which pictures they are.
    """

    value: float = Field(ge=0, le=1, description="How sure an answer must be, 0 to 1; a less sure one is don't know.")
    dataset: str
    subset: str
    pictures: int
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedAnswer:
    """A picture for which an exported file and the trained model have different answers; the classes are indices.

    Attributes:
        label: what the picture is; None where nobody says.
        trained: the trained model's answer.
        exported: the file's.
    """

    path: str
    label: int | None
    trained: int
    exported: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long an exported file computes here, on the CPU: the median of several calls.

    Attributes:
        batch: pictures a call.
        milliseconds: of a call, decoding left out.
    """

    batch: int
    milliseconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """How far an exported file's answers are from the trained model's, on the person's own pictures.

    Attributes:
        compared: number of pictures.
        largest_difference: of the logits, relative to the largest logit of all.
        changed_answers: pictures whose most likely class differs from what the model tells of them in training and evaluation.
        worst_path: the picture with the largest difference.
        accepted: whether the file was put in place.
        threshold: how sure an answer of the file must be, 0: it answers always; None in what older versions kept.
        settings: what was asked for.
        judged: number of validation pictures that the two accuracies (0 to 1) are of.
        changed: the changed answers.
        latency: one for each batch size tried; none where the file was not run.
        unverified: why the file could not be run here; "" where it was.
        checkpoint: the name of the run's checkpoint that is in it; "" in what older versions kept.
        sha256, modified_ns: of the file as it was written, by which it is known from another in its place; "" and 0 in what older
            versions kept.
    """

    file: str
    bytes: int
    compared: int
    largest_difference: float
    changed_answers: int
    worst_path: str
    accepted: bool
    threshold: float | None = None
    settings: ExportSettings = AS_IT_IS
    judged: int = 0
    accuracy: float | None = None
    trained_accuracy: float | None = None
    changed: tuple[ChangedAnswer, ...] = ()
    latency: tuple[Latency, ...] = ()
    unverified: str = ""
    checkpoint: str = ""
    sha256: str = ""
    modified_ns: int = 0

    @property
    def drop(self) -> float:
        """How many percentage points of accuracy the file loses on the validation pictures; below 0 where it gains."""
        if self.accuracy is None or self.trained_accuracy is None:
            return 0.0
        return 100 * (self.trained_accuracy - self.accuracy)

    @property
    def coarse(self) -> str:
        """Why so few validation pictures cannot show whether it loses no more than it may, in a sentence; "" where they can."""
        allowed = self.settings.largest_drop
        if self.settings.exact or self.unverified or not self.judged or 100 / self.judged <= allowed:
            return ""
        return tr_n(
            "It was judged on {n:,} validation picture, of which one is {points:.3g} points: a loss of {allowed:g} cannot be "
            "seen on so few. Hold out more.",
            "It was judged on {n:,} validation pictures, of which one is {points:.3g} points: a loss of {allowed:g} cannot be "
            "seen on so few. Hold out more.",
            n=self.judged,
            points=100 / self.judged,
            allowed=allowed,
        )
