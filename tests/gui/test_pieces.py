"""Small parts: settings, actions, forms, words, undo, faults, and the interpreter's own counts."""

import contextlib
import gc
import os
import sys
import threading
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import pytest
from pydantic import Field
from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtGui import QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QCheckBox, QComboBox, QLabel, QPushButton, QSpinBox, QWidget
from pytestqt.exceptions import capture_exceptions
from pytestqt.qtbot import QtBot

from desktop_ft import places
from desktop_ft.core.recipe import DatasetChoice, Optimisation, Recipe
from desktop_ft.core.values import Described
from desktop_ft.gui import words
from desktop_ft.gui.commands import Commands
from desktop_ft.gui.facts import Facts
from desktop_ft.gui.faults import FaultDialog, Faults
from desktop_ft.gui.form import ModelForm, RateSpinBox
from desktop_ft.gui.garbage import Garbage
from desktop_ft.gui.menus import ACTIONS
from desktop_ft.gui.offer import Offer
from desktop_ft.gui.settings import Settings
from desktop_ft.gui.state import ProjectState
from desktop_ft.gui.theme import Theme, ThemeChoice
from desktop_ft.gui.widgets import Page, Progress


class Mode(StrEnum):
    FAST = "fast"
    GOOD = "good"


class Example(Described):
    on: bool = Field(True, description="Whether.")
    mode: Mode = Field(Mode.FAST, description="How.")
    number: int = Field(3, ge=1, le=9, description="How many.")
    rate: float = Field(0.003, gt=0, lt=1, description="How fast.")


def test_settings_survive_and_damage_does_not_matter() -> None:
    settings = Settings()
    settings.theme = ThemeChoice.DARK
    settings.remember_splitter("data", [100, 300])
    settings.save()
    again = Settings()
    assert (again.theme, again.splitter("data"), again.splitter("other")) == (ThemeChoice.DARK, [100, 300], None)
    (places.data() / "window.json").write_text('{"theme": 5, "splitters": {"data": ["x"]}, "geometry": []}')
    broken = Settings()
    assert (broken.theme, broken.splitter("data"), broken.geometry.size()) == (ThemeChoice.SYSTEM, None, 0)
    (places.data() / "window.json").write_bytes(b"\xff")
    assert Settings().theme is ThemeChoice.SYSTEM


def test_two_windows_keep_what_the_other_one_remembered() -> None:
    one, two = Settings(), Settings()
    two.language, two.notify = "ja", False
    two.remember_opened("/photos/birds")
    two.remember_splitter("data", [100, 300])
    two.save()
    one.remember_opened("/photos/cats")
    one.remember_splitter("runs", [200, 200])
    one.theme = ThemeChoice.DARK
    one.save()
    again = Settings()
    assert (again.language, again.notify, again.theme) == ("ja", False, ThemeChoice.DARK)
    assert again.recent == ["/photos/cats", "/photos/birds"]
    assert (again.splitter("data"), again.splitter("runs")) == ([100, 300], [200, 200])
    again.language = "de"
    again.save()
    two.save()  # it has written that it wants Japanese, and was not asked again
    assert Settings().language == "de"


def test_windows_that_remember_at_the_same_moment_lose_nothing() -> None:
    def opens(window: Settings, names: range) -> None:
        for name in names:
            window.remember_opened(f"/photos/{name}")
            window.save()

    windows = [threading.Thread(target=opens, args=(Settings(), range(first, 12, 3))) for first in range(3)]
    for each in windows:
        each.start()
    for each in windows:
        each.join()
    assert sorted(Settings().recent) == sorted(f"/photos/{name}" for name in range(12))


def test_every_action_can_be_done_and_no_shortcut_is_taken_twice() -> None:
    for spec in ACTIONS:
        assert callable(getattr(Commands, spec.handler)), spec.id
        for condition in (spec.enabled, spec.checked):
            assert not condition or isinstance(getattr(Commands, condition), property), spec.id
        assert spec.tip.endswith("."), spec.id
    keys = [QKeySequence(key).toString() for spec in ACTIONS for key in (spec.shortcut, *spec.other_keys) if key]
    assert len(keys) == len(set(keys))
    assert all(keys)
    assert len({spec.id for spec in ACTIONS}) == len(ACTIONS)


