"""The log in the window: what was told anywhere is there, found again, and copied."""

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QPushButton
from pytestqt.qtbot import QtBot

from desktop_ft import app
from desktop_ft.core.errors import UserError
from desktop_ft.gui.faults import Faults
from desktop_ft.gui.log_dialog import LogDialog
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.gui.widgets import Notice
from desktop_ft.plugin_manager import set_enabled
from desktop_ft.runs import logbook
from desktop_ft.runs.logbook import Level


def log(window: MainWindow, qtbot: QtBot) -> LogDialog:
    window.activateWindow()
    QTest.keyClick(window, Qt.Key.Key_J, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    shown = window.findChild(LogDialog)
    assert shown is not None and shown.isVisible()
    qtbot.waitUntil(lambda: not window.session.worker.busy)
    return shown


def rows(shown: LogDialog) -> list[str]:
    proxy = shown.table.proxy
    return [" ".join(str(proxy.index(row, column).data()) for column in (1, 2, 3)) for row in range(proxy.rowCount())]


def test_what_happens_is_in_the_log_while_it_is_open(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    shown = log(window, qtbot)
    window.session.opening.open(photos)
    qtbot.waitUntil(lambda: window.session.state.manifest is not None, timeout=30_000)
    window.session.opening.open(photos / "nowhere")
    qtbot.waitUntil(lambda: any(row.startswith("error Data") for row in rows(shown)), timeout=10_000)
    told = rows(shown)
    assert "note Data Begun: Looking at colours." in told and "note Data Ended: Looking at colours." in told
    assert len([row for row in told if "nowhere" in row and not row.startswith("note")]) == 1  # told by work and by notice
    shown.level.setCurrentIndex(2)
    assert rows(shown) and all(row.startswith("error") for row in rows(shown))
    shown.level.setCurrentIndex(0)
    QTest.keyClicks(shown.search, "looking at colours")
    assert {row.partition(":")[0] for row in rows(shown)} == {"note Data Begun", "note Data Ended"}
    shown.close()


def test_a_row_is_copied_with_its_details(window: MainWindow, qtbot: QtBot) -> None:
    window.notice.fail(UserError("The disk is full.", f"Make room in {Path.home()}/photos."))
    shown = log(window, qtbot)
    QTest.keyClicks(shown.search, "disk is full")
    shown.table.selectRow(0)
    assert "Make room in" in shown.details.toPlainText()
    QTest.mouseClick(shown.copy, Qt.MouseButton.LeftButton)
    said = QApplication.clipboard().text()
    assert "Desktop FT" in said and "The disk is full." in said and "~/photos" in said
    shown.close()


def test_an_error_notice_copies_its_details_and_says_once_what_it_says_twice(window: MainWindow, qtbot: QtBot) -> None:
    notice = window.notice
    notice.say("All is well.", "good")
    assert notice.copy.isHidden()
    for _ in range(3):
        notice.say("First.\nSecond.", "warn")
    notice.say("First.\nSecond.\nThird.", "warn")
    try:
        raise RuntimeError("unforeseen")
    except RuntimeError as error:
        notice.fail(error)
    QTest.mouseClick(notice.copy, Qt.MouseButton.LeftButton)
    said = QApplication.clipboard().text()
    assert "RuntimeError: unforeseen" in said and "Traceback" in said and "Desktop FT" in said
    entries, _ = window.session.log.book.since(0)
    assert [(e.level, e.text) for e in entries[-4:-1]] == [
        (Level.NOTE, "All is well."),
        (Level.WARNING, "First.\nSecond."),
        (Level.WARNING, "Third."),
    ]
    assert "Traceback" in entries[-1].details


def test_notices_say_from_which_page_they_are(window: MainWindow) -> None:
    window.session.state.go("export")
    notice = window.page("export").findChild(Notice)
    assert notice is not None
    notice.say("Refused.", "bad")
    entry = window.session.log.book.since(0)[0][-1]
    assert (entry.origin, entry.level, entry.text) == ("Export", Level.ERROR, "Refused.")


def test_the_log_of_the_last_start_is_there_and_ends_with_the_window(window: MainWindow, qtbot: QtBot) -> None:
    window.notice.say("Told before.", "warn")
    window.close()
    window.notice.say("Told to nobody.", "warn")
    assert [entry.text for entry in logbook.kept(float("inf"))][-1] == "Told before."


def test_every_button_of_the_log_can_be_pressed_from_the_keyboard(window: MainWindow, qtbot: QtBot) -> None:
    shown = log(window, qtbot)
    assert all(button.focusPolicy() & Qt.FocusPolicy.TabFocus for button in shown.findChildren(QPushButton))
    QTest.keyClick(shown, Qt.Key.Key_Escape)
    assert not shown.isVisible()


def test_a_plugin_that_cannot_be_loaded_is_told(faults: Faults, home: Path) -> None:
    folder = home / "data" / "plugins"
    folder.mkdir(parents=True)
    (folder / "broken.py").write_text("raise RuntimeError('on purpose')\n")
    set_enabled("broken", on=True)
    window = app.build_window(faults)
    told = [entry.text for entry in window.session.log.book.since(0)[0] if entry.origin == "Plugins"]
    window.close()
    window.deleteLater()
    assert len(told) == 1 and "broken" in told[0] and "on purpose" in told[0]
