"""What fine-tuning gains on the project's pictures: asked for, watched while it is found out, and read."""

from enum import StrEnum
from pathlib import Path
from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import Qt, QTimer, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QCheckBox, QComboBox, QDialog, QLineEdit, QSpinBox, QSplitter, QVBoxLayout, QWidget

from desktop_ft.core.comparing import ALL, STRATEGIES, Comparison, Score, Variant, augmentation_strategies, strategy
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import grouped, marked, tr
from desktop_ft.core.words import duration, short_duration
from desktop_ft.gui import words
from desktop_ft.gui.help_card import HelpButton, explained
from desktop_ft.gui.picker import choose_folder
from desktop_ft.gui.plots import SERIES, colour_plot, free_plot, make_plot
from desktop_ft.gui.session import Session
from desktop_ft.gui.table import Column, table
from desktop_ft.gui.widgets import GAP, MARGIN, Notice, Progress, button, caption_of, enable_or_say, label, letters_width, row
from desktop_ft.jobs.comparing import Plan, asked_for, images_from, limits, new_comparison_path, within

_TICK_MS = 1000
_NUMBERS = 20
"""Letters that the field for numbers of pictures shows at least."""
_COLUMNS = (
    Column(title=marked("Way"), text=lambda score: tr(strategy(score.strategy).title)),
    Column(
        title=marked("Pictures of each class"),
        text=lambda score: tr("all") if score.images == ALL else grouped(score.images),
        sort=lambda score: score.per_class,
        number=True,
        width=22,
    ),
    Column(
        title=marked("Accuracy"),
        text=lambda score: words.percent(score.accuracy.value),
        sort=lambda score: score.accuracy.value,
        number=True,
        width=10,
        help=marked("Mean over seeds of the share of held-out pictures that is right."),
    ),
    Column(
        title=marked("95 % interval"),
        text=lambda score: tr("{low} to {high}", low=words.percent(score.accuracy.low), high=words.percent(score.accuracy.high)),
        sort=lambda score: score.accuracy.low,
        number=True,
        width=18,
    ),
    Column(
        title=marked("Seconds"),
        text=lambda score: f"{score.seconds:.1f}",
        sort=lambda score: score.seconds,
        number=True,
        width=9,
        help=marked("Of training, mean over seeds, with the whole pass through the frozen layers."),
    ),
    Column(title=marked("Seeds"), text=lambda score: str(score.seeds), sort=lambda score: score.seeds, number=True, width=7),
)


class About(StrEnum):
    """What a comparison is about."""

    TRAINING = marked("Ways to train")
    AUGMENTATION = marked("Each augmentation")


def show_comparison(session: Session, window: QWidget, about: About | None = None) -> None:
    """Show the comparison of `window`, once; the window stays usable beside it.

    Args:
        about: what is to be compared next; None: what was chosen there last.
    """
    dialog = window.findChild(CompareDialog) or CompareDialog(session, window)
    if about is not None:
        dialog.choose(about)
    dialog.show()
    dialog.raise_()
    dialog.activateWindow()


