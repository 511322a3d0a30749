"""How long a run will take, from what a few of its pictures took."""

from collections.abc import Sequence
from dataclasses import dataclass

from desktop_ft.core.words import duration

VIEWS_WORTH_TRYING = (1, 2, 4, 8)
_HALF = 0.5


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
class Forecast:
    """What a run will cost by its views.

    Attributes:
        training, validation: how many pictures.
        augmented: whether training pictures are changed; otherwise views make no difference.
        mixed: whether they are mixed with each other, so that no view comes again.
        processes: how many will share the work; the times are those of one.
        precision: what the steps will compute in, when the last layers learn.
    """

    training: int
    validation: int
    augmented: bool
    mixed: bool
    processes: int
    precision: str
    stages: tuple[StageCosts, ...]

    def words(self, views: int) -> str:
        """How long it takes with so many `views`, in a sentence."""
        shared = f" in one process; {self.processes} will share it" if self.processes > 1 else ""
        return f"About {duration(self.seconds(views))} of training, in {self.precision}{shared}."

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
        looks = "1 view" if best == 1 else f"{best} views"
        short, long = duration(self.seconds(best)), duration(self.seconds(0))
        return f"Recommended: {looks} of each picture, which take {short} instead of {long}, at a little less variety."

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
        behind = stage.epochs * (stage.learning * self.training + stage.judging * self.validation)
        return (front + behind) / 1000
