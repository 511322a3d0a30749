"""Any order of start, pause, resume, stop, cancel, edit, undo, redo, close and open again leaves the window in a legal state.

Real runs in real threads, of a network so small (brought by a plugin, as anybody's would be) that a run takes a moment.
A hundred sequences; `SEQUENCES=500` in the environment tries so many.
"""

import functools
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from PIL import Image
from PySide6.QtCore import QCoreApplication, QEvent, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMessageBox, QSpinBox
from pytestqt.qtbot import QtBot

from desktop_ft import app, places, plugin_manager
from desktop_ft.core.events import RunEnded, RunStatus
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.recipe import BackboneChoice, DatasetChoice, Optimisation, Recipe
from desktop_ft.gui.faults import Faults
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.gui.state import PAGES
from desktop_ft.gui.train_page import TrainPage
from desktop_ft.runs.run_folder import RunFolder
from tests.gui.test_window import click, drop

LONG = 60_000
STAY, KEEP, DROP = "Go on training", "Stop, keep the best, and close", "Cancel it and close"

TINY = Path(__file__).parents[1] / "tiny_backbone.py"


def answer(text: str) -> None:
    """Click the button `text` of the question that is about to come."""

    def click_it() -> None:
        box = QApplication.activeModalWidget()
        assert isinstance(box, QMessageBox), f"no question came, but {box}"
        click(next(button for button in box.buttons() if button.text() == text))

    QTimer.singleShot(0, click_it)


