"""What is asked for and a plugin would bring is traced to that plugin, with what turns it on."""

import shutil
from pathlib import Path

import pytest

from desktop_ft.cli import main
from desktop_ft.core.errors import UserError
from desktop_ft.plugin_manager import Plugins, load_plugins, set_enabled, turn

CODE = """
from desktop_ft.api import Augmentation, AugmentationKind, Described, SampleDataset, hookimpl
DESKTOP_FT_API = ">=1,<2"

class Nothing(Described):
    pass

@hookimpl
def register_sample_datasets(register):
    register(SampleDataset(name="thing", title="T", description="D", licence="CC0", write=lambda folder: None))

@hookimpl
def register_augmentations(register):
    register(
        Augmentation(
            name="thing", title="T", description="D", kind=AugmentationKind.PICTURE, parameters=Nothing,
            make=lambda parameters: lambda picture, rng, size: picture,
        )
    )
"""


@pytest.fixture
def file(home: Path) -> Path:
    """A plugin in the plugin folder that was turned on, and brought two things."""
    place = home / "data" / "plugins"
    place.mkdir(parents=True)
    (place / "mine.py").write_text(CODE)
    set_enabled("mine", on=True)
    assert "thing" in load_plugins().samples
    return place / "mine.py"


def refused(plugins: Plugins) -> str:
    """What is said of the sample, and of the augmentation in the same words."""
    said = []
    for catalog in (plugins.samples, plugins.augmentations):
        with pytest.raises(UserError) as error:
            catalog.get("thing")
        said.append(str(error.value).replace(catalog.kind, "sample"))
    assert said[0] == said[1]
    return said[0]


ENABLE = "`desktop-ft plugins enable mine`"


def test_one_that_is_off_is_named_with_what_turns_it_on(file: Path) -> None:
    plugins = load_plugins()
    turn(plugins, "mine", on=False)
    said = f"There is no sample 'thing'. It comes from the plugin mine, which is disabled. Turn it on with {ENABLE}"
    assert refused(plugins).startswith(said), "in the process that turned it off"
    assert refused(load_plugins()).startswith(said), "and in another"


def test_one_that_changed_failed_does_not_fit_or_is_gone_is_named_with_the_reason(file: Path) -> None:
    file.write_text(f"{CODE}\n1 / 0\n")
    assert "mine, which is stopped: its files are not those that you enabled. Turn it on" in refused(load_plugins())
    set_enabled("mine", on=True)
    assert "mine, which is failed: ZeroDivisionError: division by zero. Turn it on" in refused(load_plugins())
    file.write_text(f"DESKTOP_FT_NEEDS = {{'not_there': 'one[more]'}}\n{CODE}")
    set_enabled("mine", on=True)
    told = refused(load_plugins())
    assert "not_there is not installed. Install it: pip install 'one[more]'. Turn it on" in told and ENABLE in told
    file.write_text(CODE.replace(">=1,<2", ">=7,<8"))
    assert "mine, which is incompatible: it is written for" in (told := refused(load_plugins())) and ENABLE not in told
    file.unlink()
    assert "the plugin mine, which is gone. Install that again" in refused(load_plugins())


def test_without_plugins_the_start_is_named(file: Path) -> None:
    assert "the plugin mine, which is disabled: safe mode" in (told := refused(load_plugins(safe_mode=True)))
    assert told.endswith("start without --no-plugins.")


def test_where_nothing_is_known_those_that_could_bring_it_are_named(home: Path, tmp_path: Path) -> None:
    place = home / "data" / "plugins"
    (place / "packed").mkdir(parents=True)
    (place / "never_on.py").write_text(CODE)
    (place / "sinks.py").write_text(CODE.replace("sample_datasets", "event_sinks").replace("register_augm", "augm"))
    (place / "packed" / "__init__.py").write_text('DESKTOP_FT_API = ">=1,<2"\nfrom .more import *\n')
    plugins = load_plugins()
    with pytest.raises(UserError) as error:
        plugins.samples.get("thing")
    assert error.value.cure.endswith(
        "It may come from a plugin that is off or failed: never_on, packed. "
        "Turn it on with `desktop-ft plugins enable NAME`, or on the page Plugins."
    )
    with pytest.raises(UserError, match="or failed: packed, timm_backbones"):
        plugins.backbones.get("timm/resnet18")
    with pytest.raises(UserError, match="torch_export, openvino_export, ncnn_export, coreml_export"):
        plugins.exporters.get("openvino")


def test_one_that_is_known_to_bring_other_things_is_no_possible_source(file: Path) -> None:
    set_enabled("mine", on=False)
    (file.with_name("unknown.py")).write_text(CODE)
    with pytest.raises(UserError, match="off or failed: unknown\\."):
        load_plugins().samples.get("another")


def test_another_that_brings_it_is_named_before_one_that_is_gone(file: Path) -> None:
    shutil.move(file, file.with_name("other.py"))
    set_enabled("other", on=True)
    assert "thing" in load_plugins().samples
    set_enabled("other", on=False)
    assert "the plugin other, which is disabled" in refused(load_plugins())


def test_the_command_line_says_it(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_enabled("mine", on=False)
    assert main(["demo", "--sample", "thing", "--out", str(tmp_path / "demo")]) == 2
    assert ENABLE in " ".join(capsys.readouterr().err.split())