def test_a_form_is_drawn_from_the_description(qtbot: QtBot) -> None:
    form = ModelForm(Example)
    qtbot.addWidget(form)
    told: list[tuple[str, object]] = []
    form.edited.connect(lambda name, value: told.append((name, value)))
    form.show_value(Example())
    assert told == []
    number, rate, mode, on = (form.control(name) for name in ("number", "rate", "mode", "on"))
    assert isinstance(number, QSpinBox)
    assert (number.minimum(), number.maximum(), number.toolTip()) == (1, 9, "How many.")
    assert isinstance(rate, RateSpinBox)
    assert (rate.text(), rate.minimum() > 0, rate.maximum() < 1) == ("0.003", True, True)
    assert isinstance(mode, QComboBox)
    assert isinstance(on, QCheckBox)
    number.selectAll()
    QTest.keyClicks(number, "7")
    QTest.keyClick(number, Qt.Key.Key_Return)
    QTest.keyClick(mode, Qt.Key.Key_Down)
    QTest.keyClick(on, Qt.Key.Key_Space)
    assert told == [("number", 7), ("mode", Mode.GOOD), ("on", False)]


def test_every_optimisation_field_is_in_the_form_and_explained(qtbot: QtBot) -> None:
    form = ModelForm(Optimisation)
    qtbot.addWidget(form)
    form.show_value(Optimisation())
    for name in Optimisation.model_fields:
        control = form.control(name)
        assert control.toolTip()
        assert control.accessibleName()
    lr = form.control("lr")
    assert isinstance(lr, RateSpinBox)
    assert lr.value() == pytest.approx(0.003)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("0,005", 0.005), ("1e-5", 1e-5), ("4E-7", 4e-7), (".01", 0.01), ("1e-", None), ("x", None), ("inf", None)],
)
def test_a_rate_is_what_was_typed_or_stays_as_it_was(typed: str, meant: float | None, qtbot: QtBot) -> None:
    form, told = ModelForm(Optimisation), list[object]()
    qtbot.addWidget(form)
    form.show()
    form.show_value(Optimisation())
    form.edited.connect(lambda name, value: told.append(value))
    rate = form.control("lr")
    assert isinstance(rate, RateSpinBox)
    rate.selectAll()
    QTest.keyClicks(rate, typed)
    QTest.keyClick(rate, Qt.Key.Key_Return)
    assert told == ([] if meant is None else [pytest.approx(meant)])
    form.show_value(Optimisation(lr=meant or 0.003))
    assert float(rate.text()) == pytest.approx(meant or 0.003)


def test_edits_are_undone_and_made_again(qtbot: QtBot) -> None:
    state = ProjectState()
    first = Recipe(dataset=DatasetChoice(folder="a"))
    state.load(first)
    for epochs in (3, 4, 5):
        optimisation = state.recipe.optimisation.model_copy(update={"epochs": epochs})
        state.edit("epochs", state.recipe.model_copy(update={"optimisation": optimisation}), "epochs")
    state.edit("seed", state.recipe.model_copy(update={"seed": 9}))
    last = state.recipe
    assert state.undo_stack.count() == 2
    state.undo_stack.undo()
    assert (state.recipe.seed, state.recipe.optimisation.epochs) == (0, 5)
    state.undo_stack.undo()
    assert state.recipe == first
    state.undo_stack.redo()
    state.undo_stack.redo()
    assert state.recipe == last
    state.edit("nothing", last)
    assert state.undo_stack.count() == 2
    for epochs in (6, 7):
        state.edit_optimisation("epochs", epochs)
    state.used()  # a run began with 7: one can go back to it
    state.edit_optimisation("epochs", 8)
    state.undo_stack.undo()
    assert state.recipe.optimisation.epochs == 7
    state.undo_stack.undo()
    assert state.recipe == last
    state.deleteLater()


class Bell(QObject):
    rung = Signal()


