"""The lesson: it leads through the real pages, sees what was done, and is taken up where it was left."""

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QComboBox
from pytestqt.qtbot import QtBot

from desktop_ft.core.events import RunEnded, RunStatus
from desktop_ft.gui.augment_page import AugmentPage
from desktop_ft.gui.form import RateSpinBox
from desktop_ft.gui.lesson import CONDITIONS, Lesson
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.gui.settings import Settings
from desktop_ft.gui.state import PAGES
from desktop_ft.jobs import help_texts


def click(button: QAbstractButton) -> None:
    assert button.isVisible() and button.isEnabled()
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def go_to(window: MainWindow, done: str) -> Lesson:
    lesson = window.session.lesson
    lesson.start()
    while lesson.step.done != done:
        click(window.lesson.on)
    return lesson


def run(window: MainWindow, status: RunStatus, qtbot: QtBot, tmp_path: Path) -> None:
    training = window.session.training
    with qtbot.waitSignal(training.ended):
        training.start(tmp_path / "no run", lambda emit, control, progress: RunEnded(status=status))


def test_every_step_stands_on_a_page_and_has_a_condition() -> None:
    steps = help_texts.lesson()
    assert {step.page for step in steps} <= set(PAGES)
    assert [step.done for step in steps] == list(CONDITIONS)
    for step in steps:
        assert all(text.endswith((".", "?")) for text in (step.say, step.do, step.look)), step.title


def test_an_empty_window_offers_it_and_it_sees_that_pictures_came(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    assert not window.lesson.isVisible()
    offer = next(b for b in window.page("data").findChildren(QAbstractButton) if b.text() == "Take the lesson")
    click(offer)
    assert window.lesson.title.text() == f"Step 1 of {len(help_texts.lesson())}: Pictures to learn from"
    assert (window.lesson.mark.text(), window.lesson.on.text()) == ("To do", "Skip")
    window.session.opening.open(photos)
    qtbot.waitUntil(lambda: window.lesson.on.text() == "Next", timeout=30_000)
    assert window.lesson.mark.text() == "Done ✓"


def test_a_run_counts_when_it_kept_a_model_and_came_after_the_step_began(
    window: MainWindow, tmp_path: Path, qtbot: QtBot
) -> None:
    run(window, RunStatus.COMPLETED, qtbot, tmp_path)
    lesson = go_to(window, "run")
    assert window.session.state.page == "train" and not lesson.done
    run(window, RunStatus.CANCELLED, qtbot, tmp_path)
    assert not lesson.done
    run(window, RunStatus.STOPPED, qtbot, tmp_path)
    assert lesson.done


def test_another_rate_and_an_augmented_run_are_seen(window: MainWindow, tmp_path: Path, qtbot: QtBot) -> None:
    lesson = go_to(window, "rate")
    rate = window.page("train").findChild(RateSpinBox, "lr")
    assert rate is not None and not lesson.done
    rate.selectAll()
    QTest.keyClicks(rate, "0.001\r")
    assert lesson.done
    click(window.lesson.on)
    page = window.page("augment")
    assert isinstance(page, AugmentPage) and isinstance(page.preset, QComboBox)
    run(window, RunStatus.COMPLETED, qtbot, tmp_path)
    assert not lesson.done, "that run was not augmented"
    page.preset.setCurrentIndex(page.preset.findData("light"))
    page.preset.activated.emit(page.preset.currentIndex())
    assert not lesson.done
    run(window, RunStatus.COMPLETED, qtbot, tmp_path)
    assert lesson.done
    assert window.lesson.on.text() == "Finish"
    click(window.lesson.on)
    assert not window.lesson.isVisible() and Settings().lesson == (False, 0)


def test_it_leads_back_to_its_page_and_is_taken_up_where_it_was_left(window: MainWindow) -> None:
    go_to(window, "mistakes")
    window.session.state.go("runs")
    click(window.lesson.way)
    assert window.session.state.page == "results" and not window.lesson.way.isVisible()
    click(window.lesson.back)
    click(window.lesson.leave)
    assert not window.lesson.isVisible()
    window.actions_["lesson.start"].trigger()
    assert window.lesson.isVisible() and window.session.lesson.step.done == "run"
    window.close()
    again = Settings()
    assert again.lesson == (True, 2)


def test_a_damaged_memory_of_it_starts_anew(window: MainWindow) -> None:
    settings = Settings()
    settings.lesson = (False, 999)
    lesson = Lesson(window.session.state, window.session.training, settings)
    assert lesson.number == 0 and not lesson.open