def when(holds: Callable[["Person"], bool]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A rule that does nothing where `holds` does not.

    Not a precondition: whether a run is still under way is a matter of luck, and what hypothesis draws must not depend on that.
    """

    def guard(rule: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(rule)
        def guarded(person: "Person", **drawn: object) -> None:
            if holds(person):
                rule(person, **drawn)

        return guarded

    return guard


class Person(RuleBasedStateMachine):
    """What a person does with the window, and what must hold whenever it is at rest."""

    qtbot: QtBot
    photos: Path

    def __init__(self) -> None:
        super().__init__()
        # Each sequence starts as the first start of all.
        shutil.rmtree(places.runs(), ignore_errors=True)
        (places.data() / "project.toml").unlink(missing_ok=True)
        self.faults = Faults()
        self.window: MainWindow | None = None
        self.history: list[int] = []
        self.place = self.breaks = 0
        self.edited_after: list[int] = []
        self.asked: set[str] = set()
        self.runs: dict[Path, set[str]] = {}

    # What the rules are made of.

    def open(self) -> MainWindow:
        window = app.build_window(self.faults)
        window.resize(1280, 720)
        window.begin_with(None)
        with self.qtbot.waitSignal(window.begun, timeout=LONG):
            window.show()
        self.qtbot.waitUntil(lambda: not window.session.opening.running, timeout=LONG)
        self.window = window
        window.session.state.page_changed.connect(self.turned)
        return window

    def turned(self, _page: str) -> None:
        """Another page is shown: who comes back to a field begins another edit."""
        self.breaks += 1

    def shut(self) -> None:
        """The window has closed: let go of it as the end of its process would."""
        window, self.window = self.it, None
        assert not window.isVisible()
        self.qtbot.waitUntil(lambda: not window.session.worker.busy, timeout=LONG)
        window.deleteLater()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)

    @property
    def it(self) -> MainWindow:
        assert self.window is not None
        return self.window

    @property
    def running(self) -> bool:
        return self.window is not None and self.window.session.training.running

    def over(self) -> None:
        training = self.it.session.training
        self.qtbot.waitUntil(lambda: not training.running, timeout=LONG)

    def begin_history(self, epochs: int) -> None:
        """Nothing can be undone: the first state was made before any run."""
        self.history, self.edited_after, self.place = [epochs], [-1], 0

    # The rules.

    @initialize(epochs=st.integers(1, 9))
    def take_a_recipe(self, epochs: int) -> None:
        window = self.open()
        recipe = Recipe(
            dataset=DatasetChoice(folder=str(self.photos), val=0.3),
            backbone=BackboneChoice(name="tiny"),
            freeze=FreezePlan(preset="scratch"),
            optimisation=Optimisation(epochs=epochs, batch_size=4),
        )
        file = self.photos.parent / "recipe.toml"
        file.write_text(recipe.to_toml())
        assert drop(window, file)
        self.qtbot.waitUntil(lambda: window.session.state.manifest is not None, timeout=LONG)
        self.qtbot.waitUntil(lambda: not window.session.opening.running, timeout=LONG)
        self.recipe = recipe
        self.begin_history(epochs)

    @rule()
    @when(lambda self: self.window is not None and not self.running)
    def start(self) -> None:
        self.it.refresh()
        action = self.it.actions_["run.start"]
        assert action.isEnabled()
        action.trigger()
        assert self.running
        assert self.it.strip.isVisible()
        run = self.it.session.training.run
        assert run is not None
        assert run not in self.runs
        self.asked = self.runs[run] = set()
        self.breaks += 1

    @rule()
    @when(lambda self: self.running)
    def start_once_more(self) -> None:
        run = self.it.session.training.run
        self.it.commands.start_training()
        assert self.it.session.training.run == run

    @rule()
    @when(lambda self: self.running)
    def drop_another_folder_while_it_trains(self) -> None:
        before = self.it.session.state.recipe
        self.it.session.state.go("data")
        assert drop(self.it, self.photos)
        assert not self.running or "under way" in self.it.notice.text
        assert self.it.session.state.recipe.dataset == before.dataset

    @rule()
    @when(lambda self: self.running and not self.asked & {"stop", "cancel"})
    def pause_or_resume(self) -> None:
        click(self.it.strip.pause)

    @rule()
    @when(lambda self: self.running and not self.asked & {"stop", "cancel"})
    def stop(self) -> None:
        click(self.it.strip.stop)
        self.asked.add("stop")

    @rule()
    @when(lambda self: self.running and "cancel" not in self.asked)
    def cancel(self) -> None:
        click(self.it.strip.cancel)
        self.asked.add("cancel")

    @rule()
    @when(lambda self: self.running)
    def watch(self) -> None:
        """Until something more is told."""
        training = self.it.session.training
        if training.control.pause.is_set() and not self.asked:
            self.qtbot.waitUntil(lambda: training.history.paused or not training.running, timeout=LONG)
        else:
            with self.qtbot.waitSignal(training.updated, timeout=LONG):
                pass

    @rule()
    @when(lambda self: self.running and (self.asked or not self.it.session.training.control.pause.is_set()))
    def wait_for_the_end(self) -> None:
        self.over()

    @rule(page=st.sampled_from(sorted(set(PAGES) - {"layers"})))
    @when(lambda self: self.window is not None)
    def look_at(self, page: str) -> None:
        self.it.session.state.go(page)
        assert self.it.stack.currentWidget() is self.it.page(page)

    @rule(epochs=st.integers(1, 9))
    @when(lambda self: self.window is not None)
    def edit(self, epochs: int) -> None:
        self.it.session.state.go("train")
        train = self.it.page("train")
        assert isinstance(train, TrainPage)
        spin = train.optimisation.control("epochs")
        assert isinstance(spin, QSpinBox)
        spin.selectAll()
        QTest.keyClicks(spin, str(epochs))
        QTest.keyClick(spin, Qt.Key.Key_Return)
        if epochs != self.history[self.place]:
            # Edits of one field that follow each other are one step back, unless a run, or a look at another page, came between.
            goes_on = self.edited_after[self.place] == self.breaks
            if goes_on and self.history[self.place - 1] == epochs:
                self.place -= 1  # it has led back: no step is left that does nothing
                del self.history[self.place + 1 :], self.edited_after[self.place + 1 :]
            else:
                self.place += not goes_on
                self.history[self.place :] = [epochs]
                self.edited_after[self.place :] = [self.breaks]

    @rule()
    @when(lambda self: self.window is not None and self.place > 0)
    def undo(self) -> None:
        self.it.actions_["edit.undo"].trigger()
        self.place -= 1

    @rule()
    @when(lambda self: self.window is not None and self.place + 1 < len(self.history))
    def redo(self) -> None:
        self.it.actions_["edit.redo"].trigger()
        self.place += 1

    @rule(wish=st.sampled_from((STAY, KEEP, DROP)))
    @when(lambda self: self.window is not None)
    def close(self, wish: str) -> None:
        running = self.running
        if running:
            answer(wish)
        self.it.close()
        if running and wish == STAY:
            assert self.it.isVisible()
            assert self.it.isEnabled()
            return
        if running:
            self.asked.add("stop" if wish == KEEP else "cancel")
        self.qtbot.waitUntil(lambda: not self.it.isVisible(), timeout=LONG)
        self.shut()

    @rule()
    @when(lambda self: self.window is None)
    def open_again(self) -> None:
        self.open()
        # Edits are kept; what could be undone is not.
        self.begin_history(self.history[self.place])

    # What must hold.

    @invariant()
    def nothing_unforeseen_happened(self) -> None:
        assert self.faults.seen == []

    @invariant()
    def the_recipe_is_what_was_set(self) -> None:
        if self.window is not None:
            assert self.it.session.state.recipe == self.recipe.with_optimisation(epochs=self.history[self.place])

    @invariant()
    def what_can_be_done_fits_what_is_going_on(self) -> None:
        if self.window is None:
            return
        window, running = self.it, self.running
        window.refresh()
        told = {name: window.actions_[name].isEnabled() for name in ("run.start", "run.pause", "run.stop", "run.cancel")}
        assert told == {"run.start": not running, "run.pause": running, "run.stop": running, "run.cancel": running}
        assert window.actions_["edit.undo"].isEnabled() == (self.place > 0)
        assert window.actions_["edit.redo"].isEnabled() == (self.place + 1 < len(self.history))
        assert window.strip.isVisible() or not running
        assert window.strip.pause.isVisible() == window.strip.stop.isVisible() == running

    @invariant()
    def every_run_that_is_over_ended_once_and_as_it_was_asked(self) -> None:
        for run, asked in self.runs.items():
            if self.running and self.it.session.training.run == run:
                continue
            if asked and not run.exists():
                continue  # nothing had begun: there is nothing to keep
            folder = RunFolder.open(run)
            assert not folder.is_locked
            endings = [event.status for event in folder.events() if isinstance(event, RunEnded)]
            legal = {RunStatus.COMPLETED}  # whatever is asked may come too late
            legal |= {RunStatus.STOPPED} if "stop" in asked else set()
            legal |= {RunStatus.CANCELLED} if "cancel" in asked else set()
            assert len(endings) == 1
            assert endings[0] in legal
        self.runs = {run: asked for run, asked in self.runs.items() if self.running and self.it.session.training.run == run}

    def teardown(self) -> None:
        if self.window is not None:
            if self.running:
                self.it.session.training.cancel()
                self.asked.add("cancel")
                self.over()
                self.every_run_that_is_over_ended_once_and_as_it_was_asked()
            self.it.close()
            self.shut()
        assert self.faults.seen == []
        self.faults.deleteLater()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


@pytest.fixture
def person(qtbot: QtBot, tmp_path: Path) -> type[Person]:
    plugin = places.data() / "plugins" / "tiny.py"
    plugin.parent.mkdir(parents=True)
    shutil.copy(TINY, plugin)
    plugin_manager.set_enabled("tiny", on=True)
    photos = tmp_path / "photos"
    for label, name in enumerate(("dark", "light")):
        (photos / name).mkdir(parents=True)
        for number in range(8):
            Image.new("RGB", (32, 32), (90 * label, 20 * number, 99)).save(photos / name / f"{number}.png")
    return type("Person", (Person,), {"qtbot": qtbot, "photos": photos})


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_sequences(person: type[Person]) -> None:
    run_state_machine_as_test(
        person,
        settings=settings(
            max_examples=int(os.environ.get("SEQUENCES", "100")),
            stateful_step_count=16,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],  # threads make no two runs alike: to shrink a sequence would only take long
            database=None,
        ),
    )
