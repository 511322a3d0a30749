"""The page Plugins: a plugin is dropped, turned on, used, turned off and taken away, and the window is never started again."""

import threading
from pathlib import Path

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMessageBox
from pytestqt.qtbot import QtBot

from desktop_ft.core.events import RunEnded, RunStatus
from desktop_ft.core.recipe import Recipe
from desktop_ft.gui.augment_page import AugmentPage
from desktop_ft.gui.layers_page import LayersPage
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.gui.model_page import ModelPage
from desktop_ft.gui.plugins_page import PluginsPage
from desktop_ft.plugin_manager import PluginState, set_enabled
from desktop_ft.plugin_manager.new import new_plugin
from tests.gui.test_window import click, drop, opened

CODE = '''"""Pictures upside down."""
from desktop_ft.api import Augmentation, AugmentationKind, Described, hookimpl

DESKTOP_FT_API = ">=1,<2"
__version__ = "2.1"
__author__ = "Ada"


class Nothing(Described):
    pass


@hookimpl
def register_augmentations(register):
    register(
        Augmentation(
            name="upside_down", title="Upside down", description="Turned by half.", kind=AugmentationKind.PICTURE,
            parameters=Nothing, make=lambda parameters: lambda picture, rng, size: picture.flip(1),
        )
    )
'''


def page(window: MainWindow) -> PluginsPage:
    window.session.state.go("plugins")
    shown = window.page("plugins")
    assert isinstance(shown, PluginsPage)
    return shown


def idle(window: MainWindow) -> bool:
    return not window.session.plugin_work.busy


def take_away(plugins: PluginsPage, answer: str = "Move to trash") -> str:
    """Ask to take away the plugin that is shown, and give `answer`; what was asked."""
    asked = []

    def reply() -> None:
        box = QApplication.activeModalWidget()
        assert isinstance(box, QMessageBox)
        asked.append(box.text())
        click(next(button for button in box.buttons() if button.text().replace("&", "") == answer))

    QTimer.singleShot(0, reply)
    click(plugins.remove)
    return asked[0]


def offered(window: MainWindow) -> list[str]:
    augment = window.page("augment")
    assert isinstance(augment, AugmentPage)
    window.session.state.go("augment")
    return [augment.add.itemData(row) for row in range(augment.add.count())]


def test_a_plugin_comes_is_used_and_goes(window: MainWindow, qtbot: QtBot, tmp_path: Path, home: Path) -> None:
    plugins = page(window)
    qtbot.waitUntil(lambda: idle(window))
    assert "upside_down" not in offered(window)
    file = tmp_path / "mine.py"
    file.write_text(CODE)
    page(window)
    qtbot.waitUntil(lambda: idle(window))
    drop(window, file)
    qtbot.waitUntil(lambda: idle(window))
    assert "is off" in plugins.notice.text and plugins.name.text() == "mine"
    assert "Nothing of it has been run" in plugins.state.text()
    assert plugins.facts.text() == "Version 2.1 · by Ada · plugin folder" and plugins.about.text() == "Pictures upside down."
    assert plugins.trust.isVisible() and plugins.turn.text() == "Turn on" and not plugins.trace.isVisible()

    plugins.turn.setFocus()
    click(plugins.turn)
    assert plugins.progress.isVisible() and not plugins.turn.isEnabled()
    qtbot.waitUntil(lambda: idle(window), timeout=60_000)
    assert plugins.state.text() == "It is on." and plugins.brings.text() == "Augmentations: upside_down"
    assert plugins.turn.hasFocus(), "who uses the keyboard goes on from there"
    assert "upside_down" in offered(window), "without a new start"
    augment = window.page("augment")
    assert isinstance(augment, AugmentPage)
    augment.add.setCurrentIndex(augment.add.findData("upside_down"))
    augment.add.activated.emit(augment.add.currentIndex())
    assert augment.list.item(0).text() == "Upside down" and augment.form_title.text() == "Upside down"

    page(window)
    qtbot.waitUntil(lambda: idle(window))
    click(plugins.turn)
    qtbot.waitUntil(lambda: idle(window))
    assert plugins.turn.text() == "Turn on" and "upside_down" not in offered(window)
    assert plugins.state.text() == "It is off. What it brought is taken away."
    (home / "data" / "plugins" / "mine.py").write_text(f"{CODE}\n# other than what was run\n")
    assert augment.list.item(0).text() == "upside_down (not on offer here)"

    page(window)
    qtbot.waitUntil(lambda: idle(window))
    assert "Nothing of it has been run" in plugins.state.text()
    assert "plugin mine " in take_away(plugins, "Keep")
    assert idle(window) and (home / "data" / "plugins" / "mine.py").exists()
    take_away(plugins)
    qtbot.waitUntil(lambda: idle(window))
    assert not (home / "data" / "plugins" / "mine.py").exists()
    assert all(record.name != "mine" for record in window.session.plugins.records)


