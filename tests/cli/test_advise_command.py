"""`desktop-ft advise` speaks to a person and to a machine."""

import json
from pathlib import Path

import pytest

from desktop_ft.cli import main
from tests.e2e.conftest import shapes


def test_where_to_cut_is_told_to_a_person_and_to_a_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["advise", str(shapes(tmp_path / "photos", pictures=8)), "--image-size", "32", "--epochs", "1"]
    assert main(asked) == 0
    told = capsys.readouterr().out
    assert "after block" in told and "Recommended: " in told
    assert main([*asked, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["recommended"] in {option["preset"] for option in document["options"]}
    for option in document["options"]:
        assert (
            option["evidence"]["judged"] == document["different"] <= document["pictures"]
            and "by a probe, with nothing trained" in option["words"]
        )
        assert f"{option['preset']}: " in option["words"] and option["words"].split("; ")[0].split(": ")[1] in told
    assert document["reason"] in " ".join(told.split()) and len(document["scores"]) == document["blocks"]


def test_networks_are_compared_with_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["advise", str(shapes(tmp_path / "photos", pictures=8)), "--image-size", "32", "--backbones", "--json"]
    assert main(asked) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["recommended"] in {score["name"] for score in document["scores"]}


def test_one_class_alone_is_told_with_its_cure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = shapes(tmp_path / "photos", pictures=4)
    assert main(["advise", str(photos), "--leave-out", "box", "--leave-out", "line"]) == 2
    assert "only one class" in capsys.readouterr().err
