"""The lesson as it ships: its steps run, and what it says of them is what they came to."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from desktop_ft.core.lesson import Question
from desktop_ft.jobs import help_texts
from desktop_ft.jobs.lesson import take_step
from desktop_ft.plugin_manager import load_plugins


def test_a_question_without_a_right_answer_is_refused() -> None:
    with pytest.raises(ValidationError, match="answer 2 of 2 is none"):
        Question(ask="Which?", answers=("This", "That"), right=2, why="So it is.")


def test_every_recipe_of_it_can_be_read() -> None:
    whole = help_texts.lesson()
    for step in whole.step:
        recipes = [whole.recipe(step, run, "sample") for run in step.runs]
        assert len({recipe.to_toml() for recipe in recipes}) == len(recipes), "runs of a step differ"
        assert len({recipe.optimisation.epochs for recipe in recipes}) == 1, "they have the same budget"


@pytest.mark.slow
@pytest.mark.parametrize("number", range(5))
def test_a_step_shows_what_it_is_about(number: int, home: Path) -> None:
    """Whatever a processor makes of the last digits, these are far apart."""
    step = help_texts.lesson().step[number]
    told: list[int] = []
    result = take_step(step, load_plugins(), lambda figures: told.append(sum(len(run.curve) for run in figures)))
    assert told == sorted(told) and told[-1] == sum(len(run.curve) for run in result.runs)
    assert len(result.said) == len(result.runs), "each other run, and what a p is"
    accuracy = [run.accuracy.value for run in result.runs if run.accuracy is not None]
    assert len(accuracy) == len(step.runs)
    match number:
        case 0:
            assert accuracy[1] > accuracy[0] + 0.3
        case 1:
            assert accuracy[2] > accuracy[0] and result.runs[2].seconds > result.runs[0].seconds
        case 2:
            assert accuracy[0] > max(accuracy[1:]) + 0.05
        case 3:
            assert accuracy[2] < accuracy[0]
        case 4:
            assert min(accuracy[1:]) > accuracy[0] + 0.1
