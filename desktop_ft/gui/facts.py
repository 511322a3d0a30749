"""A short list of names and values."""

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QGuiApplication, QKeySequence
from PySide6.QtWidgets import QGridLayout, QLabel, QSizePolicy, QWidget

from desktop_ft.core.language import tr
from desktop_ft.gui import words
from desktop_ft.gui.widgets import label


class _Value(QLabel):
    """A text that may be broken anywhere it helps, and is copied and read aloud as it was before."""

    def __init__(self) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        copy = QAction(tr("Copy"), self)
        copy.setShortcut(QKeySequence.StandardKey.Copy)
        copy.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        copy.triggered.connect(self._copy)
        self.addAction(copy)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)

    def show_text(self, text: str) -> None:
        """Show `text`."""
        self.setText(words.breakable(words.printable(text)))
        self.setAccessibleName(words.unbroken(self.text()))

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(words.unbroken(self.selectedText() or self.text()))


class Facts(QWidget):
    """Names on the left in muted colour, values on the right, selectable."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 4, 0, 4)
        self._grid.setHorizontalSpacing(14)
        self._grid.setVerticalSpacing(5)
        self._grid.setColumnStretch(1, 1)
        self._labels: list[tuple[QLabel, _Value]] = []

    def show_facts(self, facts: Sequence[tuple[str, str]]) -> None:
        """Show other facts."""
        while len(self._labels) < len(facts):
            name, value = label(role="muted"), _Value()
            name.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)
            line = len(self._labels)
            self._grid.addWidget(name, line, 0, Qt.AlignmentFlag.AlignTop)
            self._grid.addWidget(value, line, 1)
            self._labels.append((name, value))
        for line, (name, value) in enumerate(self._labels):
            known = line < len(facts)
            name.setVisible(known)
            value.setVisible(known)
            if known:
                name.setText(facts[line][0])
                value.show_text(facts[line][1])

    @property
    def text(self) -> str:
        """Everything that is shown, a line a fact."""
        shown = ((name.text(), value.accessibleName()) for name, value in self._labels if not name.isHidden())
        return "\n".join(f"{name}: {value}" for name, value in shown)
