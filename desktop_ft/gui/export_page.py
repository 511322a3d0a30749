"""The page Export: write the model to a file, see the proof, and try it."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from PySide6.QtCore import QSignalBlocker
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from desktop_ft.core.errors import UserError
from desktop_ft.core.exporting import AS_IT_IS, BUNDLE_SUFFIX, ExportSettings
from desktop_ft.core.help import HelpCard
from desktop_ft.core.language import tr, tr_n
from desktop_ft.core.metrics import ExportReport, Threshold
from desktop_ft.evaluation.intervals import share_of
from desktop_ft.gui import words
from desktop_ft.gui.drops import no_photo
from desktop_ft.gui.exports_dialog import show_exports
from desktop_ft.gui.folders import show_folder
from desktop_ft.gui.form import ModelForm, offer_only
from desktop_ft.gui.help_card import explained
from desktop_ft.gui.offer import is_to_open
from desktop_ft.gui.picker import choose_new_file
from desktop_ft.gui.session import Session
from desktop_ft.gui.trying import TryIt
from desktop_ft.gui.widgets import GAP, MARGIN, Notice, Page, Progress, button, card, label, letters_width, row
from desktop_ft.jobs import help_texts
from desktop_ft.plugin_manager import Origin, PluginRecord, PluginState
from desktop_ft.runs.run_folder import RunFolder


def proof(report: ExportReport) -> str:
    """What an export report says, in plain words."""
    if not report.accepted:
        return tr_n(
            "The file was refused: {n:,} answer changed, largest difference {difference:.1e} (on {path}).",
            "The file was refused: {n:,} answers changed, largest difference {difference:.1e} (on {path}).",
            n=report.changed_answers,
            difference=report.largest_difference,
            path=words.printable(report.worst_path),
        )
    if report.unverified:
        return tr("It was not compared with the model: {why}", why=tr(report.unverified))
    compared = tr_n(
        "Loaded again in a process of its own and compared on {n:,} photo of yours: the largest difference is {difference:.1e} "
        "of the largest output.",
        "Loaded again in a process of its own and compared on {n:,} photos of yours: the largest difference is {difference:.1e} "
        "of the largest output.",
        n=report.compared,
        difference=report.largest_difference,
    )
    changed = (
        tr_n("{n:,} answer changed.", "{n:,} answers changed.", n=report.changed_answers)
        if report.changed_answers
        else tr("No answer changed.")
    )
    unsure = tr("It says don't know below {share}.", share=words.percent(report.threshold)) if report.threshold else ""
    return " ".join(filter(None, (compared, changed, unsure, _accuracies(report), report.coarse, _latency(report))))


def _accuracies(report: ExportReport) -> str:
    """What the file knows of the validation photos; "" where that is not known."""
    own, trained = (share_of(share, report.judged) for share in (report.accuracy, report.trained_accuracy))
    if own is None or trained is None:
        return ""
    return tr_n(
        "Of {n:,} validation photo it knows {after}, the trained model {before}.",
        "Of {n:,} validation photos it knows {after}, the trained model {before}.",
        n=report.judged,
        after=words.interval(own),
        before=words.interval(trained),
    )


def _latency(report: ExportReport) -> str:
    """How long it took to answer; "" where that was not measured."""
    spent = [tr("{n} in {spent:.1f} ms", n=each.batch, spent=each.milliseconds) for each in report.latency]
    return tr("Photos answered at once here: {spent}.", spent=", ".join(spent)) if spent else ""


def outdated(report: ExportReport, kept: Threshold | None, *, learned: bool = False) -> str:
    """What to say of a file that is not what the run is by now; "" where it is, or nobody knows.

    Args:
        kept: how sure the run's answers must be by now. learned: whether it has learned on since.
    """
    if learned:
        return tr("The run has learned on since: this file holds an earlier state of it. Export it again for the best model.")
    if not report.accepted or report.threshold in (None, kept.value if kept else 0.0):
        return ""
    if not report.threshold:
        return tr(
            "The run's threshold was changed since: this file still answers always. Export it again for the one that is kept now."
        )
    return tr(
        "The run's threshold was changed since: this file still says don't know below {share}. Export it again for the one that "
        "is kept now.",
        share=words.percent(report.threshold),
    )


class ExportPage(Page):
    """Where to, the button with its reason, the proof, and a place to try the file."""

    def __init__(self, session: Session) -> None:
        super().__init__(tr("Export"), _about())
        self._session = session
        self._settings = AS_IT_IS
        self._shown = ""
        self._askable: tuple[ExportReport, ...] = ()
        self._of_bundle: ExportReport | None = None
        self.notice = Notice()
        self.progress = Progress(tr("photos"))
        self.progress.cancelled.connect(session.runs.cancel)
        self.trying = TryIt(session, self._model, tr("Export the model as ONNX first, then try it here."))
        self.trying.opened.connect(self._look)
        for widget in (self.notice, self._export_card(), self.progress):
            self.body.addWidget(widget)
        self.body.addWidget(self._try_card(), 1)
        runs, state = session.runs, session.state
        runs.began.connect(self._began)
        runs.progressed.connect(self._progressed)
        runs.failed.connect(self._failed)
        runs.warned.connect(self._warned)
        runs.given_up.connect(self._given_up)
        runs.bundled.connect(self._bundled)
        runs.ended.connect(self._over)
        session.thresholds.kept.connect(self.refresh)
        state.run_changed.connect(self._new_run)
        state.export_changed.connect(self._exported)
        session.plugin_work.changed.connect(self._fill_formats)
        session.training.started.connect(self.refresh)
        session.training.ended.connect(self.refresh)
        self._new_run()

    def refresh(self) -> None:
        """Show what can be done now, and the proof."""
        if self.puts_off(self.refresh):
            return
        reason = self._reason()
        self.export.setEnabled(not reason)
        self.reason.setText(reason)
        self.bundle.setEnabled(not reason)
        self.compare.setEnabled(self._session.state.run is not None)
        self.reason.setVisible(bool(reason))
        self._show_proof(self._of_bundle or self._session.state.export)
        self.trying.refresh()

    def _fill_formats(self) -> None:
        with QSignalBlocker(self.format):
            self.format.clear()
            for exporter in self._session.plugins.exporters:
                self.format.addItem(tr(exporter.title), exporter.name)
            self.format.setCurrentIndex(max(0, self.format.findData(self._settings.format)))
        self._tell_of_more()
        self._choose_format()

    def _tell_of_more(self) -> None:
        """Name the plugins that ship, bring more formats, and are off."""
        off = [each for each in self._session.plugins.records if _brings_formats(each) and each.state is PluginState.DISABLED]
        self.more.setText(tr("More formats come as plugins that are off: {names}", names=", ".join(each.name for each in off)))
        self.more.setToolTip("\n".join(f"{each.name}: {tr(each.about)}" for each in off))
        for widget in (self.more, self.to_plugins):
            widget.setVisible(bool(off))

    def _choose_format(self) -> None:
        if self.format.count():
            self._edit("format", self.format.currentData())

    def _edit(self, name: str, value: object) -> None:
        """Take over what was chosen; what the format does not offer goes back to the first that it does."""
        was_suggested = self.file.text() in ("", self._shown)
        chosen = self._settings.model_copy(update={name: value})
        exporter = self._session.plugins.exporters.get(chosen.format)
        for field, offered in (("input", exporter.inputs), ("precision", exporter.precisions)):
            offer_only(self.form.control(field), offered)
            if getattr(chosen, field) not in offered:
                chosen = chosen.model_copy(update={field: offered[0]})
        self._settings = chosen
        self.form.show_value(chosen)
        self.form.control("largest_drop").setEnabled(not chosen.exact)
        if was_suggested:
            self._suggest()
        self.refresh()

    def _suggest(self) -> None:
        self._shown = self._suggested()
        self.file.setText(self._shown)

    def _suggested(self) -> str:
        run = self._session.state.run
        exporters = self._session.plugins.exporters
        if run is None or self._settings.format not in exporters:
            return ""
        return str(run / "exports" / self._settings.file_name(exporters.get(self._settings.format).suffix))

    def _show_proof(self, report: ExportReport | None) -> None:
        # What comes of an export under way is another file's proof.
        shown = report is not None and not (self.notice.tells_of_error or self._ours)
        self.proof_title.setVisible(shown)
        self.proof_text.setVisible(shown)
        place = self._place(report)
        self.folder.setVisible(shown and place is not None)
        earlier = place is not None and self._is_earlier(report)
        self.outdated.setText(outdated(report, self._kept(), learned=earlier) if report is not None and place else "")
        self.outdated.setVisible(shown and bool(self.outdated.text()))
        if report is None:
            return
        if not report.accepted:
            title, level = tr("Refused"), "bad"
        else:
            title = _title(report, earlier) if place else tr("It was proven, and is not there any more")
            level = "good" if place and not (report.unverified or earlier or report.coarse) else "warn"
        self.proof_title.setText(title)
        self.proof_title.setProperty("level", level)
        self.proof_title.style().polish(self.proof_title)
        last = tr("Exported: {file}", file=words.printable(str(place or report.file)))
        where = f"{last} · {words.size(report.bytes)}\n" if report.accepted else ""
        self.proof_text.setText(where + proof(report))

    def take_drop(self, paths: tuple[Path, ...]) -> bool:
        """Photos and folders dropped here are asked about, once there is a model; runs and recipes are opened as ever."""
        if any(is_to_open(path) for path in paths):
            return False
        self.notice.clear()  # it was about what was dropped before
        if busy := self._session.runs.busy:
            what = tr("{work} is under way. Wait for it, then drop them again.", work=tr(busy))
            self.notice.say_until(self._session.runs.ended, what, "warn")
            return True
        if self._model() is None:
            if len(paths) == 1 and (refused := no_photo(paths[0])) is not None:
                self.notice.fail(refused)
                return True
            # Never taken for new pictures of the project: that is not what this page is about.
            self.notice.say(
                tr(
                    "There is no exported model yet to ask about them. Export first, then drop them again; to learn from other "
                    "photos, drop them on the page Data."
                ),
                "warn",
            )
            return True
        self.trying.try_on(paths)
        return True

    def _export_card(self) -> QWidget:
        frame, layout = card()
        self.format = QComboBox()
        self.format.setAccessibleName(tr("Format"))
        self.format.currentIndexChanged.connect(self._choose_format)
        self.form = ModelForm(ExportSettings, skip=("format",), card=_card)
        self.form.edited.connect(self._edit)
        self.form.setMaximumWidth(letters_width(self, 52))
        self.file = QLineEdit()
        self.file.setAccessibleName(tr("File"))
        self.file.textChanged.connect(self.refresh)
        self.export = button(
            tr("Export and prove"), self._export, primary=True, tip=tr("Writes the file, loads it again and compares.")
        )
        self.reason = label(role="muted", wrap=True)
        self.reason.setProperty("level", "warn")
        self.proof_title = label(role="heading")
        self.proof_text = label(wrap=True)
        self.outdated = label(wrap=True)
        self.outdated.setProperty("level", "warn")
        self.folder = button(tr("Show in its folder"), self._show_folder, tip=tr("Open the folder that the exported file is in."))
        self.compare = button(tr("Compare exports…"), self._compare, tip=tr("The files of this run side by side."))
        layout.addLayout(
            row(
                label(tr("Format")),
                self.format,
                label(tr("File")),
                explained(self.file, "export.file"),
                button(tr("Choose…"), self._choose),
            )
        )
        self.more = label(role="muted", wrap=True)
        self.to_plugins = button(tr("Plugins…"), lambda: self._session.state.go("plugins"), tip=tr("Turn them on there."))
        layout.addLayout(row(self.more, self.to_plugins))
        self.bundle = button(
            tr("Bundle…"),
            self._bundle,
            tip=tr("A .zip: the model for whole pictures, its card, and programs in Python, C++ and JavaScript that ask it."),
        )
        told = QVBoxLayout()
        told.setSpacing(GAP)
        told.addLayout(row(self.export, self.bundle, self.compare, self.folder, None))
        for widget in (self.reason, self.proof_title, self.proof_text, self.outdated):
            told.addWidget(widget)
        told.addStretch(1)
        beside = QHBoxLayout()
        beside.setSpacing(MARGIN)
        beside.addWidget(self.form)
        beside.addLayout(told, 1)
        layout.addLayout(beside)
        self._fill_formats()
        return frame

    def _try_card(self) -> QWidget:
        frame, layout = card()
        layout.addWidget(label(tr("Try it"), "heading"))
        layout.addWidget(self.trying, 1)
        return frame

    def _reason(self) -> str:
        if self._session.state.run is None:
            return tr("Train a model or open a run first.")
        if self._session.runs.busy:
            return tr("{work} is under way.", work=tr(self._session.runs.busy))
        if self._session.training.running:
            return tr("Wait until the run is over.")
        if not Path(self.file.text().strip()).is_absolute():
            return tr("Choose a file to write to.")
        return "" if self.format.count() else tr("No export format is on offer.")

    def _model(self) -> Path | None:
        """The ONNX file of the run that was exported last and is still there."""
        return next((place for report in self._askable if (place := self._place(report))), None)

    def _look_for_models(self) -> None:
        """Find out what of the run was exported that can be asked, the newest first."""
        run, last = self._session.state.run, self._session.state.export
        kept: tuple[ExportReport, ...] = ()
        with suppress(UserError):  # that it is damaged is told where the run is opened
            if run is not None and not self._session.shown.reading:  # else they come when they are read
                kept = RunFolder(run).export_reports
        known = [*([last] if last is not None else []), *reversed(kept)]
        self._askable = tuple(report for report in known if report.accepted and report.settings.format == AS_IT_IS.format)

    def _place(self, report: ExportReport | None) -> Path | None:
        """Where the file of `report` is; None where it is gone, or another is in its place."""
        run = self._session.state.run
        return RunFolder(run).exported(report) if run is not None and report is not None else None

    def _is_earlier(self, report: ExportReport | None) -> bool:
        run = self._session.state.run
        return run is not None and report is not None and RunFolder(run).has_learned_since(report)

    def _kept(self) -> Threshold | None:
        run = self._session.state.run
        try:
            return RunFolder.open(run).threshold if run else None
        except UserError:  # the page Results tells of it
            return None

    def _exported(self) -> None:
        self._of_bundle = None
        self._look_for_models()
        self._follow(self._session.state.export)
        self.trying.show_model()
        self.refresh()

    def _follow(self, report: ExportReport | None) -> None:
        """Let the form show how the file was exported whose proof is shown, where that can still be chosen."""
        if report is None or (at := self.format.findData(report.settings.format)) < 0:
            return
        self._settings = report.settings
        with QSignalBlocker(self.format):
            self.format.setCurrentIndex(at)
        self._choose_format()

    def _new_run(self) -> None:
        run = self._session.state.run
        self.notice.clear()
        self._look_for_models()
        self._follow(self._session.state.export)
        self.trying.show_model()
        self.subtitle.setText(tr("Run {name}", name=words.printable(run.name)) if run else _about())
        self._suggest()
        self.refresh()

    def _choose(self) -> None:
        if file := choose_new_file(self, self._session.settings, tr("Export to"), Path(self._suggested()).name, self._kinds()):
            self.file.setText(str(file))

    def _kinds(self) -> str:
        exporters = self._session.plugins.exporters
        suffix = exporters.get(self._settings.format).suffix if self._settings.format in exporters else ""
        return tr("Models ({pattern})", pattern=f"*{suffix}")

    def _bundle(self) -> None:
        run = self._session.state.run
        kinds = tr("Bundles ({pattern})", pattern=f"*{BUNDLE_SUFFIX}")
        out = choose_new_file(self, self._session.settings, tr("Write a bundle"), f"model{BUNDLE_SUFFIX}", kinds) if run else None
        if run is not None and out is not None:
            self._try(lambda: self._session.runs.bundle(run, out, self._settings))

    def _bundled(self, report: ExportReport) -> None:
        self._of_bundle = report
        self.refresh()

    def _compare(self) -> None:
        if self._session.state.run is not None:
            show_exports(self._session, self._session.state.run, self, lambda: self._settings.largest_drop)

    def _export(self) -> None:
        run = self._session.state.run
        if run is not None:
            out = Path(self.file.text().strip())
            self._try(lambda: self._session.runs.export(run, out, self._settings))

    def _show_folder(self) -> None:
        place = self._place(self._of_bundle or self._session.state.export)
        if place is not None:
            show_folder(place.parent, self.notice)

    def _try(self, begin: Callable[[], None]) -> None:
        try:
            begin()
        except UserError as error:
            self.notice.fail(error)

    def _look(self, number: int) -> None:
        """Show where the run's own model finds the answer: an exported file has no gradients."""
        from desktop_ft.gui.photo_dialog import Photo, PhotoDialog

        run = self._session.state.run
        if run is not None:
            photos = [Photo(path=answer.path) for answer in self.trying.answers]
            PhotoDialog(self._session, run, photos, number, self).open()

    def shut_down(self) -> None:
        """Decode no more thumbnails."""
        self.trying.stop()

    def _began(self, what: str) -> None:
        if self._ours:
            self.notice.clear()
            self.progress.begin(tr(what))
        self.refresh()

    def _progressed(self, done: int, total: int | None) -> None:
        if not self._ours:
            return
        news = self._session.runs.news
        if news[0]:  # with its figures of the same moment: those of the part before would fill its bar
            part, done, total = news
            self.progress.part(part)
        if done or total:
            self.progress.advance(done, total)

    @property
    def _ours(self) -> bool:
        """Whether what is under way is shown here."""
        return self._session.runs.exporting is not None

    def _failed(self, error: BaseException) -> None:
        if self._ours:
            self.notice.fail(error)

    def _warned(self, text: str) -> None:
        if self._ours:
            self.notice.say(text, "warn")

    def _given_up(self, kept: str) -> None:
        if self._ours:
            self.notice.say(kept)

    def _over(self) -> None:
        self.progress.end()
        self.refresh()


def _brings_formats(found: PluginRecord) -> bool:
    return found.origin is Origin.BUILT_IN and "register_exporters" in found.hooks


def _title(report: ExportReport, earlier: bool) -> str:
    if report.unverified:
        return tr("Written, and not proven")
    if earlier:
        return tr("Proven, for an earlier state of the run")
    if report.coarse:
        return tr("No worse on your photos, which are too few to prove more")
    return tr("Proven: it answers like the model") if report.settings.exact else tr("Proven: it is as good as was asked for")


def _card(field: str) -> HelpCard:
    return help_texts.cards()[f"export.{field}"]


def _about() -> str:
    return tr("One file with everything inside: normalisation, classes, and the proof that it answers like the model.")
