"""How long a run would have trained had it been alone and never broken off: from its events."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from desktop_ft.core.comparing import CurvePoint
from desktop_ft.core.events import EpochDone, PrecisionChosen, PrefixReady, RunStarted, StepDone, TrainEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTimes:
    """Where the seconds of a run went.

    Attributes:
        asked: answers of frozen layers that the run needed. fresh: those it had to make, over all its starts; and how long that
            took. An earlier run had left the others.
        points: seconds of the work behind the frozen layers until the end of each epoch, and the validation accuracy.
    """

    asked: int
    fresh: int
    passing: float
    points: tuple[CurvePoint, ...]

    @classmethod
    def of(cls, events: Iterable[TrainEvent]) -> "RunTimes":
        """Read from the events of a run: steps that were made again after a break do not count twice."""
        walk = _Walk()
        for event in events:
            walk.take(event)
        return cls(asked=walk.asked, fresh=walk.fresh, passing=walk.passing, points=tuple(walk.points))

    def curve(self, answer: float) -> tuple[CurvePoint, ...]:
        """The validation accuracy by epoch, with the seconds that it would have taken alone, `answer` for each answer."""
        before = self.asked * answer
        return tuple(
            CurvePoint(epoch=point.epoch, seconds=before + point.seconds, accuracy=point.accuracy) for point in self.points
        )


def seconds_an_answer(runs: Sequence[RunTimes]) -> float:
    """What one answer of the frozen layers takes in `runs`, where these are the same: what one of them made, the others found."""
    fresh = sum(run.fresh for run in runs)
    return sum(run.passing for run in runs) / fresh if fresh else 0.0


class _Walk:
    """Goes through events and counts working seconds without what came before the steps: the pass through the frozen layers, and
    measuring which precision is the fastest, which a machine does once.
    """

    def __init__(self) -> None:
        self.asked = self.fresh = 0
        self.passing = 0.0
        self.points: list[CurvePoint] = []
        self._reached: list[tuple[tuple[int, int], float]] = []
        self._base = self._before = 0.0

    def take(self, event: TrainEvent) -> None:
        match event:
            case RunStarted():
                at = (event.first_epoch, event.first_step)
                self._reached = [(place, seconds) for place, seconds in self._reached if place < at]
                self.points = [point for point in self.points if point.epoch < event.first_epoch]
                self._base, self._before = self._reached[-1][1] if self._reached else 0.0, 0.0
            case PrefixReady():
                made = event.kept - event.reused
                self.asked = max(self.asked, event.kept)
                self.fresh += made
                self.passing += event.seconds if made else 0.0
                self._before += event.seconds
            case PrecisionChosen():
                self._before += event.seconds
            case StepDone():
                self._reached.append(((event.epoch, event.step), self._now(event.seconds)))
            case EpochDone():
                now = self._now(event.seconds)
                self._reached.append(((event.epoch, 1 << 62), now))
                self.points.append(CurvePoint(epoch=event.epoch, seconds=now, accuracy=event.val_accuracy))
            case _:
                return

    def _now(self, seconds: float) -> float:
        return self._base + max(0.0, seconds - self._before)
