"""One question for all that computes: what measures is not begun beside other work, nor other work beside it."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QObject, Signal
from pytestqt.qtbot import QtBot

from desktop_ft.core.errors import Cancelled
from desktop_ft.core.lesson import LessonResult
from desktop_ft.gui import lesson_work
from desktop_ft.gui.computing import Computing
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.gui.model_page import ModelPage
from desktop_ft.gui.session import Session
from desktop_ft.gui.worker import Worker
from tests.gui.test_window import opened, page


class Source(QObject):
    """Work that a test turns on and off."""

    changed = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.busy = False

    def turn(self, *, on: bool) -> None:
        self.busy = on
        self.changed.emit()


@pytest.fixture
def worker(qtbot: QtBot) -> Iterator[Worker]:
    made = Worker()
    yield made
    made.shut_down()
    made.deleteLater()


def test_a_change_of_the_answer_alone_is_told(worker: Worker, qtbot: QtBot) -> None:
    computing, one, other = Computing(worker), Source(worker), Source(worker)
    told = list[bool]()
    computing.changed.connect(lambda: told.append(computing.now))
    for source in (one, other):
        computing.watch(lambda source=source: source.busy, source.changed)
        computing.changed.connect(source.changed)  # whoever is told may tell in turn
    one.turn(on=True)
    other.turn(on=True)
    one.turn(on=False)
    assert told == [True]
    other.turn(on=False)
    assert told == [True, False]
    task = worker.run(lambda report, cancel: cancel.wait(), finished=lambda _: None, failed=lambda _: None)
    computing.follow(task)
    assert told == [True, False, True]
    task.cancel.set()
    qtbot.waitUntil(lambda: not computing.now)
    assert told == [True, False, True, False]


@pytest.fixture
def session(window: MainWindow, photos: Path, qtbot: QtBot) -> Session:
    """Of a window whose pictures are open."""
    opened(window, photos, qtbot)
    return window.session


def test_beside_the_lesson_nothing_is_measured(
    session: Session, window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = page(window, "model")
    assert isinstance(model, ModelPage)

    def taken(step: object, plugins: object, tell: object, cancel: threading.Event) -> LessonResult:
        cancel.wait()
        raise Cancelled

    monkeypatch.setattr(lesson_work.jobs.lesson, "take_step", taken)
    asked = (session.forecast, session.advice, session.ranking)
    assert all(inquiry.can_ask for inquiry in asked) and model.measure.isEnabled() and model.ranking.ask.isEnabled()
    session.lesson.start(0)
    assert session.lesson.running
    assert not any(inquiry.can_ask for inquiry in asked)
    assert not (model.measure.isEnabled() or model.measure_all.isEnabled() or model.ranking.ask.isEnabled())
    window.session.state.go("layers")
    layers = page(window, "layers")
    assert not layers.advice.ask.isEnabled() and "Other work is under way" in layers.advice.words.text()
    assert "when nothing else is under way" in layers.measured.text.text()
    window.session.state.go("model")
    session.lesson.cancel()
    qtbot.waitUntil(lambda: not session.lesson.running)
    assert all(inquiry.can_ask for inquiry in asked) and model.measure.isEnabled() and model.ranking.ask.isEnabled()
    assert layers.advice.ask.isEnabled()


@pytest.mark.parametrize("name", ["forecast", "advice", "ranking"])
def test_the_lesson_waits_for_what_is_being_found_out(session: Session, qtbot: QtBot, name: str) -> None:
    inquiry, told = getattr(session, name), list[bool]()
    assert session.lesson.can_start
    session.lesson.changed.connect(lambda: told.append(session.lesson.can_start))
    inquiry.ask()
    assert told[-1] is False
    assert not any(other.can_ask for other in (session.forecast, session.advice, session.ranking))
    inquiry.cancel()
    qtbot.waitUntil(lambda: told[-1] is True, timeout=60_000)


def test_what_is_measured_by_itself_gives_way_to_what_a_person_asks_for(session: Session, qtbot: QtBot) -> None:
    session.forecast.ask(by_itself=True)
    assert session.forecast.running and session.advice.can_ask
    session.advice.ask()
    assert session.advice.running and not session.advice.can_ask and not session.forecast.running
    assert not session.ranking.can_ask, "one waits at a time"
    qtbot.waitUntil(lambda: session.advice.computing, timeout=60_000)
    assert not session.forecast.computing
    session.advice.cancel()
    qtbot.waitUntil(lambda: not session.computing.now, timeout=60_000)
    session.forecast.ask(by_itself=True)
    session.advice.ask()
    session.advice.cancel()  # before its turn has come
    qtbot.waitUntil(lambda: not session.computing.now, timeout=60_000)
    assert not session.advice.running and session.advice.told is None


def test_what_waits_does_not_begin_once_the_window_is_closed(session: Session, window: MainWindow, qtbot: QtBot) -> None:
    session.forecast.ask(by_itself=True)
    session.advice.ask()
    assert session.advice.running and not session.advice.computing
    window.close()
    qtbot.waitUntil(lambda: not session.worker.busy, timeout=60_000)
    assert not session.advice.computing and session.advice.told is None
