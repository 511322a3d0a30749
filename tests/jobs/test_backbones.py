"""How fast a network is here: measured for real, remembered for this machine, told by the command line."""

import json
import threading
from pathlib import Path

import pytest
from PIL import Image

from desktop_ft.cli import main
from desktop_ft.core.errors import Cancelled
from desktop_ft.jobs import backbones
from desktop_ft.jobs.kept import measurements
from desktop_ft.plugin_manager import load_plugins

NAME = "shufflenet_v2_x0_5"


def test_a_measured_speed_is_remembered_and_told(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    backbone = load_plugins().backbones.get(NAME)
    assert backbones.known_speed(backbone) is None
    assert main(["backbones", "--measure", NAME, "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told["name"] == NAME and told["pictures_per_second"] > 0
    known = backbones.known_speed(backbone)
    assert known is not None and (known.pictures_per_second, known.device) == (told["pictures_per_second"], told["device"])
    assert main(["backbones", NAME, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["pictures_per_second"] == told["pictures_per_second"]
    (file,) = measurements().path.iterdir()
    file.write_text("{")  # damaged: it is measured again
    assert backbones.known_speed(backbone) is None
    assert not backbones.is_local(backbone)  # weights are not needed for it


def test_a_measurement_that_is_cancelled_keeps_nothing() -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        backbones.measure_speeds([load_plugins().backbones.get(NAME)], cancel=cancel)
    assert backbones.known_speed(load_plugins().backbones.get(NAME)) is None


def test_a_network_is_recommended_for_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.effect_noise((32, 32), 80).convert("RGB").save(tmp_path / "photos" / name / "one.png")
    assert main(["backbones", "--recommend", str(tmp_path / "photos"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told["picks"]) == {"speed", "balance", "accuracy"}
    assert told["recommended"] == told["picks"]["speed"] and "only enlarge" in told["reason"]
