"""The lesson in the window: steps that run live, results that stay, questions that are explained, taken up where it was left."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton
from pytestqt.qtbot import QtBot

from desktop_ft.core.events import RunEnded, RunStatus
from desktop_ft.core.lesson import Lesson
from desktop_ft.gui.lesson_dialog import LessonDialog
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.gui.settings import Settings
from desktop_ft.gui.state import PAGES
from desktop_ft.jobs import help_texts

_QUICK = {
    "precision": "fp32",
    "device": "cpu",
    "dataset": {"images_per_class": 1},
    "backbone": {"name": "efficientnet_lite0", "image_size": 32},
    "optimisation": {"epochs": 2, "batch_size": 10},
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lesson itself, with runs as short as they can be, all of them of the head alone."""
    whole = help_texts.lesson()
    steps = tuple(
        step.model_copy(update={"settings": {}, "runs": tuple(run.model_copy(update={"settings": {}}) for run in step.runs)})
        for step in whole.step
    )
    short: Lesson = whole.model_copy(update={"settings": _QUICK, "step": steps})
    monkeypatch.setattr(help_texts, "lesson", lambda: short)
    monkeypatch.setattr("desktop_ft.jobs.lesson.lesson", lambda: short)


@pytest.fixture
def dialog(quick: None, window: MainWindow) -> LessonDialog:
    """The lesson, opened from the menu."""
    window.actions_["lesson.start"].trigger()
    found = window.findChild(LessonDialog)
    assert found is not None
    return found


def click(button: QAbstractButton) -> None:
    assert button.isVisible() and button.isEnabled(), button.toolTip()
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def test_an_empty_window_offers_it(window: MainWindow) -> None:
    click(next(b for b in window.page("data").findChildren(QAbstractButton) if b.text() == "Take the lesson"))
    dialog = window.findChild(LessonDialog)
    assert dialog is not None and dialog.isVisible() and dialog.number == 0
    assert dialog.step.title.text() == "What a network has learned"
    assert not dialog.back.isEnabled() and not dialog.step.shown.isVisible()
    dialog.reject()


def test_its_steps_stand_on_pages_and_their_recipes_can_be_read() -> None:
    whole = help_texts.lesson()
    assert len(whole.step) == 5 and len(whole.question) >= 3
    for step in whole.step:
        assert step.page in PAGES
        assert all(text.endswith(".") for text in (step.say, step.look, step.own)), step.title


def test_a_step_runs_live_and_says_what_its_runs_came_to(dialog: LessonDialog, window: MainWindow, qtbot: QtBot) -> None:
    work = window.session.lesson
    dialog.list.setCurrentRow(1)
    click(dialog.step.start)
    assert dialog.step.progress.isVisible() and not dialog.step.start.isVisible()
    qtbot.waitUntil(lambda: any(run.curve for run in work.figures), timeout=60_000)
    qtbot.waitUntil(lambda: not work.running, timeout=60_000)
    runs = work.results[1].runs
    assert [run.title for run in runs] == [run.title for run in work.lesson.step[1].runs]
    assert all(run.accuracy is not None and len(run.curve) == 2 for run in runs)
    assert dialog.step.table.rows.rows == list(runs) and dialog.step.shown.isVisible()
    assert len(dialog.step.plot.getPlotItem().listDataItems()) == 3
    # The runs are the same here, so that nothing tells them apart, and nothing else may be claimed.
    assert dialog.step.said.text().count("not told apart") == 2
    assert dialog.list.item(1).text().endswith("✓") and not dialog.list.item(0).text().endswith("✓")
    assert not dialog.step.start.isVisible() and dialog.step.again.isEnabled()
    dialog.reject()
    window.actions_["lesson.start"].trigger()
    (again,) = (each for each in window.findChildren(LessonDialog) if each.isVisible())
    assert again is not dialog and again.number == 1 and again.step.shown.isVisible()
    again.reject()


def test_closed_it_gives_up_the_step_under_way(dialog: LessonDialog, window: MainWindow, qtbot: QtBot) -> None:
    work = window.session.lesson
    click(dialog.step.start)
    dialog.reject()
    qtbot.waitUntil(lambda: not work.running, timeout=60_000)
    assert not work.results


def test_beside_a_run_no_step_is_started_and_a_run_ends_the_step(dialog: LessonDialog, window: MainWindow, qtbot: QtBot) -> None:
    work, training = window.session.lesson, window.session.training
    click(dialog.step.start)
    heard = []
    training.started.connect(lambda: heard.append(dialog.step.start.isEnabled()))
    with qtbot.waitSignal(training.ended):
        training.start(None, lambda emit, control, progress: RunEnded(status=RunStatus.CANCELLED))  # type: ignore[arg-type] # no folder
    assert heard == [False]
    qtbot.waitUntil(lambda: not work.running, timeout=60_000)
    assert not work.results and dialog.step.start.isEnabled()
    assert "made way" in dialog.step.notice.text
    dialog.list.setCurrentRow(2)
    assert not dialog.step.notice.isVisible(), "that was another step"
    dialog.reject()


def test_it_leads_to_the_page_where_one_does_the_same(dialog: LessonDialog, window: MainWindow) -> None:
    for number, step in enumerate(window.session.lesson.lesson.step):
        dialog.list.setCurrentRow(number)
        click(dialog.step.way)
        assert window.session.state.page == step.page and dialog.isVisible()
    dialog.reject()


def test_each_question_is_answered_by_a_click_and_explained(dialog: LessonDialog, window: MainWindow) -> None:
    questions = window.session.lesson.lesson.question
    while dialog.on.text() == "Next":
        click(dialog.on)
    panel = dialog.questions
    for number, question in enumerate(questions):
        wrong = (question.right + 1) % len(question.answers)
        panel.answers[number][wrong].click()
        assert not panel.told[number].text().endswith(question.why)
        panel.answers[number][question.right].click()
        assert panel.told[number].text() == f"Right. {question.why}"
    assert panel.count.text() == f"0 of {len(questions)} right at the first try."
    click(dialog.on)
    assert Settings().lesson == 0, "finished, it begins anew"


def test_a_damaged_memory_of_it_starts_within_it(window: MainWindow) -> None:
    window.session.settings.lesson = 999
    window.actions_["lesson.start"].trigger()
    dialog = window.findChild(LessonDialog)
    assert dialog is not None and dialog.number == len(window.session.lesson.lesson.step)
    dialog.reject()
