"""One photo as the network sees it, with what speaks for a class laid over it, and whether that can be believed."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QImage, QPixmap
from PySide6.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLabel, QSlider, QVBoxLayout, QWidget

from desktop_ft.core.language import marked, tr
from desktop_ft.evaluation.explanation import LIMITS, Explanation, colours, explains, nothing_to_show, overlay, verdict
from desktop_ft.gui import words
from desktop_ft.gui.leafing import Leafing
from desktop_ft.gui.picture_view import PictureView
from desktop_ft.gui.session import Session
from desktop_ft.gui.table import Column, table
from desktop_ft.gui.widgets import GAP, MARGIN, Notice, button, caption_of, label, row
from desktop_ft.gui.worker import Newest, Report
from desktop_ft.jobs.explaining import Explainer

_SIZE = QSize(900, 600)
_SHOWN_CLASSES = 5
_SCALE = QSize(160, 10)

CLASS_COLUMNS = (
    Column(title=marked("Class"), text=lambda pair: words.printable(pair[0])),
    Column(
        title=marked("Probability"),
        text=lambda pair: words.percent(pair[1]),
        bar=lambda pair: float(pair[1]),
        number=True,
        width=13,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """One photo to look at. `label` is what it is, where that is known."""

    path: Path
    label: int | None = None


class PhotoDialog(Leafing):
    """Goes through `photos`, beginning at `first`; each is explained by the best model of `run`."""

    def __init__(self, session: Session, run: Path, photos: Sequence[Photo], first: int, parent: QWidget) -> None:
        super().__init__(len(photos), first, parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Where the answer was found"))
        self.resize(_SIZE)
        self._photos = tuple(photos)
        self._explainer = Explainer(run, session.plugins)
        self._told: Explanation | None = None
        self._checked: Any = ()
        self._newest = Newest(session.worker, self._arrived, self._failed, self)
        self.picture = PictureView(tr("The photo as the network sees it"))
        self.picture.turned.connect(self.turn)
        self.scale = _scale()
        self.notice = Notice()
        whole = QHBoxLayout(self)
        whole.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        whole.setSpacing(MARGIN)
        shown = QVBoxLayout()
        shown.addWidget(self.picture, 1)
        shown.addWidget(self.scale)
        whole.addLayout(shown, 3)
        whole.addLayout(self._side(session), 2)
        self.finished.connect(self._end)
        self.picture.setFocus()
        self.begin()

    def _side(self, session: Session) -> QVBoxLayout:
        self.title = label(role="heading", wrap=True)
        self.file = label(role="muted", wrap=True)
        self.classes = table(CLASS_COLUMNS, session.theme, tr("Most likely classes"))
        self.classes.setFixedHeight(self.classes.fontMetrics().height() * (_SHOWN_CLASSES + 1) + 11 * _SHOWN_CLASSES + 24)
        self.shown = QComboBox()
        self.shown.currentIndexChanged.connect(self._draw)
        self.map = QCheckBox(tr("Show the &map"))
        self.map.setChecked(True)
        self.map.toggled.connect(self._draw)
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(5, 100)
        self.opacity.setValue(75)
        self.opacity.setAccessibleName(tr("Opacity of the map"))
        self.opacity.valueChanged.connect(self._draw)
        self.verdict = label(wrap=True)
        what = caption_of(self.shown, tr("What &speaks for"))
        strength = caption_of(self.opacity, tr("&Opacity"))
        self.answer = QWidget()
        answer = QVBoxLayout(self.answer)
        answer.setContentsMargins(0, 0, 0, 0)
        answer.setSpacing(GAP)
        answer.addWidget(self.classes)
        answer.addLayout(row(what, self.shown, None))
        answer.addLayout(row(self.map, strength, self.opacity))
        answer.addWidget(self.verdict)
        answer.addWidget(label(tr(LIMITS), "muted", wrap=True))
        side = QVBoxLayout()
        side.setSpacing(GAP)
        for thing in (self.title, self.file, self.notice, self.answer):
            side.addWidget(thing)
        side.addStretch(1)
        side.addLayout(row(self.previous, self.next, None, button(tr("Close"), self.reject)))
        return side

    @property
    def told(self) -> Explanation | None:
        """What is known of the photo shown; None while it is being looked at."""
        return self._told

    @property
    def checked(self) -> bool:
        """Whether the sanity check of the photo shown is over."""
        return bool(self._checked)

    def begin(self) -> None:
        """Ask the model about the photo `number`."""
        super().begin()
        photo, explainer = self._photos[self.number], self._explainer  # the thread holds no widget
        self._told, self._checked = None, ()
        self.notice.clear()
        self.title.setText(tr("Asking the model…"))
        place = tr("{number:,} of {total:,}", number=self.number + 1, total=len(self._photos))
        self.file.setText(f"{words.printable(photo.path.name)} · {place}")
        self.file.setToolTip(words.printable(str(photo.path)))
        self.verdict.setText("")

        def work(report: Report, cancel: threading.Event) -> Explanation:
            return explainer.explain(photo.path, photo.label)

        self._newest.ask(work)

    def _arrived(self, value: object) -> None:
        if isinstance(value, Explanation):
            self._show(value)
        else:
            self._checked = value
            self._draw()

    def _show(self, told: Explanation) -> None:
        self._told, explainer = told, self._explainer
        self.answer.show()
        names = [words.printable(told.classes[index]) for index in told.shown]
        photo = self._photos[self.number]
        if photo.label is None:
            self.title.setText(tr("Called {called}", called=names[0]))
        else:
            actual = words.printable(told.classes[photo.label])
            self.title.setText(tr("Called {called}, is {actual}", called=names[0], actual=actual))
        self.classes.rows.set_rows(told.top(_SHOWN_CLASSES))
        self.shown.blockSignals(True)
        self.shown.clear()
        self.shown.addItems(names)
        self.shown.blockSignals(False)
        self.shown.setEnabled(bool(told.place))
        self._draw()

        def work(report: Report, cancel: threading.Event) -> object:
            return explainer.check(told, report, cancel)

        if told.place:
            self._newest.ask(work)

    def _draw(self) -> None:
        told, number = self._told, max(0, self.shown.currentIndex())
        if told is None:
            return
        problem = nothing_to_show(told, number)
        with_map = bool(told.place) and self.map.isChecked()
        self.picture.show_pixels(
            overlay(told.picture, told.grids[number], self.opacity.value() / 100) if with_map else told.picture
        )
        self.scale.setVisible(with_map and not nothing_to_show(told, number))
        self.opacity.setEnabled(with_map)
        self.map.setEnabled(bool(told.place))
        level = ""
        if self._checked and not problem:
            level = "" if explains(self._checked, number) else "bad"
            problem = verdict(self._checked, number)
        elif not problem:
            problem = tr("Checking whether the map can be believed…")
        self.verdict.setText(problem)
        self.verdict.setProperty("level", level)
        self.verdict.style().polish(self.verdict)

    def _failed(self, error: BaseException) -> None:
        self.title.setText(tr("No answer") if self._told is None else self.title.text())
        if self._told is None:
            self.picture.show_pixels(None)
            self.answer.hide()  # what went wrong needs the room
            self.classes.rows.set_rows(())
        self.notice.fail(error)

    def _end(self) -> None:
        self.finished.disconnect(self._end)  # Qt may tell of one end twice: as accepted, and as closed
        self._newest.stop()


def _scale() -> QWidget:
    """What the colours of the map say."""
    ramp = np.tile(np.linspace(0, 1, _SCALE.width(), dtype=np.float32), (_SCALE.height(), 1))
    pixels = np.rint(colours(ramp)).astype(np.uint8)
    image = QImage(pixels.tobytes(), _SCALE.width(), _SCALE.height(), 3 * _SCALE.width(), QImage.Format.Format_RGB888)
    strip = QLabel()
    strip.setPixmap(QPixmap.fromImage(image))
    strip.setAccessibleName(tr("The colours of the map, from little to much"))
    made = QWidget()
    made.hide()
    made.setLayout(row(None, label(tr("speaks for it: little"), "muted"), strip, label(tr("much"), "muted"), None))
    return made
