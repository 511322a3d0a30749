"""How long a run will take, from what a few of its pictures took."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from desktop_ft.core.language import tr, tr_n
from desktop_ft.core.words import duration, epoch_count, short_duration, size

VIEWS_WORTH_TRYING = (1, 2, 4, 8)
USUAL_BATCH_SIZE = 32
FASTER = 0.95
"""Share of the time a picture takes that one in a batch twice as large must stay under: otherwise it is no faster."""
_HALF = 0.5
_WORTH_TELLING = 0.9
_OF_FREE_MEMORY = 0.8
"""What the steps may take of it: other programs want some, and what a step needs in passing is not counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCosts:
    """What one picture costs in the epochs in which the same layers learn, in milliseconds.

    Attributes:
        epochs: how many these are.
        front: to decode and change it, and for the frozen layers to answer, in the pass that is made once.
        anew: the same in every later epoch that shows new views: changed and answered again, decoded no more.
        learning: forwards and backwards through the rest, and its share of the step.
        judging: forwards through the rest.
        after: path of the last layer in front of the cut; "" where there is none.
    """

    epochs: int
    front: float
    anew: float
    learning: float
    judging: float
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepMemory:
    """What the layers that learn take of a device's memory in a step, besides the network itself, in bytes.

    Attributes:
        fixed: the gradients and the optimiser's state.
        picture: what is kept of each picture of a batch on its way through what learns, for the way back.
        free: what the device had left before the first step.
        devices: over how many of these each batch is divided.
    """

    fixed: int
    picture: int
    free: int
    devices: int = 1

    def of(self, batch_size: int) -> int:
        """What a step with so many pictures takes, on each device."""
        return self.fixed + self.picture * -(-batch_size // self.devices)

    @property
    def usable(self) -> int:
        """What the steps may take of it."""
        return round(_OF_FREE_MEMORY * self.free)

    @property
    def most(self) -> int:
        """The largest batch that fits, a power of two; 1 where not even that does."""
        fitting = self.devices * (max(0, self.usable - self.fixed) // max(1, self.picture))
        return 1 << max(0, fitting.bit_length() - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a run will cost by its views and its batches.

    Attributes:
        training, validation: how many pictures.
        augmented: whether training pictures are changed; otherwise views make no difference.
        mixed: whether they are mixed with each other, so that no view comes again.
        processes: how many will share the work; the times are those of one.
        precision: what the steps will compute in, when the last layers learn.
        batch_size: pictures a step.
        memory: of the stage whose steps take the most.
        by_batch_size: what was tried, from the usual batch on: pictures a step, and the milliseconds that each takes to learn
            from in the last stage. Each is faster than the one before. Empty where the usual one does not fit.
    """

    training: int
    validation: int
    augmented: bool
    mixed: bool
    processes: int
    precision: str
    stages: tuple[StageCosts, ...]
    batch_size: int
    memory: StepMemory
    by_batch_size: tuple[tuple[int, float], ...]

    def words(self, views: int) -> str:
        """How long it takes with so many `views`, and in what, in a sentence."""
        time = duration(self.seconds(views))
        whole = {"epochs": epoch_count(self.epochs), "time": time, "precision": self.precision}
        said = tr("The whole training, {epochs}, takes about {time}; it computes in {precision}.", **whole)
        if self.processes > 1:
            said = tr(
                "The whole training, {epochs}, would take one process about {time}; {processes} will share it, computing in "
                "{precision}.",
                processes=self.processes,
                **whole,
            )
        memory = tr("What learns takes {size} of memory.", size=size(self.memory.of(self.batch_size)))
        return f"{said} {memory}"

    def epoch_words(self, views: int) -> str:
        """How long an epoch takes once what is made once is made, in a sentence; of a plan that changes, the last ones."""
        last = self.stages[-1]
        longer = replace(last, epochs=last.epochs + 1)
        seconds = self._stage_seconds(longer, views) - self._stage_seconds(last, views)
        return tr("An epoch takes {time}.", time=short_duration(seconds))

    @property
    def epochs(self) -> int:
        """Of all stages together."""
        return sum(stage.epochs for stage in self.stages)

    @property
    def views_matter(self) -> bool:
        """Whether frozen layers would answer less often with fewer views."""
        return self.augmented and not self.mixed and any(stage.after for stage in self.stages)

    def seconds(self, views: int) -> float:
        """How long the training takes with so many `views`; 0: every epoch makes new ones."""
        return sum(self._stage_seconds(stage, views) for stage in self.stages)

    @property
    def recommended_views(self) -> int:
        """0, or the most views worth trying that still save half of the time that new ones every epoch take."""
        if not self.views_matter:
            return 0
        exact = self.seconds(0)
        return max((views for views in VIEWS_WORTH_TRYING if self.seconds(views) <= _HALF * exact), default=0)

    def advice(self, views: int) -> str:
        """Which views are recommended to who takes `views`, and why, in a sentence.

        "" where there is nothing to gain, and to who has chosen a number already.
        """
        best = self.recommended_views
        if views or not best:
            return ""
        return tr_n(
            "Recommended: {n} view of each picture, which take {short} instead of {long}, at a little less variety.",
            "Recommended: {n} views of each picture, which take {short} instead of {long}, at a little less variety.",
            n=best,
            short=duration(self.seconds(best)),
            long=duration(self.seconds(0)),
        )

    @property
    def recommended_batch_size(self) -> int:
        """The fastest, where it makes the run a tenth shorter; one that fits, where the recipe's does not; else the recipe's."""
        if not self.fits:
            return self.memory.most
        took = {tried: milliseconds for tried, milliseconds in self.by_batch_size if tried <= self.memory.most}
        before, best = self._own, max(took, default=0)
        if before is None or best <= self.batch_size:
            return self.batch_size
        saved = self.stages[-1].epochs * self.training * (before - took[best]) / 1000
        whole = self.seconds(0)
        return best if whole - saved < _WORTH_TELLING * whole else self.batch_size

    @property
    def batch_advice(self) -> str:
        """Which batch size is recommended instead of the recipe's, and why, in sentences; "" where there is nothing to gain."""
        best, memory = self.recommended_batch_size, self.memory
        if not self.fits:
            short = tr(
                "That is too much: of the {free} that are free it should take {usable} at most.",
                free=size(memory.free),
                usable=size(memory.usable),
            )
            fits = best < self.batch_size
            return f"{short} {tr('Batches of {size} fit.', size=best) if fits else tr('Let fewer layers learn.')}"
        if best == self.batch_size:
            return ""
        took = dict(self.by_batch_size)[best]
        return tr(
            "In batches of {size} a step takes {took:.3g} ms a picture instead of {own:.3g}; but fewer, larger steps may want "
            "another learning rate.",
            size=best,
            took=took,
            own=self._own,
        )

    @property
    def _own(self) -> float | None:
        """Milliseconds a picture of a step in batches of the recipe's size; None where that was not tried."""
        small = self.stages[-1].learning if self.batch_size < USUAL_BATCH_SIZE else None
        return dict(self.by_batch_size).get(self.batch_size, small)

    @property
    def fits(self) -> bool:
        """Whether the recipe's batches fit into memory."""
        return self.memory.of(self.batch_size) <= self.memory.usable

    def choices(self) -> Sequence[tuple[int, float]]:
        """Views and their seconds, new ones every epoch first; only that one where views make no difference."""
        tried = [views for views in VIEWS_WORTH_TRYING if views < self.epochs] if self.views_matter else []
        return [(views, self.seconds(views)) for views in (0, *tried)]

    def _stage_seconds(self, stage: StageCosts, views: int) -> float:
        again = stage.epochs - 1
        recurs = stage.after and (not self.augmented or (views and not self.mixed))
        if recurs:
            looks = min(views, stage.epochs) if self.augmented else 1
            front = stage.front * (looks * self.training + self.validation)
        else:
            front = stage.front * (self.training + self.validation) + stage.anew * again * self.training
        behind = stage.epochs * (self._learning(stage) * self.training + stage.judging * self.validation)
        return (front + behind) / 1000

    def _learning(self, stage: StageCosts) -> float:
        """Milliseconds a picture of its steps; of the last stage those in batches of the recipe's size, or the nearest below."""
        last = self.stages[-1]
        if (stage.after, stage.learning) != (last.after, last.learning):
            return stage.learning
        return next((took for size, took in reversed(self.by_batch_size) if size <= self.batch_size), stage.learning)
