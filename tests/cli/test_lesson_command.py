"""`desktop-ft lesson` says what the window's lesson says."""

import json
import os
import site
import subprocess
import sys
from pathlib import Path

import pytest

import desktop_ft
from desktop_ft.cli import main
from desktop_ft.jobs import help_texts


def test_its_steps_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lesson"]) == 0
    out = capsys.readouterr().out
    assert all(f"{number}. {step.title}" in out for number, step in enumerate(help_texts.lesson().step, start=1))


def test_what_it_says_to_type_next_can_be_typed_wherever_it_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def shown() -> str:
        assert main(["lesson"]) == 0
        return capsys.readouterr().out.split("Take one: ")[1].partition(" lesson 1.")[0]

    python, neighbour = tmp_path / "bin" / "python", tmp_path / "bin" / "desktop-ft"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setenv("PATH", os.defpath)
    assert shown() == f"{python} -m desktop_ft"
    packages = os.pathsep.join([str(Path(desktop_ft.__file__).parents[1]), *site.getsitepackages()])
    asked = subprocess.run(
        [*shown().split(), "--version"], env=os.environ | {"PYTHONPATH": packages}, check=True, capture_output=True, text=True
    )
    assert asked.stdout.startswith("desktop-ft ")
    neighbour.write_text("#!/bin/sh\n")
    neighbour.chmod(0o755)
    assert shown() == str(neighbour)
    monkeypatch.setenv("PATH", str(neighbour.parent))
    assert shown() == "desktop-ft"


def test_the_questions_are_asked_before_they_are_answered(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lesson", "questions"]) == 0
    asked, answered = capsys.readouterr().out.split("The answers:")
    for question in help_texts.lesson().question:
        assert question.ask in asked and question.why not in asked and question.why in answered


def test_a_step_that_is_none_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lesson", "6"]) == 2
    assert "The lesson has no step '6'. Name one of 1 to 5, or questions." in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.slow
def test_a_step_is_made_and_told_to_a_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lesson", "4", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    titles = [run.title for run in help_texts.lesson().step[3].runs]
    assert [run["title"] for run in document["runs"]] == titles
    assert all(0 <= run["accuracy"]["low"] <= run["accuracy"]["high"] <= 1 for run in document["runs"])
    assert len(document["said"]) == 3, "two runs against the first, and what a p is"
