"""A form drawn from a described model: one control a field, with its bounds, its description as the tool tip."""

import re
from collections.abc import Callable, Iterable
from enum import StrEnum
from functools import partial
from typing import Any

from pydantic.fields import FieldInfo
from PySide6.QtCore import QEvent, QLocale, QObject, Qt, Signal
from PySide6.QtGui import QKeyEvent, QKeySequence, QStandardItemModel, QValidator
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QSpinBox,
    QWidget,
)

from desktop_ft.core.help import HelpCard
from desktop_ft.core.language import tr
from desktop_ft.core.values import WIDEST, Described, bounds
from desktop_ft.gui import words
from desktop_ft.gui.help_card import with_help
from desktop_ft.gui.widgets import letters_width
from desktop_ft.jobs import help_texts

_OF_THE_WINDOW = (QKeySequence.StandardKey.Undo, QKeySequence.StandardKey.Redo)
_NUMBER = re.compile(r"[-+]?\d*\.?\d*(?:[eE][+-]?\d*)?", re.ASCII)
"""A number, or what can become one when more is typed."""
_DECIMALS = 10
"""A rate of 1e-7 is one that a person may mean."""


class RateSpinBox(QDoubleSpinBox):
    """A number whose steps fit its size and that is shown without idle zeros, as learning rates need it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setDecimals(_DECIMALS)
        self.setStepType(QAbstractSpinBox.StepType.AdaptiveDecimalStepType)
        self.setLocale(QLocale.c())

    @property
    def number(self) -> float:
        """The value as it is shown, without what adding steps to it has left behind."""
        return round(self.value(), _DECIMALS)

    def validate(self, text: str, at: int) -> tuple[QValidator.State, str, int]:
        """Whether `text` is, or can become, a number such as `0.001` or `1e-3`; a comma is the point that its typist means."""
        written = with_point(text)
        if _NUMBER.fullmatch(written) is None:
            state = QValidator.State.Invalid
        else:
            fits = (value := _value_of(written)) is not None and self.minimum() <= value <= self.maximum()
            state = QValidator.State.Acceptable if fits else QValidator.State.Intermediate
        return state, written, at

    def valueFromText(self, text: str) -> float:  # noqa: N802 - Qt's name
        """The number that was typed."""
        value = _value_of(with_point(text))
        return self.value() if value is None else value

    def textFromValue(self, value: float) -> str:  # noqa: N802 - Qt's name
        """The number in as few digits as it has."""
        return f"{value:.{self.decimals()}f}".rstrip("0").rstrip(".")


def with_point(text: str) -> str:
    """What was typed as a number, with a decimal point where it has a comma."""
    return text.replace(",", ".")


def _value_of(text: str) -> float | None:
    """The number in `text`; None while it is none yet, as `1e-`."""
    try:
        return float(text)
    except ValueError:
        return None


class FormGuard(QObject):
    """Leaves to the window what is meant for it: the mouse wheel over a control without the focus, and undo and redo of edits."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Pass the wheel on to what holds the control, and the keys for undo and redo on to the window."""
        asked = event.type() is QEvent.Type.ShortcutOverride
        if asked and isinstance(event, QKeyEvent) and isinstance(watched, QAbstractSpinBox):
            mine = not any(map(event.matches, _OF_THE_WINDOW))
            event.setAccepted(event.isAccepted() and mine)
            return not mine  # else a number box would take back what was typed, of which nothing is left to be taken back
        if event.type() is QEvent.Type.Wheel and isinstance(watched, QWidget) and not watched.hasFocus():
            event.ignore()
            return True
        return False


