"""What a model says of what a camera sees, as it looks."""

import threading
from pathlib import Path

from PySide6.QtCore import QBuffer, QIODevice, QRectF, QSize, Qt
from PySide6.QtGui import QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QComboBox, QDialog, QSizePolicy, QVBoxLayout, QWidget

from desktop_ft.core.language import tr
from desktop_ft.gui import words
from desktop_ft.gui.camera import Camera
from desktop_ft.gui.session import Session
from desktop_ft.gui.widgets import GAP, MARGIN, Notice, button, caption_of, label, row
from desktop_ft.gui.worker import Report
from desktop_ft.jobs.predicting import OpenedModel, Prediction, opened_model

_SIZE = (640, 620)
_LEAST = QSize(320, 240)
_BESIDES = 2
"""So many other classes are told beside the answer, the likeliest."""


class CameraDialog(QDialog):
    """Asks `model`, an exported file or a run, about one frame of `camera` after the other: the newest, whenever it is free."""

    def __init__(self, session: Session, model: Path, camera: Camera, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Camera: {name}", name=words.printable(model.name)))
        self.resize(*_SIZE)
        self._session = session
        self.camera = camera
        camera.setParent(self)
        self._opened: OpenedModel | None = None
        self._asking = True
        self._frame = QImage()
        self.notice = Notice()
        self.choice = QComboBox()
        self.choice.activated.connect(self._begin)
        self.sight = Sight()
        self.answer = label(role="heading", wrap=True)
        self.besides = label(role="muted", wrap=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        layout.setSpacing(GAP)
        layout.addWidget(self.notice)
        layout.addLayout(row(caption_of(self.choice, tr("Camera")), self.choice, None))
        layout.addWidget(self.sight, 1)
        layout.addWidget(self.answer)
        layout.addWidget(self.besides)
        layout.addLayout(row(None, button(tr("Close"), self.reject)))
        self.camera.seen.connect(self._see)
        self.camera.failed.connect(self.notice.fail)
        self.camera.changed.connect(self._look)
        self.finished.connect(self.camera.stop)
        self.answer.setText(tr("Opening the model"))
        plugins, said = session.plugins, list[str]()
        opening = session.worker.run(
            lambda report, cancel: (opened_model(model, plugins, warn=said.append, cancel=cancel), said),
            finished=self._open_with,
            failed=self._fail,
        )
        self.finished.connect(opening.cancel.set)
        self._look()

    def _look(self) -> None:
        """Show the cameras there are now, and stay with the one that was chosen, where it still is."""
        before, names = self.choice.currentData(), self.camera.names
        self.choice.clear()
        for identity, name in names.items():
            self.choice.addItem(words.printable(name), identity)
        self.choice.setEnabled(bool(names))
        if not names:
            self.choice.addItem(tr("none is connected"))
            self.camera.stop()
            self.sight.show_nothing(tr("Connect a camera: it is found at once."))
            return
        # Not findData: it takes bytes for the same only where they are one object.
        self.choice.setCurrentIndex(list(names).index(before) if before in names else 0)
        if self.choice.currentData() != before:
            self._begin()

    def _begin(self) -> None:
        self.notice.clear()
        self.sight.show_nothing(tr("Waiting for the camera"))
        self.camera.start(self.choice.currentData())

    def _open_with(self, found: tuple[OpenedModel, list[str]]) -> None:
        self._opened, said = found
        self._asking = False
        if said:
            self.notice.say("\n".join(said), "warn")
        self.answer.setText("")
        self._ask()

    def _see(self, frame: QImage) -> None:
        self._frame = frame
        self.sight.show_frame(frame)
        self._ask()

    def _ask(self) -> None:
        opened, frame = self._opened, self._frame
        if self._asking or opened is None or frame.isNull():
            return
        self._asking, self._frame = True, QImage()
        picture = _bytes(frame)

        def work(report: Report, cancel: threading.Event) -> Prediction:
            return opened.says_of(picture)

        self._session.worker.run(work, finished=self._answered, failed=self._fail)

    def _answered(self, said: Prediction) -> None:
        self._asking = False
        if self._opened is not None:
            self.answer.setText(_answer(said))
            self.besides.setText(_besides(said, self._opened.model.classes))
        self._ask()

    def _fail(self, error: BaseException) -> None:
        """Ask and look no more: what cannot answer this frame cannot answer the next."""
        self._asking = True
        self.camera.stop()
        self.answer.setText("")
        self.besides.setText("")
        self.notice.fail(error)


class Sight(QWidget):
    """A frame, as large as there is room; or a sentence in its place."""

    def __init__(self) -> None:
        super().__init__()
        self._frame = QImage()
        self.instead = ""
        self.setAccessibleName(tr("What the camera sees"))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(_LEAST)

    def show_frame(self, frame: QImage) -> None:
        """Show `frame`."""
        self._frame, self.instead = frame, ""
        self.update()

    def show_nothing(self, instead: str) -> None:
        """Show the sentence `instead`."""
        self._frame, self.instead = QImage(), instead
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Paint it in the middle."""
        painter = QPainter(self)
        if self._frame.isNull():
            painter.setPen(self.palette().placeholderText().color())
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self.instead)
            return
        size = self._frame.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
        place = QRectF((self.width() - size.width()) / 2, (self.height() - size.height()) / 2, size.width(), size.height())
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(place, self._frame)


def _bytes(frame: QImage) -> bytes:
    """`frame` as a picture's file holds it, without loss: models take it by the same way as any photo."""
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    frame.convertToFormat(QImage.Format.Format_RGB888).save(buffer, "PPM")  # type: ignore[call-overload]
    return bytes(buffer.data().data())


def _answer(said: Prediction) -> str:
    if said.problem:
        return said.problem
    name, sure = words.printable(said.label), words.percent(said.confidence)
    if not said.sure:
        return tr("Don't know: {name} is most likely, but only {share}.", name=name, share=sure)
    return tr("{name}, {share} sure.", name=name, share=sure)


def _besides(said: Prediction, classes: tuple[str, ...]) -> str:
    likely = sorted(zip(said.probabilities, classes, strict=False), reverse=True)
    others = [f"{words.printable(name)} {words.percent(share)}" for share, name in likely if name != said.label]
    return ", ".join(others[:_BESIDES])
