"""What a run starts from, where that is another run's weights, and whether it got any further."""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.core.metrics import Evaluation
from desktop_ft.core.recipe import Recipe
from desktop_ft.core.words import percent
from desktop_ft.runs.run_folder import RunFolder


@dataclass(frozen=True, slots=True)
class Start:
    """The run whose weights are started from, and what its best model gets right and wrong; None: nobody knows it of these."""

    name: str
    evaluation: Evaluation | None

    @property
    def words(self) -> str:
        """It in a sentence."""
        if self.evaluation is None:
            return tr("Starts from the weights of the run {name}.", name=self.name)
        share = percent(self.evaluation.accuracy.value)
        return tr("Starts from the weights of the run {name}, {share} right there.", name=self.name, share=share)

    def not_surpassed(self, evaluation: Evaluation) -> str:
        """What to say of a run that started here and does no better on the same photos; "" where it does, or they are others."""
        before = self.evaluation
        if before is None or _photos(before) != _photos(evaluation) or evaluation.accuracy.value > before.accuracy.value:
            return ""
        return tr(
            "No better than its start: the run {name} had {share} of the same photos right.",
            name=self.name,
            share=percent(before.accuracy.value),
        )


def start_of(recipe: Recipe) -> Start | None:
    """The run that the recipe's own weights lie in; None where they lie in no run, or it cannot be read."""
    if not recipe.backbone.weights:
        return None
    run = Path(recipe.backbone.weights).parent.parent
    evaluated = run / "evaluation.json"
    try:
        found = _read(run, evaluated.stat().st_mtime_ns if evaluated.exists() else 0)
    except (OSError, UserError):  # the weights alone are needed
        return None
    is_best = Path(recipe.backbone.weights).name == RunFolder(run).best_checkpoint
    return found if is_best else replace(found, evaluation=None)


@lru_cache(maxsize=2)
def _read(run: Path, evaluated_ns: int) -> Start:
    folder = RunFolder.open(run)
    return Start(folder.name, folder.evaluation)


def _photos(evaluation: Evaluation) -> set[tuple[str, int]]:
    return {(answer.path, answer.label) for answer in evaluation.answers}
