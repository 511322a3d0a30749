"""Walls of pictures: decoded in threads while they are in sight, the newest wish first, and remembered for a while."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetrics, QImage, QPainter, QPaintEvent, QPalette, QPixmap, QShowEvent
from PySide6.QtWidgets import QAbstractItemView, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from desktop_ft.core.backbone import Interpolation
from desktop_ft.core.language import tr
from desktop_ft.data.picture_file import UnreadablePicture
from desktop_ft.engine import process
from desktop_ft.gui import words
from desktop_ft.gui.grid import Grid
from desktop_ft.gui.theme import Theme

SIDE = 112
_WIDEST = 230
_LINE = 3
_KEPT = 3000
_PENDING = 400
_THREADS = 2
_Index = QModelIndex | QPersistentModelIndex
THUMB_ROLE = int(Qt.ItemDataRole.UserRole)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumb:
    """One picture of a wall. `level` colours its caption: "", good or bad. `parted`: a line stands before it."""

    path: Path
    caption: str
    tip: str
    level: str = ""
    parted: bool = False


class _Decoding:
    """What the threads know: plain Python, as a picture whose disk hangs may outlive the wall, and the window."""

    def __init__(self, side: int, decoded: Callable[[Path, QImage | None], None]) -> None:
        self._side = side
        self._decoded = decoded
        self._lock = threading.Lock()
        self._wanted: OrderedDict[Path, None] = OrderedDict()
        self._under_way: set[Path] = set()
        self._active = 0

    def want(self, path: Path) -> None:
        with self._lock:
            self._wanted[path] = None
            self._wanted.move_to_end(path)
            while len(self._wanted) > _PENDING:
                self._wanted.popitem(last=False)
            if self._active >= _THREADS:
                return
            self._active += 1
        threading.Thread(target=self._work, daemon=True).start()

    @property
    def waiting(self) -> int:
        with self._lock:
            return len(self._wanted)

    def keep(self, wanted: Callable[[Path], bool]) -> None:
        with self._lock:
            for path in [path for path in self._wanted if not wanted(path)]:
                del self._wanted[path]

    def stop(self) -> None:
        with self._lock:
            self._wanted.clear()
            self._under_way.clear()

    def _work(self) -> None:
        process.stand_back()
        while True:
            with self._lock:
                if not self._wanted:
                    self._active -= 1
                    return
                path, _ = self._wanted.popitem(last=True)
                self._under_way.add(path)
            image = square(path, self._side)
            with self._lock:  # told whole before a stop, or not at all: after it whoever hears may be gone
                if path in self._under_way:
                    self._under_way.discard(path)
                    self._decoded(path, image)


class Decoder(QObject):
    """Decodes pictures to squares in a few threads. `decoded` is sent from those threads: connect to it queued."""

    decoded = Signal(object, object)

    def __init__(self, side: int, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.side = side
        self._decoding = _Decoding(side, self.decoded.emit)
        self.destroyed.connect(self._decoding.stop)

    def want(self, path: Path) -> None:
        """Decode `path` soon, before everything that was wanted earlier."""
        self._decoding.want(path)

    @property
    def waiting(self) -> int:
        """How many pictures are still to be decoded."""
        return self._decoding.waiting

    def keep(self, wanted: Callable[[Path], bool]) -> None:
        """Forget what is not `wanted` any more, such as what scrolled by."""
        self._decoding.keep(wanted)

    def stop(self) -> None:
        """Forget what is still wanted; of what is being decoded nothing is told any more, and nobody waits for it."""
        self._decoding.stop()


def square(path: Path, side: int) -> QImage | None:
    """The middle square of the picture at `path`, `side` pixels wide; None where it cannot be read (any more)."""
    from desktop_ft.data import decode  # Pillow: not before it is needed

    try:
        pixels = decode.load(path, side, Interpolation.BILINEAR)
    except UnreadablePicture:
        return None
    height, width, _ = pixels.shape
    top, left, edge = (height - min(height, width)) // 2, (width - min(height, width)) // 2, min(height, width)
    cut = pixels[top : top + edge, left : left + edge].copy()
    return QImage(cut.tobytes(), edge, edge, 3 * edge, QImage.Format.Format_RGB888).copy()


class ThumbnailModel(QAbstractListModel):
    """The pictures of a wall. `unreadable` is sent when one cannot be read."""

    unreadable = Signal()

    def __init__(self, ratio: float, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._thumbs: Sequence[Thumb] = ()
        self._made: dict[int, Thumb] = {}
        self._captions: Iterable[str] | None = None
        self._rows: dict[Path, int] = {}
        self._ratio = ratio
        self._pixmaps: OrderedDict[Path, QPixmap | None] = OrderedDict()
        self._decoder = Decoder(round(SIDE * ratio), self)
        self._decoder.decoded.connect(self._arrived, Qt.ConnectionType.QueuedConnection)

    def set_thumbs(self, thumbs: Sequence[Thumb], captions: Iterable[str] | None = None) -> None:
        """Show other pictures; what is decoded already is kept.

        Args:
            thumbs: may make each as it is asked for.
            captions: every different caption, where that is known without asking for all thumbs.
        """
        self.beginResetModel()
        self._thumbs, self._captions = thumbs, captions
        self._made.clear()
        self._rows = {}
        self.try_again()
        self._decoder.keep(lambda path: False)
        self.endResetModel()

    def try_again(self) -> None:
        """Forget which pictures could not be read: their disk may be there again."""
        for path in [path for path, pixmap in self._pixmaps.items() if pixmap is None]:
            del self._pixmaps[path]

    def add_thumbs(self, thumbs: Sequence[Thumb]) -> None:
        """Show more pictures behind those that are shown."""
        if not thumbs:
            return
        first = len(self._thumbs)
        self.beginInsertRows(QModelIndex(), first, first + len(thumbs) - 1)
        self._thumbs = [*self._thumbs, *thumbs]
        self.endInsertRows()

    def caption_lines(self) -> set[str]:
        """Every different line of the captions."""
        captions = self._captions if self._captions is not None else (thumb.caption for thumb in self._thumbs)
        return {line for caption in captions for line in caption.split("\n")}

    def keep_to(self, rows: range) -> None:
        """Of the pictures that are still to be decoded, forget those outside `rows`."""
        self._rows = {path: row for path, row in self._rows.items() if row in rows}
        self._decoder.keep(self._rows.__contains__)

    def stop(self) -> None:
        """Decode nothing any more."""
        self._decoder.stop()

    @property
    def waiting(self) -> int:
        """How many pictures are still to be decoded."""
        return self._decoder.waiting

    @property
    def decoded(self) -> int:
        """How many pictures are ready to be drawn."""
        return sum(pixmap is not None for pixmap in self._pixmaps.values())

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: N802, B008 - Qt's
        """Pictures, on the top level only."""
        return 0 if parent.isValid() else len(self._thumbs)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Caption, tool tip, and the picture once it is there."""
        if not index.isValid():
            return None
        thumb = self._thumb(index.row())
        if role == Qt.ItemDataRole.DisplayRole:
            return thumb.caption
        if role == Qt.ItemDataRole.ToolTipRole:
            return thumb.tip
        return thumb if role == THUMB_ROLE else None

    def cell(self, row: int) -> tuple[Thumb, QPixmap | None, bool]:
        """What is drawn in a row: the thumb, its picture once that is there, and whether it could not be read.

        Not asked for through an index: that leads through Qt and back, with a wait for Python's lock each time.
        """
        thumb = self._thumb(row)
        pixmap = self._pixmap(thumb.path, row)
        return thumb, pixmap, pixmap is None and thumb.path in self._pixmaps

    def _thumb(self, row: int) -> Thumb:
        """Each is asked for twice whenever it is painted, and its tool tip has to be put together."""
        thumb = self._made.get(row)
        if thumb is None:
            if len(self._made) >= _KEPT:
                self._made.clear()
            thumb = self._made[row] = self._thumbs[row]
        return thumb

    def _pixmap(self, path: Path, row: int) -> QPixmap | None:
        self._rows[path] = row
        if path in self._pixmaps:
            self._pixmaps.move_to_end(path)
            return self._pixmaps[path]
        self._decoder.want(path)
        return None

    def _arrived(self, path: Path, image: QImage | None) -> None:
        pixmap = None
        if image is not None:
            pixmap = QPixmap.fromImage(image)
            pixmap.setDevicePixelRatio(self._ratio)
        self._pixmaps[path] = pixmap
        while len(self._pixmaps) > _KEPT:
            self._pixmaps.popitem(last=False)
        row = self._rows.get(path)
        if image is None:
            self.unreadable.emit()
        if row is not None:
            self.dataChanged.emit(self.index(row), self.index(row), [Qt.ItemDataRole.DecorationRole])


