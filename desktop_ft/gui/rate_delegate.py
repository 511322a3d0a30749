"""Edits a learning rate, or a share of it, in a cell of the layer tree."""

from PySide6.QtCore import QAbstractItemModel, QLocale, QModelIndex, QPersistentModelIndex, QRect, Qt
from PySide6.QtGui import QDoubleValidator
from PySide6.QtWidgets import QLineEdit, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from desktop_ft.core.language import tr
from desktop_ft.gui.form import with_point

_LARGEST = 100.0
_DIGITS = 12
_Index = QModelIndex | QPersistentModelIndex


class _Number(QDoubleValidator):
    """A number as a recipe writes it; a comma is the point that its typist means."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(0.0, _LARGEST, _DIGITS, parent)
        self.setNotation(QDoubleValidator.Notation.ScientificNotation)
        self.setLocale(QLocale.c())

    def validate(self, text: str, at: int) -> object:
        """As Qt does it, of `text` with a point."""
        return super().validate(with_point(text), at)


class RateDelegate(QStyledItemDelegate):
    """A line for a number, large or small (`1e-5`). Only what was typed is written: a cell may stand for many layers."""

    def createEditor(self, parent: QWidget, option: QStyleOptionViewItem, index: _Index) -> QWidget:  # noqa: N802 - Qt's name
        """The line."""
        line = QLineEdit(parent)
        line.setFrame(False)
        line.setAlignment(Qt.AlignmentFlag.AlignRight)
        line.setAccessibleName(tr("Rate of this layer; 0 freezes it"))
        line.setValidator(_Number(line))
        return line

    def updateEditorGeometry(self, editor: QWidget, option: QStyleOptionViewItem, index: _Index) -> None:  # noqa: N802 - Qt's
        """The whole cell, so that nothing of the old number shows beside it."""
        editor.setGeometry(QRect(option.rect))

    def setEditorData(self, editor: QWidget, index: _Index) -> None:  # noqa: N802 - Qt's name
        """Show the number, ready to be typed over."""
        if isinstance(editor, QLineEdit) and not editor.isModified():
            editor.setText(f"{index.data(Qt.ItemDataRole.EditRole):.6g}")
            editor.selectAll()

    def setModelData(self, editor: QWidget, model: QAbstractItemModel, index: _Index) -> None:  # noqa: N802 - Qt's name
        """Hand over what was typed, if anything was."""
        if isinstance(editor, QLineEdit) and editor.isModified() and editor.hasAcceptableInput():
            model.setData(index, float(editor.text()), Qt.ItemDataRole.EditRole)
