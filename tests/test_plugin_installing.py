"""A person's plugin is copied, stays off until it is enabled, and comes and goes while the application runs."""

import json
import os
import shutil
from pathlib import Path
from zipfile import ZipFile

import pytest

from desktop_ft.cli import main
from desktop_ft.core.errors import UserError
from desktop_ft.plugin_manager import PluginRecord, Plugins, PluginState, load_plugins, look_again, turn
from desktop_ft.plugin_manager.installing import install, remove

CODE = '''"""Samples of mine.

More about them.
"""
from pathlib import Path
from desktop_ft.api import SampleDataset, hookimpl

DESKTOP_FT_API = ">=1,<2"
__version__ = "2.1"
__author__ = "Ada"
Path("{marker}").touch()


@hookimpl
def register_sample_datasets(register):
    register(SampleDataset(name="mine", title="T", description="D", licence="CC0", write=lambda folder: None))
'''


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "imported"


@pytest.fixture
def project(tmp_path: Path, marker: Path) -> Path:
    """A plugin as its author keeps it: a project with a package, tests, and things that are hidden."""
    package = tmp_path / "project" / "mine"
    (package / "__pycache__").mkdir(parents=True)
    (package / "__init__.py").write_text(CODE.format(marker=marker))
    (package / "more.py").write_text("x = 1\n")
    (package / "__pycache__" / "old.pyc").touch()
    (package.parent / ".git").mkdir()
    (package.parent / "tests").mkdir()
    (package.parent / "tests" / "__init__.py").touch()
    (package.parent / "setup.py").write_text("raise SystemExit('nobody runs this')\n")
    return package.parent


def record(plugins: Plugins, name: str = "mine") -> PluginRecord | None:
    return next((record for record in plugins.records if record.name == name), None)


@pytest.mark.parametrize("given", ["project", "package", "zip", "zip of the inside", "zip of the package", "file"])
def test_it_is_copied_and_nothing_of_it_is_run(given: str, project: Path, marker: Path, home: Path, tmp_path: Path) -> None:
    source = {"project": project, "package": project / "mine"}.get(given)
    if given == "file":
        source = shutil.copy(project / "mine" / "__init__.py", tmp_path / "mine.py")
    if source is None:
        inside = given == "zip of the inside"
        packed = shutil.make_archive(
            str(tmp_path / "packed"), "zip", project if inside else tmp_path, None if inside else "project"
        )
        source = Path(packed)
    assert install(Path(source)) == "mine"
    found = record(load_plugins())
    assert found is not None and found.state is PluginState.DISABLED
    assert (found.version, found.author, found.about) == ("2.1", "Ada", "Samples of mine.")
    assert not marker.exists()
    place = home / "data" / "plugins"
    kept = {"mine.py"} if given == "file" else {"mine", "mine/__init__.py", "mine/more.py"}
    assert {path.relative_to(place).as_posix() for path in place.rglob("*")} == kept
    assert not list((home / "data").glob("installing-*"))


def test_it_comes_and_goes_while_the_application_runs(project: Path, marker: Path, home: Path) -> None:
    plugins = load_plugins()
    built_in = list(plugins.samples)
    install(project)
    look_again(plugins)
    assert "mine" not in plugins.samples
    turned = turn(plugins, "mine", on=True)
    assert turned is not None and turned.state is PluginState.LOADED and turned.brings == {"sample": ("mine",)}
    assert [*plugins.samples][:-1] == built_in and plugins.samples.author("mine") == "mine" and marker.exists()
    other = turn(plugins, "mine", on=False)
    assert other is not None and other.state is PluginState.DISABLED and [*plugins.samples] == built_in

    file = home / "data" / "plugins" / "mine" / "__init__.py"
    file.write_text(file.read_text().replace('name="mine"', 'name="other"'))
    turn(plugins, "mine", on=True)
    assert "other" in plugins.samples and "mine" not in plugins.samples, "it is imported anew"

    file.write_text(file.read_text() + "# changed\n")
    look_again(plugins)
    changed = record(plugins)
    assert changed is not None and changed.state is PluginState.STOPPED and "other" not in plugins.samples

    turn(plugins, "mine", on=True)
    remove("mine")
    look_again(plugins)
    assert record(plugins) is None and [*plugins.samples] == built_in and not file.parent.exists()
    install(project)
    look_again(plugins)
    again = record(plugins)
    assert again is not None and again.state is PluginState.DISABLED, "another of its name is not trusted for it"