class ThumbnailDelegate(QStyledItemDelegate):
    """Draws a picture of `thumbs` with its caption of `lines` lines below."""

    def __init__(self, theme: Theme, thumbs: ThumbnailModel, lines: int, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._thumbs = thumbs
        self._theme = theme
        self._lines = lines
        self.text_width = 0

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:  # noqa: N802 - Qt's name
        """One size for all."""
        return cell_size(option.fontMetrics, self._lines, self.text_width)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        """Picture, frame where selected or focused, caption."""
        colours = self._theme.colours
        thumb, pixmap, unreadable = self._thumbs.cell(index.row())
        box = QRect(option.rect.x() + (option.rect.width() - SIDE) // 2, option.rect.y() + 4, SIDE, SIDE)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        if pixmap is not None:
            painter.drawPixmap(box, pixmap)
        else:
            painter.fillRect(box, QColor(colours.border))
            if unreadable:
                painter.setPen(QColor(colours.muted))
                painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap), tr("Cannot be read"))
        if thumb.parted:
            painter.fillRect(QRect(option.rect.x(), box.y(), _LINE, option.rect.bottom() - box.y()), QColor(colours.accent))
        if option.state & QStyle.StateFlag.State_Selected:
            pen = painter.pen()
            pen.setColor(QColor(colours.accent))
            pen.setWidth(3)
            painter.setPen(pen)
            painter.drawRect(box.adjusted(-1, -1, 1, 1))
        height = option.fontMetrics.height()
        caption = QRect(option.rect.x() + 4, box.bottom() + 3, option.rect.width() - 8, height)
        plain = option.palette.color(QPalette.ColorRole.Text)
        painter.setPen({"bad": QColor(colours.bad), "good": QColor(colours.good)}.get(thumb.level, plain))
        for line in thumb.caption.split("\n")[: self._lines]:
            # In the middle: what stands at the end, such as how sure the model was, is worth as much as the beginning.
            text = option.fontMetrics.elidedText(line, Qt.TextElideMode.ElideMiddle, caption.width())
            painter.drawText(caption, int(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignVCenter), text)
            caption.translate(0, height)
            painter.setPen(QColor(colours.muted))
        painter.restore()


