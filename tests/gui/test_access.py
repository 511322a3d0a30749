"""Every page from the keyboard, with names for a screen reader; and no text that is cut."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QPoint, QSize, Qt
from PySide6.QtGui import QImage, QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QScrollBar,
    QSplitter,
    QTabBar,
    QWidget,
)
from pytestqt.qtbot import QtBot

from desktop_ft.core.language import LANGUAGES
from desktop_ft.gui import languages
from desktop_ft.gui.help_card import HelpButton
from desktop_ft.gui.main_window import SMALLEST, MainWindow
from desktop_ft.gui.state import PAGES
from desktop_ft.gui.train_page import TrainPage

CONTROLS = (QAbstractButton, QAbstractSpinBox, QComboBox, QLineEdit, QAbstractItemView, QTabBar, QPlainTextEdit, QAbstractSlider)
PARTS_OF_OTHERS = (QScrollBar, HelpButton)  # F1 does what a help button does
PLAIN = [name for name in PAGES if name != "layers"]
SIZES = [QSize(1280, 720), SMALLEST]


def controls(page: QWidget) -> list[QWidget]:
    """What a person can act upon, parts of other controls left out."""
    found = [widget for kind in CONTROLS for widget in page.findChildren(kind)]
    return [
        widget
        for widget in dict.fromkeys(found)
        if widget.isVisible() and widget.isEnabled() and not isinstance(widget, PARTS_OF_OTHERS) and not _inside(widget, page)
    ]


def _inside(widget: QWidget, page: QWidget) -> bool:
    """Whether it is a part of another control, such as the line of a spin box or the header of a table."""
    above = widget.parentWidget()
    while above is not None and above is not page:
        if isinstance(above, CONTROLS):
            return True
        above = above.parentWidget()
    return False


def tabbed(window: MainWindow, start: QWidget) -> Iterator[QWidget]:
    """What Tab leads to, one by one, until it comes round."""
    start.setFocus(Qt.FocusReason.TabFocusReason)
    seen: set[QWidget] = set()
    for _ in range(500):
        now = QApplication.focusWidget()
        assert now is not None
        if now in seen:
            return
        seen.add(now)
        yield now
        QTest.keyClick(now, Qt.Key.Key_Tab)
    raise AssertionError("Tab never comes round")


def named(widget: QWidget) -> bool:
    text = widget.text() if isinstance(widget, QAbstractButton) else ""
    if isinstance(widget, QTabBar):
        return all(widget.tabText(number) for number in range(widget.count()))
    return bool(widget.accessibleName() or text or _captioned(widget))


def _captioned(widget: QWidget) -> bool:
    return any(label.buddy() is widget for label in widget.window().findChildren(QLabel))


def seen(widget: QWidget) -> QImage:
    return widget.grab().toImage()


def ready(window: MainWindow, name: str, qtbot: QtBot) -> QWidget:
    window.session.state.go(name)
    page = window.page(name)
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    qtbot.waitUntil(lambda: not window.session.worker.busy, timeout=30_000)
    QApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest)
    return page


def opened(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    window.session.opening.open(photos)
    qtbot.waitUntil(lambda: window.session.state.manifest is not None, timeout=30_000)


def test_every_control_is_reached_named_and_shows_the_focus(window: MainWindow, qtbot: QtBot) -> None:
    for name in PLAIN:
        walk(window, name, qtbot)


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_so_it_is_with_pictures(window: MainWindow, photos: Path, name: str, qtbot: QtBot) -> None:
    opened(window, photos, qtbot)
    walk(window, name, qtbot)


def walk(window: MainWindow, name: str, qtbot: QtBot) -> None:
    page = ready(window, name, qtbot)
    wanted = controls(page)
    assert not [widget for widget in wanted if not named(widget)], f"{name}: without a name"
    reached: set[QWidget] = set()
    unseen = []
    for widget in tabbed(window, window.rail):
        reached.add(widget)
        if page.isAncestorOf(widget):
            focused = seen(widget)
            window.rail.setFocus(Qt.FocusReason.TabFocusReason)
            if seen(widget) == focused:
                unseen.append(widget)
            widget.setFocus(Qt.FocusReason.TabFocusReason)
    assert not unseen, f"{name}: focus cannot be seen"
    assert not [widget for widget in wanted if widget not in reached], f"{name}: not reached by Tab"


def mnemonics(window: MainWindow, page: QWidget) -> Iterator[tuple[str, str]]:
    """Key and text of all that Alt and a letter lead to while `page` is shown, whatever of it is hidden now."""
    for action in window.menuBar().actions():
        yield _alt(action.text()), action.text()
    for part in (page, window.rail, window.strip):
        for widget in part.findChildren(QWidget):
            if isinstance(widget, QAbstractButton) or (isinstance(widget, QLabel) and widget.buddy() is not None):
                yield _alt(widget.text()), widget.text()
            elif isinstance(widget, QTabBar):
                yield from ((_alt(widget.tabText(number)), widget.tabText(number)) for number in range(widget.count()))


def _alt(text: str) -> str:
    return QKeySequence.mnemonic(text).toString()


def clashes(window: MainWindow) -> dict[tuple[str, str], list[str]]:
    found = {}
    for name in PAGES:
        known: dict[str, list[str]] = {}
        for key, text in mnemonics(window, window.page(name)):
            known.setdefault(key, []).append(text)
        assert len([key for key in known if key]) >= len(window.menuBar().actions())
        found |= {(name, key): texts for key, texts in known.items() if key and len(texts) > 1}
    return found


def test_no_two_things_answer_to_the_same_letter(window: MainWindow) -> None:
    assert not clashes(window)


@pytest.fixture(params=sorted(set(LANGUAGES) - {"en"}))
def spoken(request: pytest.FixtureRequest, english_again: None, qapp: QApplication) -> str:
    """A language that the window of the test speaks."""
    code = str(request.param)
    assert languages.speak(qapp, code) == code
    return code


@pytest.mark.slow
def test_so_it_is_in_every_language(spoken: str, window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    assert not clashes(window)
    opened(window, photos, qtbot)
    look(window, PAGES, qtbot)


def cut(page: QWidget) -> list[str]:
    """Texts of which a part cannot be seen, and that no tool tip tells."""
    found = []
    for box in page.findChildren(QComboBox):
        arrow = 20
        if box.isVisible() and box.fontMetrics().horizontalAdvance(box.currentText()) + arrow > box.width():
            found.append(f"{box.currentText()!r} in {box.width()}")
    for widget in [*page.findChildren(QLabel), *page.findChildren(QPushButton)]:
        if not widget.isVisible() or not widget.text() or _scrolled_away(widget):
            continue
        if isinstance(widget, QLabel) and widget.wordWrap():
            fits = widget.heightForWidth(widget.width()) <= widget.height() and widget.minimumSizeHint().width() <= widget.width()
        else:
            hint = widget.minimumSizeHint() if isinstance(widget, QPushButton) else widget.sizeHint()
            fits = hint.width() <= widget.width() and hint.height() <= widget.height()
        if not fits:
            found.append(f"{widget.text()!r}: {widget.size().toTuple()} of {widget.sizeHint().toTuple()}")
        elif not _within(widget, page):
            found.append(f"{widget.text()!r} reaches beyond what holds it")
    return found


def _scrolled_away(widget: QWidget) -> bool:
    return widget.visibleRegion().isEmpty()


def _within(widget: QWidget, page: QWidget) -> bool:
    """Whether its left and right end are within the page (what is below can be scrolled to)."""
    left = widget.mapTo(page, QPoint(0, 0)).x()
    return left >= 0 and left + widget.width() <= page.width()


def test_no_text_is_cut(window: MainWindow, qtbot: QtBot) -> None:
    look(window, PLAIN, qtbot)


def test_however_much_a_forecast_says_the_form_above_gives_way_and_no_button_moves(window: MainWindow, qtbot: QtBot) -> None:
    train = ready(window, "train", qtbot)
    assert isinstance(train, TrainPage)
    ways = (train.start, train.wait, train.forecast.ask)
    before = [way.mapTo(train, QPoint(0, 0)) for way in ways]
    for times in (4, 20):
        train.forecast.answer.setText("It takes long. " * times)
        train.forecast.answer.show()
        qtbot.waitUntil(lambda: not cut(train))
        assert [way.mapTo(train, QPoint(0, 0)) for way in ways] == before, "a click at the old place would miss"


def test_no_field_of_the_page_train_is_under_the_scroll_bar(window: MainWindow, qtbot: QtBot) -> None:
    train = ready(window, "train", qtbot)
    assert isinstance(train, TrainPage)
    train.findChild(QSplitter, "train").setSizes([1, 1000])  # as narrow as can be, as in a small window
    QApplication.processEvents()
    area = next(each for each in train.findChildren(QScrollArea) if each.isAncestorOf(train.optimisation))
    assert area.widget().width() <= area.viewport().width() and area.width() <= area.parentWidget().width()


@pytest.mark.slow
def test_no_text_is_cut_with_pictures(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    opened(window, photos, qtbot)
    look(window, PAGES, qtbot)


def look(window: MainWindow, names: Sequence[str], qtbot: QtBot) -> None:
    found = {}
    for size in SIZES:
        window.resize(size)
        for name in names:
            page = ready(window, name, qtbot)
            assert window.size() == size
            with suppress(qtbot.TimeoutError):  # a layout in a layout may take a moment to settle
                qtbot.waitUntil(lambda page=page: not cut(page), timeout=2_000)  # type: ignore[misc]
            found[f"{name} at {size.width()}x{size.height()}"] = cut(page)
    assert not {where: texts for where, texts in found.items() if texts}
