"""Ask a model about any photos: chosen or dropped, answers as they come, to be saved as a table."""

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr, tr_n
from desktop_ft.gui import words
from desktop_ft.gui.camera import Camera
from desktop_ft.gui.camera_dialog import CameraDialog
from desktop_ft.gui.drops import no_photo
from desktop_ft.gui.picker import choose_folder, choose_new_file
from desktop_ft.gui.readiness import UNDER_WAY
from desktop_ft.gui.run_work import ASKING
from desktop_ft.gui.session import Session
from desktop_ft.gui.thumbnails import Thumb, Wall, tip
from desktop_ft.gui.widgets import Notice, Progress, button, enable_or_say, filling, label, row
from desktop_ft.jobs.predicting import Prediction, as_csv
from desktop_ft.runs import atomic

_DRAW_EVERY_MS = 150
_ROOM = 1_000_000
"""So many answers and probabilities of models that are not shown any more are kept, those shown last: some 50 MB."""
_Identity = tuple[Path, int]


class TryIt(QWidget):
    """A wall of photos with the model's answers. `opened` tells which answer, of `answers`, is to be looked at.

    Answers belong to the model that gave them: where another is shown meanwhile, they are there again when it comes back, unless
    so many have come since that there is no room for them.

    Args:
        model: the exported file or the run that answers; None while there is none.
        nothing: what to say while there is none.
    """

    opened = Signal(int)

    def __init__(self, session: Session, model: Callable[[], Path | None], nothing: str) -> None:
        super().__init__()
        self._session = session
        self._model = model
        self._nothing = nothing
        self.answers: list[Prediction] = []
        self._of: _Identity | None = None
        self._asking = False  # our model; of a file that has gone meanwhile, it still is
        self._given = dict[_Identity, list[Prediction]]()
        self.notice = Notice()
        self.progress = Progress(tr("photos"))
        self.progress.cancelled.connect(session.runs.cancel)
        self.ask = button(tr("Choose &photos…"), self._choose_photos)
        self.ask_folder = button(tr("Choose a f&older…"), self._choose_folder)
        self.ask_camera = button(tr("Use a ca&mera…"), self._use_camera, tip=tr("Answers as you look, from a camera."))
        self.save = button(tr("Save answers…"), self._choose_table, tip=tr("As a table (.csv) of file, answer and confidence."))
        self.reason = label(role="muted", wrap=True)
        self.summary = label(role="heading")
        self.wall = Wall(session.theme, tr("Answers"), lines=2)
        self.wall.activated.connect(self._open)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_DRAW_EVERY_MS)
        self._soon.timeout.connect(self._draw)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 8, 0, 0)
        layout.addLayout(row(self.ask, self.ask_folder, self.ask_camera, self.reason, None, self.save))
        layout.addWidget(self.notice)
        layout.addWidget(self.progress)
        layout.addWidget(self.summary)
        layout.addWidget(filling(self.wall), 1)
        runs = session.runs
        runs.began.connect(self._began)
        runs.progressed.connect(self._progressed)
        runs.failed.connect(self._failed)
        runs.warned.connect(self._warned)
        runs.given_up.connect(self._given_up)
        runs.ended.connect(self._over)
        self.refresh()

    def show_model(self) -> None:
        """Show what the model answered that is shown now. What another is still asked is given up: nobody sees it."""
        identity = _identity(self._model())
        if identity != self._of:
            if self._asking:
                self._asking = False
                self._session.runs.cancel()
                self.progress.end()
            self._show_answers(identity, self._given.get(identity, []) if identity is not None else [])
        self.refresh()

    def refresh(self) -> None:
        """Show what can be done now."""
        model, busy = self._model(), bool(self._session.runs.busy)
        under_way = tr(UNDER_WAY) if busy else ""
        for way in (self.ask, self.ask_folder):
            enable_or_say(way, under_way if model is not None else self._nothing)
        enable_or_say(self.ask_camera, "" if model is not None else self._nothing)
        self.reason.setText(_invitation(model) if model is not None else self._nothing)
        self.save.setVisible(bool(self.answers))
        enable_or_say(self.save, under_way)
        self.summary.setText(_summary(self.answers))
        self.summary.setVisible(bool(self.answers))
        self.wall.setVisible(bool(self.answers))

    def _show_answers(self, identity: _Identity | None, answers: list[Prediction]) -> None:
        self._of, self.answers = identity, answers
        if identity is not None:
            self._given.pop(identity, None)
            self._given[identity] = answers  # the last is what was shown last
        self._forget()
        self.wall.thumbs.set_thumbs([_thumb(answer) for answer in answers])
        self.notice.clear()

    def _forget(self) -> None:
        """Drop what was shown longest ago of the answers that are not shown, where there is no room for all."""
        room = _ROOM
        for identity in reversed([each for each in self._given if each != self._of]):
            room -= sum(1 + len(answer.probabilities) for answer in self._given[identity])
            if room < 0:
                del self._given[identity]

    def try_on(self, paths: Sequence[Path]) -> None:
        """Ask the model about `paths`, photos and folders."""
        model = self._model()
        if model is None:
            return
        if len(paths) == 1 and (refused := no_photo(paths[0])) is not None:  # of several, each says so itself
            self.notice.fail(refused)
            return
        try:
            self._session.runs.predict(model, paths)
        except UserError as error:
            self.notice.fail(error)

    def write(self, path: Path) -> None:
        """Write the answers to `path`.

        Raises:
            UserError: it cannot be written.
        """
        atomic.write(path, as_csv(self.answers))

    def stop(self) -> None:
        """Decode no more thumbnails."""
        self.wall.stop()

    def _choose_photos(self) -> None:
        settings = self._session.settings
        files, _ = QFileDialog.getOpenFileNames(self, tr("Choose photos"), settings.last_folder, tr("All files (*)"))
        if files:
            settings.last_folder = str(Path(files[0]).parent)
            self.try_on([Path(file) for file in files])

    def _choose_folder(self) -> None:
        if folder := choose_folder(self, self._session.settings, tr("Choose a folder of photos")):
            self.try_on((folder,))

    def _use_camera(self) -> None:
        if (model := self._model()) is not None:
            try:
                CameraDialog(self._session, model, Camera(), self.window()).open()
            except UserError as error:
                self.notice.fail(error)

    def _choose_table(self) -> None:
        if file := choose_new_file(self, self._session.settings, tr("Save the answers"), "answers.csv", tr("Tables (*.csv)")):
            try:
                self.write(file)
            except UserError as error:
                self.notice.fail(error)
            else:
                self.notice.say(tr("The answers are saved as {file}.", file=file), "good")

    def _open(self) -> None:
        self.opened.emit(self.wall.currentIndex().row())

    def _began(self, what: str) -> None:
        if what == ASKING and self._session.runs.asked == self._model():
            self._show_answers(_identity(self._model()), [])
            self._asking = True
            self.progress.begin(tr(what))
        self.refresh()

    def _progressed(self, done: int, total: int | None) -> None:
        if self._asking:
            self.progress.advance(done, total)
            if not self._soon.isActive():
                self._soon.start()

    def _draw(self) -> None:
        """Add the answers that have come since the last time."""
        if not self._asking:
            return
        new = self._session.runs.answers[len(self.answers) :]
        self.answers += new
        self.wall.thumbs.add_thumbs([_thumb(answer) for answer in new])
        self.refresh()

    def _failed(self, error: BaseException) -> None:
        if self._asking:
            self.notice.fail(error)

    def _warned(self, text: str) -> None:
        if self._asking:
            self.notice.say(text, "warn")

    def _given_up(self, kept: str) -> None:
        if self._asking:
            self.notice.say(kept)

    def _over(self) -> None:
        self._soon.stop()
        self._draw()
        self._asking = False
        self.progress.end()
        self.refresh()


