"""Small pieces that every page is made of."""

import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from string import ascii_lowercase

from PySide6.QtCore import Qt, Signal, SignalInstance
from PySide6.QtGui import QGuiApplication, QShowEvent
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from desktop_ft.core.errors import UserError
from desktop_ft.core.language import grouped, tr
from desktop_ft.gui import words
from desktop_ft.gui.faults import traceback_of, words_of
from desktop_ft.gui.settings import Settings
from desktop_ft.runs.logbook import report, tell

_LEVELS = {"bad": logging.ERROR, "warn": logging.WARNING}
MARGIN = 20
GAP = 10
_REACH = 2
_TIP = "tip"
"""The property of a button that keeps what its tool tip says of it."""


def label(text: str = "", role: str = "", *, wrap: bool = False) -> QLabel:
    """A plain-text label; `role` picks its look (muted, heading, figure)."""
    made = QLabel(text)
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.setWordWrap(wrap)
    if role:
        made.setProperty("role", role)
    return made


def caption_of(control: QWidget, text: str) -> QLabel:
    """The caption beside `control`; the letter behind `&` leads to it."""
    made = label(text)
    made.setBuddy(control)
    # The last letter may reach a pixel further than is measured, on screens of high density.
    made.ensurePolished()
    made.setMinimumWidth(made.sizeHint().width() + _REACH)
    return made


def button(text: str, clicked: Callable[[], object], *, primary: bool = False, tip: str = "") -> QPushButton:
    """A push button."""
    made = QPushButton(text)
    made.setToolTip(tip)
    made.setProperty(_TIP, tip)
    made.setAutoDefault(False)
    if primary:
        made.setProperty("role", "primary")
    made.clicked.connect(clicked)
    return made


def enable_or_say(way: QPushButton, obstacle: str, tip: str | None = None) -> None:
    """Let `way` be pressed where there is no `obstacle`; else it says, behind its `tip` (None: its own), what it is."""
    way.setEnabled(not obstacle)
    way.setToolTip("\n".join(filter(None, (way.property(_TIP) if tip is None else tip, obstacle))))