def test_one_that_stays_is_left_alone(project: Path, marker: Path, home: Path) -> None:
    install(project)
    plugins = load_plugins()
    turn(plugins, "mine", on=True)
    marker.unlink()
    sample = plugins.samples.get("mine")
    (home / "data" / "plugins" / "wrong.py").write_text("DESKTOP_FT_API = '>=1,<2'\n1 / 0\n")
    wrong = turn(plugins, "wrong", on=True)
    assert wrong is not None and wrong.state is PluginState.FAILED and "ZeroDivisionError" in wrong.traceback
    assert plugins.samples.get("mine") is sample and not marker.exists()


def test_what_cannot_be_installed_is_refused_and_leaves_nothing(project: Path, home: Path, tmp_path: Path) -> None:
    code, api = (project / "mine" / "__init__.py").read_text(), 'DESKTOP_FT_API = ">=1,<2"\n'

    def folder(name: str, **files: str) -> Path:
        place = tmp_path / "refused" / name
        place.mkdir(parents=True)
        for each, text in files.items():
            (place / f"{each}.py").write_text(text)
        return place

    large = folder("large", __init__=api + "x\n" * 100_000)
    os.mkfifo(folder("pipe") / "mine.py")
    linked = folder("linked", __init__=code)
    (linked / "secret.txt").symlink_to("/etc/hostname")
    refused = {
        tmp_path / "nowhere": "There is nothing at",
        folder("empty"): "There is no plugin in",
        folder("slip", mine=f"{api}def register(:\n"): "mine.py is no Python in line 2: invalid syntax.* Correct",
        folder("slip_inside", __init__=f"{api}x = (\n"): "__init__.py is no Python in line 2: .* never closed",
        folder("no_plugin", module="x = 1\n"): "There is no plugin in",
        large: "__init__.py is larger than 128 kB, and is not .* Move what",
        tmp_path / "refused" / "pipe": "There is no plugin in",
        folder("two", one=code, other=code): "more than one plugin in .*: one.py, other.py",
        folder("onnx_export", __init__=code): "There is a plugin 'onnx_export' already",
        folder("csv_sink", __init__=code): "There is a plugin 'csv_sink' already",
        folder("my-plugin", __init__=code): "cannot be a plugin's name",
        folder("class", __init__=code): "cannot be a plugin's name",
        linked: "holds a link or something else",
    }
    (folder("loose") / "undeclared.py").write_text("x = 1\n")
    refused[tmp_path / "refused" / "loose" / "undeclared.py"] = "There is no plugin in .*undeclared.py. A plugin is a .py file"
    refused[folder("undeclared", __init__="x = 1\n")] = "There is no plugin in .*undeclared. A plugin is a .py file"
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("[dataset]\n")
    refused[recipe] = "recipe.toml is no plugin. Name a plugin's folder, .zip or .py file"
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK no archive")
    refused[broken] = "damaged or not a .zip"
    unnamed = tmp_path / "..zip"
    with ZipFile(unnamed, "w") as packed:
        packed.writestr("__init__.py", code)
    refused[unnamed] = "cannot be a plugin's name"
    for source, why in refused.items():
        with pytest.raises(UserError, match=why):
            install(source)
    assert not list((home / "data").rglob("*.py")) and not list((home / "data").glob("installing-*"))
    install(project)
    with pytest.raises(UserError, match="There is a plugin 'mine' already"):
        install(project)
    remove("mine")
    (home / "data" / "plugins" / "mine").mkdir()
    with pytest.raises(UserError, match=r"There is something at .*mine already. Take that away"):
        install(project)


