"""The commands that look at the application itself."""

from pathlib import Path

import pytest

from desktop_ft.cli import main
from desktop_ft.plugin_manager import PluginState, load_plugins


def test_a_plugin_that_is_enabled_while_plugins_are_off_is_said_to_be(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "data" / "plugins").mkdir(parents=True)
    (home / "data" / "plugins" / "mine.py").write_text("DESKTOP_FT_API = '>=1,<2'\n")
    assert main(["--no-plugins", "plugins", "enable", "mine"]) == 0
    told = capsys.readouterr()
    assert "safe mode" in told.out and "mine is turned on, and that is kept. Plugins are off in this start" in told.err
    assert main(["--no-plugins", "plugins", "enable", "csv_sink"]) == 0
    told = capsys.readouterr()
    assert "loaded" in told.out and "csv_sink is on." in told.err, "it is one of ours"
    assert next(record for record in load_plugins().records if record.name == "mine").state is PluginState.LOADED
