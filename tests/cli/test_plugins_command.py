"""`plugins`: lists with and without its verb, and writes a plugin to start from."""

import json
import sys
from pathlib import Path

import pytest

from desktop_ft.cli import main
from desktop_ft.core.errors import UserError
from desktop_ft.plugin_manager.new import new_plugin
from tests.test_plugin_manager import GOOD

TAKEN = {
    "9lives": "cannot be called '9lives'",
    "with-dash": "cannot be called",
    "trailing_": "cannot be called",
    "käfer": "cannot be called",
    "../out": "cannot be called",
    "": "cannot be called",
    "class": "a word of Python itself",
    "onnx_export": "a built-in plugin 'onnx_export'",
    "torch": "a Python module 'torch' already",
    "tests": "a Python module 'tests' already",
}


@pytest.mark.parametrize("asked", [["plugins", "--json"], ["plugins", "list", "--json"], ["plugins", "--json", "list"]])
def test_the_list_is_the_same_wherever_json_stands(asked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(asked) == 0
    assert {"onnx_export", "augmentations"} <= {plugin["name"] for plugin in json.loads(capsys.readouterr().out)}


def test_a_damaged_list_keeps_no_command_from_its_work_and_is_told(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder := home / "data" / "plugins").mkdir(parents=True)
    (folder / "mine.py").write_text(GOOD.format(name="mine"))
    (home / "data" / "plugins.json").write_text("{")
    for asked in (["plugins", "--json"], ["backbones", "--json"], ["plugins", "disable", "mine", "--json"]):
        assert main(asked) == 0
        said = capsys.readouterr()
        assert "plugins.json is damaged. Enable your plugins again; the damaged file is then kept as" in said.err
        assert json.loads(said.out)
    assert main(["doctor", "--json"]) == 1
    assert any("plugins.json is damaged" in problem for problem in json.loads(capsys.readouterr().out)["problems"])
    assert main(["plugins", "enable", "mine"]) == 0
    assert "is damaged" in capsys.readouterr().err, "it is told of when it is put aside, at the latest"
    assert main(["plugins"]) == 0
    assert "is damaged" not in capsys.readouterr().err


def test_a_new_plugin_bears_its_name_throughout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "new", "hedgehog", "--into", str(tmp_path / "made"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    folder = tmp_path / "made" / "hedgehog"
    assert told == {"plugin": "hedgehog", "folder": str(folder)}
    written = {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in folder.rglob("*") if path.is_file()}
    assert {"pyproject.toml", "README.md", "hedgehog/__init__.py", "tests/test_hedgehog.py"} <= set(written)
    assert not [name for name, text in written.items() if "my_plugin" in name + text or "pycache" in name]
    assert '[project.entry-points.desktop_ft]\nhedgehog = "hedgehog"' in written["pyproject.toml"]
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["hedgehog"]


def test_how_to_run_the_tests_of_a_new_plugin_is_told_and_no_outcome_promised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plugins", "new", "hedgehog", "--into", str(tmp_path)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert f"{sys.executable} -m pytest" in told and "pass" not in told


@pytest.mark.parametrize("name", TAKEN)
def test_a_name_that_cannot_be_taken_is_told(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=TAKEN[name]):
        new_plugin(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_never_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "hedgehog").mkdir()
    assert main(["plugins", "new", "hedgehog", "--into", str(tmp_path)]) == 2
    assert "already" in capsys.readouterr().err
    assert not list((tmp_path / "hedgehog").iterdir())


def test_where_nothing_can_be_written_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file"):
        new_plugin("hedgehog", tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
