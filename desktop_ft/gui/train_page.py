"""The page Train: how the network learns, and the curves while it does."""

from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLineEdit, QStackedWidget, QVBoxLayout, QWidget

from desktop_ft import places
from desktop_ft.core.errors import UserError
from desktop_ft.core.events import RunStatus
from desktop_ft.core.language import tr, tr_n
from desktop_ft.core.recipe import Optimisation, Optimizer, Recipe
from desktop_ft.gui import words
from desktop_ft.gui.compare_dialog import show_comparison
from desktop_ft.gui.detachable import Detachable
from desktop_ft.gui.forecast_row import ForecastRow
from desktop_ft.gui.form import ModelForm
from desktop_ft.gui.help_card import explained
from desktop_ft.gui.picker import choose_folder
from desktop_ft.gui.plot_controls import PlotControls
from desktop_ft.gui.queue_dialog import show_queue
from desktop_ft.gui.rate_dialog import RateDialog
from desktop_ft.gui.run_plots import Plots
from desktop_ft.gui.run_rate import RunRate
from desktop_ft.gui.session import Session
from desktop_ft.gui.strip import best_words, ending_words, kept_words
from desktop_ft.gui.widgets import GAP, Notice, Page, button, label, row, scrolled, splitter, stacked
from desktop_ft.gui.words import PAGE_TITLES
from desktop_ft.jobs.starting import start_of

_BESIDE_BAR = 8
"""Between the fields and the scroll bar of the form."""
_ELSEWHERE = ("version", "dataset", "backbone", "freeze", "augmentation", "optimisation", "changes")


