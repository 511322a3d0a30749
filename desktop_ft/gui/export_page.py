"""The page Export: write the model to a file, see the proof, and try it."""

from pathlib import Path

from PySide6.QtWidgets import QComboBox, QLineEdit, QWidget

from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr, tr_n
from desktop_ft.core.metrics import ExportReport, Threshold
from desktop_ft.gui import words
from desktop_ft.gui.help_card import explained
from desktop_ft.gui.picker import choose_new_file
from desktop_ft.gui.run_work import ASKING, EVALUATING
from desktop_ft.gui.session import Session
from desktop_ft.gui.trying import TryIt
from desktop_ft.gui.widgets import Notice, Page, Progress, button, card, label, row
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
    return tr_n(
        "Loaded again without PyTorch and compared on {n:,} photo of yours: no answer changed; the largest difference is "
        "{difference:.1e} of the largest output (allowed: 1e-04).",
        "Loaded again without PyTorch and compared on {n:,} photos of yours: no answer changed; the largest difference is "
        "{difference:.1e} of the largest output (allowed: 1e-04).",
        n=report.compared,
        difference=report.largest_difference,
    )


def outdated(report: ExportReport, kept: Threshold | None) -> str:
    """What to say of a file that heeds another threshold than the run keeps by now; "" where it does not, or nobody knows."""
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
        self.notice = Notice()
        self.progress = Progress(tr("photos"))
        self.progress.cancelled.connect(session.runs.cancel)
        self.trying = TryIt(session, self._model, tr("Export the model first, then try it here."))
        self.trying.opened.connect(self._look)
        for widget in (self.notice, self._export_card(), self.progress):
            self.body.addWidget(widget)
        self.body.addWidget(self._try_card(), 1)
        runs, state = session.runs, session.state
        runs.began.connect(self._began)
        runs.progressed.connect(self.progress.advance)
        runs.failed.connect(self._failed)
        runs.warned.connect(self._warned)
        runs.given_up.connect(self._given_up)
        runs.ended.connect(self._over)
        runs.threshold_kept.connect(self.refresh)
        state.run_changed.connect(self._new_run)
        state.export_changed.connect(self.trying.show_model)
        state.export_changed.connect(self.refresh)
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
        self.reason.setVisible(bool(reason))
        self._show_proof(self._session.state.export)
        self.trying.refresh()

    def _fill_formats(self) -> None:
        chosen = self.format.currentData()
        self.format.clear()
        for exporter in self._session.plugins.exporters:
            self.format.addItem(tr(exporter.title), exporter.name)
        self.format.setCurrentIndex(max(0, self.format.findData(chosen)))

    def _show_proof(self, report: ExportReport | None) -> None:
        shown = report is not None and self.notice.text == ""
        self.proof_title.setVisible(shown)
        self.proof_text.setVisible(shown)
        there = report is not None and Path(report.file).is_file()
        self.outdated.setText(outdated(report, self._kept()) if report is not None and there else "")
        self.outdated.setVisible(shown and bool(self.outdated.text()))
        if report is None:
            return
        if not report.accepted:
            title, level = tr("Refused"), "bad"
        else:
            title = tr("Proven: it answers like the model") if there else tr("It was proven, and is not there any more")
            level = "good" if there else "warn"
        self.proof_title.setText(title)
        self.proof_title.setProperty("level", level)
        self.proof_title.style().polish(self.proof_title)
        where = f"{words.printable(report.file)} · {words.size(report.bytes)}\n" if report.accepted else ""
        self.proof_text.setText(where + proof(report))

    def take_drop(self, paths: tuple[Path, ...]) -> bool:
        """Photos and folders dropped here are asked about, once there is a model."""
        if self._session.runs.busy:
            busy = tr(self._session.runs.busy)
            self.notice.say(tr("{work} is under way. Wait for it, then drop them again.", work=busy), "warn")
            return True
        if self._model() is None:
            if any(path.suffix.lower() == ".toml" or (path / "recipe.toml").is_file() for path in paths):
                return False
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
        self._fill_formats()
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
        layout.addLayout(
            row(
                label(tr("Format")),
                self.format,
                label(tr("File")),
                explained(self.file, "export.file"),
                button(tr("Choose…"), self._choose),
            )
        )
        layout.addLayout(row(self.export, self.reason, None))
        layout.addWidget(self.proof_title)
        layout.addWidget(self.proof_text)
        layout.addWidget(self.outdated)
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
        report = self._session.state.export
        path = Path(report.file) if report is not None and report.accepted else None
        return path if path is not None and path.is_file() else None

    def _kept(self) -> Threshold | None:
        run = self._session.state.run
        try:
            return RunFolder.open(run).threshold if run else None
        except UserError:  # the page Results tells of it
            return None

    def _new_run(self) -> None:
        run = self._session.state.run
        self.notice.clear()
        self.trying.show_model()
        self.subtitle.setText(tr("Run {name}", name=words.printable(run.name)) if run else _about())
        self.file.setText(str(run / "exports" / "model.onnx") if run else "")
        self.refresh()

    def _choose(self) -> None:
        if file := choose_new_file(self, self._session.settings, tr("Export to"), "model.onnx", tr("Models (*.onnx)")):
            self.file.setText(str(file))

    def _export(self) -> None:
        run = self._session.state.run
        if run is not None:
            self._attempt(run, Path(self.file.text().strip()))

    def _attempt(self, run: Path, out: Path) -> None:
        try:
            self._session.runs.export(run, out, str(self.format.currentData()))
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
        if what not in (EVALUATING, ASKING):
            self.notice.clear()
            self.progress.begin(tr(what))
        self.refresh()

    def _failed(self, error: BaseException) -> None:
        if not self.progress.isHidden():
            self.notice.fail(error)

    def _warned(self, text: str) -> None:
        if not self.progress.isHidden():
            self.notice.say(text, "warn")

    def _given_up(self, kept: str) -> None:
        if not self.progress.isHidden():
            self.notice.say(kept)

    def _over(self) -> None:
        self.progress.end()
        self.refresh()


def _about() -> str:
    return tr("One file with everything inside: normalisation, classes, and the proof that it answers like the model.")
