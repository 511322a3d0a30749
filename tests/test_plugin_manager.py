"""Plugins are found, guarded, named and turned on by a person."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from desktop_ft.core.errors import UserError
from desktop_ft.plugin_manager import BUILT_INS, Origin, PluginRecord, PluginState, load_plugins, set_enabled

GOOD = """
from pathlib import Path
from desktop_ft.api import SampleDataset, hookimpl
DESKTOP_FT_API = ">=1,<2"

@hookimpl
def register_sample_datasets(register):
    register(SampleDataset(name="{name}", title="T", description="D", licence="CC0", write=lambda folder: None))
"""
WRONG = {
    "syntax": "def broken(:",
    "raises_at_import": "DESKTOP_FT_API = '>=1,<2'\nraise RuntimeError('no luck')",
    "leaves_at_import": "DESKTOP_FT_API = '>=1,<2'\nraise SystemExit(3)",
    "lacks_a_package": "DESKTOP_FT_API = '>=1,<2'\nimport a_package_that_is_not_there",
    "raises_in_a_hook": GOOD.format(name="x").replace("    register(", "    1 / 0\n    register("),
    "clashes": GOOD.format(name="digits"),
    "misspells_a_hook": GOOD.format(name="z").replace("def register_sample_datasets", "def register_sample_dataset"),
    "wrong_argument": GOOD.format(name="y").replace("(register)", "(enrol)"),
}


@pytest.fixture
def folder(home: Path) -> Path:
    place = home / "data" / "plugins"
    place.mkdir(parents=True)
    return place


def record(name: str) -> PluginRecord:
    return next(record for record in load_plugins().records if record.name == name)


def test_the_built_ins_load_and_say_who_brought_what() -> None:
    plugins = load_plugins()
    assert [record.name for record in plugins.records if record.always_on] == list(BUILT_INS)
    assert {record.state for record in plugins.records if record.always_on} == {PluginState.LOADED}
    offered = [record for record in plugins.records if record.origin is Origin.BUILT_IN and not record.always_on]
    assert offered and {record.state for record in offered} == {PluginState.DISABLED}
    assert plugins.samples.author("digits") == "handwritten_digits"
    assert plugins.backbones.get("efficientnet_lite0").spec.plugin == "efficientnet_lite"


def test_loading_the_built_ins_imports_neither_torch_nor_qt() -> None:
    code = (
        "import sys; from desktop_ft.plugin_manager import load_plugins; load_plugins();"
        "print([name for name in ('torch', 'torchvision', 'onnx', 'PySide6', 'sklearn') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_a_plugin_is_not_imported_until_a_person_enables_it(folder: Path, tmp_path: Path) -> None:
    marker = tmp_path / "imported"
    (folder / "mine.py").write_text(GOOD.format(name="mine") + f"\nPath({str(marker)!r}).touch()\n")
    assert record("mine").state is PluginState.DISABLED
    assert not marker.exists()
    set_enabled("mine", on=True)
    assert record("mine").state is PluginState.LOADED
    assert marker.exists()
    assert "mine" in load_plugins().samples
    set_enabled("mine", on=False)
    assert "mine" not in load_plugins().samples
    assert "mine" not in load_plugins(safe_mode=True).samples


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_plugin_is_named_and_takes_nothing_down(folder: Path, kind: str) -> None:
    (folder / f"{kind}.py").write_text(WRONG[kind])
    (folder / "good.py").write_text(GOOD.format(name="good"))
    set_enabled(kind, on=True)
    set_enabled("good", on=True)
    plugins = load_plugins()
    wrong = next(record for record in plugins.records if record.name == kind)
    assert wrong.state is PluginState.FAILED
    assert wrong.reason
    assert "Traceback" in wrong.traceback or kind == "misspells_a_hook"
    assert "good" in plugins.samples
    assert "digits" in plugins.samples
    assert not {"x", "y"} & {sample.name for sample in plugins.samples}


def test_a_misspelt_hook_is_named_with_the_nearest(folder: Path) -> None:
    (folder / "mine.py").write_text(WRONG["misspells_a_hook"])
    set_enabled("mine", on=True)
    failed = record("mine")
    assert failed.reason == "there is no hook 'register_sample_dataset'"
    assert failed.cure == "Did you mean register_sample_datasets?"
    (folder / "mine.py").write_text(GOOD.format(name="z").replace("def register_sample_datasets", "def entirely_else"))
    set_enabled("mine", on=True)
    assert record("mine").cure.startswith("Take one of register_backbones, ")


def test_a_name_clash_names_both_plugins(folder: Path) -> None:
    (folder / "clashes.py").write_text(WRONG["clashes"])
    set_enabled("clashes", on=True)
    reason = record("clashes").reason
    assert "clashes" in reason
    assert "handwritten_digits" in reason


@pytest.mark.parametrize("declared", [">=2,<3", "anything", "==0.1"])
def test_a_plugin_for_another_api_is_incompatible_and_never_imported(folder: Path, tmp_path: Path, declared: str) -> None:
    marker = tmp_path / "imported"
    text = GOOD.format(name="other").replace(">=1,<2", declared) + f"\nPath({str(marker)!r}).touch()\n"
    (folder / "other.py").write_text(text)
    assert record("other").state is PluginState.INCOMPATIBLE, "before anybody turns it on"
    set_enabled("other", on=True)
    assert record("other").state is PluginState.INCOMPATIBLE
    assert not marker.exists()


def test_what_a_plugin_needs_is_told_before_it_is_turned_on_and_nothing_of_it_is_run(folder: Path, tmp_path: Path) -> None:
    marker = tmp_path / "imported"
    needs = "DESKTOP_FT_NEEDS = {'json': 'json', 'not_there_1': 'one[more]', 'not_there_2.part': 'one[more]'}\n"
    (folder / "mine.py").write_text(GOOD.format(name="mine") + needs + f"Path({str(marker)!r}).touch()\n")
    off = record("mine")
    assert off.state is PluginState.DISABLED and off.lacks == "pip install 'one[more]'" and off.lacks in off.told
    assert not marker.exists()
    set_enabled("mine", on=True)
    failed = record("mine")
    assert failed.state is PluginState.FAILED and failed.reason == "not_there_1, not_there_2.part are not installed"
    (folder / "mine.py").write_text(
        GOOD.format(name="mine") + needs.replace("not_there_1", "csv").replace("not_there_2.part", "ast")
    )
    set_enabled("mine", on=True)
    assert (record("mine").state, record("mine").lacks) == (PluginState.LOADED, "")


def test_what_lacks_is_told_by_what_pip_calls_it_where_it_is_imported_at_the_head_too(folder: Path) -> None:
    needs = "DESKTOP_FT_NEEDS = {'not_there': 'one[more]'}\nimport not_there\n"
    (folder / "mine.py").write_text(GOOD.format(name="mine") + needs)
    set_enabled("mine", on=True)
    failed = record("mine")
    assert (failed.reason, failed.cure) == ("not_there is not installed", "Install it: pip install 'one[more]'.")
    (folder / "mine.py").write_text(GOOD.format(name="mine") + needs.replace("one[more]'", "one[more]', **{}"))
    set_enabled("mine", on=True)
    assert "No module named 'not_there'" in record("mine").reason, "what is no constant only the import can tell"


@pytest.mark.parametrize("needs", ["dict(a=1)", "['a']", "{1: 'a', 'b': 2}", "'text'", "None", "{'': 'a', '.': 'b'}", "{[]: 1}"])
def test_needs_that_say_nothing_usable_take_nothing_down_and_are_told(folder: Path, needs: str) -> None:
    (folder / "mine.py").write_text(GOOD.format(name="mine") + f"DESKTOP_FT_NEEDS = {needs}\n")
    assert record("mine").state is PluginState.DISABLED
    set_enabled("mine", on=True)
    assert record("mine").state is PluginState.FAILED and record("mine").told


def test_a_plugin_named_like_a_built_in_is_shadowed(folder: Path) -> None:
    (folder / "augmentations").mkdir()
    (folder / "augmentations" / "__init__.py").write_text(GOOD.format(name="z"))
    states = [record.state for record in load_plugins().records if record.name == "augmentations"]
    assert states == [PluginState.LOADED, PluginState.SHADOWED]


def test_turning_on_what_is_not_there_or_built_in_is_refused() -> None:
    with pytest.raises(UserError, match="no plugin 'nothing'"):
        set_enabled("nothing", on=True)
    with pytest.raises(UserError, match="is always on"):
        set_enabled("augmentations", on=False)


def test_damaged_settings_are_told(home: Path) -> None:
    (home / "data").mkdir()
    (home / "data" / "plugins.json").write_text(json.dumps(["not", "a", "mapping"]))
    with pytest.raises(UserError, match="damaged"):
        load_plugins()


def test_an_unknown_name_brings_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean efficientnet_lite0"):
        load_plugins().backbones.get("eficientnet_lite0")


def test_what_a_plugin_prints_stays_off_standard_output(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "noisy.py").write_text("print('hello')\n" + GOOD.format(name="noise"))
    set_enabled("noisy", on=True)
    assert record("noisy").state is PluginState.LOADED
    assert capsys.readouterr() == ("", "hello\n")


def test_a_plugin_whose_files_change_is_off_until_it_is_enabled_anew(folder: Path, tmp_path: Path) -> None:
    marker = tmp_path / "imported"
    (folder / "mine").mkdir()
    (folder / "mine" / "__init__.py").write_text(GOOD.format(name="mine"))
    set_enabled("mine", on=True)
    loaded = record("mine")
    assert (loaded.state, loaded.reason) == (PluginState.LOADED, ""), "a harmless one is accused of nothing"
    (folder / "mine" / ".swap").write_text("an editor's own")
    assert record("mine").state is PluginState.LOADED
    (folder / "mine" / "more.py").write_text(f"from pathlib import Path\nPath({str(marker)!r}).touch()\n")
    changed = record("mine")
    assert changed.state is PluginState.STOPPED
    assert "not those that you enabled" in changed.reason
    assert not marker.exists()
    set_enabled("mine", on=True)
    assert record("mine").state is PluginState.LOADED


def test_plugins_enabled_before_their_files_were_looked_at_stay_so(folder: Path, home: Path) -> None:
    (folder / "mine.py").write_text(GOOD.format(name="mine"))
    (home / "data" / "plugins.json").write_text(json.dumps({"enabled": ["mine"]}))
    assert record("mine").state is PluginState.LOADED
    (folder / "mine.py").write_text(GOOD.format(name="other"))
    assert record("mine").state is PluginState.STOPPED, "from then on they are"


@pytest.mark.parametrize("how", ["os._exit(0)", "os.kill(os.getpid(), 9)", "os.execv('/bin/true', ['true'])"])
def test_a_plugin_that_ends_its_process_is_named_and_never_tried_twice(folder: Path, tmp_path: Path, how: str) -> None:
    marker = tmp_path / "tries"
    code = f"import os\nwith open({str(marker)!r}, 'a') as tries:\n    tries.write('x')\n{how}\n"
    (folder / "deadly.py").write_text(f'DESKTOP_FT_API = ">=1,<2"\n{code}')
    set_enabled("deadly", on=True)
    for _ in range(2):
        assert record("deadly").state is PluginState.STOPPED
        assert "ended the process in which it was tried" in record("deadly").reason
    assert marker.read_text() == "x"


def test_a_plugin_that_ends_the_application_alone_is_known_at_the_next_start(folder: Path, tmp_path: Path) -> None:
    deadly = "import os, sys\nif not sys.argv[0].endswith('probe.py'):\n    os._exit(3)\n"
    (folder / "deadly.py").write_text(GOOD.format(name="deadly") + deadly)
    set_enabled("deadly", on=True)
    command = [sys.executable, "-m", "desktop_ft", "plugins", "--json"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 3
    again = subprocess.run(command, capture_output=True, check=True)
    told = next(each for each in json.loads(again.stdout) if each["name"] == "deadly")
    assert told["state"] == "stopped"
    assert "the application ended while it was last loaded" in told["reason"]


def test_what_a_plugin_replaces_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json, "loads", json.loads)  # put back afterwards
    (folder / "meddler.py").write_text(
        GOOD.format(name="m") + "import json\nread = json.loads\njson.loads = lambda *a: read(*a)\n"
    )
    set_enabled("meddler", on=True)
    plugins = load_plugins()
    told = next(record for record in plugins.records if record.name == "meddler")
    assert told.state is PluginState.LOADED
    assert "json.loads" in told.reason
    assert any("meddler" in remark for remark in plugins.remarks)


def test_without_plugins_only_built_ins_are_loaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "mine.py").write_text(GOOD.format(name="mine"))
    for name in ("mine", "csv_sink"):
        set_enabled(name, on=True)
    command = [sys.executable, "-m", "desktop_ft", "--no-plugins", "plugins", "--json"]
    told = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert next(each for each in told if each["name"] == "mine")["state"] == "disabled"
    assert "safe mode" in next(each for each in told if each["name"] == "mine")["reason"]
    states = {each["name"]: each["state"] for each in told}
    assert (states["csv_sink"], states["torch_export"]) == ("loaded", "disabled"), "ours, turned on or not"
    assert record("mine").state is PluginState.LOADED
    (folder.parent / "plugins.json").write_text("{")
    assert load_plugins(safe_mode=True).records, "which is to help where something is damaged"


def test_a_shadowed_plugin_is_the_built_in_one_to_the_person(folder: Path) -> None:
    (folder / "onnx_export.py").write_text(GOOD.format(name="other"))
    with pytest.raises(UserError, match="is always on"):
        set_enabled("onnx_export", on=False)


def test_a_plugin_that_is_gone_can_be_turned_off(folder: Path) -> None:
    (folder / "mine.py").write_text(GOOD.format(name="mine"))
    set_enabled("mine", on=True)
    (folder / "mine.py").unlink()
    set_enabled("mine", on=False)
    (folder / "mine.py").write_text(GOOD.format(name="mine"))
    assert record("mine").state is PluginState.DISABLED
    with pytest.raises(UserError, match="no plugin 'never'"):
        set_enabled("never", on=False)
