"""The lesson: its steps on the left; beside them what there is to understand, runs that draw while they learn, and questions."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QAbstractItemView,
    QButtonGroup,
    QDialog,
    QHBoxLayout,
    QListWidget,
    QRadioButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from desktop_ft.core.language import marked, tr, tr_n
from desktop_ft.core.lesson import LessonFigures, LessonStep, Question
from desktop_ft.core.metrics import Interval
from desktop_ft.gui import words
from desktop_ft.gui.lesson_work import LessonWork
from desktop_ft.gui.plots import SERIES, colour_plot, free_plot, make_plot, square
from desktop_ft.gui.session import Session
from desktop_ft.gui.table import Column, table
from desktop_ft.gui.theme import Theme
from desktop_ft.gui.widgets import (
    GAP,
    MARGIN,
    Empty,
    Notice,
    Progress,
    button,
    card,
    filling,
    label,
    letters_width,
    row,
    scrolled,
)

_SIZE = (1000, 660)
_LETTERS = 33
_COLUMNS = (
    Column(title=marked("Run"), text=lambda run: run.title),
    Column(
        title=marked("Accuracy"),
        text=lambda run: words.percent(run.accuracy.value) if run.accuracy else tr("learning…"),
        sort=lambda run: run.accuracy.value if run.accuracy else 0.0,
        number=True,
        width=12,
        help=marked(
            "Share of the held-out pictures that the best epoch's model gets right. The epoch was picked by these pictures, "
            "which flatters all runs alike."
        ),
    ),
    Column(
        title=marked("95 % interval"),
        text=lambda run: _between(run.accuracy),
        sort=lambda run: run.accuracy.low if run.accuracy else 0.0,
        number=True,
        width=18,
    ),
    Column(
        title=marked("Seconds"),
        text=lambda run: f"{run.seconds:.1f}",
        sort=lambda run: run.seconds,
        number=True,
        width=9,
        help=marked(
            "Of training, here and now: with the one pass through the frozen layers, and the validation after every epoch."
        ),
    ),
)


def _between(value: Interval | None) -> str:
    return tr("{low} to {high}", low=words.percent(value.low), high=words.percent(value.high)) if value is not None else ""


def show_lesson(session: Session, window: QWidget) -> None:
    """Show the lesson of `window`, once, where it was left; the window stays usable beside it."""
    open_ones = [dialog for dialog in window.findChildren(LessonDialog) if dialog.isVisible()]  # another may be on its way out
    dialog = open_ones[0] if open_ones else LessonDialog(session, window)
    dialog.show()
    dialog.raise_()
    dialog.activateWindow()


class LessonDialog(QDialog):
    """Closed, it gives up the runs under way, and keeps what was done."""

    def __init__(self, session: Session, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Lesson: what fine-tuning is"))
        self.resize(*_SIZE)
        self._session, self._work, self._shut = session, session.lesson, False
        self.restoreGeometry(session.settings.window("lesson"))
        lesson = self._work.lesson
        self.list = QListWidget()
        self.list.setAccessibleName(tr("Steps of the lesson"))
        self.list.setFixedWidth(letters_width(self, _LETTERS))
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.list.setObjectName("steps")
        self.list.setWordWrap(True)
        self.list.setTextElideMode(Qt.TextElideMode.ElideNone)
        self.list.addItems([""] * len(lesson.step) + [tr("Questions")])
        self.step = StepPanel(self._work, session.theme, self._start, self._go)
        self.questions = QuestionPanel(lesson.question)
        self.stack = QStackedWidget()
        for panel in (self.step, scrolled(self.questions)):
            self.stack.addWidget(panel)
        self.back = button(tr("Back"), partial(self._move, -1))
        self.on = button("", self._on)
        right = QVBoxLayout()
        right.setSpacing(GAP)
        right.addWidget(self.stack, 1)
        right.addLayout(row(button(tr("Close"), self.reject), None, self.back, self.on))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        layout.setSpacing(MARGIN)
        layout.addWidget(self.list)
        layout.addLayout(right, 1)
        for signal in (self._work.changed, *session.can_open_changed):
            signal.connect(self.refresh)
        self._work.progressed.connect(self.step.draw)
        self.list.currentRowChanged.connect(self._show)
        self.list.setCurrentRow(min(session.settings.lesson, self.list.count() - 1))

    @property
    def number(self) -> int:
        """The place of the step that is shown; the questions come after the last."""
        return self.list.currentRow()

    def refresh(self, *_: object) -> None:
        """Show what was done, and what can be done now."""
        if self._shut:
            return
        steps, last = self._work.lesson.step, self.list.count() - 1
        for number, step in enumerate(steps):
            under_way = self._work.running and self._work.step == number
            mark = " …" if under_way else " ✓" if number in self._work.results else ""
            self.list.item(number).setText(f"{number + 1}. {step.title}{mark}")
        self.back.setEnabled(self.number > 0)
        self.on.setText(tr("Finish") if self.number == last else tr("Next"))
        if self.number < last:
            self.step.refresh()
        self.on.setProperty("role", "primary" if self.number == last or self.number in self._work.results else "")
        self.on.style().unpolish(self.on)
        self.on.style().polish(self.on)

    def done(self, result: int) -> None:
        """Give up what is under way; once, as Qt calls this again when what it belongs to is closed."""
        if not self._shut:
            self._shut = True
            self._work.cancel()
            self._session.settings.remember_window("lesson", self.saveGeometry())
            self.step.shut_down()
        super().done(result)

    def _show(self, number: int) -> None:
        self._session.settings.lesson = number
        questions = number == self.list.count() - 1
        self.stack.setCurrentIndex(int(questions))
        if not questions:
            self.step.show_step(number)
        self.refresh()

    def _move(self, by: int) -> None:
        self.list.setCurrentRow(self.number + by)

    def _on(self) -> None:
        if self.number < self.list.count() - 1:
            self._move(1)
        else:
            self.list.setCurrentRow(0)  # another time it begins anew
            self.accept()

    def _start(self) -> None:
        self._work.start(self.number)

    def _go(self) -> None:
        self._session.state.go(self._work.lesson.step[self.number].page)
        window = self.window().parentWidget()
        if window is not None:
            window.activateWindow()
            window.raise_()


class StepPanel(QWidget):
    """One step: its words, and its runs as they learn."""

    def __init__(self, work: LessonWork, theme: Theme, start: Callable[[], None], go: Callable[[], None]) -> None:
        super().__init__()
        self._work, self._theme, self._number = work, theme, 0
        self.title = label(role="figure", wrap=True)
        self.say, self.look, self.said, self.own = (label(wrap=True) for _ in range(4))
        self.start = button(tr("Start"), start, primary=True)
        self.again = button(tr("Do it again"), start)
        self.empty = Empty(tr("See it live"), "", self.start)
        self.way = button("", go)
        self.notice = Notice()
        self.progress = Progress(tr("epochs"))
        self.progress.cancelled.connect(work.cancel)
        self.plot = make_plot(tr("Accuracy on held-out pictures, %"), tr("epoch"))
        self.plot.setMouseEnabled(x=False, y=False)
        self.legend = label(role="muted", wrap=True)
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        self.table = table(_COLUMNS, theme, tr("What the runs came to"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(GAP)
        for widget in (self.title, self.say, self.notice, self.progress):
            layout.addWidget(widget)
        self.shown = QWidget()
        runs = QVBoxLayout(self.shown)
        runs.setContentsMargins(0, 0, 0, 0)
        runs.addWidget(self.plot, 3)
        runs.addLayout(row(self.legend, self.again))
        runs.addWidget(self.table, 2)
        layout.addWidget(filling(self.empty, self.shown), 1)
        for widget in (self.said, self.look):
            layout.addWidget(widget)
        layout.addLayout(row(label(tr("On your own pictures"), "heading"), self.own, self.way))
        theme.changed.connect(self.draw)

    @property
    def _is_under_way(self) -> bool:
        return self._work.running and self._work.step == self._number

    @property
    def step(self) -> LessonStep:
        """The step that is shown."""
        return self._work.lesson.step[self._number]

    def show_step(self, number: int) -> None:
        """Show the step at the place `number`."""
        self._number = number
        step = self.step
        self.title.setText(step.title)
        self.say.setText(step.say)
        self.look.setText(step.look)
        self.own.setText(step.own)
        self.way.setText(tr("Go to {page}", page=tr(words.PAGE_TITLES[step.page])))
        self.refresh()

    def refresh(self) -> None:
        """Show what can be done, and what was done."""
        mine = self._is_under_way
        reason = "" if self._work.can_start or mine else self._why_not()
        self.empty.words.setText(reason or self._what_comes())
        self.again.setVisible(not mine)
        for each in (self.start, self.again):
            each.setEnabled(self._work.can_start)
            each.setToolTip(reason)
        if (fault := self._work.broken_off.get(self._number)) is not None:
            self.notice.fail(fault)
        else:
            self.notice.clear()
        self.progress.follow(self.step.title if mine else "")
        self.draw()

    def draw(self) -> None:
        """Draw the runs of this step, as far as they are."""
        if self.plot is None:
            return
        work, mine = self._work, self._is_under_way
        runs = work.figures if mine else work.figures_of(self._number)
        done, planned = work.done
        if mine and done:  # until then the bar moves by itself
            self.progress.advance(done, planned)
        self.plot.clear()
        colour_plot(self.plot, self._theme.colours)
        self.plot.setXRange(0, max((run.epochs for run in runs), default=1), padding=0.02)
        self.plot.setYRange(0, 100, padding=0.03)
        for number, run in enumerate(runs):
            self._curve(run, SERIES[number])
        self.shown.setVisible(bool(runs) or mine)
        self.empty.setVisible(not runs and not mine)
        self.legend.setText(" &nbsp; ".join(square(SERIES[number], run.title) for number, run in enumerate(runs)))
        self.table.rows.set_rows(tuple(runs))
        result = None if mine else work.results.get(self._number)
        self.said.setText("\n".join(result.said) if result else "")
        self.said.setVisible(result is not None)

    def _why_not(self) -> str:
        if self._work.running:
            return tr("Another step is under way: wait for it, or cancel it there.")
        return tr("Something else is under way, beside which it would be slow: wait for it, or stop it.")

    def _what_comes(self) -> str:
        return tr_n(
            "{n} short run on the shipped sample of handwritten digits, drawn while it learns. Nothing of it is kept.",
            "{n} short runs on the shipped sample of handwritten digits, drawn while they learn. Nothing of them is kept.",
            n=len(self.step.runs),
        )

    def shut_down(self) -> None:
        """Free the plot."""
        plot, self.plot = self.plot, None
        free_plot(plot)

    def _curve(self, run: LessonFigures, colour: str) -> None:
        pen: Any = pg.mkPen(colour, width=2 * self.devicePixelRatioF())
        epochs, shares = list(range(1, len(run.curve) + 1)), [100 * share for share in run.curve]
        self.plot.plot(epochs, shares, pen=pen, symbol="o", symbolSize=5, symbolBrush=colour, symbolPen=None)


class QuestionPanel(QWidget):
    """The questions, each answered by a click and explained at once."""

    def __init__(self, questions: Sequence[Question]) -> None:
        super().__init__()
        self.setObjectName("form")
        self._questions = questions
        self._right: dict[int, bool] = {}
        self.count = label(role="heading", wrap=True)
        self.answers: list[list[QRadioButton]] = []
        self.told = [label(wrap=True) for _ in questions]
        layout = QVBoxLayout(self)
        layout.setSpacing(GAP)
        layout.addWidget(label(tr("Questions"), "figure"))
        layout.addWidget(self.count)
        for number, question in enumerate(questions):
            frame, inside = card()
            inside.addWidget(label(question.ask, "heading", wrap=True))
            group = QButtonGroup(frame)
            self.answers.append([])
            for place, answer in enumerate(question.answers):
                choice = QRadioButton(answer)
                choice.clicked.connect(partial(self._answer, number, place))
                group.addButton(choice)
                self.answers[-1].append(choice)
                inside.addWidget(choice)
            self.told[number].hide()
            inside.addWidget(self.told[number])
            layout.addWidget(frame)
        layout.addStretch(1)
        self._tally()

    def _answer(self, number: int, place: int) -> None:
        question, told = self._questions[number], self.told[number]
        right = place == question.right
        self._right.setdefault(number, right)
        told.setText(f"{tr('Right.') if right else tr('Not quite: try another.')} {question.why if right else ''}".strip())
        told.setProperty("level", "good" if right else "warn")
        told.style().unpolish(told)
        told.style().polish(told)
        told.show()
        self._tally()

    def _tally(self) -> None:
        if not self._right:
            self.count.setText(tr("Choose an answer; the right one is explained."))
            return
        at_once = sum(self._right.values())
        self.count.setText(tr("{right} of {all} right at the first try.", right=at_once, all=len(self._questions)))
