"""`desktop-ft help` explains what the options of `train` set."""

import json

import pytest

from desktop_ft.cli import main
from desktop_ft.cli.recipe_options import OPTIONS
from desktop_ft.jobs import help_texts


@pytest.mark.parametrize("typed", ["optimisation.lr", "lr", "--lr"])
def test_a_setting_is_explained_by_any_of_its_names(typed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "--", typed]) == 0
    assert capsys.readouterr().out.strip() == help_texts.cards()["optimisation.lr"].text


def test_every_option_of_a_recipe_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    for option, setting in OPTIONS.items():
        assert main(["help", "--json", option.removeprefix("--")]) == 0
        assert list(json.loads(capsys.readouterr().out)) == [setting]


def test_without_a_name_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in help_texts.settings())


def test_an_unknown_name_is_told_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "weigth_decay"]) == 2
    assert "Did you mean weight_decay?" in capsys.readouterr().err
