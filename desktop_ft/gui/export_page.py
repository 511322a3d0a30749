"""The page Export: write the model to a file, see the proof, and try it."""

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtWidgets import QComboBox, QLineEdit, QWidget

from desktop_ft.core.errors import UserError
from desktop_ft.core.metrics import ExportReport
from desktop_ft.gui import words
from desktop_ft.gui.help_card import explained
from desktop_ft.gui.picker import choose_file, choose_new_file
from desktop_ft.gui.run_work import EVALUATING
from desktop_ft.gui.session import Session
from desktop_ft.gui.table import Column, table
from desktop_ft.gui.widgets import Notice, Page, Progress, button, card, filling, label, row

ANSWER_COLUMNS = (
    Column(title="Photo", text=lambda a: words.printable(a.path.name), tip=lambda a: words.printable(str(a.path)), width=32),
    Column(title="Answer", text=lambda a: words.printable(a.label) or "–", width=24),
    Column(
        title="Confidence",
        text=lambda a: "" if a.problem else words.percent(a.confidence),
        sort=lambda a: a.confidence,
        bar=lambda a: float(a.confidence),
        number=True,
        width=14,
    ),
    Column(title="Problem", text=lambda a: words.printable(a.problem)),
)


def proof(report: ExportReport) -> str:
    """What an export report says, in plain words."""
    if not report.accepted:
        return (
            f"The file was refused: {words.count(report.changed_answers, 'answer')} changed, largest difference "
            f"{report.largest_difference:.1e} (on {words.printable(report.worst_path)})."
        )
    return (
        f"Loaded again without PyTorch and compared on {words.count(report.compared, 'photo')} of yours: no answer changed; the "
        f"largest difference is {report.largest_difference:.1e} of the largest output (allowed: 1e-04)."
    )


