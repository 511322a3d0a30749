"""The project is there again at the next start, whatever ended the last one."""

import errno
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMessageBox
from pytestqt.qtbot import QtBot

from desktop_ft import app, places
from desktop_ft.core.errors import UserError
from desktop_ft.core.events import RunEnded, RunStatus
from desktop_ft.core.recipe import BackboneChoice, DatasetChoice, Optimisation, Recipe
from desktop_ft.gui import main_window, thumbnails
from desktop_ft.gui.data_page import DataPage
from desktop_ft.gui.faults import Faults
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.gui.palette import Palette
from desktop_ft.gui.results_page import ResultsPage
from desktop_ft.gui.runs_page import RunsPage
from desktop_ft.gui.settings import Settings
from desktop_ft.gui.theme import ThemeChoice
from desktop_ft.gui.training_job import Fit
from desktop_ft.gui.worker import Report
from desktop_ft.jobs import isolated, run_list, training
from desktop_ft.plugin_manager import load_plugins
from desktop_ft.runs import atomic, lock
from desktop_ft.runs.run_folder import RunFolder
from tests.gui.test_runs import made
from tests.gui.test_window import click, opened, page
from tests.jobs.test_train_and_resume import break_off


def edit(window: MainWindow, epochs: int) -> None:
    recipe = window.session.state.recipe
    optimisation = recipe.optimisation.model_copy(update={"epochs": epochs})
    window.session.state.edit("epochs", recipe.model_copy(update={"optimisation": optimisation}))


@contextmanager
def next_start(faults: Faults, qtbot: QtBot, given: Path | None = None) -> Iterator[MainWindow]:
    """Another window, as the next process would open it, after the last one has gone and the system has let go of its locks."""
    for last in QApplication.topLevelWidgets():
        if isinstance(last, MainWindow):
            last.session.autosave.release()
    window = app.build_window(faults)
    window.begin_with(given)
    with qtbot.waitSignal(window.begun):
        window.show()
    qtbot.waitUntil(lambda: not window.session.opening.running, timeout=30_000)
    yield window
    window.close()
    qtbot.waitUntil(lambda: not window.session.worker.busy)
    window.deleteLater()


