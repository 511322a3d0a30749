"""Background work: every ending is told once, in the window's thread, and nothing vanishes."""

import threading
from typing import Any

import pytest
from PySide6.QtCore import QObject, QThread
from pytestqt.qtbot import QtBot

from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.gui.worker import Newest, Report, Worker


class Ear(QObject):
    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[str, Any]] = []
        self.threads: set[QThread] = set()

    def finished(self, value: object) -> None:
        self._hear("finished", value)

    def failed(self, error: BaseException) -> None:
        self._hear("failed", error)

    def progressed(self, done: int, total: int | None) -> None:
        self._hear("progressed", (done, total))

    def cancelled(self) -> None:
        self._hear("cancelled", None)

    def _hear(self, kind: str, value: object) -> None:
        self.heard.append((kind, value))
        self.threads.add(QThread.currentThread())


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
def worker(qtbot: QtBot) -> Any:
    made = Worker()
    yield made
    made.shut_down()
    made.deleteLater()


def run(worker: Worker, ear: Ear, work: Any) -> Any:
    return worker.run(work, finished=ear.finished, failed=ear.failed, progressed=ear.progressed, cancelled=ear.cancelled)


def test_what_work_returns_arrives_in_the_window_s_thread(worker: Worker, ear: Ear, qtbot: QtBot) -> None:
    run(worker, ear, lambda report, cancel: threading.get_ident())
    qtbot.waitUntil(lambda: not worker.busy)
    assert [kind for kind, _ in ear.heard] == ["finished"]
    assert ear.heard[0][1] != threading.get_ident()
    assert ear.threads == {QThread.currentThread()}


@pytest.mark.parametrize("error", [RuntimeError("CUDA out of memory"), UserError("a", "b"), SystemExit(3), KeyboardInterrupt()])
def test_no_exception_vanishes(worker: Worker, ear: Ear, qtbot: QtBot, error: BaseException) -> None:
    def work(report: Report, cancel: threading.Event) -> None:
        raise error

    run(worker, ear, work)
    qtbot.waitUntil(lambda: not worker.busy)
    assert ear.heard == [("failed", error)]


def test_cancelling_is_asking(worker: Worker, ear: Ear, qtbot: QtBot) -> None:
    def work(report: Report, cancel: threading.Event) -> None:
        assert cancel.wait(10)
        raise Cancelled

    task = run(worker, ear, work)
    assert worker.busy
    task.cancel.set()
    qtbot.waitUntil(lambda: not worker.busy)
    assert ear.heard == [("cancelled", None)]


def test_progress_does_not_flood_and_its_end_is_not_lost(worker: Worker, ear: Ear, qtbot: QtBot) -> None:
    def work(report: Report, cancel: threading.Event) -> str:
        for done in range(50_000):
            report(done, 50_000)
        return "done"

    run(worker, ear, work)
    qtbot.waitUntil(lambda: not worker.busy)
    assert ear.heard[-1] == ("finished", "done")
    assert ear.heard[-2] == ("progressed", (49_999, 50_000))
    assert len(ear.heard) < 200


def test_only_the_newest_request_is_shown(worker: Worker, ear: Ear, qtbot: QtBot) -> None:
    newest = Newest(worker, ear.finished, ear.failed, worker)
    gate = threading.Event()
    newest.ask(lambda report, cancel: gate.wait(10) and "stale")
    newest.ask(lambda report, cancel: "dropped")
    newest.ask(lambda report, cancel: "shown")
    gate.set()
    qtbot.waitUntil(lambda: not worker.busy and bool(ear.heard))
    assert ear.heard == [("finished", "shown")]


def test_many_short_tasks_end_without_touching_what_is_gone(worker: Worker, ear: Ear, qtbot: QtBot) -> None:
    """A task's Qt object once went while its thread was still sending the news: a crash, now and then."""

    def work(report: Report, cancel: threading.Event) -> int:
        report(1, 1)
        return 1

    for _ in range(20):
        for _ in range(20):
            run(worker, ear, work)
        qtbot.waitUntil(lambda: not worker.busy)
    assert [kind for kind, _ in ear.heard].count("finished") == 400


def test_what_nobody_foresaw_is_reported_besides(worker: Worker, ear: Ear, qtbot: QtBot) -> None:
    reported: list[BaseException] = []
    worker.unforeseen.connect(reported.append)
    error = RuntimeError("boom")

    def unforeseen(report: Report, cancel: threading.Event) -> None:
        raise error

    def foreseen(report: Report, cancel: threading.Event) -> None:
        raise UserError("a", "b")

    for work in (unforeseen, foreseen):
        run(worker, ear, work)
    qtbot.waitUntil(lambda: not worker.busy)
    assert reported == [error]