def letters_width(widget: QWidget, count: int) -> int:
    """Pixels that `count` small Latin letters take in the font of `widget`. (A font's own average counts Chinese letters too.)"""
    return count * (widget.fontMetrics().horizontalAdvance(ascii_lowercase) // len(ascii_lowercase))


def row(*things: QWidget | None) -> QHBoxLayout:
    """Things side by side; None is a stretch."""
    layout = QHBoxLayout()
    layout.setSpacing(GAP)
    for thing in things:
        if thing is None:
            layout.addStretch(1)
        else:
            layout.addWidget(thing, 100 if isinstance(thing, QLabel) and thing.wordWrap() else 0)
    return layout


def card() -> tuple[QFrame, QVBoxLayout]:
    """A framed panel and the layout inside it."""
    frame = QFrame()
    frame.setObjectName("card")
    layout = QVBoxLayout(frame)
    layout.setContentsMargins(14, 12, 14, 12)
    layout.setSpacing(8)
    return frame, layout


def splitter(name: str, settings: Settings, *panels: QWidget, shares: tuple[int, ...]) -> QSplitter:
    """Panels side by side whose widths are remembered under `name`."""
    made = QSplitter(Qt.Orientation.Horizontal)
    made.setObjectName(name)
    made.setChildrenCollapsible(False)
    made.setHandleWidth(GAP)
    for index, (panel, share) in enumerate(zip(panels, shares, strict=True)):
        made.addWidget(panel)
        made.setStretchFactor(index, share)
    made.setSizes(settings.splitter(name) or [1000 * share // sum(shares) for share in shares])
    return made


class Page(QWidget):
    """A page of the window: title, one line on what it is for, and what the page adds to `body`."""

    def __init__(self, title: str, subtitle: str) -> None:
        super().__init__()
        self.setWindowTitle(title)  # seen nowhere; says what the page is called
        heading = label(title)
        heading.setObjectName("title")
        self.subtitle = label(subtitle, wrap=True)
        self.subtitle.setObjectName("subtitle")
        self.header = QHBoxLayout()
        self.header.setSpacing(GAP)
        texts = QVBoxLayout()
        texts.setSpacing(2)
        texts.addWidget(heading)
        texts.addWidget(self.subtitle)
        self.header.addLayout(texts, 1)
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(MARGIN, 14, MARGIN, 14)
        self.body.setSpacing(GAP)
        self.body.addLayout(self.header)
        self._owed: dict[Callable[[], None], None] = {}

    @property
    def in_sight(self) -> bool:
        """Whether this page, or a part of it that has a window of its own, is shown."""
        return self.isVisible()

    def puts_off(self, draw: Callable[[], None]) -> bool:
        """Whether nothing of this page is in sight; `draw` is then called when it is shown, once, after what was put off before.

        A change of the project tells every page there is: those that nobody sees must not keep the window from its next turn.
        """
        if not self.in_sight:
            self._owed.pop(draw, None)
            self._owed[draw] = None
        return not self.in_sight

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """Draw what was put off."""
        super().showEvent(event)
        owed, self._owed = self._owed, {}
        for draw in owed:
            try:
                draw()
            except Exception:  # told as that of any slot: it must not keep the others from being drawn
                sys.excepthook(*sys.exc_info())

    def take_drop(self, paths: tuple[Path, ...]) -> bool:
        """Whether this page does something of its own with what was dropped; the window opens it otherwise."""
        return False

    def keep(self) -> UserError | None:
        """Keep what was typed here, before the window closes; returns why something of it cannot be kept."""
        return None

    def shut_down(self) -> None:
        """End what runs for this page; called before the window goes."""
        return


def filling(*things: QWidget) -> QWidget:
    """Things below each other that together fill what room there is; what is hidden leaves no gap to the others."""
    holder = QWidget()
    layout = QVBoxLayout(holder)
    layout.setContentsMargins(0, 0, 0, 0)
    for thing in things:
        layout.addWidget(thing, 1)
    layout.addStretch(0)
    return holder


def stacked(*things: QWidget, top: int = 0) -> QWidget:
    """Things below each other, `top` pixels below what is above them."""
    holder = QWidget()
    layout = QVBoxLayout(holder)
    layout.setContentsMargins(0, top, 0, 0)
    for thing in things:
        layout.addWidget(thing)
    return holder


def scrolled(thing: QWidget) -> QScrollArea:
    """`thing`, as wide as there is room, with a scroll bar where it is higher."""
    area = QScrollArea()
    area.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click between what it holds is no choice of the whole
    area.setWidgetResizable(True)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(thing)
    beside = area.verticalScrollBar().sizeHint().width() + 2 * area.frameWidth()
    area.setMinimumWidth(thing.minimumSizeHint().width() + beside)
    return area


class Notice(QFrame):
    """A message in its place: what is wrong, and what to do. Hidden while there is nothing to say. The log keeps it.

    Args:
        logged: whether what it says goes into the log; not so where it only shows what the person picked.

    Attributes:
        lasts: whether what is said stays when another page is shown.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None, *, logged: bool = True) -> None:
        super().__init__(parent)
        self.setObjectName("notice")
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self._logged = logged
        self._error: BaseException | None = None
        self._text = label(wrap=True)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.copy = button(
            tr("Copy details"), self._copy, tip=tr("What a report needs: these words, versions and, if there is one, a trace.")
        )
        self.way = button("", self._take)
        self._taken: Callable[[], object] | None = None
        self.dismiss = button(tr("Dismiss"), self.clear)
        self.lasts = False
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 8, 12, 8)
        layout.addWidget(self._text, 1)
        for way in (self.way, self.copy, self.dismiss):
            layout.addWidget(way, 0, Qt.AlignmentFlag.AlignTop)
        self.hide()

    @property
    def text(self) -> str:
        """What is said; "" when nothing is."""
        return "" if self.isHidden() else self._text.text()

    @property
    def tells_of_error(self) -> bool:
        """Whether what is said is that something went wrong."""
        return bool(self.text) and self.property("level") == "bad"

    def say(self, what: str, level: str = "") -> None:
        """Show `what`; level is "", good, warn or bad."""
        self._say(what, level, None, logged=self._logged)

    def say_until(self, over: SignalInstance, what: str, level: str = "") -> None:
        """As `say`, until `over` tells that it is true no more."""
        self.say(what, level)

        def clear(*_: object) -> None:
            over.disconnect(clear)
            if self.text == what:
                self.clear()

        over.connect(clear)

    def offer(self, what: str, way: str, take: Callable[[], object], level: str = "") -> None:
        """As `say`, with a button `way` that does what a person may want next; it goes with what is said."""
        self.say(what, level)
        self._taken = take
        self.way.setText(way)
        self.way.show()

    @property
    def offers(self) -> bool:
        """Whether it has a button for what a person may want next."""
        return self._taken is not None

    def fail(self, error: BaseException, *, told: bool = False) -> None:
        """Show an error with what to do about it.

        Args:
            told: another notice shows it, too, and the log has it from there.
        """
        what, cure = words_of(error)
        self._say(f"{what}\n{cure}", "bad", error, logged=self._logged and not told)

    def fail_lasting(self, error: BaseException) -> None:
        """Show an error that matters on every page: a person may dismiss it."""
        self.fail(error)
        self.lasts = True
        self.dismiss.show()

    def clear(self) -> None:
        """Say nothing."""
        self.lasts = False
        self._taken = None
        self.hide()
        self.changed.emit()

    def _say(self, what: str, level: str, error: BaseException | None, *, logged: bool) -> None:
        before = self.text.splitlines()
        # Only what has a trace to be copied is kept: a trace holds widgets in a circle, and freeing that can abort the process.
        self._error = None if isinstance(error, UserError) else error
        self._text.setText(words.printable(what))
        self._taken = None
        self.way.hide()
        if level != self.property("level"):  # a style is slow, and this is said again at every change of the project
            self.setProperty("level", level)
            self.style().unpolish(self)
            self.style().polish(self)
        self.copy.setVisible(level == "bad")
        self.dismiss.setVisible(level != "warn")  # a warning is true until its cause is gone
        self.lasts = False
        self.setVisible(bool(what))
        self.changed.emit()
        # What grows by a line, or is said again while it can still be read, is not news as a whole.
        new = [line for line in self.text.splitlines() if line not in before]
        if new and logged:
            tell(_LEVELS.get(level, logging.INFO), "\n".join(new), self._where(), error)

    def _take(self) -> None:
        taken = self._taken
        self.clear()
        if taken is not None:
            taken()

    def _where(self) -> str:
        above = self.parentWidget()
        while above is not None and not isinstance(above, Page | QDialog):
            above = above.parentWidget()
        return above.windowTitle() if above is not None else tr("Window")

    def _copy(self) -> None:
        trace = traceback_of(self._error) if self._error is not None else ""
        QGuiApplication.clipboard().setText(report("\n".join(filter(None, (self._where(), self._text.text(), trace)))))


class Progress(QFrame):
    """Work under way: what, how far, how long still, and a way to stop it. Hidden while nothing runs.

    Args:
        noun: what is counted, in the plural. in_bytes: it is bytes.
    """

    cancelled = Signal()

    def __init__(self, noun: str, parent: QWidget | None = None, *, in_bytes: bool = False) -> None:
        super().__init__(parent)
        self.setObjectName("card")
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self._noun = noun
        self._in_bytes = in_bytes
        self._began = 0.0
        self._doing = ""
        self._is_ending = False
        self.what = label()
        self._detail = label(role="muted")
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._stop = button(tr("Cancel"), self._ask)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 10, 14, 10)
        layout.addLayout(row(self.what, None, self._detail, self._stop))
        layout.addWidget(self._bar)
        self.hide()

    def begin(self, what: str) -> None:
        """Show that `what` is under way."""
        self._stop.setEnabled(True)
        self._is_ending = False
        self._show_part(what)
        self.show()

    def part(self, what: str) -> None:
        """Show that `what`, a part of the work, is under way now; how long another one than before takes is told anew."""
        if self._doing not in ("", what) and not self._is_ending:
            self._show_part(what)

    def _show_part(self, what: str) -> None:
        self._doing = what
        self._began = time.monotonic()
        self.what.setText(words.printable(what))
        self._detail.setText("")
        self._bar.setRange(0, 0)

    def advance(self, done: int, total: int | None) -> None:
        """Show how far it is; `total` is None while unknown."""
        if self._is_ending:
            return  # it was asked to stop, and that stays in sight until it has
        if not total:
            self._detail.setText(words.size(done) if self._in_bytes else f"{grouped(done)} {self._noun}")
            return
        if self._in_bytes:
            how_far = tr("{done} of {total}", done=words.size(done), total=words.size(total))
        else:
            how_far = tr("{done:,} of {total:,} {things}", done=done, total=total, things=self._noun)
        self._bar.setRange(0, 1000)
        self._bar.setValue(round(1000 * done / total))
        self._detail.setText(f"{how_far}{self._left(done / total)}")

    def say(self, what: str, share: float) -> None:
        """Show what is under way now, and which share of all is done, for work that tells by itself how long the rest takes."""
        self.what.setText(words.printable(what))
        self._bar.setRange(0, 1000)
        self._bar.setValue(round(1000 * share))

    def cancellable(self, can: bool) -> None:
        """Whether the work can be stopped at all."""
        self._stop.setVisible(can)

    def follow(self, what: str) -> None:
        """Show that `what` is under way, from its beginning on if that was not shown yet; "": nothing is any more."""
        if not what:
            self.end()
        elif not self._doing:
            self.begin(what)

    def end(self) -> None:
        """The work is over."""
        self._doing = ""
        self.hide()

    def _left(self, share: float) -> str:
        elapsed = time.monotonic() - self._began
        if share <= 0 or elapsed < 1:
            return ""
        return " · " + tr("{time} left", time=words.duration(elapsed / share * (1 - share)))

    def _ask(self) -> None:
        self._stop.setEnabled(False)
        self._is_ending = True
        self._bar.setRange(0, 0)
        self._detail.setText(tr("Stopping…"))
        self.cancelled.emit()


class Empty(QFrame):
    """What a panel shows when it has nothing: why, and the way on."""

    def __init__(self, title: str, text: str, *ways: QPushButton, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("dropzone")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.title = label(title, "figure", wrap=True)
        self.words = label(text, "muted", wrap=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(40, 30, 40, 30)
        layout.setSpacing(14)
        layout.addStretch(1)
        for thing in (self.title, self.words):
            thing.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            layout.addWidget(thing)
        layout.addLayout(row(None, *ways, None))
        layout.addStretch(1)