def test_an_edit_is_kept_without_being_asked(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    file = places.data() / "project.toml"
    assert not file.exists()
    opened(window, photos, qtbot)
    edit(window, 7)
    qtbot.waitUntil(file.exists, timeout=10_000)  # the process may be killed from here on
    qtbot.waitUntil(lambda: Recipe.from_toml(file.read_text(), "it") == window.session.state.recipe, timeout=10_000)


def test_a_slow_disk_does_not_hold_the_window_up(
    window: MainWindow, photos: Path, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    opened(window, photos, qtbot)
    qtbot.waitUntil(lambda: not window.session.worker.busy, timeout=10_000)
    write, written = atomic.write, list[tuple[str, bool]]()

    def watched(path: Path, *parts: bytes) -> None:
        written.append((path.name, threading.current_thread() is threading.main_thread()))
        write(path, *parts)

    monkeypatch.setattr(atomic, "write", watched)
    edit(window, 7)
    window.session.opening.moved.emit(str(photos))  # as when it was opened
    qtbot.waitUntil(lambda: {"project.toml", "window.json"} <= {name for name, _ in written}, timeout=10_000)
    assert not any(by_the_window for _, by_the_window in written)


def test_what_was_chosen_for_the_window_outlives_a_crash(window: MainWindow, qtbot: QtBot) -> None:
    window.actions_["theme.dark"].trigger()
    qtbot.waitUntil(lambda: Settings().theme is ThemeChoice.DARK, timeout=10_000)  # the process may be killed from here on


def test_a_start_says_what_became_of_the_last_project(window: MainWindow, photos: Path, faults: Faults, qtbot: QtBot) -> None:
    """It is opened once there is a page to say it on, and what is said stays."""
    opened(window, photos, qtbot)
    edit(window, 7)
    window.close()
    qtbot.waitUntil(lambda: not window.session.worker.busy)
    photos.rename(photos.with_name("unplugged"))
    with next_start(faults, qtbot) as again:
        data = again.page("data")
        assert isinstance(data, DataPage) and str(photos) in data.notice.text
    (places.data() / "project.toml").write_text("damaged")
    with next_start(faults, qtbot) as again:
        assert "project.toml" in again.notice.text


def test_the_next_start_goes_on_where_the_last_one_ended(window: MainWindow, photos: Path, faults: Faults, qtbot: QtBot) -> None:
    opened(window, photos, qtbot)
    edit(window, 7)
    window.close()
    qtbot.waitUntil(lambda: not window.session.worker.busy)
    with next_start(faults, qtbot) as again:
        assert again.session.state.recipe == window.session.state.recipe
        assert again.session.state.manifest == window.session.state.manifest
        assert not again.session.state.undo_stack.canUndo()


def test_a_project_whose_folder_was_left_is_kept_as_it_was(
    window: MainWindow, photos: Path, tmp_path: Path, faults: Faults, qtbot: QtBot
) -> None:
    """Undo brings it back; where the window was closed since, the list of what was opened does."""
    other = Path(shutil.copytree(photos, tmp_path / "others"))
    opened(window, photos, qtbot)
    autosave = window.session.autosave
    edit(window, 7)
    before = window.session.state.recipe
    opened(window, other, qtbot)  # at once: what was edited last was not saved by then
    qtbot.waitUntil(lambda: window.session.state.recipe.dataset.folder == str(other), timeout=30_000)
    window.actions_["open.recent"].trigger()  # before any of that was saved
    palette = next(each for each in window.findChildren(Palette) if each.isVisible())
    assert palette.found[0].text == f"{photos.name}, as you left it"
    palette.reject()
    edit(window, 8)
    assert autosave.save()
    assert Recipe.from_toml(autosave.left.read_text(), "") == before
    assert str(other) in autosave.file.read_text() and not autosave.previous.exists()
    window.close()
    qtbot.waitUntil(lambda: not window.session.worker.busy)
    with next_start(faults, qtbot) as again:
        again.actions_["open.recent"].trigger()
        palette = next(each for each in again.findChildren(Palette) if each.isVisible())
        assert [entry.text for entry in palette.found] == [f"{photos.name}, as you left it", other.name, photos.name]
        QTest.keyClick(palette.line, Qt.Key.Key_Return)
        qtbot.waitUntil(lambda: again.session.state.recipe == before and not again.session.opening.running)


def test_the_first_start_is_empty(faults: Faults, qtbot: QtBot) -> None:
    with next_start(faults, qtbot) as window:
        assert window.session.state.manifest is None and not window.notice.text
    assert not (places.data() / "project.toml").exists()


@pytest.mark.parametrize(("content", "told"), [("version = 99", "newer"), ("=", "not a recipe")])
def test_a_project_that_cannot_be_read_is_told_and_put_aside(
    window: MainWindow, photos: Path, faults: Faults, qtbot: QtBot, content: str, told: str
) -> None:
    places.data().mkdir(parents=True)
    (places.data() / "project.toml").write_text(content)
    with next_start(faults, qtbot) as again:
        assert told in again.notice.text and again.session.state.manifest is None
        opened(again, photos, qtbot)
    assert (places.data() / "project.previous.toml").read_text() == content
    assert str(photos) in (places.data() / "project.toml").read_text()


def test_pictures_that_are_gone_cost_nothing_else_of_the_project(
    window: MainWindow, photos: Path, tmp_path: Path, faults: Faults, qtbot: QtBot
) -> None:
    opened(window, photos, qtbot)
    edit(window, 7)
    assert window.session.autosave.save()
    photos.rename(tmp_path / "unplugged")
    with next_start(faults, qtbot) as again:
        assert again.session.state.recipe.optimisation.epochs == 7 and again.session.state.manifest is None
        (tmp_path / "unplugged").rename(photos)
        opened(again, photos, qtbot)
        assert again.session.state.recipe.optimisation.epochs == 7


def test_opening_the_last_project_s_folder_opens_that_project(
    window: MainWindow, photos: Path, tmp_path: Path, faults: Faults, qtbot: QtBot
) -> None:
    opened(window, photos, qtbot)
    edit(window, 7)
    assert window.session.autosave.save()
    with next_start(faults, qtbot, photos) as again:
        assert again.session.state.recipe.optimisation.epochs == 7
    other = Path(shutil.copytree(photos, tmp_path / "others"))
    with next_start(faults, qtbot, other) as again:
        assert again.session.state.recipe.optimisation.epochs != 7
        assert again.session.state.recipe.dataset.folder == str(other)


@pytest.mark.parametrize("way", ["Stay", "Close without saving"])
def test_a_window_whose_project_cannot_be_saved_asks_before_it_closes(
    window: MainWindow, photos: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    opened(window, photos, qtbot)
    edit(window, 9)

    def full(path: Path, *parts: bytes) -> None:
        raise atomic.cannot_write(path, 1, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    def answer() -> None:
        box = window.findChild(QMessageBox)
        assert box is not None and "disk is full" in box.informativeText()
        next(button for button in box.buttons() if button.text() == way).click()

    with monkeypatch.context() as patched:
        patched.setattr(atomic, "write", full)
        QTimer.singleShot(0, answer)
        window.close()
        assert window.isVisible() is (way == "Stay")


@pytest.mark.parametrize("by", ["leave", "close"])
def test_a_photo_that_hangs_holds_no_window_up_that_goes(
    window: MainWindow, photos: Path, qapp: QApplication, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    begun, free, over = threading.Event(), threading.Event(), threading.Event()

    def hangs(path: Path, side: int) -> None:
        begun.set()
        free.wait(10)
        over.set()

    monkeypatch.setattr(thumbnails, "square", hangs)
    opened(window, photos, qtbot)
    qtbot.waitUntil(begun.is_set)
    if by == "close":
        window.close()
    else:
        QTimer.singleShot(0, window.leave)
        qapp.exec()
    waited = over.is_set()
    free.set()
    assert not window.isVisible() and not waited
    qtbot.waitUntil(over.is_set)


def test_a_window_that_is_closed_holds_the_project_no_longer_while_work_ends(
    window: MainWindow, photos: Path, qtbot: QtBot
) -> None:
    opened(window, photos, qtbot)
    place = places.data() / "project.lock"
    let_go: list[bool] = []

    def heeds_nothing(report: Report, cancel: threading.Event) -> None:
        cancel.wait(30)
        for _ in range(100):
            if not lock.is_held(place):
                let_go.append(True)
                return
            threading.Event().wait(0.02)

    assert window.session.autosave.save() and lock.is_held(place)
    window.session.worker.run(heeds_nothing, finished=lambda _: None, failed=lambda _: None)
    window.close()
    assert let_go and not window.left


def test_what_never_ends_does_not_keep_a_closed_window_alive(
    window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main_window, "_CLOSE_WITHIN_MS", 50)
    free, over = threading.Event(), threading.Event()

    def hangs(report: Report, cancel: threading.Event) -> None:
        free.wait(10)
        over.set()

    window.session.worker.run(hangs, finished=lambda _: None, failed=lambda _: None)
    window.close()
    waited = over.is_set()
    free.set()
    assert window.left and not waited, "the process ends without it"


def test_a_full_disk_is_told(window: MainWindow, photos: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(window, photos, qtbot)

    def full(path: Path, *parts: bytes) -> None:
        raise atomic.cannot_write(path, 1, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    with monkeypatch.context() as patched:
        patched.setattr(atomic, "write", full)
        edit(window, 9)
        qtbot.waitUntil(lambda: "disk is full" in window.notice.text, timeout=10_000)
    window.session.autosave.save()
    assert Recipe.from_toml((places.data() / "project.toml").read_text(), "it").optimisation.epochs == 9


def test_what_was_opened_last_is_opened_again_from_a_list(window: MainWindow, photos: Path, tmp_path: Path, qtbot: QtBot) -> None:
    other = Path(shutil.copytree(photos, tmp_path / "others"))
    for folder in (photos, other, photos):
        opened(window, folder, qtbot)
    assert window.session.autosave.save()
    QTest.keyClick(window, Qt.Key.Key_R, Qt.KeyboardModifier.ControlModifier)
    palette = window.findChild(Palette)
    assert palette is not None
    assert [entry.text for entry in palette.found] == ["others, as you left it", photos.name, other.name]
    QTest.keyClicks(palette.line, "others")
    QTest.keyClick(palette.line, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: window.session.state.recipe.dataset.folder == str(other) and not window.session.opening.running)
    shutil.rmtree(photos)
    assert window.session.autosave.save()
    window.actions_["open.recent"].trigger()
    palette = next(each for each in window.findChildren(Palette) if each.isVisible())
    gone = [(f"{photos.name}, as you left it", False), (photos.name, False)]
    assert [(entry.text, entry.enabled) for entry in palette.found] == [("others", True), *gone]
    palette.reject()


def test_the_run_that_was_open_is_shown_again(
    window: MainWindow, photos: Path, tmp_path: Path, faults: Faults, qtbot: QtBot
) -> None:
    opened(window, photos, qtbot)
    run = made("one", photos)
    window.session.shown.open(run)
    assert window.session.autosave.save()
    with next_start(faults, qtbot) as again:
        qtbot.waitUntil(lambda: again.session.state.run == run)
        assert len(again.session.training.history.epochs) == 2
        opened(again, Path(shutil.copytree(photos, tmp_path / "others")), qtbot)  # another project: not its run
        assert again.session.state.run is None
    with next_start(faults, qtbot) as again:
        qtbot.wait(50)
        assert again.session.state.run is None


def test_a_run_that_is_gone_is_not_missed(window: MainWindow, photos: Path, faults: Faults, qtbot: QtBot) -> None:
    opened(window, photos, qtbot)
    run = made("one", photos)
    window.session.shown.open(run)
    assert window.session.autosave.save()
    shutil.rmtree(run)
    with next_start(faults, qtbot) as again:
        qtbot.wait(50)
        assert again.session.state.run is None and not again.notice.text


def test_two_windows_keep_a_project_each(window: MainWindow, photos: Path, faults: Faults, qtbot: QtBot) -> None:
    opened(window, photos, qtbot)
    edit(window, 7)
    assert window.session.autosave.save()
    second = app.build_window(faults)
    opened(second, photos, qtbot)
    edit(second, 9)
    assert second.session.autosave.save() and window.session.autosave.save()
    second.close()
    second.deleteLater()
    assert (places.data() / "project-2.toml").is_file()
    os.utime(places.data() / "project.toml", (1e9, 1e9))
    with next_start(faults, qtbot) as again:
        assert again.session.state.recipe.optimisation.epochs == 9, "what was used last"
        beside = app.build_window(faults)
        beside.begin_with(None)
        with qtbot.waitSignal(beside.begun):
            beside.show()
        qtbot.waitUntil(lambda: not beside.session.opening.running, timeout=30_000)
        assert beside.session.state.recipe.optimisation.epochs == 7, "what no other window has"
        assert "This window keeps a project of its own" in beside.notice.text
        beside.close()
        qtbot.waitUntil(lambda: not beside.session.worker.busy)
        beside.deleteLater()


def test_a_disk_without_locks_keeps_the_project_all_the_same(
    window: MainWindow, photos: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(handle: int) -> bool:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("desktop_ft.runs.lock._take", no_locks)
    opened(window, photos, qtbot)
    edit(window, 7)
    assert window.session.autosave.save() and (places.data() / "project.toml").is_file()
    assert window.session.autosave.refused is None, "that says nothing of other windows"


def test_a_run_that_was_interrupted_is_offered_at_the_next_start(
    window: MainWindow, photos: Path, faults: Faults, qtbot: QtBot
) -> None:
    run = made("one", photos)
    log = run / "events.jsonl"
    log.write_bytes(b"".join(line for line in log.read_bytes().splitlines(True) if b'"run_ended"' not in line))
    with next_start(faults, qtbot) as again:
        qtbot.waitUntil(again.interrupted.isVisible)
        assert again.interrupted.notice.text.startswith("The run one was interrupted at its beginning.")
        click(again.interrupted.later)
        assert not again.interrupted.isVisible()
    with next_start(faults, qtbot) as again:
        qtbot.waitUntil(lambda: not again.session.worker.busy)
        assert not again.interrupted.isVisible(), "nobody is asked twice"
        again.session.settings.left_interrupted = ""
    with next_start(faults, qtbot) as again:
        qtbot.waitUntil(again.interrupted.isVisible)
        with RunFolder(run).lock():
            click(again.interrupted.discard)
            assert run.is_dir() and "Wait for the run to end" in again.interrupted.notice.text
        again.session.opening.open(photos)
        assert not again.interrupted.go_on.isEnabled() and not again.interrupted.discard.isEnabled()
        assert "Something is under way" in again.interrupted.go_on.toolTip()
        qtbot.waitUntil(again.interrupted.discard.isEnabled)
        click(again.interrupted.discard)
        assert not run.exists() and not again.interrupted.isVisible()
        click(again.notice.way)
        assert run.is_dir()
        qtbot.waitUntil(again.interrupted.isVisible)


def test_a_run_that_nobody_was_offered_is_not_offered_when_it_comes_back_from_the_trash(
    window: MainWindow, photos: Path, qtbot: QtBot
) -> None:
    run = made("one", photos)
    log = run / "events.jsonl"
    log.write_bytes(b"".join(line for line in log.read_bytes().splitlines(True) if b'"run_ended"' not in line))
    with RunFolder(run).log() as events:
        events.append(RunEnded(status=RunStatus.STOPPED))
    runs = window.session.runs
    trashed = runs.trash(run)
    assert trashed is not None
    runs.put_back(trashed)
    qtbot.waitUntil(lambda: not window.session.worker.busy)
    assert run.is_dir() and window.session.broken_off.offered is None and not window.interrupted.isVisible()


@pytest.mark.parametrize("way", ["trash", "go_on", "keep", "discard"])
def test_nothing_is_offered_of_a_run_whose_folder_is_gone(
    window: MainWindow, photos: Path, tmp_path: Path, qtbot: QtBot, way: str
) -> None:
    run = made("one", photos)
    log = run / "events.jsonl"
    log.write_bytes(b"".join(line for line in log.read_bytes().splitlines(True) if b'"run_ended"' not in line))
    window.session.broken_off.look()
    qtbot.waitUntil(window.interrupted.isVisible)
    if way == "trash":
        window.session.state.go("runs")
        runs = window.page("runs")
        assert isinstance(runs, RunsPage)
        qtbot.waitUntil(lambda: bool(runs.selected) and not window.session.worker.busy)
        click(runs.trash)
        assert not run.exists() and not window.notice.text
    else:
        run.rename(tmp_path / "moved by hand")
        getattr(window.interrupted, way).setEnabled(True)
        click(getattr(window.interrupted, way))
        assert "The run one is not there any more." in window.notice.text
    assert not window.interrupted.isVisible() and not window.session.training.running


def test_a_run_that_fails_is_offered_at_once(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    run = made("one", photos)

    def fails(emit: object, control: object, progress: object) -> RunEnded:
        raise UserError("The disk is full.", "Free some of it.")

    window.session.training.start(run, fails)
    qtbot.waitUntil(lambda: not window.session.training.running)
    qtbot.waitUntil(lambda: not window.session.worker.busy)
    assert not window.interrupted.isVisible(), "it was complete, and is refused"
    log = run / "events.jsonl"
    log.write_bytes(b"".join(line for line in log.read_bytes().splitlines(True) if b'"run_ended"' not in line))
    window.session.training.start(run, fails)
    qtbot.waitUntil(window.interrupted.isVisible)
    told = window.interrupted.notice.text
    assert told == "The run one was interrupted at its beginning. Nothing of it is saved: it starts again."
    assert window.interrupted.go_on.isEnabled() and not window.interrupted.keep.isEnabled()
    assert window.interrupted.keep.toolTip().endswith("No epoch of it was judged and saved.")
    window.session.training.start(run, lambda emit, control, progress: RunEnded(status=RunStatus.CANCELLED))
    qtbot.waitUntil(lambda: not window.session.training.running)
    qtbot.waitUntil(lambda: not window.session.worker.busy)
    assert not window.interrupted.isVisible()


def test_of_two_looks_the_newer_one_tells_what_is_offered(
    window: MainWindow, photos: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, free, looks, offered = [made(name, photos) for name in ("one", "two")], threading.Event(), [], []
    for run in runs:
        log = run / "events.jsonl"
        log.write_bytes(b"".join(line for line in log.read_bytes().splitlines(True) if b'"run_ended"' not in line))
    real = run_list.broken_off

    def broken_off(run: Path) -> run_list.BrokenOff | None:
        looks.append(run)
        if len(looks) == 1:
            free.wait(20)
        return real(run)

    def fails(emit: object, control: object, progress: object) -> RunEnded:
        raise UserError("The disk is full.", "Free some of it.")

    monkeypatch.setattr(run_list, "broken_off", broken_off)
    broken, live = window.session.broken_off, window.session.training
    broken.changed.connect(lambda: offered.append(broken.offered.run) if broken.offered is not None else None)
    for run in runs:
        live.start(run, fails)
        qtbot.waitUntil(lambda: not live.running)
    free.set()
    qtbot.waitUntil(lambda: not window.session.worker.busy)
    assert offered and set(offered) == {runs[1]}, "what is found out of the older one is stale"


def test_what_was_offered_of_a_run_comes_back_after_another(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    runs = [made(name, photos) for name in ("one", "two", "three")]
    for run in runs:
        log = run / "events.jsonl"
        log.write_bytes(b"".join(line for line in log.read_bytes().splitlines(True) if b'"run_ended"' not in line))

    def fails(emit: object, control: object, progress: object) -> RunEnded:
        raise UserError("The disk is full.", "Free some of it.")

    def after(run: Path, fit: Fit) -> str:
        window.session.training.start(run, fit)
        assert window.interrupted.isHidden()
        qtbot.waitUntil(lambda: not window.session.training.running)
        qtbot.waitUntil(lambda: not window.session.worker.busy)
        return window.interrupted.notice.text[:13] if window.interrupted.isVisible() else ""

    def ends(emit: object, control: object, progress: object) -> RunEnded:
        return RunEnded(status=RunStatus.CANCELLED)

    assert after(runs[0], fails) == "The run one w"
    assert after(runs[1], ends) == "The run one w", "that another was trained decides nothing about it"
    assert after(runs[2], fails) == "The run three"
    click(window.interrupted.later)
    qtbot.waitUntil(lambda: window.interrupted.notice.text.startswith("The run one"))
    window.session.shown.open(runs[0])
    results = page(window, "results")
    assert isinstance(results, ResultsPage) and not results.resume.isVisible(), "the line above it has that way on"
    listed = page(window, "runs")
    assert isinstance(listed, RunsPage)
    qtbot.waitUntil(lambda: not window.session.worker.busy)
    listed.runs.choose(lambda run: run.path == str(runs[0]))
    assert not listed.resume.isVisible()
    listed.runs.choose(lambda run: run.path == str(runs[2]))
    assert listed.resume.isVisible(), "that is another run"
    window.session.state.go("results")
    click(window.interrupted.later)
    qtbot.waitUntil(lambda: not window.session.worker.busy)
    assert results.resume.isVisible() and window.interrupted.isHidden()
    assert after(runs[1], ends) == "", "nobody is asked twice"


def test_training_in_a_process_of_its_own_is_asked_for_once(window: MainWindow, faults: Faults, qtbot: QtBot) -> None:
    assert window.session.starting.verbs is training
    window.actions_["run.isolate"].trigger()
    assert window.actions_["run.isolate"].isChecked()
    assert window.session.starting.verbs is isolated
    window.close()
    with next_start(faults, qtbot) as again:
        assert again.session.starting.verbs is isolated


@pytest.mark.slow
@pytest.mark.parametrize("way", ["go_on", "keep"])
def test_an_interrupted_run_goes_on_or_keeps_its_best(photos: Path, faults: Faults, qtbot: QtBot, way: str) -> None:
    recipe = Recipe(
        dataset=DatasetChoice(folder=str(photos), val=0.5),
        backbone=BackboneChoice(image_size=64),
        optimisation=Optimisation(epochs=3, batch_size=8),
    )
    run = places.runs() / "run"
    break_off(recipe, run, load_plugins(safe_mode=True))
    with next_start(faults, qtbot) as again:
        qtbot.waitUntil(again.interrupted.isVisible)
        click(getattr(again.interrupted, way))
        assert again.session.training.running and not again.interrupted.isVisible() and again.session.state.page == "train"
        qtbot.waitUntil(lambda: not again.session.training.running, timeout=120_000)
        ended = again.session.training.end
        assert ended is not None
        assert ended.status is (RunStatus.COMPLETED if way == "go_on" else RunStatus.STOPPED), ended
    assert RunFolder(run).evaluation is not None


def test_the_project_of_another_window_is_offered_at_the_next_start(
    window: MainWindow, photos: Path, tmp_path: Path, faults: Faults, qtbot: QtBot
) -> None:
    """Two windows had a project each, and both were closed."""
    opened(window, photos, qtbot)
    assert window.session.autosave.save()
    others = Path(shutil.copytree(photos, tmp_path / "others"))
    second = app.build_window(faults)
    second.begin_with(None)
    with qtbot.waitSignal(second.begun):
        second.show()
    assert second.other_project.isHidden(), "the first window is still open"
    opened(second, others, qtbot)
    edit(second, 7)
    for each in (second, window):
        each.close()
        qtbot.waitUntil(lambda each=each: not each.session.worker.busy)  # type: ignore[misc]
    second.deleteLater()
    with next_start(faults, qtbot) as again:
        offer = again.other_project
        assert again.session.state.recipe.dataset.folder == str(others) and offer.isVisible()
        assert str(photos) in offer.notice.text
        again.session.opening.open(others)
        assert not offer.open.isEnabled() and "Something is under way" in offer.open.toolTip()
        qtbot.waitUntil(offer.open.isEnabled)
        click(offer.open)
        qtbot.waitUntil(lambda: not again.session.opening.running, timeout=30_000)
        assert again.session.state.recipe.dataset.folder == str(photos) and offer.isHidden()
    with next_start(faults, qtbot) as again:
        assert again.session.state.recipe.dataset.folder == str(photos), "it was used last"
        assert str(others) in again.other_project.notice.text
        click(again.other_project.later)
        assert again.other_project.isHidden()
    with next_start(faults, qtbot) as again:
        assert again.other_project.isHidden(), "it is not asked about again"
    kept = Recipe.from_toml((places.data() / "project-2.toml").read_text(), "it")
    assert kept.dataset.folder == str(others) and kept.optimisation.epochs == 7
