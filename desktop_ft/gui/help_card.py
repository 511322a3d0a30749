"""Help cards: F1, or the small question mark beside a caption, explains a control in place.

The text of a card is the control's *What's this* text, where screen readers look for it as well.
"""

from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QScrollArea, QToolButton, QVBoxLayout, QWidget

from desktop_ft.core.language import tr
from desktop_ft.gui.widgets import GAP, label, letters_width
from desktop_ft.jobs import help_texts

_CHARACTERS = 52
_BORDER = 1
_CLOSERS = {Qt.Key.Key_Escape, Qt.Key.Key_F1, Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space}


def explained(control: QWidget, name: str) -> QWidget:
    """`control`, with the card `name` of resources/help; returns it."""
    control.setWhatsThis(help_texts.cards()[name].text)
    return control


def with_help(caption: QWidget, control: QWidget) -> QWidget:
    """`caption` with a question mark behind it that explains `control`."""
    holder = QWidget()
    layout = QHBoxLayout(holder)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(4)
    layout.addWidget(caption, 1)
    layout.addWidget(HelpButton(control))
    return holder


class HelpButton(QToolButton):
    """A question mark for the mouse; from the keyboard F1 on the control does the same, so that it is no stop of Tab."""

    def __init__(self, control: QWidget) -> None:
        super().__init__()
        self._control = control
        self.setObjectName("help")
        self.setText("?")
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setAccessibleName(tr("Explain: {name}", name=control.accessibleName()))
        self.setToolTip(tr("What does this do? (F1)"))
        self.clicked.connect(self._explain)

    def _explain(self) -> None:
        explain(self._control)


def explain(control: QWidget | None) -> "CardPopup | None":
    """Show the card of `control`, or of the nearest thing around it that has one; returns it, or None where there is none."""
    while control is not None and not control.whatsThis():
        control = control.parentWidget()
    return CardPopup.beside(control) if control is not None else None


class CardPopup(QFrame):
    """A card beside its control. Esc, F1, Return or a click elsewhere closes it; the focus is then where it was."""

    def __init__(self, text: str, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setObjectName("helpcard")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        title, *paragraphs = text.split("\n\n")
        self.setAccessibleName(title)
        self.setAccessibleDescription("\n".join(paragraphs))
        inside = QWidget()
        inside.setObjectName("form")
        self._column = QVBoxLayout(inside)
        self._column.setContentsMargins(16, 14, 16, 14)
        self._column.setSpacing(2)
        self._add(label(title, "figure", wrap=True))
        for number, paragraph in enumerate(paragraphs):
            heading, _, said = paragraph.partition("\n") if number else ("", "", paragraph)
            self._column.addSpacing(GAP)
            if heading:
                self._add(label(heading, "heading", wrap=True))
            self._add(label(said, wrap=True))
        self._column.addSpacing(GAP)
        self._add(label(tr("Esc closes this. The menu Help explains the page and the words."), "muted", wrap=True))
        self._column.addStretch(1)
        self._scroll = QScrollArea()
        self._scroll.setWidgetResizable(True)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setWidget(inside)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self._scroll)

    @classmethod
    def beside(cls, control: QWidget) -> "CardPopup":
        """The card of `control`, shown on the side where there is most room."""
        made = cls(control.whatsThis(), control)
        for text in made.findChildren(QLabel):
            text.ensurePolished()  # a heading is larger once it has its style, and the height depends on it
        room = control.screen().availableGeometry()
        width = letters_width(made, _CHARACTERS)
        size = QSize(width, min(made._column.heightForWidth(width - 2 * _BORDER) + 2 * _BORDER, room.height() - 2 * GAP))
        made.resize(size)
        made.move(_place(QRect(control.mapToGlobal(QPoint(0, 0)), control.size()), size, room))
        made.show()
        made.setFocus(Qt.FocusReason.PopupFocusReason)
        return made

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Close on the keys that say so; the arrows scroll a card that is higher than the screen."""
        if event.key() in _CLOSERS:
            self.close()
        else:
            self._scroll.verticalScrollBar().event(event)

    def _add(self, text: QLabel) -> None:
        self._column.addWidget(text)


def _place(control: QRect, card: QSize, room: QRect) -> QPoint:
    """Where a card of this size goes, all of it in `room`: right of the control, else left of it, else below or above."""
    left, top = control.right() + GAP, control.top() - GAP
    if left + card.width() > room.right():
        left = control.left() - GAP - card.width()
    if left < room.left():
        left, top = control.left(), control.bottom() + GAP
        if top + card.height() > room.bottom():
            top = control.top() - GAP - card.height()
    return QPoint(
        max(room.left(), min(left, room.right() - card.width())), max(room.top(), min(top, room.bottom() - card.height()))
    )
