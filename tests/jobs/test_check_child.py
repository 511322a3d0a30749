"""A format that opens its files itself is checked in a process that has its own plugin, and no other."""

import json
import threading
from pathlib import Path

import pytest

from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.export.checking import Child, answers_of_file
from desktop_ft.plugin_manager import PluginState, load_plugins, plugin_folder, set_enabled
from tests.export.conftest import METADATA, photos  # noqa: F401 (a fixture)

FORMAT = """
import json
{head}
import numpy as np
from desktop_ft.api import Exporter, hookimpl

DESKTOP_FT_API = ">=1,<2"


class Opened:
    def __init__(self, path):
        self.metadata = json.loads(path.read_text())

    def run(self, pictures):
        return np.full((len(pictures), 3), 1 / 3), np.zeros((len(pictures), 3), dtype=np.float32)


@hookimpl
def register_exporters(register):
    register(Exporter(name="even", title="Even", suffix=".even", write=print, open=Opened))
"""
WITH_TORCH = "import sys; sys.modules['torch'] = sys"  # as importing it would, at less cost
BYSTANDER = f'{WITH_TORCH}\nDESKTOP_FT_API = ">=1,<2"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.even"
    path.write_text(json.dumps(dict(METADATA)))
    return path


def turn_on(**plugins: str) -> None:
    plugin_folder().mkdir(parents=True)
    for name, source in plugins.items():
        (plugin_folder() / f"{name}.py").write_text(source)
        set_enabled(name, on=True)


CHILD = Child(module="desktop_ft.jobs.check_child", told={"exporter": "even", "plugin": "even_format"})


def test_another_plugin_that_brings_torch_is_no_matter_of_this_file(file: Path, photos: list[Path]) -> None:  # noqa: F811
    turn_on(even_format=FORMAT.format(head=""), bystander=BYSTANDER)
    assert len(answers_of_file(file, photos[:2], METADATA, child=CHILD).logits) == 2


HANGS = """
import sys, threading
from pathlib import Path
if sys.argv[0].endswith("check_child.py"):
    Path({there!r}).touch()
    threading.Event().wait()
"""


def test_one_that_was_being_imported_when_its_export_was_cancelled_is_blamed_for_nothing(
    file: Path,
    photos: list[Path],  # noqa: F811
    tmp_path: Path,
) -> None:
    class Wish(threading.Event):
        def is_set(self) -> bool:
            return (tmp_path / "there").exists()

    turn_on(even_format=FORMAT.format(head=HANGS.format(there=str(tmp_path / "there"))))
    with pytest.raises(Cancelled):
        answers_of_file(file, photos[:2], METADATA, child=CHILD, cancel=Wish())
    (found,) = (record for record in load_plugins().records if record.name == "even_format")
    assert (found.state, found.reason) == (PluginState.LOADED, "")


def test_a_format_that_brings_torch_itself_is_told_so(file: Path, photos: list[Path]) -> None:  # noqa: F811
    turn_on(even_format=FORMAT.format(head=WITH_TORCH))
    with pytest.raises(UserError, match="torch was imported where it was opened") as refused:
        answers_of_file(file, photos[:2], METADATA, child=CHILD)
    assert "Tell the makers" in refused.value.cure


@pytest.mark.parametrize("part", ["def __init__(self, path):", "def run(self, pictures):"])
def test_a_format_that_fails_as_its_file_is_opened_or_asked_is_named(file: Path, photos: list[Path], part: str) -> None:  # noqa: F811
    failing = FORMAT.format(head="").replace(part, f"{part}\n        raise ZeroDivisionError('of its own')")
    turn_on(even_format=failing)
    with pytest.raises(UserError, match=r"format even of the plugin even_format failed: ZeroDivisionError: of its own\.") as told:
        answers_of_file(file, photos[:2], METADATA, child=CHILD)
    assert "tell the exporter's makers" in told.value.cure