def test_what_does_not_lie_in_the_plugin_folder_is_not_removed(project: Path) -> None:
    with pytest.raises(UserError, match="There is no plugin 'mine'"):
        remove("mine")
    with pytest.raises(UserError, match="does not lie in the plugin folder"):
        remove("onnx_export")
    install(project)
    with pytest.raises(UserError, match="cannot be taken away"):
        remove("mine", discard=lambda place: False)


@pytest.mark.parametrize("name", ["__init__.py", "__main__.py", "my-plugin.py"])
def test_a_file_whose_name_is_no_plugins_name_is_not_copied(name: str, project: Path, home: Path) -> None:
    source = project / "mine" / name
    source.write_text((project / "mine" / "__init__.py").read_text())
    with pytest.raises(UserError) as refused:
        install(source)
    assert name != "__init__.py" or str(project / "mine") in refused.value.cure, "the folder around it is what to install"
    assert not list((home / "data").rglob("*.py"))


def test_what_lies_loose_in_the_plugin_folder_makes_no_plugin_of_it(
    project: Path, marker: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(project)
    place = home / "data" / "plugins"
    (place / "__init__.py").write_text(CODE.format(marker=marker))
    (place / ".hidden").mkdir()
    (place / ".hidden" / "__init__.py").touch()
    plugins = load_plugins()
    loose = record(plugins, "__init__")
    assert loose is not None and loose.state is PluginState.MISNAMED and "the folder around it" in loose.told
    assert record(plugins, "plugins") is None and record(plugins, ".hidden") is None
    with pytest.raises(UserError, match="part of a plugin"):
        turn(plugins, "__init__", on=True)
    for name in ("plugins", ".", "..", "", "/", "../plugins", ".hidden"):
        with pytest.raises(UserError, match="There is no plugin"):
            remove(name)
    assert remove("__init__") == place / "__init__.py", "the file alone"
    assert {path.name for path in place.iterdir()} == {"mine", ".hidden"} and not marker.exists()
    assert main(["plugins", "list"]) == 0 and "mine" in capsys.readouterr().out


def test_a_link_is_removed_and_what_it_leads_to_stays(project: Path, home: Path) -> None:
    place = home / "data" / "plugins"
    place.mkdir(parents=True)
    (place / "linked").symlink_to(project / "mine")
    (place / "around").symlink_to(place)
    (place / "__init__.py").write_text("DESKTOP_FT_API = '>=1,<2'\n")
    for name in ("linked", "around"):
        assert remove(name) == place / name
    assert [path.name for path in place.iterdir()] == ["__init__.py"] and (project / "mine" / "more.py").exists()


def test_one_that_was_deleted_by_hand_is_not_trusted_when_it_comes_again(project: Path, marker: Path, home: Path) -> None:
    install(project)
    turn(load_plugins(), "mine", on=True)
    shutil.rmtree(home / "data" / "plugins" / "mine")
    marker.unlink()
    install(project)
    found = record(load_plugins())
    assert found is not None and found.state is PluginState.DISABLED and not marker.exists()


def test_a_plugin_may_bring_what_another_brought_that_is_gone(project: Path, home: Path) -> None:
    install(project)
    plugins = load_plugins()
    turn(plugins, "mine", on=True)
    (home / "data" / "plugins" / "mine").rename(home / "data" / "plugins" / "renamed")
    renamed = turn(plugins, "renamed", on=True)
    assert renamed is not None and renamed.state is PluginState.LOADED and plugins.samples.author("mine") == "renamed"


def test_what_still_holds_a_part_of_it_brings_back_no_old_code(project: Path, home: Path) -> None:
    install(project)
    package = home / "data" / "plugins" / "mine"
    code = (package / "__init__.py").read_text()
    lazily = code.replace("lambda folder: None", "lambda folder: __import__('desktop_ft_user_plugins.mine.more')")
    (package / "__init__.py").write_text(lazily)
    plugins = load_plugins()
    turn(plugins, "mine", on=True)
    held = plugins.samples.get("mine")
    turn(plugins, "mine", on=False)
    (package / "__init__.py").write_text(lazily.replace('name="mine"', 'name="old"'))
    held.write(home)  # what still holds it imports it, as it is by now
    (package / "__init__.py").write_text(lazily.replace('name="mine"', 'name="new"'))
    turn(plugins, "mine", on=True)
    assert "new" in plugins.samples and "old" not in plugins.samples


def test_the_command_line_adds_and_removes(project: Path, capsys: pytest.CaptureFixture[str], home: Path) -> None:
    assert main(["plugins", "install", str(project), "--json"]) == 0
    told = capsys.readouterr()
    assert "mine is copied, and off" in told.err
    (listed,) = json.loads(told.out)
    assert (listed["name"], listed["state"], listed["author"]) == ("mine", "disabled", "Ada")
    assert main(["plugins", "install", str(project)]) == 2 and "already" in capsys.readouterr().err
    assert main(["plugins", "remove", "mine"]) == 0
    assert not (home / "data" / "plugins" / "mine").exists() and "deleted" in capsys.readouterr().err
    assert main(["plugins", "remove", "mine"]) == 2


SAID = {
    "loaded": (CODE.format(marker="/dev/null"), 0, "mine is on."),
    "failed": (
        CODE.format(marker="/dev/null").replace("    register(", "    raise RuntimeError('no luck.')\n    register("),
        1,
        "mine did not load: RuntimeError: no luck (in its hook register_sample_datasets). "
        "`desktop-ft plugins --details` shows where.",
    ),
    "incompatible": (
        CODE.format(marker="/dev/null").replace(">=1,<2", ">=7,<8"),
        1,
        "mine does not fit this version of Desktop FT: it is written for plugin API >=7,<8, and this is 1.0. "
        "Get one that fits from its author, or take it away: `desktop-ft plugins remove mine`.",
    ),
    "stopped": (
        f"import os\n{CODE.format(marker='/dev/null')}\nos._exit(0)\n",
        1,
        "mine was turned off: it ended the process in which it was tried. `desktop-ft plugins enable mine` tries it again.",
    ),
}


@pytest.mark.parametrize("state", SAID)
def test_turning_one_on_tells_of_it_alone_and_leads_on(
    state: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    code, status, sentence = SAID[state]
    (tmp_path / "mine.py").write_text(code)
    assert main(["plugins", "install", str(tmp_path / "mine.py")]) == 0
    told = capsys.readouterr()
    assert [line.split()[0] for line in told.out.splitlines()] == ["plugin", "mine"]
    assert ("cannot be turned on" in told.err, "turns it on" in told.err) == (state == "incompatible", state != "incompatible")
    assert main(["plugins", "enable", "mine"]) == status
    told = capsys.readouterr()
    assert [line.split()[0] for line in told.out.splitlines()] == ["plugin", "mine"] and state in told.out
    said = " ".join(told.err.split())
    trying = "" if state == "incompatible" else "mine is tried in a process of its own, for 30 s at most. "
    assert said.startswith(trying), "before it is tried"
    assert said.removeprefix(trying).removeprefix("desktop-ft: ") == sentence
    reason = sentence.partition(": ")[2][:20]
    assert not reason or reason not in " ".join(told.out.split()), "it is told once"


def test_what_is_copied_and_lacks_a_package_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text('DESKTOP_FT_API = ">=1,<2"\nDESKTOP_FT_NEEDS = {"not_there": "one[more]"}\n')
    assert main(["plugins", "install", str(tmp_path / "mine.py")]) == 0
    assert "It needs `pip install 'one[more]'` first." in " ".join(capsys.readouterr().err.split())
