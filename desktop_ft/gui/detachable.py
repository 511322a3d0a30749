"""Panels that can be shown in a window of their own, such as the curves on a second screen."""

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QAction, QCloseEvent, QGuiApplication, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QToolButton, QVBoxLayout, QWidget

from desktop_ft.core.language import tr
from desktop_ft.gui.session import Session
from desktop_ft.gui.theme import Theme
from desktop_ft.gui.widgets import Empty, button

_EDGE, _ICON = 2, 16
_SMALLEST = (420, 320)


class PanelWindow(QWidget):
    """A window around one panel. Closing it gives the panel back; the keys of the main window work in it."""

    closed = Signal()

    def __init__(self, title: str, main: QWidget, theme: Theme) -> None:
        super().__init__(main, Qt.WindowType.Window)
        self._theme = theme
        self.setWindowTitle(title)
        self.setWindowIcon(main.windowIcon())
        self.setMinimumSize(*_SMALLEST)
        self.addActions([action for action in main.findChildren(QAction) if action.objectName()])
        self._box = QVBoxLayout(self)

    def hold(self, panel: QWidget) -> None:
        """Take `panel` in."""
        self._box.addWidget(panel)

    def event(self, event: QEvent) -> bool:
        """Keep icons sharp when this window comes to another screen, which the main window hears nothing of."""
        if event.type() is QEvent.Type.DevicePixelRatioChange:
            self._theme.look_at_screens()
        return super().event(event)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """Tell before it goes."""
        super().closeEvent(event)
        self.closed.emit()


class Detachable(QWidget):
    """Holds `content`, here or in a window of its own; `way` is the button for it, in the upper right corner if nowhere else.

    Args:
        name: under which the window's size and place are remembered.
        title: what the panel is called.
    """

    def __init__(self, name: str, title: str, content: QWidget, session: Session) -> None:
        super().__init__()
        self.setObjectName(name)
        self._title, self._content = title, content
        self._settings, self._theme = session.settings, session.theme
        self._window: PanelWindow | None = None
        self._asked_before = False
        self._empty = Empty(
            title,
            tr("This is in a window of its own. Close that window to have it here again."),
            button(tr("Bring it back"), self.attach),
        )
        self._empty.hide()
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.addWidget(content, 1)
        self._box.addWidget(self._empty, 1)
        self.way = QToolButton(self)
        self.way.setObjectName("detach")
        self.way.setIconSize(QSize(_ICON, _ICON))
        self.way.setAutoRaise(True)
        self.way.setAccessibleName(tr("{panel} in a window of its own", panel=title))
        self.way.setToolTip(tr("Show it in a window of its own, for example on a second screen (Ctrl+Shift+D)"))
        self.way.clicked.connect(self.toggle)
        self._theme.changed.connect(self._draw_icon)
        self._draw_icon()

    @property
    def detached(self) -> bool:
        """Whether the panel is in a window of its own."""
        return self._window is not None

    def has(self, widget: QWidget | None) -> bool:
        """Whether `widget` is a part of the panel, wherever that is."""
        return widget is not None and (self._content is widget or self._content.isAncestorOf(widget))

    def toggle(self) -> None:
        """Out, or back in."""
        if self.detached:
            self.attach()
        else:
            self.detach()

    def detach(self) -> None:
        """Show the panel in a window of its own."""
        if self._window is not None:
            return
        window = PanelWindow(f"{self._title} – Desktop FT", self.window(), self._theme)
        self._window = window
        if not window.restoreGeometry(self._settings.window(self.objectName())):
            window.resize(self._content.size().expandedTo(window.minimumSize()))
        window.hold(self._content)
        window.closed.connect(self._take_back)
        self._show_where()
        window.show()

    def attach(self) -> None:
        """Bring the panel back."""
        if self._window is not None:
            self._window.close()

    def remember(self) -> None:
        """Keep where the window is, and whether there is one; then close it. For when the main window goes."""
        self._settings.remember_detached(self.objectName(), self.detached)
        self.attach()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """Take the panel out again where it was out at the end, and where there is a second screen for it."""
        super().showEvent(event)
        if not self._asked_before:
            self._asked_before = True
            if self._settings.detached(self.objectName()) and len(QGuiApplication.screens()) > 1:
                self.detach()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Keep the button in its corner."""
        super().resizeEvent(event)
        self._place()

    def event(self, event: QEvent) -> bool:
        """The content may have come in front of the button."""
        if event.type() is QEvent.Type.LayoutRequest:
            self._place()
        return super().event(event)

    def _draw_icon(self) -> None:
        self.way.setIcon(self._theme.icon("detach"))

    def _place(self) -> None:
        if self.way.parentWidget() is self:
            size = self.way.sizeHint()
            self.way.setGeometry(self.width() - size.width() - _EDGE, _EDGE, size.width(), size.height())
            self.way.raise_()

    def _take_back(self) -> None:
        window, self._window = self._window, None
        if window is None:
            return
        self._settings.remember_window(self.objectName(), window.saveGeometry())
        self._box.insertWidget(0, self._content, 1)
        self._content.show()
        window.deleteLater()
        self._show_where()

    def _show_where(self) -> None:
        self._empty.setVisible(self.detached)
        self.way.setVisible(not self.detached)
