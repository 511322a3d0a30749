"""`desktop-ft layers` compares plans."""

import json
from pathlib import Path

import pytest

from desktop_ft.cli import main
from desktop_ft.core.events import LayerSeen, LayersSeen
from desktop_ft.core.recipe import DatasetChoice, Recipe
from desktop_ft.runs.run_folder import RunFolder

COMPARE = ("layers", "resnet18", "--image-size", "32", "--compare", "head")


def test_a_plan_of_many_options_is_compared(capsys: pytest.CaptureFixture[str]) -> None:
    many = " --freeze head" + " --rate layer4.1.conv2=0.5" * 20
    assert main([*COMPARE, many, "--json"]) == 0
    assert [path for path, *_ in json.loads(capsys.readouterr().out)["differing"]] == ["layer4.1.conv2"]


def test_a_plan_too_long_for_the_name_of_a_file_is_no_plan(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*COMPARE, "x" * 5000]) == 2
    assert "no freeze plan" in capsys.readouterr().err


def test_networks_are_found_by_each_word_of_their_facts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backbones", "EFFICIENTNET-lite 240PX"]) == 0
    titles, *rows = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows] == ["efficientnet_lite1"]
    assert titles.index("parameters") + len("parameters") == rows[0].index(" M") + 2, "figures stand on the right"
    assert main(["backbones", "efficientnet-lite 241px"]) == 0
    assert "No backbone has 'efficientnet-lite 241px'" in capsys.readouterr().out


def test_of_a_run_it_shows_how_the_layers_learned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunFolder.create(tmp_path / "run")
    run.write_recipe(Recipe(dataset=DatasetChoice(folder="photos")))
    assert main(["layers", str(run.path)]) == 2
    assert "does not tell how its layers learned" in capsys.readouterr().err
    with run.log() as log:
        for epoch in range(2):
            log.append(
                LayersSeen(
                    epoch=epoch,
                    layers=(
                        LayerSeen(path="conv_stem", gradient=0.1, update=1e-8, drift=0.0),
                        LayerSeen(path="classifier", gradient=0.4, update=0.05),
                        LayerSeen(path="blocks.0.0.conv", gradient=0.3, update=0.01, drift=0.02),
                        LayerSeen(path="blocks.0.1.conv", gradient=0.4, update=0.03, drift=0.5),
                    ),
                )
            )
    assert main(["layers", str(run.path)]) == 0
    said = capsys.readouterr().out
    assert "conv_stem: does not learn. Even its largest steps moved" in said
    assert ["blocks.0", "0.5", "3", "%", "50", "%", "forgets"] in [line.split() for line in said.splitlines()]
    assert "gradient: its length" in said and "--every shows each layer" in said
    assert main(["layers", str(run.path), "--every"]) == 0
    said = capsys.readouterr().out
    assert ["blocks.0.1.conv", "0.4", "3", "%", "50", "%", "forgets"] in [line.split() for line in said.splitlines()]
    assert "blocks.0 " not in said and "--every" not in said
    assert main(["layers", "resnet18", "--every"]) == 2
    assert "--every is for a run" in capsys.readouterr().err
    assert main(["layers", str(run.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["layers"]["classifier"] == {
        "gradient": 0.4, "update": 0.05, "drift": None, "sign": None
    }  # fmt: skip
