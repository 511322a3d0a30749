"""Finds layers of the tree by a part of their path or type."""

from PySide6.QtCore import QItemSelection, QItemSelectionModel, QModelIndex, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QTreeView, QWidget

from desktop_ft.core.language import tr, tr_n
from desktop_ft.gui.layer_model import LayerModel
from desktop_ft.gui.widgets import GAP, button, label

_Flag = QItemSelectionModel.SelectionFlag


class _Line(QLineEdit):
    """Return goes to the next match, Shift and Return to the one before."""

    def __init__(self, search: "LayerSearch") -> None:
        super().__init__()
        self._search = search

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Go on from match to match."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._search.step(-1 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1)
        else:
            super().keyPressEvent(event)


class LayerSearch(QWidget):
    """A line to type in. The first match becomes the current layer; all of them can be selected, to be ticked at once."""

    def __init__(self, tree: QTreeView, model: LayerModel) -> None:
        super().__init__()
        self._tree = tree
        self._model = model
        self._at = 0
        self.line = _Line(self)
        self.line.setPlaceholderText(tr("Find layers, such as norm or blocks.3"))
        self.line.setAccessibleName(tr("Find layers"))
        self.line.setToolTip(tr("A part of a layer's path or type. Return goes to the next one, Shift+Return to the one before."))
        self.line.setClearButtonEnabled(True)
        self.line.textChanged.connect(self._typed)
        self.found = label(role="muted")
        self.select = button(
            tr("Select all found"), self._select, tip=tr("Select them all: a tick, or a rate, is then set for all at once.")
        )
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(GAP)
        layout.addWidget(self.line, 1)
        layout.addWidget(self.found)
        layout.addWidget(self.select)
        self._show()

    def step(self, by: int) -> None:
        """Go to the next match, or the one before; from the last on to the first."""
        if found := self._matches():
            self._at = (self._at + by) % len(found)
            self._go_to(found[self._at])
            self._show()

    def _matches(self) -> list[QModelIndex]:
        return self._model.matches(self.line.text().strip())

    def _typed(self) -> None:
        self._at = 0
        if found := self._matches():
            self._go_to(found[0])
        self._show()

    def _go_to(self, index: QModelIndex) -> None:
        self._tree.setCurrentIndex(index)
        self._tree.scrollTo(index)

    def _select(self) -> None:
        found = self._matches()
        chosen = QItemSelection()
        for index in found:
            chosen.select(index, index)
            self._tree.scrollTo(index)
        selection = self._tree.selectionModel()
        selection.select(chosen, _Flag.ClearAndSelect | _Flag.Rows)
        selection.setCurrentIndex(found[0], _Flag.NoUpdate)
        self._tree.scrollTo(found[0])
        self._tree.setFocus(Qt.FocusReason.OtherFocusReason)

    def _show(self) -> None:
        found = self._matches()
        typed = bool(self.line.text().strip())
        self.select.setEnabled(bool(found))
        place = tr_n("{at} of {n:,} layer found", "{at} of {n:,} layers found", n=len(found), at=self._at + 1)
        self.found.setText("" if not typed else place if found else tr("No layer is called so."))
