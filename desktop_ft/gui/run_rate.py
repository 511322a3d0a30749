"""The learning rate of the run under way, and its change while it goes on."""

from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop_ft.core.changes import Change
from desktop_ft.core.language import tr
from desktop_ft.core.recipe import Optimisation
from desktop_ft.core.values import bounds
from desktop_ft.gui.form import FormGuard, RateSpinBox
from desktop_ft.gui.session import Session
from desktop_ft.gui.widgets import Notice, button, caption_of, label, row


class RunRate(QWidget):
    """A rate and *Use in the run*. What comes of it is told in `notice`."""

    def __init__(self, session: Session, notice: Notice) -> None:
        super().__init__()
        self._session = session
        self._notice = notice
        self._shown: float | None = None
        self.rate = RateSpinBox()
        self.rate.setRange(*bounds(Optimisation.model_fields["lr"], 1e-6))
        self.rate.setAccessibleName(tr("Learning rate of the run"))
        self.rate.setToolTip(
            tr("What the schedule of the run under way is to start from; the recipe on this page is for the next run.")
        )
        self.rate.installEventFilter(FormGuard(self))
        caption = caption_of(self.rate, tr("Rate of the r&un"))
        self.use = button(
            tr("Use in the run"), self._use, tip=tr("Let the run under way go on at this rate, from its next epoch on.")
        )
        self.told = label(role="muted", wrap=True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addStretch(1)
        column.addLayout(row(caption, self.rate))
        column.addLayout(row(self.use, self.told))
        self.rate.valueChanged.connect(self.refresh)
        replanning, training = session.replanning, session.training
        replanning.replanned.connect(self._replanned)
        replanning.failed.connect(self._not_replanned)
        for signal in (training.started, training.updated, training.ended):
            signal.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the rate that the run has, unless another one is being typed, and whether it can be changed."""
        replanning = self._session.replanning
        course = replanning.course
        now = course.lr if course is not None else self._session.state.recipe.optimisation.lr
        if now != self._shown:
            self._shown = now
            self.rate.setValue(now)
        self.rate.setEnabled(replanning.can_change)
        self.use.setEnabled(replanning.can_change and course is not None and self.rate.number != course.lr)
        if course is None:
            self.told.setText(tr("once it trains"))
        elif replanning.can_change:
            self.told.setText(tr("from the next epoch on"))
        else:
            self.told.setText(tr("not any more: no epoch is left to begin"))

    def _use(self) -> None:
        self._session.replanning.change(Change(lr=self.rate.number))

    def _replanned(self, change: Change, training: bool) -> None:
        self.refresh()
        if change.lr is not None:
            now = tr(
                "The run goes on at a learning rate of {rate:g}, scaled by its schedule, from its next epoch on.", rate=change.lr
            )
            later = tr(
                "The run goes on at a learning rate of {rate:g}, scaled by its schedule, when it is resumed.", rate=change.lr
            )
            self._notice.say(now if training else later, "good")

    def _not_replanned(self, change: Change, error: BaseException) -> None:
        self.refresh()
        if change.lr is not None:
            self._notice.fail(error)