def test_a_damaged_list_is_told_until_one_is_turned_on(window: MainWindow, qtbot: QtBot, home: Path) -> None:
    (folder := home / "data" / "plugins").mkdir(parents=True)
    (folder / "mine.py").write_text(CODE)
    (home / "data" / "plugins.json").write_text("{")
    plugins = page(window)
    qtbot.waitUntil(lambda: idle(window) and plugins.table.current() is not None)
    assert "plugins.json is damaged. Enable your plugins again" in plugins.troubles.text
    assert window.rail.item(8).data(Qt.ItemDataRole.UserRole) == "1 needs attention"
    plugins.table.select(lambda each: each.name == "mine")
    assert plugins.troubles.text, "whichever is looked at"
    click(plugins.turn)
    qtbot.waitUntil(lambda: idle(window), timeout=60_000)
    assert plugins.state.text() == "It is on." and not plugins.troubles.text


def test_whatever_is_not_well_can_be_copied_for_its_author(window: MainWindow, qtbot: QtBot, home: Path) -> None:
    (folder := home / "data" / "plugins").mkdir(parents=True)
    unwell = {
        "changed": (CODE, "its files are not those that you enabled"),
        "late": (CODE.replace(">=1,<2", ">=2"), "it is written for plugin API >=2, and this is"),
        "lacks": (f"{CODE}DESKTOP_FT_NEEDS = {{'not_there': 'one'}}\n", "not_there is not installed"),
        "no-name": (CODE, "cannot be a plugin's name"),
    }
    for name, (code, _) in unwell.items():
        (folder / f"{name}.py").write_text(code)
    for name in ("changed", "late", "lacks"):
        set_enabled(name, on=True)
    (folder / "changed.py").write_text(CODE.replace("2.1", "2.2"))
    (folder / "well.py").write_text(CODE)
    plugins = page(window)
    qtbot.waitUntil(lambda: idle(window) and plugins.table.current() is not None)
    for name, (_, why) in unwell.items():
        plugins.table.select(lambda each, name=name: each.name == name)
        assert plugins.copy.isVisible() and not plugins.trace.isVisible()
        click(plugins.copy)
        told = QGuiApplication.clipboard().text()
        version = "2.2" if name == "changed" else "2.1"
        assert f"{name}: {plugins.table.current().state}" in told and why in told and f"Version {version} · by Ada" in told
    plugins.table.select(lambda each: each.name == "well")
    assert plugins.name.text() == "well" and not plugins.copy.isVisible()


def test_one_that_fails_says_where_and_is_copied(window: MainWindow, qtbot: QtBot, home: Path) -> None:
    folder = home / "data" / "plugins"
    folder.mkdir(parents=True)
    (folder / "wrong.py").write_text("DESKTOP_FT_API = '>=1,<2'\n1 / 0\n")
    plugins = page(window)
    qtbot.waitUntil(lambda: idle(window) and plugins.table.current() is not None)
    plugins.table.select(lambda each: each.name == "wrong")
    assert plugins.name.text() == "wrong" and plugins.table.rows.rows[0].name == "wrong", "own ones come first"
    click(plugins.turn)
    qtbot.waitUntil(lambda: idle(window), timeout=60_000)
    assert "could not be loaded: ZeroDivisionError" in plugins.notice.text
    assert "1 / 0" in plugins.trace.toPlainText() and plugins.trace.isVisible()
    assert window.rail.item(8).data(Qt.ItemDataRole.UserRole) == "1 needs attention"
    click(plugins.copy)
    assert "ZeroDivisionError" in QGuiApplication.clipboard().text()
    assert plugins.turn.text() == "Try again" and plugins.off.isVisible() and plugins.remove.isVisible()
    plugins.table.select(lambda each: each.name == "csv_sink")
    assert not plugins.notice.text and not plugins.off.isVisible(), "what was said of another is gone"
    plugins.table.select(lambda each: each.name == "wrong")
    click(plugins.off)
    qtbot.waitUntil(lambda: idle(window))
    assert plugins.table.current().state is PluginState.DISABLED and not plugins.trace.isVisible()
    (folder / "wrong.py").write_text(CODE)
    window.session.plugin_work.turn("wrong", on=True)
    qtbot.waitUntil(lambda: idle(window), timeout=60_000)
    assert plugins.table.current().state is PluginState.LOADED and not plugins.off.isVisible()