class ExportPage(Page):
    """Where to, the button with its reason, the proof, and a place to try the file."""

    def __init__(self, session: Session) -> None:
        super().__init__(
            "Export", "One file with everything inside: normalisation, classes, and the proof that it answers like the model."
        )
        self._session = session
        self.notice = Notice()
        self.progress = Progress("photos")
        self.progress.cancelled.connect(session.runs.cancel)
        self.answers = table(ANSWER_COLUMNS, session.theme, "Answers")
        for widget in (self.notice, self._export_card(), self.progress):
            self.body.addWidget(widget)
        self.body.addWidget(self._try_card(), 1)
        runs, state = session.runs, session.state
        runs.began.connect(self._began)
        runs.progressed.connect(self.progress.advance)
        runs.failed.connect(self._failed)
        runs.warned.connect(self._warned)
        runs.ended.connect(self._over)
        runs.predicted.connect(self._show_answers)
        state.run_changed.connect(self._new_run)
        state.export_changed.connect(self.refresh)
        session.training.started.connect(self.refresh)
        session.training.ended.connect(self.refresh)
        self._new_run()

    def refresh(self) -> None:
        """Show what can be done now, and the proof."""
        reason = self._reason()
        self.export.setEnabled(not reason)
        self.reason.setText(reason)
        self.reason.setVisible(bool(reason))
        self._show_proof(self._session.state.export)
        model = self._model()
        self.ask.setEnabled(model is not None and not self._session.runs.busy)
        self.ask_reason.setText(
            f"Drop photos or a folder on this page, or choose one; {model.name} answers."
            if model
            else "Export the model first, then try it here."
        )
        self.answers.setVisible(bool(self.answers.rows.rows))

    def _show_proof(self, report: ExportReport | None) -> None:
        shown = report is not None and self.notice.text == ""
        self.proof_title.setVisible(shown)
        self.proof_text.setVisible(shown)
        if report is None:
            return
        there = Path(report.file).is_file()
        if not report.accepted:
            title, level = "Refused", "bad"
        else:
            title = "Proven: it answers like the model" if there else "It was proven, and is not there any more"
            level = "good" if there else "warn"
        self.proof_title.setText(title)
        self.proof_title.setProperty("level", level)
        self.proof_title.style().polish(self.proof_title)
        where = f"{words.printable(report.file)} · {words.size(report.bytes)}\n" if report.accepted else ""
        self.proof_text.setText(where + proof(report))

    def take_drop(self, paths: tuple[Path, ...]) -> bool:
        """Photos and folders dropped here are asked about, once there is a model."""
        if self._session.runs.busy:
            self.notice.say(f"{self._session.runs.busy} is under way. Wait for it, then drop them again.", "warn")
            return True
        if self._model() is None:
            if any(path.suffix.lower() == ".toml" or (path / "recipe.toml").is_file() for path in paths):
                return False
            # Never taken for new pictures of the project: that is not what this page is about.
            self.notice.say(
                "There is no exported model yet to ask about them. Export first, then drop them again; to learn from other "
                "photos, drop them on the page Data.",
                "warn",
            )
            return True
        self.try_on(paths)
        return True

    def try_on(self, paths: Sequence[Path]) -> None:
        """Ask the exported model about `paths`."""
        model = self._model()
        if model is not None:
            self._session.runs.predict(model, paths)

    def _export_card(self) -> QWidget:
        frame, layout = card()
        self.format = QComboBox()
        self.format.setAccessibleName("Format")
        for exporter in self._session.plugins.exporters:
            self.format.addItem(exporter.title, exporter.name)
        self.file = QLineEdit()
        self.file.setAccessibleName("File")
        self.file.textChanged.connect(self.refresh)
        self.export = button("Export and prove", self._export, primary=True, tip="Writes the file, loads it again and compares.")
        self.reason = label(role="muted", wrap=True)
        self.reason.setProperty("level", "warn")
        self.proof_title = label(role="heading")
        self.proof_text = label(wrap=True)
        layout.addLayout(
            row(label("Format"), self.format, label("File"), explained(self.file, "export.file"), button("Choose…", self._choose))
        )
        layout.addLayout(row(self.export, self.reason, None))
        layout.addWidget(self.proof_title)
        layout.addWidget(self.proof_text)
        return frame

    def _try_card(self) -> QWidget:
        frame, layout = card()
        self.ask = button("Choose a photo…", self._choose_photo)
        self.ask_reason = label(role="muted", wrap=True)
        layout.addWidget(label("Try it", "heading"))
        layout.addLayout(row(self.ask, self.ask_reason, None))
        layout.addWidget(filling(self.answers), 1)
        return frame

    def _reason(self) -> str:
        if self._session.state.run is None:
            return "Train a model or open a run first."
        if self._session.training.running:
            return "Wait until the run is over."
        if self._session.runs.busy:
            return f"{self._session.runs.busy} is under way."
        if not Path(self.file.text().strip()).is_absolute():
            return "Choose a file to write to."
        return "" if self.format.count() else "No export format is on offer."

    def _model(self) -> Path | None:
        report = self._session.state.export
        path = Path(report.file) if report is not None and report.accepted else None
        return path if path is not None and path.is_file() else None

    def _new_run(self) -> None:
        run = self._session.state.run
        self.notice.clear()
        self.answers.rows.set_rows(())
        self.file.setText(str(run / "exports" / "model.onnx") if run else "")
        self.refresh()

    def _choose(self) -> None:
        if file := choose_new_file(self, self._session.settings, "Export to", "model.onnx", "Models (*.onnx)"):
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

    def _choose_photo(self) -> None:
        if file := choose_file(self, self._session.settings, "Choose a photo", "All files (*)"):
            self.try_on((file,))

    def _show_answers(self, answers: object) -> None:
        if isinstance(answers, list):
            self.answers.rows.set_rows(answers)
            self.refresh()

    def _began(self, what: str) -> None:
        if what != EVALUATING:
            self.notice.clear()
            self.progress.begin(what)
        self.refresh()

    def _failed(self, error: BaseException) -> None:
        if not self.progress.isHidden():
            self.notice.fail(error)

    def _warned(self, text: str) -> None:
        if not self.progress.isHidden():
            self.notice.say(text, "warn")

    def _over(self) -> None:
        self.progress.end()
        self.refresh()
