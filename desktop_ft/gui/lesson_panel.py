"""The lesson's panel: above the page, what there is to understand, to do and to look at."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QGridLayout, QSizePolicy, QVBoxLayout, QWidget

from desktop_ft.core.language import tr
from desktop_ft.gui.lesson import Lesson
from desktop_ft.gui.state import ProjectState
from desktop_ft.gui.widgets import GAP, MARGIN, button, label, row
from desktop_ft.gui.words import PAGE_TITLES


class LessonPanel(QFrame):
    """One step at a time. Hidden while no lesson is on."""

    def __init__(self, lesson: Lesson, state: ProjectState, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("lesson")
        self.setAccessibleName(tr("Lesson"))
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self._lesson, self._state = lesson, state
        self.title = label(role="heading", wrap=True)
        self.say = label(wrap=True)
        self.do = label(wrap=True)
        self.look = label(wrap=True)
        self.way = button("", self._go)
        self.back = button(tr("Back"), lesson.back)
        self.on = button("", lesson.on)
        self.leave = button(tr("Leave"), lesson.leave, tip=tr("The menu Help brings the lesson back at this step."))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(MARGIN, 8, MARGIN, 8)
        layout.setSpacing(4)
        layout.addLayout(row(self.title, self.way, self.back, self.on, self.leave))
        layout.addWidget(self.say)
        self.mark = label(role="heading")
        lines = QGridLayout()
        lines.setHorizontalSpacing(GAP)
        lines.setVerticalSpacing(4)
        lines.setColumnStretch(1, 1)
        for number, (mark, text) in enumerate(((self.mark, self.do), (label(tr("Look at"), "heading"), self.look))):
            lines.addWidget(mark, number, 0, Qt.AlignmentFlag.AlignTop)
            lines.addWidget(text, number, 1)
        layout.addLayout(lines)
        lesson.changed.connect(self.refresh)
        state.page_changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the step as it stands."""
        lesson = self._lesson
        self.setVisible(lesson.open)
        if not lesson.open:
            return
        step, last = lesson.step, lesson.number + 1 == len(lesson.steps)
        self.title.setText(tr("Step {n} of {all}: {title}", n=lesson.number + 1, all=len(lesson.steps), title=step.title))
        self.say.setText(step.say)
        self.do.setText(step.do)
        self.look.setText(step.look)
        self.mark.setText(tr("Done ✓") if lesson.done else tr("To do"))
        self.mark.setProperty("level", "good" if lesson.done else "")
        self.way.setText(tr("Go to {page}", page=tr(PAGE_TITLES[step.page])))
        self.way.setVisible(self._state.page != step.page)
        self.back.setEnabled(lesson.number > 0)
        self.on.setText(tr("Finish") if last else tr("Next") if lesson.done else tr("Skip"))
        self.on.setProperty("role", "primary" if lesson.done else "")
        for widget in (self.mark, self.on):
            widget.style().unpolish(widget)
            widget.style().polish(widget)

    def _go(self) -> None:
        self._state.go(self._lesson.step.page)
