"""Word of a run's end, where the window is not in front."""

from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication, QSystemTrayIcon
from pytestqt.qtbot import QtBot

from desktop_ft.core.events import RunEnded, RunStatus
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.gui.settings import Settings


@pytest.fixture
def alerts(window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The windows that asked for attention; ours is not in front."""
    asked: list[object] = []
    monkeypatch.setattr(QApplication, "alert", lambda widget, *rest: asked.append(widget))
    monkeypatch.setattr(QApplication, "activeWindow", staticmethod(lambda: None))
    monkeypatch.setattr(QSystemTrayIcon, "isSystemTrayAvailable", staticmethod(lambda: False))
    return asked


def end(window: MainWindow, qtbot: QtBot, status: RunStatus, error: str = "") -> None:
    window.session.training.start(Path("a run"), lambda emit, control, progress: RunEnded(status=status, error=error))
    qtbot.waitUntil(lambda: not window.session.training.running)


@pytest.mark.parametrize("status", RunStatus)
def test_what_was_not_ended_by_hand_is_told(window: MainWindow, alerts: list[object], qtbot: QtBot, status: RunStatus) -> None:
    end(window, qtbot, status)
    assert alerts == ([window] if status in (RunStatus.COMPLETED, RunStatus.FAILED) else [])


def test_it_can_be_switched_off_for_good(window: MainWindow, alerts: list[object], qtbot: QtBot) -> None:
    window.refresh()
    assert window.actions_["run.notify"].isChecked()
    window.actions_["run.notify"].trigger()
    end(window, qtbot, RunStatus.COMPLETED)
    assert alerts == []
    window.session.settings.save()
    assert Settings().notify is False


def test_in_front_nothing_is_told(
    window: MainWindow, alerts: list[object], qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QApplication, "activeWindow", staticmethod(lambda: window))  # or any other of ours
    end(window, qtbot, RunStatus.FAILED)
    assert alerts == []


def test_where_there_is_a_tray_it_tells_what_happened(
    window: MainWindow, alerts: list[object], qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, str]] = []
    monkeypatch.setattr(QSystemTrayIcon, "isSystemTrayAvailable", staticmethod(lambda: True))
    monkeypatch.setattr(QSystemTrayIcon, "supportsMessages", staticmethod(lambda: True))
    monkeypatch.setattr(QSystemTrayIcon, "showMessage", lambda tray, title, text, *rest: told.append((title, text)))
    monkeypatch.setattr(QSystemTrayIcon, "show", lambda tray: None)
    end(window, qtbot, RunStatus.FAILED, "Memory ran out.\nTake a smaller batch.")
    assert told == [("Training failed", "a run\nTake a smaller batch.")] and alerts == []
