"""Dark and light: an explicit Fusion palette and a small style sheet, since the system's choice is not always to be had."""

import dataclasses
import math
import tomllib
from enum import StrEnum
from functools import cache

from PySide6.QtCore import QByteArray, QObject, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QGuiApplication, QIcon, QPainter, QPalette, QPixmap, QPixmapCache
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication

from desktop_ft import places

_STYLED = "fusion is its style"
_OUTLINED = ("QAbstractSpinBox", "QComboBox", "QLineEdit", "QCheckBox", "QRadioButton", "QTreeView")
_FUSION_DARKENS = 140


class ThemeChoice(StrEnum):
    """Which colours the window takes."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Colours:
    """The colours of one theme, as `#rrggbb`."""

    window: str
    base: str
    raised: str
    text: str
    muted: str
    border: str
    outline: str
    accent: str
    accent_soft: str
    accent_text: str
    good: str
    good_soft: str
    warn: str
    warn_soft: str
    bad: str
    bad_soft: str
    plot_train: str
    plot_val: str
    disabled: str


class Theme(QObject):
    """The colours in use; tells when they change."""

    changed = Signal()

    def __init__(self, choice: ThemeChoice = ThemeChoice.SYSTEM, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.choice = choice
        self.colours = _read(self._name())
        self._drawn_for = _scales()
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._system_changed)

    def choose(self, choice: ThemeChoice) -> None:
        """Take other colours, at once."""
        self.choice = choice
        self.apply()

    def apply(self) -> None:
        """Give the application this theme's palette and style sheet."""
        self.colours = _read(self._name())
        application = QApplication.instance()
        if isinstance(application, QApplication):
            if application.property(_STYLED) is None:  # each style that is made stays with the application
                application.setStyle("Fusion")
                application.setProperty(_STYLED, True)
            application.setStyleSheet("")  # with it goes what Qt keeps of each number box and choice that was ever there
            QPixmapCache.clear()  # icons in the colours before
            application.setPalette(_palette(self.colours))
            for kind in _OUTLINED:
                application.setPalette(_outlined(self.colours), kind)  # type: ignore[arg-type] # the stub says bytes; str it is
            application.setStyleSheet(_style_sheet(self.colours))
        self.changed.emit()

    def look_at_screens(self) -> None:
        """Draw icons anew where a screen has come that wants finer ones."""
        before, self._drawn_for = self._drawn_for, _scales()
        if before != self._drawn_for:
            self.changed.emit()

    def icon(self, name: str) -> QIcon:
        """The icon `name` in this theme's text colour, with its accent where selected; as sharp as the screens there are."""
        icon, scales = QIcon(), _scales()
        for mode, colour in (
            (QIcon.Mode.Normal, self.colours.text),
            (QIcon.Mode.Selected, self.colours.accent),
            (QIcon.Mode.Disabled, self.colours.disabled),
        ):
            picture = QSvgRenderer(QByteArray(_svg(name).replace("currentColor", colour).encode()))
            for scale in scales:
                icon.addPixmap(_drawn(picture, 20, scale), mode)
        return icon

    def _name(self) -> str:
        if self.choice is ThemeChoice.SYSTEM:
            dark = QGuiApplication.styleHints().colorScheme() is Qt.ColorScheme.Dark
            return "dark" if dark else "light"
        return self.choice.value

    def _system_changed(self) -> None:
        if self.choice is ThemeChoice.SYSTEM:
            self.apply()


def _read(name: str) -> Colours:
    text = (places.shipped("resources") / "themes" / f"{name}.toml").read_text(encoding="utf-8")
    return Colours(**tomllib.loads(text))


def _style_sheet(colours: Colours) -> str:
    sheet = (places.shipped("resources") / "themes" / "window.qss").read_text(encoding="utf-8")
    # Longest name first: @accent is the beginning of @accent_soft.
    for name in sorted((field.name for field in dataclasses.fields(Colours)), key=len, reverse=True):
        sheet = sheet.replace(f"@{name}", getattr(colours, name))
    return sheet


def _palette(colours: Colours) -> QPalette:
    role = QPalette.ColorRole
    palette = QPalette()
    for which, colour in (
        (role.Window, colours.window),
        (role.WindowText, colours.text),
        (role.Base, colours.base),
        (role.AlternateBase, colours.window),
        (role.Text, colours.text),
        (role.PlaceholderText, colours.muted),
        (role.Button, colours.raised),
        (role.ButtonText, colours.text),
        (role.ToolTipBase, colours.raised),
        (role.ToolTipText, colours.text),
        (role.Highlight, colours.accent),
        (role.HighlightedText, colours.accent_text),
        (role.Link, colours.accent),
        (role.LinkVisited, colours.accent),
        (role.Accent, colours.accent),
        (role.Mid, colours.border),
        (role.Midlight, colours.border),
        (role.Light, colours.raised),
        (role.Dark, colours.muted),
        (role.BrightText, colours.bad),
    ):
        palette.setColor(which, QColor(colour))
    for which in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, which, QColor(colours.disabled))
    return palette


def _outlined(colours: Colours) -> QPalette:
    """The palette of controls with a frame. Fusion draws frames in the window's colour darkened, which dark themes swallow."""
    palette = _palette(colours)
    palette.setColor(QPalette.ColorRole.Window, QColor(colours.outline).lighter(_FUSION_DARKENS))
    return palette


def _scales() -> list[int]:
    return sorted({math.ceil(screen.devicePixelRatio()) for screen in QGuiApplication.screens()}) or [1]


@cache
def _svg(name: str) -> str:
    return (places.shipped("resources") / "icons" / f"{name}.svg").read_text(encoding="utf-8")


def _drawn(picture: QSvgRenderer, side: int, scale: int) -> QPixmap:
    pixmap = QPixmap(side * scale, side * scale)
    pixmap.setDevicePixelRatio(scale)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    picture.render(painter, QRectF(0, 0, side, side))
    painter.end()
    return pixmap