def test_one_that_is_there_already_is_shown_with_what_to_press(
    window: MainWindow, qtbot: QtBot, tmp_path: Path, home: Path
) -> None:
    folder = home / "data" / "plugins"
    folder.mkdir(parents=True)
    (folder / "mine.py").write_text(CODE)
    plugins = shown(window, qtbot)
    plugins.table.select(lambda each: each.name == "csv_sink")
    (tmp_path / "mine.py").write_text(CODE)
    drop(window, tmp_path / "mine.py")
    qtbot.waitUntil(lambda: idle(window))
    assert plugins.name.text() == "mine" and plugins.remove.isVisible()
    assert "already. Move that one to the trash first" in plugins.notice.text and "desktop-ft" not in plugins.notice.text


def test_what_is_misnamed_can_only_be_taken_away(window: MainWindow, qtbot: QtBot, home: Path) -> None:
    folder = home / "data" / "plugins"
    folder.mkdir(parents=True)
    (folder / "mine.py").write_text(CODE)
    (folder / "__init__.py").write_text(CODE)
    plugins = shown(window, qtbot)
    plugins.table.select(lambda each: each.name == "__init__")
    assert "part of a plugin" in plugins.state.text() and not plugins.turn.isVisible()
    assert "__init__" in take_away(plugins)
    qtbot.waitUntil(lambda: idle(window))
    assert [path.name for path in folder.iterdir()] == ["mine.py"]


def test_one_that_does_not_fit_is_not_offered_to_be_turned_on(
    window: MainWindow, qtbot: QtBot, tmp_path: Path, home: Path
) -> None:
    plugins = shown(window, qtbot)
    plugins.add_file.setFocus()
    (tmp_path / "mine.py").write_text(CODE.replace(">=1,<2", ">=7,<8"))
    drop(window, tmp_path / "mine.py")
    qtbot.waitUntil(lambda: idle(window))
    assert plugins.table.hasFocus(), "who uses the keyboard goes on from the new row"
    assert plugins.name.text() == "mine" and plugins.notice.property("level") == "warn"
    assert "does not fit this version" in plugins.notice.text and "does not fit this version" in plugins.state.text()
    assert not plugins.turn.isVisible() and not plugins.off.isVisible()
    assert plugins.remove.isVisible() and plugins.remove.property("role") == "primary"
    plugins.table.select(lambda each: each.name == "csv_sink")
    assert plugins.turn.isVisible() and plugins.remove.property("role") is None


def test_what_a_plugin_needs_is_told_before_it_is_turned_on(window: MainWindow, qtbot: QtBot, home: Path) -> None:
    folder = home / "data" / "plugins"
    folder.mkdir(parents=True)
    (folder / "mine.py").write_text(CODE + "DESKTOP_FT_NEEDS = {'not_there': 'one[more]'}\n")
    plugins = shown(window, qtbot)
    plugins.table.select(lambda each: each.name == "mine")
    assert "pip install 'one[more]'" in plugins.state.text() and plugins.turn.text() == "Turn on"


def test_one_whose_source_is_too_large_to_be_looked_into_is_told_so(window: MainWindow, qtbot: QtBot, home: Path) -> None:
    folder = home / "data" / "plugins"
    folder.mkdir(parents=True)
    (folder / "mine.py").write_text(CODE + "x = 1\n" * 30_000)
    plugins = shown(window, qtbot)
    plugins.table.select(lambda each: each.name == "mine")
    assert "Note: mine.py is larger than 128 kB, and is not looked into." in plugins.state.text()