class Wall(Grid):
    """A scrolling wall of pictures. It decodes what is in sight, and forgets what scrolled by before its turn came."""

    def __init__(self, theme: Theme, name: str, *, lines: int = 1, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.thumbs = ThumbnailModel(self.devicePixelRatioF(), self)
        self.setModel(self.thumbs)
        self._lines = lines
        self._delegate = ThumbnailDelegate(theme, self.thumbs, lines, self)
        self.setItemDelegate(self._delegate)
        self.thumbs.modelReset.connect(self._fit)
        self.thumbs.rowsInserted.connect(self._fit)
        self.setAccessibleName(name)
        self._fit()
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """What could not be read is tried again."""
        super().showEvent(event)
        self.thumbs.try_again()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """The pictures in sight; those that are not need not be decoded."""
        super().paintEvent(event)
        self.thumbs.keep_to(self.seen)

    def stop(self) -> None:
        """Decode nothing any more; to be called before the window goes."""
        self.thumbs.stop()

    def _fit(self) -> None:
        """Cells as wide as the longest caption needs."""
        metrics = self.fontMetrics()
        self._delegate.text_width = max(map(metrics.horizontalAdvance, self.thumbs.caption_lines()), default=0)
        self.setGridSize(cell_size(metrics, self._lines, self._delegate.text_width))


def cell_size(metrics: QFontMetrics, lines: int, text_width: int = 0) -> QSize:
    """Room for a picture and a caption of `lines` lines, of which the longest is `text_width` wide, within reason."""
    return QSize(max(SIDE, min(text_width, _WIDEST)) + 14, SIDE + lines * metrics.height() + 14)


def tip(path: str, *lines: str) -> str:
    """A tool tip: the path, then what else there is to say."""
    return "\n".join([words.printable(path), *lines])