def test_an_exception_in_a_slot_is_told_once_and_the_application_goes_on(
    qtbot: QtBot, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise RuntimeError("slot fault")

    faults, bell = Faults(), Bell()
    bell.rung.connect(broken)
    before = sys.excepthook
    with capture_exceptions():
        faults.install()
        bell.rung.emit()
        bell.rung.emit()
        qtbot.waitUntil(lambda: len(faults.seen) == 1)
        faults.uninstall()
    sys.excepthook = before
    dialogs = [widget for widget in QApplication.topLevelWidgets() if isinstance(widget, FaultDialog)]
    assert len(dialogs) == 1
    copy = next(button for button in dialogs[0].findChildren(QPushButton) if "Copy" in button.text())
    QTest.mouseClick(copy, Qt.MouseButton.LeftButton)
    assert "slot fault" in QApplication.clipboard().text()
    assert "slot fault" in capsys.readouterr().err
    dialogs[0].reject()
    faults.deleteLater()


@pytest.mark.parametrize("choice", [ThemeChoice.LIGHT, ThemeChoice.DARK])
def test_text_can_be_read_on_every_ground(qtbot: QtBot, choice: ThemeChoice) -> None:
    theme = Theme(choice)
    colours = theme.colours
    pairs = [(fore, back) for fore in ("text", "muted", "good", "warn", "bad", "accent") for back in ("window", "base", "raised")]
    pairs += [("accent_text", "accent"), ("accent", "accent_soft"), ("text", "accent_soft")]
    pairs += [(name, f"{name}_soft") for name in ("good", "warn", "bad")] + [
        ("text", f"{n}_soft") for n in ("good", "warn", "bad")
    ]
    low = {pair: value for pair in pairs if (value := _contrast(getattr(colours, pair[0]), getattr(colours, pair[1]))) < 4.5}
    assert not low
    theme.deleteLater()


def _contrast(one: str, other: str) -> float:
    """WCAG 2.2's contrast of two colours."""

    def luminance(colour: str) -> float:
        parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_words() -> None:
    assert [words.duration(seconds) for seconds in (0, 0.4, 59, 65, 3700)] == ["0 s", "1 s", "59 s", "1 min 05 s", "1 h 01 min"]
    assert [words.count(1, "class"), words.count(1234, "class"), words.count(2, "photo")] == [
        "1 class",
        "1,234 classes",
        "2 photos",
    ]
    assert [words.size(amount) for amount in (5, 18_800_000, 2_500_000_000)] == ["5 B", "18.8 MB", "2.5 GB"]
    assert words.printable("caf\udce9") == "caf�"


def test_a_fact_is_copied_and_read_aloud_without_the_signs_that_break_it(qtbot: QtBot) -> None:
    facts = Facts()
    qtbot.addWidget(facts)
    address = "https://example.org/weights/efficientnet-lite0.safetensors"
    facts.show_facts([("From", address)])
    facts.show()
    facts.activateWindow()
    qtbot.waitUntil(facts.isActiveWindow)
    shown = next(each for each in facts.findChildren(QLabel) if each.text() != "From")
    assert shown.text() != address, "it may be broken"
    assert facts.text == f"From: {address}" and shown.accessibleName() == address
    shown.setFocus()
    shown.setSelection(8, len(shown.text()) - 8)
    QTest.keySequence(shown, QKeySequence(QKeySequence.StandardKey.Copy))
    assert QApplication.clipboard().text() == address[8:]


@pytest.mark.parametrize(
    ("made", "offered"),
    [(("ant",), True), (("train/ant", "val/bee"), True), (("train/deeper/ant",), False), (("wasp",), False), ((), False)],
)
def test_a_folder_with_folders_called_like_classes_is_offered(
    made: tuple[str, ...], offered: bool, tmp_path: Path, qtbot: QtBot
) -> None:
    offer = Offer()
    qtbot.addWidget(offer)
    for each in made:
        (tmp_path / each).mkdir(parents=True)
    (tmp_path / "bee").write_text("a file is no class")
    offer.consider([tmp_path], ["ant", "bee"])
    assert offer.isVisible() is offered


def test_a_folder_without_end_does_not_hold_up_the_window(tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "many").mkdir()
    (entry,) = os.scandir(tmp_path)
    looked_at = 0

    def endless(folder: object) -> contextlib.nullcontext[Iterator[os.DirEntry[str]]]:
        def entries() -> Iterator[os.DirEntry[str]]:
            nonlocal looked_at
            while True:
                looked_at += 1
                yield entry

        return contextlib.nullcontext(entries())

    offer = Offer()
    qtbot.addWidget(offer)
    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", endless)
        offer.consider([tmp_path], ["ant"])
    assert not offer.isVisible() and 0 < looked_at < 100_000


def test_qt_does_not_eat_the_interpreter_s_constants(qtbot: QtBot) -> None:
    """PySide6 6.12.0 on Python 3.10 and 3.11 lost references to None and True on every call, until Python aborted."""
    timer = QTimer()
    box = QCheckBox()
    qtbot.addWidget(box)
    gc.collect()
    before = sys.getrefcount(None), sys.getrefcount(True)
    for _ in range(2000):
        box.setChecked(True)
        box.setToolTip("")
        timer.setSingleShot(True)
        box.property("nothing")
        box.blockSignals(True)
    gc.collect()
    after = sys.getrefcount(None), sys.getrefcount(True)
    assert min(now - then for now, then in zip(after, before, strict=True)) > -200
    timer.deleteLater()


def test_a_widget_in_a_cycle_is_taken_apart_in_the_window_s_thread(qtbot: QtBot) -> None:
    """In another thread Qt's locks and Python's can wait for each other, and the window with them."""
    threads: list[int] = []

    class Holder(QWidget):
        def __del__(self) -> None:
            threads.append(threading.get_ident())

    def make_garbage() -> None:
        for _ in range(100_000):  # far more than Python lets pass without a search
            cycle: list[object] = []
            cycle.append(cycle)

    owner = QObject()
    garbage = Garbage(owner)
    holder = Holder()
    holder.itself = holder  # type: ignore[attr-defined]
    del holder
    worker = threading.Thread(target=make_garbage)
    worker.start()
    worker.join()
    assert not threads
    qtbot.waitUntil(lambda: bool(threads))
    assert threads == [threading.get_ident()]
    garbage.shut_down()
    assert gc.isenabled()


def test_a_full_search_waits_until_nobody_touches_anything(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a third of a second, in which no key is answered."""
    now, searches, full = [0.0], [0], [0]

    def clock() -> float:
        searches[0] += 1
        return now[0]

    def watch(phase: str, told: dict[str, int]) -> None:
        full[0] += phase == "start" and told["generation"] == 2

    def search_at(seconds: float) -> None:
        now[0], before = seconds, searches[0]
        qtbot.waitUntil(lambda: searches[0] >= before + 3)

    monkeypatch.setattr("desktop_ft.gui.garbage.time.monotonic", clock)
    field, owner = QSpinBox(), QObject()
    qtbot.addWidget(field)
    garbage = Garbage(owner)
    gc.callbacks.append(watch)
    try:
        search_at(299)
        search_at(301)
        now[0] = 303
        QTest.keyClick(field, Qt.Key.Key_Up)
        search_at(305)
        assert full[0] == 0
        search_at(307)
        assert full[0] == 1
        search_at(310)
        assert full[0] == 1, "once is enough for the next five minutes"
    finally:
        gc.callbacks.remove(watch)
        garbage.shut_down()


def test_what_a_page_puts_off_is_drawn_once_and_in_order(qtbot: QtBot) -> None:
    drawn: list[str] = []
    page = Page("Page", "")
    qtbot.addWidget(page)

    def first() -> None:
        drawn.append("first")

    def second() -> None:
        drawn.append("second")

    def broken() -> None:
        raise ValueError("broken")

    assert [page.puts_off(each) for each in (first, second, broken, first)] == [True] * 4
    with capture_exceptions() as told:
        page.show()
    assert drawn == ["second", "first"] and not page.puts_off(first)
    assert [str(each[1]) for each in told] == ["broken"], "the others are drawn all the same"
    page.hide()
    page.show()
    assert drawn == ["second", "first"]


def test_that_work_is_to_stop_stays_in_sight_until_it_has(qtbot: QtBot) -> None:
    progress = Progress("photos")
    qtbot.addWidget(progress)
    progress.begin("Exporting")
    progress.part("Writing")
    progress.advance(1, 4)
    (cancel,) = progress.findChildren(QPushButton)
    with qtbot.waitSignal(progress.cancelled):
        cancel.click()
    progress.part("Comparing")
    progress.advance(2, 4)
    assert [line.text() for line in progress.findChildren(QLabel)] == ["Writing", "Stopping…"]
    progress.begin("Exporting")
    progress.advance(3, 4)
    assert [line.text() for line in progress.findChildren(QLabel)] == ["Exporting", "3 of 4 photos"] and cancel.isEnabled()