def test_what_is_no_plugin_is_refused_in_place(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    plugins = page(window)
    qtbot.waitUntil(lambda: idle(window))
    drop(window, tmp_path)
    qtbot.waitUntil(lambda: idle(window))
    assert "There is no plugin in" in plugins.notice.text and window.session.state.page == "plugins"
    plugins.table.select(lambda each: each.name == "csv_sink")
    assert plugins.turn.isVisible() and not plugins.trust.isVisible() and not plugins.remove.isVisible()
    plugins.table.select(lambda each: each.name == "augmentations")
    assert not plugins.turn.isVisible() and not plugins.remove.isVisible() and plugins.brings.text()


def shown(window: MainWindow, qtbot: QtBot) -> PluginsPage:
    plugins = page(window)
    qtbot.waitUntil(lambda: idle(window))
    return plugins


def choose_network(window: MainWindow, name: str) -> None:
    window.session.state.go("model")
    model = window.page("model")
    assert isinstance(model, ModelPage)
    QTest.keyClicks(model.search, name)
    model.table.selectRow(0)
    click(model.use_it)
    assert window.session.state.recipe.backbone.name == name


def learn_from_scratch(window: MainWindow) -> None:
    window.session.state.go("layers")
    layers = window.page("layers")
    assert isinstance(layers, LayersPage)
    layers.preset.setCurrentIndex(layers.preset.findData("scratch"))
    assert window.session.state.recipe.freeze.preset == "scratch"


@pytest.mark.slow
def test_a_plugin_written_from_the_template_trains_a_run(
    window: MainWindow, photos: Path, qtbot: QtBot, tmp_path: Path, home: Path
) -> None:
    """Dropped as its author keeps it, turned on, its network and its augmentation used in a run, turned off, taken away."""
    project = new_plugin("hedgehog", tmp_path)
    opened(window, photos, qtbot)
    plugins = shown(window, qtbot)
    drop(window, project)
    qtbot.waitUntil(lambda: idle(window))
    click(plugins.turn)
    qtbot.waitUntil(lambda: idle(window), timeout=60_000)
    assert "Networks: hedgehog_net" in plugins.brings.text(), plugins.notice.text

    choose_network(window, "hedgehog_net")
    learn_from_scratch(window)
    assert "hedgehog_shadow" in offered(window)
    augment = window.page("augment")
    assert isinstance(augment, AugmentPage)
    augment.add.setCurrentIndex(augment.add.findData("hedgehog_shadow"))
    augment.add.activated.emit(augment.add.currentIndex())
    window.session.state.edit("epochs", window.session.state.recipe.with_optimisation(epochs=2, batch_size=8))
    qtbot.waitUntil(window.actions_["run.start"].isEnabled, timeout=30_000)
    window.actions_["run.start"].trigger()
    training = window.session.training
    qtbot.waitUntil(lambda: not training.running and training.end is not None, timeout=120_000)
    assert training.end is not None and training.end.status == "completed", training.end
    kept = Recipe.from_toml((Path(str(training.run)) / "recipe.toml").read_text(), "the run")
    assert kept.backbone.name == "hedgehog_net" and [spec.transform for spec in kept.augmentation] == ["hedgehog_shadow"]

    plugins = shown(window, qtbot)
    plugins.table.select(lambda each: each.name == "hedgehog")
    click(plugins.turn)
    qtbot.waitUntil(lambda: idle(window))
    blocker = window.session.blocker()
    assert blocker is not None and "hedgehog_net" in blocker.reason and "plugins enable hedgehog" in blocker.reason
    take_away(plugins)
    qtbot.waitUntil(lambda: idle(window))
    assert not (home / "data" / "plugins" / "hedgehog").exists() and project.exists()


def test_changed_files_that_are_enabled_elsewhere_are_loaded_anew(window: MainWindow, qtbot: QtBot, home: Path) -> None:
    folder = home / "data" / "plugins"
    folder.mkdir(parents=True)
    (folder / "mine.py").write_text(CODE)
    window.session.plugin_work.turn("mine", on=True)
    qtbot.waitUntil(lambda: idle(window), timeout=60_000)
    before = window.session.plugins.augmentations.get("upside_down")
    (folder / "mine.py").write_text(CODE.replace("picture.flip(1)", "picture"))
    set_enabled("mine", on=True)  # as another process does
    with qtbot.waitSignal(window.session.plugin_work.changed):
        page(window)
    assert window.session.plugins.augmentations.get("upside_down") is not before


def test_while_a_run_is_under_way_plugins_neither_come_nor_go(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    plugins = shown(window, qtbot)
    ends = threading.Event()

    def fit(emit: object, control: object, progress: object) -> RunEnded:
        assert ends.wait(60)
        return RunEnded(status=RunStatus.COMPLETED)

    window.session.training.start(tmp_path / "run", fit)
    try:
        assert not plugins.add_file.isEnabled() and plugins.waits.isVisible()
        drop(window, tmp_path)
        assert plugins.notice.text.startswith("A run is under way") and "wait for it, or stop it" in plugins.notice.text
        assert plugins.waits.text() == plugins.notice.text
    finally:
        ends.set()
        qtbot.waitUntil(lambda: not window.session.training.running)
    assert plugins.add_file.isEnabled() and not plugins.waits.isVisible()
