"""Below the curves: what they are, what lies under the mouse, and another scale, smoothing, taking them along."""

import html
from pathlib import Path

from PySide6.QtCore import QBuffer, QIODevice, QPoint, QSize, Qt
from PySide6.QtGui import QPainter, QPixmap
from PySide6.QtSvg import QSvgGenerator
from PySide6.QtWidgets import QCheckBox, QSpinBox, QVBoxLayout, QWidget

from desktop_ft.core.curves import curves_csv
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.gui import words
from desktop_ft.gui.form import FormGuard
from desktop_ft.gui.picker import choose_new_file
from desktop_ft.gui.run_plots import Plots
from desktop_ft.gui.session import Session
from desktop_ft.gui.widgets import Notice, button, caption_of, label, row
from desktop_ft.runs import atomic

_SHARPNESS = 2
_MOST = 1000


class PlotControls(QWidget):
    """Legend, whose curves they are, reading, and what can be done with them; goes with them into a window of their own."""

    def __init__(self, session: Session, plots: Plots, notice: Notice) -> None:
        super().__init__()
        self._session = session
        self._plots = plots
        self._notice = notice
        self.log = QCheckBox(tr("&Log scale"))
        self.log.setToolTip(tr("Draw what is shown on a logarithmic scale."))
        self.log.toggled.connect(self._set_log)
        self.smooth = QSpinBox()
        self.smooth.setRange(1, _MOST)
        self.smooth.setAccessibleName(tr("Smooth over so many steps"))
        self.smooth.setToolTip(tr("Draw what is told of every step as the mean over so many of them; 1 draws each as it was."))
        self.smooth.installEventFilter(FormGuard(self))
        self.smooth.valueChanged.connect(plots.set_smoothing)
        caption = caption_of(self.smooth, tr("S&mooth over"))
        self.save = button(tr("Save curves…"), self._choose, tip=tr("As a picture (.png, .svg) or as a table (.csv)."))
        self.pointed = label(role="muted", wrap=True)
        plots.pointed.connect(self._tell)
        self._tell("")
        plots.changed.connect(self.refresh)
        self.legend = label(role="muted", wrap=True)
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.legend)
        layout.addWidget(self.pointed)
        layout.addLayout(row(self.log, caption, self.smooth, None, self.save))
        self.refresh()

    def refresh(self) -> None:
        """Say what the curves are, and offer what makes sense for those that are shown."""
        shown = self._plots.shown
        run = self._session.training.run
        named = [html.escape(words.printable(run.name))] if run is not None else []
        self.legend.setText(" &nbsp; ".join([shown.legend, *named]))
        self.legend.setToolTip(words.printable(str(run or "")))
        self.log.setEnabled(shown.takes_log)
        self.log.setChecked(shown.log)
        self.smooth.setEnabled(shown.smooths)
        self.save.setEnabled(bool(self._session.training.history.steps))

    def _tell(self, pointed: str) -> None:
        self.pointed.setText(
            pointed or tr("Point at a curve to read its values; the wheel looks closer, a double click shows all again.")
        )

    def _set_log(self, log: bool) -> None:
        self._plots.shown.set_log(log)

    def _choose(self) -> None:
        kinds = ";;".join((tr("Pictures (*.png)"), tr("Drawings (*.svg)"), tr("Tables (*.csv)")))
        if file := choose_new_file(self, self._session.settings, tr("Save the curves"), "curves.png", kinds):
            try:
                self.write(file)
            except UserError as error:
                self._notice.fail(error)
            else:
                self._notice.say(tr("The curves are saved as {file}.", file=file), "good")

    def write(self, path: Path) -> None:
        """Write what is shown to `path` as a picture or drawing, or all that the run told as a table: its ending says which.

        Raises:
            UserError: another ending, or it cannot be written.
        """
        match path.suffix.lower():
            case ".png":
                data = _png(self._plots.shown)
            case ".svg":
                data = _svg(self._plots.shown)
            case ".csv":
                data = curves_csv(self._session.training.history).encode()
            case other:
                what = tr("Curves cannot be saved as '{ending}'.", ending=other)
                raise UserError(what, tr("End the file's name with .png, .svg or .csv."))
        atomic.write(path, data)


def _png(widget: QWidget) -> bytes:
    """The widget as it is drawn, at twice its size on the screen."""
    picture = QPixmap(widget.size() * _SHARPNESS)
    picture.setDevicePixelRatio(_SHARPNESS)
    widget.render(picture)
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    picture.save(buffer, "PNG")
    return bytes(buffer.data().data())


def _svg(widget: QWidget) -> bytes:
    """The widget as lines and text."""
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    drawing = QSvgGenerator()
    drawing.setOutputDevice(buffer)
    drawing.setSize(QSize(widget.size()))
    drawing.setViewBox(widget.rect())
    painter = QPainter(drawing)
    widget.render(painter, QPoint())
    painter.end()
    return bytes(buffer.data().data())