class CompareDialog(QDialog):
    """What is compared, a table and two charts that grow, and the sentences that say what was gained."""

    def __init__(self, session: Session, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("What fine-tuning gains"))
        self.resize(1000, 640)
        self._session, self._work, self._shut = session, session.comparing, False
        self._refused = self._was_busy = False
        self._followed: Plan | None = None
        self.notice = Notice()
        self.choice = Notice(logged=False)  # what is to be said of what is chosen
        self.progress = Progress(tr("runs"))
        self.progress.cancelled.connect(self._work.stop)
        self._forecast = session.compare_forecast
        self.measuring = Progress(tr("steps"))
        self.measuring.cancelled.connect(self._forecast.cancel)
        self.makes = label(role="muted", wrap=True)
        self.verdict = label(role="heading", wrap=True)
        self.said = label(wrap=True)
        self.table = table(_COLUMNS, session.theme, tr("Accuracy of each way to train"))
        self.plots = (
            make_plot(tr("Best validation accuracy so far, %"), tr("seconds of training")),
            make_plot(tr("Accuracy, %"), tr("training pictures of each class")),
        )
        self.legend = label(role="muted", wrap=True)
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        self.start = button(tr("Compare"), self._start, primary=True)
        explained(self.start, "train.compare")
        self.how_long = button(
            tr("How long?"), self._forecast.ask, tip=tr("Take a few steps of each way, and say how long all runs will take here.")
        )
        self.go_on = button(tr("Go on with one…"), self._go_on, tip=tr("Choose the folder of a comparison that was stopped."))
        self.pause = button(tr("Pause"), self._pause, tip=tr("Let the run under way wait, or go on."))
        self.report = button(tr("Open the report"), self._open, tip=tr("The page with all of it; the data lie beside it."))
        self._arrange()
        self._tick = QTimer(self)
        self._tick.timeout.connect(self._advance)
        for signal in (
            self._work.changed,
            session.computing.changed,
            session.training.started,
            session.training.updated,
            session.training.ended,
            session.own_weights.changed,
            self._forecast.changed,
        ):
            signal.connect(self.refresh)
        for edited in (
            self.about.currentIndexChanged,
            self.seeds.valueChanged,
            self.images.textChanged,
            self.budget.valueChanged,
            *(box.toggled for box in self.strategies.values()),
            session.state.recipe_changed,
            session.state.manifest_changed,
        ):
            edited.connect(self._look_again)
        self._work.failed.connect(self.notice.fail)
        self._work.warned.connect(self._warn)
        self._work.progressed.connect(self._planning)
        self._forecast.progressed.connect(self._measured)
        session.theme.changed.connect(self.refresh)
        self.refresh()
        self._look_again()

    def refresh(self, *_: object) -> None:
        """Show how far it is, and what was found."""
        if self._shut:
            return
        work, training = self._work, self._session.training
        busy = work.busy
        for widget in (self.about, self.seeds, self.images, self.budget, *self.strategies.values()):
            widget.setEnabled(not busy)
        self._offer()
        self.go_on.setEnabled(not busy and not self._session.computing.now)
        self.pause.setEnabled(work.now is not None and training.running)
        self.pause.setText(tr("Go on") if training.running and training.control.pause.is_set() else tr("Pause"))
        self.report.setEnabled(work.report is not None)
        if not busy:
            self.progress.end()
            self._tick.stop()
        elif not self._tick.isActive():
            self.progress.begin(tr("Looking at the pictures"))
            self._tick.start(_TICK_MS)
        if work.plan is not None and work.plan is not self._followed:
            self._followed = work.plan
            self._follow(work.plan.asked)
        if self._was_busy and not busy:  # what was changed meanwhile was not looked at
            self._look_again()
        self._was_busy = busy
        self._advance()
        self._show_found()

    def choose(self, about: About) -> None:
        """Be about that next, unless a comparison is under way."""
        if self.about.isEnabled():
            self.about.setCurrentIndex(self.about.findData(about))

    def done(self, result: int) -> None:
        """Free the plots, once: Qt calls this again when what it belongs to is closed. What is under way goes on."""
        if not self._shut:
            self._shut = True
            self._tick.stop()
            self._work.choose(None)
            for plot in self.plots:
                free_plot(plot)
        super().done(result)

    def _arrange(self) -> None:
        fields = Comparison.model_fields
        self.seeds, self.budget, self.images = QSpinBox(), QSpinBox(), QLineEdit("5,10,20,50,all")
        self.images.setMinimumWidth(letters_width(self.images, _NUMBERS))
        self.seeds.setRange(1, 100)
        self.seeds.setValue(int(fields["seeds"].default))
        self.budget.setRange(0, 86_400)
        self.budget.setSpecialValueText(tr("the recipe's epochs"))
        self.budget.setSuffix(" s")
        for control, name in ((self.seeds, "seeds"), (self.budget, "seconds"), (self.images, "images")):
            control.setToolTip(tr(fields[name].description or ""))
        self.about = QComboBox()
        for about in About:
            self.about.addItem(tr(about.value), about)
        self.about.setAccessibleName(tr("What is compared"))
        self.about.setToolTip(
            tr("Training from scratch and in other ways; or the recipe with and without each transform of its augmentation.")
        )
        self.about.currentIndexChanged.connect(self._show_choices)
        self.strategies: dict[str, QCheckBox] = {}
        for each in STRATEGIES:
            box = self.strategies[each.name] = QCheckBox(tr(each.title))
            box.setToolTip(tr(each.text))
            box.setChecked(True)
        captions = (
            caption_of(self.seeds, tr("&Seeds")),
            caption_of(self.images, tr("&Pictures of each class")),
            caption_of(self.budget, tr("&Budget of a run")),
        )
        beside = QSplitter(Qt.Orientation.Horizontal)
        for plot in self.plots:
            plot.setMouseEnabled(x=False, y=False)
            beside.addWidget(plot)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        layout.setSpacing(GAP)
        layout.addLayout(row(self.about, *self.strategies.values(), None, HelpButton(self.start)))
        layout.addLayout(row(captions[0], self.seeds, captions[1], self.images, captions[2], self.budget, None))
        layout.addLayout(row(self.makes, self.how_long, self.go_on, self.start))
        for widget in (self.notice, self.choice, self.measuring, self.progress, self.verdict, self.said):
            layout.addWidget(widget)
        layout.addWidget(self.table, 1)
        layout.addWidget(beside, 1)
        layout.addWidget(self.legend)
        layout.addLayout(row(self.pause, self.report, None, button(tr("Close"), self.reject)))

        self._of_training = (*self.strategies.values(), captions[1], self.images)

    def _show_choices(self) -> None:
        training = self.about.currentData() == About.TRAINING
        self.setWindowTitle(tr("What fine-tuning gains") if training else tr("What augmentation is worth"))
        for widget in self._of_training:
            widget.setVisible(training)

    def _follow(self, asked: Comparison) -> None:
        """Show what the comparison that was opened is about."""
        training = not any(isinstance(strategy(name), Variant) for name in asked.strategies)
        self.about.setCurrentIndex(self.about.findData(About.TRAINING if training else About.AUGMENTATION))
        if training:
            for name, box in self.strategies.items():
                box.setChecked(name in asked.strategies)
            self.images.setText(",".join("all" if number == ALL else str(number) for number in asked.images))
        self.seeds.setValue(asked.seeds)
        self.budget.setValue(round(asked.seconds))

    def _offer(self) -> None:
        """Offer to compare what is chosen, and say what that makes or why it cannot be now; or what is compared."""
        busy, reason = self._work.busy, "" if self._work.busy else self._why_not()
        self.start.setEnabled(not busy and not reason)
        self.start.setToolTip(reason or tr("Train all of it, one run after another."))
        plan = self._work.plan
        made = self._chosen() if not busy else plan.comparison if plan is not None else None
        self._work.choose(made if not busy else None)
        nothing = "" if made is not None and not busy else tr("Nothing is chosen that could be measured.")
        enable_or_say(self.how_long, reason or nothing)
        measuring = self._forecast.running
        self.measuring.follow(tr("Taking a few steps of each way") if measuring else "")
        said = reason if not measuring else ""
        self.makes.setText(said or (f"{made.words} {self._time_words()}".rstrip() if made is not None else ""))

    def _time_words(self) -> str:
        """How long what is chosen takes, or why that could not be found out; "" where nobody has asked."""
        told = self._forecast.told
        if told is None:
            return self._forecast.fault
        time = short_duration(told)
        return tr("That is about {time} of training on this machine; judging each run and the report come on top.", time=time)

    def _chosen(self) -> Comparison | None:
        """What would be compared, as far as the pictures are known; None: nothing that can be."""
        manifest, recipe = self._session.state.manifest, self._session.state.recipe
        try:
            asked = self._asked()
        except UserError:  # said where it is asked for
            return None
        return within(asked, manifest) if manifest is not None and not recipe.dataset.images_per_class else asked

    def _why_not(self) -> str:
        blocker = self._session.blocker()
        if blocker is None and self._session.computing.now and not self._work.busy:
            if self._forecast.computing:
                return tr("How long it takes is being measured: wait for that, or cancel it.")
            return tr("Other work is under way, beside which nothing can be measured.")
        return blocker.reason if blocker is not None else ""

    def _start(self) -> None:
        try:
            asked = self._asked()
        except UserError as error:
            self._refused = True
            self.choice.fail(error)
            return
        try:
            self._begin(asked, new_comparison_path(self._session.state.recipe))
        except UserError as error:
            self.notice.fail(error)

    def _asked(self) -> Comparison:
        """What is chosen. Raises UserError where that is nothing to be compared."""
        recipe = self._session.state.recipe
        if self.about.currentData() == About.TRAINING:
            names = tuple(name for name, box in self.strategies.items() if box.isChecked())
            images = images_from(self.images.text())
        else:
            names, images = augmentation_strategies(recipe), (ALL,)
        return asked_for(recipe, strategies=names, seeds=self.seeds.value(), images=images, seconds=float(self.budget.value()))

    def _look_again(self) -> None:
        """Something else is chosen: what was said against the choice before goes, or is what is said against this one."""
        state = self._session.state
        if self._shut or self._work.busy:
            return
        self._offer()
        try:
            asked = self._asked()
        except UserError as error:
            if self._refused:
                self.choice.fail(error)
            else:  # who is still typing has not asked yet
                self.choice.clear()
        else:
            self._refused = False
            # Where the recipe draws pictures, a comparison draws from more of them: it tells so itself before its runs begin.
            known = state.manifest if not state.recipe.dataset.images_per_class else None
            self.choice.say(limits(asked, known) if known is not None else "", "warn")

    def _warn(self, what: str) -> None:
        if not self._shut:
            self.choice.say(what, "warn")

    def _go_on(self) -> None:
        places = new_comparison_path(self._session.state.recipe).parent
        if (folder := choose_folder(self, self._session.settings, tr("Choose the folder of a comparison"), places)) is not None:
            try:
                self._begin(None, folder)
            except UserError as error:
                self.notice.fail(error)

    def _begin(self, asked: Comparison | None, folder: Path) -> None:
        self.notice.clear()
        self._work.start(asked, folder)

    def _pause(self) -> None:
        training = self._session.training
        training.pause(not training.control.pause.is_set())

    def _open(self) -> None:
        if (page := self._work.report) is not None and not QDesktopServices.openUrl(QUrl.fromLocalFile(str(page))):
            self.notice.fail(UserError(tr("Nothing on this machine opens {file}.", file=page), tr("Open it in a browser.")))

    def _measured(self, what: str, done: int, total: int | None) -> None:
        if not self._shut:
            self.measuring.part(what)
            self.measuring.advance(done, total)

    def _planning(self, what: str, done: int, total: int | None) -> None:
        if not self._shut and self._work.planning:
            self.progress.begin(what)

    def _advance(self) -> None:
        work = self._work
        if self._shut:
            return
        done, planned = work.done
        if work.summing:
            self.progress.say(tr("Summing up what {done} of {planned} runs tell", done=done, planned=planned), done / planned)
        elif work.now is not None:
            left = "" if work.left is None else tr(", about {time} left", time=duration(work.left))
            how_far = {"done": done, "planned": planned, "now": work.now.words, "left": left}
            self.progress.say(tr("{done} of {planned} runs are done; now {now}{left}", **how_far), done / planned)

    def _show_found(self) -> None:
        found = self._work.found
        for plot in self.plots:
            plot.clear()
            plot.setVisible(found is not None)  # axes of nothing would show numbers that mean nothing
            colour_plot(plot, self._session.theme.colours)
        self.table.rows.set_rows(found.scores if found is not None else ())
        first, *more = found.verdict if found is not None else (tr("Nothing has been compared yet."),)
        done, planned = self._work.done
        if not self._work.busy and self._work.report is not None and done < planned:
            more = [
                tr(
                    "Stopped: {done} of {planned} runs are done, and kept in {folder}. *Go on with one…* does the rest.",
                    done=done,
                    planned=planned,
                    folder=self._work.report.parent,
                ),
                *more,
            ]
        self.verdict.setText(words.printable(first))
        self.said.setText("\n".join(map(words.printable, more)))
        if found is None:
            return
        from desktop_ft.evaluation.comparing import mean_curve

        places, most = found.comparison.images, found.comparison.images[-1]
        legend = []
        for number, name in enumerate(found.comparison.strategies):
            colour = SERIES[number % len(SERIES)]
            curve = mean_curve([run for run in found.runs if run.strategy == name and run.images == most])
            self._curve(0, colour, [(point.seconds, point.accuracy) for point in curve])
            scores = [score for score in found.scores if score.strategy == name]
            self._curve(1, colour, [(float(places.index(score.images)), score.accuracy.value) for score in scores])
            self._whiskers(colour, scores, places)
            legend.append(f'<span style="color:{colour}">●</span> {tr(strategy(name).title)}')
        named = [(at, tr("all") if images == ALL else grouped(images)) for at, images in enumerate(places)]
        self.plots[1].getAxis("bottom").setTicks([named])
        self.legend.setText(" &nbsp; ".join(legend))

    def _curve(self, place: int, colour: str, points: list[tuple[float, float]]) -> None:
        pen: Any = pg.mkPen(colour, width=2 * self.devicePixelRatioF())
        xs, ys = [x for x, _ in points], [100 * y for _, y in points]
        self.plots[place].plot(xs, ys, pen=pen, symbol="o", symbolSize=5, symbolBrush=colour, symbolPen=None)

    def _whiskers(self, colour: str, scores: list[Score], places: tuple[int, ...]) -> None:
        for score in scores:
            at = float(places.index(score.images))
            ends = [100 * score.accuracy.low, 100 * score.accuracy.high]
            self.plots[1].plot([at, at], ends, pen=pg.mkPen(colour, width=self.devicePixelRatioF()))