def _identity(model: Path | None) -> _Identity | None:
    """The model as it is now: one that is written anew, or a run that has learned on, is another."""
    if model is None:
        return None
    try:
        return model, (model / "checkpoints" / "index.json" if model.is_dir() else model).stat().st_mtime_ns
    except OSError:
        return model, 0


def _invitation(model: Path) -> str:
    name = words.printable(model.name)
    if model.is_dir():
        return tr("Drop photos or a folder on this page, or choose them; the best model of {name} answers.", name=name)
    return tr("Drop photos or a folder on this page, or choose them; {name} answers.", name=name)


def _thumb(answer: Prediction) -> Thumb:
    name, label_, sure = words.printable(answer.path.name), words.printable(answer.label), words.percent(answer.confidence)
    if answer.problem:
        return Thumb(
            path=answer.path, caption=f"{tr('no answer')}\n{name}", tip=tip(str(answer.path), answer.problem), level="bad"
        )
    if not answer.sure:
        said = tip(str(answer.path), tr("Don't know: {name} is most likely, but only {share}.", name=label_, share=sure))
        unsure = tr("don't know")
        return Thumb(path=answer.path, caption=f"{unsure}\n{label_} {sure}", tip=said)
    said = tip(str(answer.path), tr("{name}, {share} sure.", name=label_, share=sure))
    return Thumb(path=answer.path, caption=f"{label_} {sure}\n{name}", tip=said, level="good")


def _summary(answers: Sequence[Prediction]) -> str:
    problems = sum(bool(answer.problem) for answer in answers)
    unsure = sum(not answer.problem and not answer.sure for answer in answers)
    parts = [
        tr_n("{n:,} photo", "{n:,} photos", n=len(answers)),
        tr_n("{n:,} answered", "{n:,} answered", n=len(answers) - problems - unsure),
    ]
    parts += [tr_n("{n:,} don't know", "{n:,} don't know", n=unsure)] if unsure else []
    parts += [tr_n("{n:,} cannot be read", "{n:,} cannot be read", n=problems)] if problems else []
    return " · ".join(parts)
