"""The strip at the bottom of the window: the run under way, in sight from every page."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QProgressBar, QVBoxLayout, QWidget

from desktop_ft import jobs
from desktop_ft.core.events import EpochDone, RunEnded, RunStatus
from desktop_ft.core.language import marked, tr
from desktop_ft.core.metrics import MetricHistory
from desktop_ft.gui import words
from desktop_ft.gui.training_job import Training
from desktop_ft.gui.widgets import MARGIN, button, label, row

ENDINGS = {
    RunStatus.COMPLETED: marked("Training is complete"),
    RunStatus.STOPPED: marked("Training was stopped; the best model so far is kept"),
    RunStatus.CANCELLED: marked("Training was cancelled"),
    RunStatus.FAILED: marked("Training failed"),
}
"""What is said of a run's end, in English, without a full stop."""


def state_words(training: Training) -> str:
    """What the run is doing, in a line."""
    if training.end is not None and not training.running:
        return ending_words(training.end, training.history)
    control, history = training.control, training.history
    if control.cancel.is_set():
        return tr("Cancelling…")
    if control.stop.is_set() and training.phase is None:
        return tr("Stopping, keeping the best…")
    if training.phase is not None:
        what, done, total = training.phase
        return tr("{work} {done:,} of {total:,}", work=tr(what), done=done, total=total) if total else f"{tr(what)}…"
    if history.started is None:
        return tr("Getting ready…")
    if history.prefix is not None and not history.paused:
        prefix = history.prefix
        return tr("Frozen layers, once for all epochs: {done:,} of {total:,}", done=prefix.done, total=prefix.total)
    epoch = history.steps[-1].epoch + 1 if history.steps else history.started.first_epoch + 1
    text = tr("Epoch {epoch} of {epochs}", epoch=epoch, epochs=history.started.epochs)
    if history.paused:
        return f"{text} · {tr('paused')}"
    return f"{text} · {tr('pausing…')}" if control.pause.is_set() else text


def ending_words(end: RunEnded, history: MetricHistory) -> str:
    """How a run ended, without a full stop."""
    if end.status is RunStatus.STOPPED and history.best is None:
        return tr("Training was stopped before an epoch was judged")
    return tr(ENDINGS[end.status])


def kept_words(end: RunEnded, history: MetricHistory) -> str:
    """What is kept of a run that a person has ended, in a sentence; "" where that is its best model, or it came to its end."""
    if end.status in (RunStatus.COMPLETED, RunStatus.FAILED) or (end.status is RunStatus.STOPPED and history.best is not None):
        return ""
    saved = jobs.run_list.saved_words(history.saved)
    if not saved:
        return tr("Nothing of it was saved yet.")
    return tr("It is saved up to {place}: the page Runs can go on with it.", place=saved)


def left_words(training: Training) -> str:
    """How long the run still takes, what is kept of one that was cancelled, and the best so far."""
    history, parts = training.history, []
    if training.end is not None and not training.running and kept_words(training.end, history):
        saved = jobs.run_list.saved_words(history.saved)  # in few words: there is little room
        parts.append(tr("saved up to {place}", place=saved) if saved else tr("nothing of it is saved"))
    eta = history.eta_seconds if history.prefix is None else history.prefix_eta_seconds
    ending = training.control.stop.is_set() or training.control.cancel.is_set()
    if training.running and eta is not None and not (history.paused or ending) and training.phase is None:
        time = words.duration(eta)
        whole = history.eta_is_whole or history.prefix is not None
        parts.append(tr("{time} left", time=time) if whole else tr("at least {time} left", time=time))
    if history.best is not None:
        parts.append(best_words(history.best))
    return " · ".join(parts)


def _idle_words(would_take: float | None) -> str:
    if would_take is None:
        return tr("No run is under way.")
    return tr("No run is under way. As it is set now, one takes about {time}.", time=words.duration(would_take))


def best_words(best: EpochDone) -> str:
    """How good the best epoch was, and which it is."""
    return tr("best {accuracy} in epoch {epoch}", accuracy=words.percent(best.val_accuracy), epoch=best.epoch + 1)


class Strip(QFrame):
    """Progress, time left, pause, stop and cancel; how the last run ended, until that is dismissed.

    It is always there and always as high, so that no page moves under the mouse when a run begins or ends.
    """

    shown_results = Signal()

    def __init__(self, training: Training, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("strip")
        self._training = training
        self._results_shown = False
        self._would_take: float | None = None
        self._state = label(role="heading")
        self._left = label(role="muted")
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setRange(0, 1000)
        self._bar.setAccessibleName(tr("Progress of the run"))
        self.pause = button(tr("Pause"), self._toggle_pause, tip=tr("Wait, with everything saved."))
        self.stop = button(tr("Stop and keep"), training.stop, tip=tr("End now and keep the best model so far."))
        self.cancel = button(
            tr("Cancel"), training.cancel, tip=tr("End now; what was learned since the last checkpoint is dropped.")
        )
        self.results = button(tr("See results"), self.shown_results.emit, primary=True)
        self.dismiss = button(tr("Dismiss"), training.dismiss, tip=tr("Say nothing of this run any more."))
        layout = row(self._state, self._left, None, self.pause, self.stop, self.cancel, self.results, self.dismiss)
        layout.setContentsMargins(MARGIN, 4, MARGIN, 4)
        layout.insertWidget(2, self._bar, 4)
        self._bar.setMinimumWidth(80)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addLayout(layout)
        self.setFixedHeight(self.dismiss.sizeHint().height() + 9)
        self.refresh()
        training.started.connect(self.refresh)
        training.updated.connect(self.refresh)
        training.ended.connect(self.refresh)

    def refresh(self) -> None:
        """Show where the run is."""
        training, control = self._training, self._training.control
        running = training.running
        shown = running or (training.news and training.end is not None)
        self._state.setText(state_words(training) if shown else "")
        self._left.setText(left_words(training) if shown else _idle_words(self._would_take))
        self._bar.setVisible(running)
        unknown = running and training.history.started is None
        self._bar.setRange(0, 0 if unknown else 1000)
        prefix = training.history.prefix
        self._bar.setValue(round(1000 * (prefix.done / prefix.total if prefix else training.history.progress)))
        self.pause.setText(tr("Resume") if control.pause.is_set() else tr("Pause"))
        ending = control.stop.is_set() or control.cancel.is_set()
        for widget in (self.pause, self.stop, self.cancel):
            widget.setVisible(running)
        self.pause.setEnabled(not ending)
        self.stop.setEnabled(not ending)
        self.cancel.setEnabled(not control.cancel.is_set())
        kept = training.end is not None and training.end.status in (RunStatus.COMPLETED, RunStatus.STOPPED)
        self.results.setVisible(shown and not running and kept and not self._results_shown)
        self.dismiss.setVisible(shown and not running)

    def say_forecast(self, seconds: float | None) -> None:
        """How long a run with the recipe as it stands would take; None: that is not known."""
        if seconds != self._would_take:
            self._would_take = seconds
            self.refresh()

    def say_shown(self, results: bool) -> None:
        """Whether the results of that run are what the page before the person shows."""
        if results is not self._results_shown:
            self._results_shown = results
            self.refresh()

    @property
    def text(self) -> str:
        """What is said."""
        return " ".join(filter(None, (self._state.text(), self._left.text())))

    def _toggle_pause(self) -> None:
        self._training.pause(not self._training.control.pause.is_set())