class ModelForm(QWidget):
    """Edits one value of a described model. `edited` tells a field's name and its new value; the form itself keeps nothing.

    Args:
        skip: fields that stand elsewhere.
        card: gives the help card of a field; where it is not given, sections of the recipe have theirs.
    """

    edited = Signal(str, object)

    def __init__(
        self,
        kind: type[Described],
        skip: Iterable[str] = (),
        parent: QWidget | None = None,
        card: Callable[[str], HelpCard] | None = None,
    ) -> None:
        super().__init__(parent)
        self._card = card or partial(_card_of, kind)
        self.setObjectName("form")
        self._guard = FormGuard(self)
        self._quiet = False
        self._controls: dict[str, QWidget] = {}
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setHorizontalSpacing(14)
        layout.setVerticalSpacing(7)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        layout.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
        fields = {name: field for name, field in kind.model_fields.items() if name not in set(skip)}
        self._captions = letters_width(self, 17) if len(fields) > 1 else 0  # one has nothing below it to stand in line with
        for name, field in fields.items():
            self._add(layout, name, field)

    def control(self, name: str) -> QWidget:
        """The control of the field `name`."""
        return self._controls[name]

    def show_value(self, value: Described) -> None:
        """Show `value`, telling nothing."""
        self._quiet = True
        try:
            for name, control in self._controls.items():
                _show(control, getattr(value, name))
        finally:
            self._quiet = False

    def _add(self, layout: QFormLayout, name: str, field: FieldInfo) -> None:
        control = self._make(field)
        control.setObjectName(name)
        description = tr(field.description or "")
        control.setToolTip(description)
        control.setAccessibleName(words.title(name))
        control.setAccessibleDescription(description)
        control.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        control.installEventFilter(self._guard)
        caption = QLabel(words.title(name))
        caption.setMinimumWidth(self._captions)
        caption.setToolTip(description)
        caption.setBuddy(control)
        card = self._card(name)
        if card is not None:
            control.setWhatsThis(card.text)
        layout.addRow(caption if card is None else with_help(caption, control), control)
        self._controls[name] = control

    def _make(self, field: FieldInfo) -> QWidget:
        kind = field.annotation
        if kind is bool:
            box = QCheckBox()
            box.toggled.connect(self._tell)
            return box
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            choice = QComboBox()
            for option in kind:
                choice.addItem(words.title(option.value), option)
            choice.currentIndexChanged.connect(self._tell)
            return choice
        if kind is int:
            return self._whole_number(field)
        if kind is float:
            return self._number(field)
        line = QLineEdit()
        line.editingFinished.connect(self._tell)
        return line

    def _whole_number(self, field: FieldInfo) -> QSpinBox:
        low, high = bounds(field, 1)
        spin = QSpinBox()
        spin.setRange(int(max(low, -WIDEST)), int(min(high, WIDEST)))
        spin.setKeyboardTracking(False)
        spin.valueChanged.connect(self._tell)
        return spin

    def _number(self, field: FieldInfo) -> RateSpinBox:
        spin = RateSpinBox()
        spin.setRange(*bounds(field, 10**-_DECIMALS))
        spin.setKeyboardTracking(False)
        spin.valueChanged.connect(self._tell)
        return spin

    def _tell(self) -> None:
        control = self.sender()
        if not self._quiet and isinstance(control, QWidget):
            self.edited.emit(control.objectName(), _value(control))


def offer_only(control: QWidget, offered: Iterable[object]) -> None:
    """Of the choices of `control`, let only the `offered` ones be chosen."""
    if not isinstance(control, QComboBox):
        raise TypeError(f"{type(control).__name__} has no choices")
    known, items = set(offered), control.model()
    for number in range(control.count()):
        if isinstance(items, QStandardItemModel):
            items.item(number).setEnabled(control.itemData(number) in known)


def _card_of(kind: type[Described], field: str) -> HelpCard | None:
    return help_texts.cards().get(help_texts.setting(kind, field))


def _show(control: QWidget, value: Any) -> None:
    if isinstance(control, QCheckBox):
        control.setChecked(bool(value))
    elif isinstance(control, QComboBox):
        control.setCurrentIndex(control.findData(value))
    elif isinstance(control, QSpinBox):
        control.setValue(int(value))
    elif isinstance(control, QDoubleSpinBox):
        control.setValue(float(value))
    elif isinstance(control, QLineEdit):
        control.setText(str(value))


def _value(control: QWidget) -> object:
    if isinstance(control, QCheckBox):
        return control.isChecked()
    if isinstance(control, QComboBox):
        return control.currentData()
    if isinstance(control, QSpinBox):
        return control.value()
    if isinstance(control, RateSpinBox):
        return control.number
    return control.text() if isinstance(control, QLineEdit) else None
