"""The lesson: what fine-tuning is, in steps of a few short runs each, and questions at the end. All of it is data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field, model_validator

from desktop_ft.core.metrics import Interval
from desktop_ft.core.recipe import Recipe
from desktop_ft.core.values import Described

Settings = Mapping[str, Any]
"""Part of a recipe, as it stands in a file."""


class LessonRun(Described):
    """One run of a step."""

    title: str = Field(min_length=1, description="What it is called beside the others of its step.")
    settings: Settings = Field({}, description="What its recipe says otherwise than the step's, by section.")


class LessonStep(Described):
    """One thing to understand, and the runs that show it."""

    title: str = Field(min_length=1, description="What it is about.")
    say: str = Field(min_length=1, description="What there is to understand.")
    look: str = Field(min_length=1, description="What to look at in the runs, whatever they come to.")
    own: str = Field(min_length=1, description="Where that is found for one's own pictures.")
    page: str = Field(description="The page where that is.")
    settings: Settings = Field({}, description="What the recipe of its runs says otherwise than the lesson's.")
    runs: tuple[LessonRun, ...] = Field(min_length=2, description="Its runs; each is compared with the first.")


class Question(Described):
    """A question at the end, with several answers of which one is right."""

    ask: str = Field(min_length=1, description="The question.")
    answers: tuple[str, ...] = Field(min_length=2, description="What may be answered.")
    right: int = Field(ge=0, description="The right answer's place, from 0.")
    why: str = Field(min_length=1, description="Why it is right.")

    @model_validator(mode="after")
    def _is_answered(self) -> "Question":
        if self.right >= len(self.answers):
            raise ValueError(f"answer {self.right} of {len(self.answers)} is none")
        return self


class Lesson(Described):
    """All of it."""

    sample: str = Field(description="The sample dataset that all runs learn from.")
    settings: Settings = Field({}, description="What the recipes of all runs say.")
    step: tuple[LessonStep, ...] = Field(min_length=1, description="The steps, in order.")
    question: tuple[Question, ...] = Field(description="The questions at the end.")

    def recipe(self, step: LessonStep, run: LessonRun, folder: str) -> Recipe:
        """What `run` of `step` follows, with the sample in `folder`."""
        told: dict[str, Any] = {"dataset": {"folder": folder}, "seed": 0}
        for settings in (self.settings, step.settings, run.settings):
            for section, values in settings.items():
                told[section] = told.get(section, {}) | dict(values) if isinstance(values, Mapping) else values
        return Recipe.from_data(told, step.title)


@dataclass(frozen=True, slots=True, kw_only=True)
class LessonFigures:
    """What a run of a step has come to so far.

    Attributes:
        epochs: how many it has.
        curve: the share of the held-out pictures that was right after each epoch that is done.
        seconds: of training, the one pass through the frozen layers and the validations included.
        accuracy: of its best model, on the held-out pictures; None while it learns.
    """

    title: str
    epochs: int
    curve: tuple[float, ...] = ()
    seconds: float = 0.0
    accuracy: Interval | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LessonResult:
    """What the runs of a step came to.

    Attributes:
        said: how each but the first compares with the first, in sentences.
    """

    runs: tuple[LessonFigures, ...]
    said: tuple[str, ...]
