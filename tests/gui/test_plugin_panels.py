"""Panels that plugins bring: chosen, told of the run, and closed with their plugin; one that is wrong is told."""

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from desktop_ft.core.events import RunStarted, StepDone
from desktop_ft.core.metrics import MetricHistory
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.gui.palette import Palette
from desktop_ft.gui.plugin_panels import PanelDialog

CODE = """
from desktop_ft.api import WindowPanel, hookimpl

DESKTOP_FT_API = ">=1,<2"


def counts(host):
    from PySide6.QtWidgets import QLabel

    label = QLabel()
    label.setObjectName("counts")

    def show():
        label.setText(f"{host.run and host.run.name}: {len(host.steps)} of {len(host.epochs)}" if len(host.steps) < 9 else 1 / 0)

    host.follow(show)
    show()
    return label


@hookimpl
def register_window_panels(register):
    register(WindowPanel(name="counts", title="Counts", description="How many.", make=counts))
    register(WindowPanel(name="raises", title="Raises", description="Wrong.", make=lambda host: 1 / 0))
    register(WindowPanel(name="gives_none", title="Gives nothing", description="Wrong.", make=lambda host: None))
    register(WindowPanel(name="leaves", title="Leaves", description="Wrong.", make=lambda host: exit(3)))
"""


@pytest.fixture
def on(window: MainWindow, qtbot: QtBot, home: Path) -> MainWindow:
    folder = home / "data" / "plugins"
    folder.mkdir(parents=True)
    (folder / "mine.py").write_text(CODE)
    assert not window.actions_["panel.plugin"].isEnabled()
    window.session.plugin_work.turn("mine", on=True)
    qtbot.waitUntil(lambda: window.session.plugin_work.busy == "", timeout=60_000)
    return window


def choose(window: MainWindow, typed: str) -> None:
    window.actions_["panel.plugin"].trigger()
    palette = window.findChild(Palette)
    assert palette is not None
    QTest.keyClicks(palette.line, typed)
    QTest.keyClick(palette.line, Qt.Key.Key_Return)


def history(steps: int) -> MetricHistory:
    begun = RunStarted(
        epochs=9, steps_per_epoch=5, first_epoch=0, first_step=0, device="", precision="", learning_share=1.0, time=0.0
    )
    told = [StepDone(epoch=0, step=step, loss=1.0, lr=0.1, seconds=1.0) for step in range(steps)]
    return MetricHistory.of([begun, *told])


def test_a_panel_is_told_of_the_run_and_closed_with_its_plugin(on: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    choose(on, "counts")
    dialog = on.findChild(PanelDialog)
    assert dialog is not None and dialog.isVisible() and dialog.windowTitle() == "Counts"
    label = dialog.findChild(QLabel, "counts")
    assert label is not None and label.text() == "None: 0 of 0"
    on.session.training.show(tmp_path / "one", history(3))
    assert label.text() == "one: 3 of 0"
    choose(on, "counts")
    assert len(on.findChildren(PanelDialog)) == 1, "it is shown, not made again"
    on.session.training.show(tmp_path / "one", history(9))
    assert "The panel of the plugin mine failed: ZeroDivisionError" in dialog.notice.text
    on.session.training.show(tmp_path / "one", history(3))
    assert label.text() == "one: 3 of 0"
    on.session.plugin_work.turn("mine", on=False)
    qtbot.waitUntil(lambda: not on.findChildren(PanelDialog))
    assert not on.actions_["panel.plugin"].isEnabled()


@pytest.mark.parametrize(
    ("typed", "why"), [("raises", "ZeroDivisionError"), ("gives", "NoneType instead of a widget"), ("leaves", "SystemExit: 3")]
)
def test_a_panel_that_is_wrong_is_told(on: MainWindow, typed: str, why: str) -> None:
    choose(on, typed)
    assert why in on.notice.text and "plugin mine failed" in on.notice.text
    assert on.findChild(PanelDialog) is None