class TrainPage(Page):
    """The form on the left with the start button below it; curves and figures on the right."""

    def __init__(self, session: Session) -> None:
        super().__init__(
            tr("Train"),
            tr("How the network learns. The values given suit most photos; point at a field to read what it does."),
        )
        self._session = session
        self.queue = button(
            "", self._show_queue, tip=tr("See what waits to be trained; put it in another order, start and pause it.")
        )
        self.compare = button(
            tr("Compare…"), self._compare, tip=tr("See what fine-tuning gains on these pictures, against training from scratch.")
        )
        explained(self.compare, "train.compare")
        for way in (self.compare, self.queue):
            self.header.addWidget(way)
        self.notice = Notice()
        self.warnings = Notice()
        self._say_in_the_header()
        self.plots = Plots(session.theme)
        self.body.addWidget(splitter("train", session.settings, self._left(), self._right(), shares=(3, 7)), 1)
        training = session.training
        training.started.connect(self._started)
        training.updated.connect(self._updated)
        training.ended.connect(self._ended)
        state = session.state
        for signal in (state.recipe_changed, state.manifest_changed, session.opening.began, session.opening.ended):
            signal.connect(self.refresh)
        session.networks.download_ended.connect(self.refresh)
        session.plugin_work.changed.connect(self.refresh)  # what the recipe names may have come or gone
        session.queue.changed.connect(self._show_waiting)
        self._show_waiting()
        self.refresh()
        self._draw()
        self._ended()

    @property
    def in_sight(self) -> bool:
        """The curves may have a window of their own."""
        return super().in_sight or self.panel.detached

    def refresh(self) -> None:
        """Show the recipe, and whether a run can start."""
        if self.puts_off(self.refresh):
            return
        recipe = self._session.state.recipe
        self.optimisation.show_value(recipe.optimisation)
        self.machine.show_value(recipe)
        # What has no effect cannot be set.
        self.optimisation.control("momentum").setEnabled(recipe.optimisation.optimizer is Optimizer.SGD)
        self.optimisation.control("views").setEnabled(bool(recipe.augmentation))
        if self._session.training.history.started is None:
            self.plots.show_history(self._session.training.history, recipe.optimisation.epochs)
        blocker = self._session.blocker()
        for way in (self.start, self.find_rate):
            way.setEnabled(blocker is None)
        self.reason.setText(blocker.reason if blocker else "")
        self.reason.setVisible(blocker is not None and not self._session.training.running)  # that is no fault
        self.way.setVisible(blocker is not None and blocker.page != "train")
        start = start_of(recipe)
        self.starts.setText(words.printable(start.words) if start else "")
        self.starts.setVisible(start is not None)
        changes = [tr("From epoch {epoch} on: {change}.", epoch=each.epoch, change=each.words) for each in recipe.changes]
        self.planned.setText("\n".join([tr("Planned on the way, as in the run that the recipe is from:"), *changes]))
        self.planned.setVisible(bool(changes))
        self.drop_planned.setVisible(bool(changes))
        self.forecast.refresh()
        self.wait.setEnabled(self._session.can_queue)
        self.below.setCurrentWidget(self.run_rate if self._session.training.running else self.forecast)
        if blocker is not None:
            self.way.setText(tr("Go to {page}", page=tr(PAGE_TITLES[blocker.page])))

    def shut_down(self) -> None:
        """Free the plots."""
        self.plots.shut_down()

    def _left(self) -> QWidget:
        self.optimisation = ModelForm(Optimisation)
        self.optimisation.edited.connect(self._session.state.edit_optimisation)
        self.machine = ModelForm(Recipe, skip=_ELSEWHERE)
        self.machine.edited.connect(self._edit_recipe)
        self.output = QLineEdit()
        self.output.setPlaceholderText(tr("a new folder in {folder}", folder=places.runs()))
        self.output.setAccessibleName(tr("Output folder"))
        self.output.setToolTip(tr("Where the run is kept; empty: a new folder among your runs."))
        self.output.setClearButtonEnabled(True)
        inside = QWidget()
        inside.setObjectName("form")
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 0, _BESIDE_BAR, 0)
        self.find_rate = button(
            tr("Find a rate…"), self._find_rate, tip=tr("Try rising learning rates, and see where the loss is lowest.")
        )
        column.addLayout(row(label(tr("Learning"), "heading"), None, explained(self.find_rate, "train.find_rate")))
        column.addWidget(self.optimisation)
        column.addWidget(label(tr("Machine and chance"), "heading"))
        column.addWidget(self.machine)
        column.addWidget(label(tr("Output folder"), "heading"))
        column.addLayout(row(explained(self.output, "train.output"), button(tr("Choose…"), self._choose_output)))
        self.planned = label(wrap=True)
        self.drop_planned = button(tr("Drop the changes"), self._drop_planned, tip=tr("Let the next run go on as it begins."))
        column.addWidget(self.planned)
        column.addWidget(self.drop_planned)
        column.addStretch(1)
        scroll = scrolled(inside)
        self.start = button(tr("Start training"), self.start_run, primary=True, tip=tr("Train with the recipe as it stands."))
        self.reason = label(role="muted", wrap=True)
        self.reason.setProperty("level", "warn")
        self.starts = label(role="muted", wrap=True)
        self.way = button("", self._go)
        self.wait = button(tr("Add to the queue"), self.add_to_queue, tip=tr("Let it be trained when its turn comes."))
        left = QWidget()
        layout = QVBoxLayout(left)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scroll, 1)
        layout.addWidget(self.starts)
        layout.addWidget(self.reason)
        layout.addLayout(row(self.way, None))
        self.forecast = ForecastRow(self._session)
        self.run_rate = RunRate(self._session, self.notice)
        self.below = QStackedWidget()  # one of them has a meaning at a time; the room stays
        self.below.setContentsMargins(0, 0, scroll.verticalScrollBar().sizeHint().width() + _BESIDE_BAR, 0)
        self.below.addWidget(self.forecast)
        self.below.addWidget(self.run_rate)
        layout.addWidget(self.below)
        layout.addLayout(row(self.start, self.wait, None))  # last: however much is said above, they stay where they are
        return left

    def add_to_queue(self) -> None:
        """Let the recipe as it stands wait for its turn."""
        if self.output.text().strip():
            self.notice.fail(
                UserError(
                    tr("The queue gives every run a new folder."), tr("Empty the field Output folder, or start this run now.")
                )
            )
        elif self._session.can_queue:
            try:
                self._session.queue.add(self._session.state.recipe)
            except UserError as error:
                self.notice.fail(error)
            else:
                self._session.state.used()

    def _right(self) -> QWidget:
        self.figures = label(role="heading", wrap=True)
        self.details = label(role="muted", wrap=True)
        self.details.setMinimumHeight(2 * self.fontMetrics().lineSpacing())
        self.details.setAlignment(Qt.AlignmentFlag.AlignTop)
        right = QWidget()
        layout = QVBoxLayout(right)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.figures, self.details, self.warnings):
            layout.addWidget(widget)
        self.controls = PlotControls(self._session, self.plots, self.notice)
        self.panel = Detachable("curves", tr("Curves"), stacked(self.plots, self.controls), self._session)
        layout.addWidget(self.panel, 1)
        return right

    def _say_in_the_header(self) -> None:
        """What a page says stands in place of what it is for: so nothing below moves when it comes and goes."""
        self.header.addStrut(2 * self.fontMetrics().lineSpacing() + 2 * GAP)  # room for two lines
        self.header.insertWidget(1, self.notice, 1)
        self.header.setAlignment(self.notice, Qt.AlignmentFlag.AlignVCenter)
        self.notice.changed.connect(self._make_room)

    def _make_room(self) -> None:
        self.subtitle.setVisible(not self.notice.text)
        self.header.setStretch(0, 0 if self.notice.text else 1)

    def start_run(self) -> None:
        """Train with the recipe as it stands."""
        self.notice.clear()
        text = self.output.text().strip()
        if self._session.blocker() is not None:
            self.refresh()  # since the button was drawn, something has gone
            return
        if text and not Path(text).is_absolute():
            what = tr("'{text}' is no full path.", text=text)
            self.notice.fail(UserError(what, tr("Choose the output folder with the button beside it.")))
            return
        try:
            self._session.starting.start(self._session.state.recipe, Path(text) if text else None)
        except UserError as error:
            self.notice.fail(error)

    def _drop_planned(self) -> None:
        state = self._session.state
        state.edit(tr("drop the planned changes"), state.recipe.model_copy(update={"changes": ()}))

    def _show_queue(self) -> None:
        show_queue(self._session, self.window())

    def _show_waiting(self) -> None:
        waits = sum(not each.error for each in self._session.queue.entries())
        self.queue.setText(tr("Queue ({waits})…", waits=waits) if waits else tr("Queue…"))

    def _edit_recipe(self, name: str, value: Any) -> None:
        recipe = self._session.state.recipe
        self._session.state.edit(words.title_within(name), recipe.model_copy(update={name: value}), name)

    def _compare(self) -> None:
        show_comparison(self._session, self.window())

    def _find_rate(self) -> None:
        RateDialog(self._session, self.window()).open()

    def _choose_output(self) -> None:
        if folder := choose_folder(self, self._session.settings, tr("Choose an empty folder for the run")):
            self.output.setText(str(folder))

    def _go(self) -> None:
        if blocker := self._session.blocker():
            self._session.state.go(blocker.page)

    def _started(self) -> None:
        self.notice.clear()
        self.warnings.clear()
        self.refresh()
        self._draw()

    def _updated(self) -> None:
        self._show_end()  # at once: put off, it would take away what is said here meanwhile
        self._draw()

    def _draw(self) -> None:
        if self.puts_off(self._draw):
            return
        history = self._session.training.history
        self.plots.show_history(history, self._session.state.recipe.optimisation.epochs)
        last = history.epochs[-1] if history.epochs else None
        if last is None:
            self.figures.setText(tr("First epoch") if history.steps else tr("The curves appear here while it trains."))
        else:
            val, train = words.percent(last.val_accuracy), words.percent(last.train_accuracy)
            self.figures.setText(
                tr("Epoch {epoch}: {val} on validation, {train} on training", epoch=last.epoch + 1, val=val, train=train)
            )
        self.details.setText(self._details() or tr("Nothing is learned yet."))
        self.controls.refresh()
        self.warnings.say("\n".join(dict.fromkeys(history.warnings)), "warn")

    def _details(self) -> str:
        training = self._session.training
        history, parts = training.history, []
        if training.end is not None and not training.news:
            parts += [words.state(training.end.status), *training.end.error.strip().splitlines()[-1:]]
        if history.best is not None:
            parts.append(best_words(history.best))
            if idle := history.epochs_without_improvement:
                parts.append(tr_n("{n:,} epoch without a better validation", "{n:,} epochs without a better validation", n=idle))
        if history.started is not None:
            parts += [history.started.device, history.precision]
            parts.append(tr("{share} of the parameters learn", share=words.percent(history.learning_share)))
        if history.ready is not None and history.ready.kept:
            ready = history.ready
            told = {"precision": ready.precision, "size": words.size(ready.bytes)}
            parts.append(tr("frozen layers answered once, in {precision}: {kept:,} inputs, {size}", kept=ready.kept, **told))
        return " · ".join(parts)

    def _ended(self) -> None:
        self.refresh()
        self._show_end()

    def _show_end(self) -> None:
        """What more there is to say of how the run came to its end than the strip does; nothing while it goes on.

        The strip is there on every page, and what is dismissed there is dismissed here.
        """
        training = self._session.training
        if training.running:
            return
        end = training.end
        if end is None or not training.news:
            self.notice.clear()  # of an earlier run, the line above the curves says it
            return
        ending, kept = ending_words(end, training.history), kept_words(end, training.history)
        if end.status is RunStatus.FAILED:
            lines = end.error.strip().splitlines() or [tr("It did not say why.")]
            self.notice.say(f"{ending}: {lines[-1]}", "bad")
        elif end.status is not RunStatus.COMPLETED:
            self.notice.say(" ".join(filter(None, (tr("{what}.", what=ending), kept, self._left_the_queue()))), "")
        elif not training.judged:
            self.notice.say(tr("Training is complete, its evaluation is not. Evaluate the run on the page Results."), "warn")
        else:
            self.notice.clear()
        self.notice.dismiss.hide()

    def _left_the_queue(self) -> str:
        of_queue = self._session.queue.last is not None and self._session.queue.last == self._session.training.run
        return tr("It waits in the queue no more.") if of_queue else ""
