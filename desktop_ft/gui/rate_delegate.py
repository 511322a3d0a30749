"""Edits a learning rate, or a share of it, in a cell of the layer tree."""

from PySide6.QtCore import QModelIndex, QPersistentModelIndex
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem, QWidget

from desktop_ft.core.freezing import MAX_MULTIPLIER
from desktop_ft.gui.form import RateSpinBox

_DECIMALS = 8


class RateDelegate(QStyledItemDelegate):
    """A box for a small number. Nothing is written back unless the number was changed: a cell may stand for many layers."""

    def createEditor(  # noqa: N802 - Qt's name
        self, parent: QWidget, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QWidget:
        """The box."""
        box = RateSpinBox(parent)
        box.setDecimals(_DECIMALS)
        box.setRange(0, MAX_MULTIPLIER)
        box.setFrame(False)
        box.setAccessibleName("Rate of this layer; 0 freezes it")
        return box
