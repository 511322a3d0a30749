"""Asks what one or more classes are to be called."""

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QDialog, QDialogButtonBox, QVBoxLayout, QWidget

from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr, tr_n
from desktop_ft.gui import words
from desktop_ft.gui.widgets import GAP, Notice, label


class NameDialog(QDialog):
    """A line for the name, with the names that there are to choose from; says beforehand what comes of it.

    Args:
        names: the classes to be renamed, as they are called now; several become one.
        others: all other classes of the run.
        take: is given the name; what it refuses is told in the dialog.
    """

    def __init__(
        self, names: Sequence[str], others: Sequence[str], take: Callable[[Sequence[str], str], None], parent: QWidget
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(
            tr("Rename the class") if len(names) == 1 else tr_n("Merge {n} class", "Merge {n} classes", n=len(names))
        )
        self._names, self._others, self._take = names, others, take
        shown = ", ".join(words.printable(name) for name in names)
        told = tr("Name in the run of {name}", name=shown) if len(names) == 1 else tr("One name for {names}", names=shown)
        what = label(told, wrap=True)
        self.name = QComboBox()
        self.name.setEditable(True)
        self.name.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.name.setAccessibleName(tr("Name of the class"))
        self.name.addItems([words.printable(name) for name in (*names, *others)])
        self.said = label(role="muted", wrap=True)
        self.notice = Notice()
        box = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        box.accepted.connect(self._done)
        box.rejected.connect(self.reject)
        self.ok = box.button(QDialogButtonBox.StandardButton.Ok)
        layout = QVBoxLayout(self)
        layout.setSpacing(GAP)
        for widget in (what, self.name, self.said, self.notice, box):
            layout.addWidget(widget)
        self.setMinimumWidth(420)
        self.said.setMinimumHeight(2 * self.fontMetrics().lineSpacing())
        self.name.editTextChanged.connect(self._explain)
        line = self.name.lineEdit()
        if line is not None:
            line.selectAll()
        self.name.setFocus()
        self._explain()

    @property
    def _typed(self) -> str:
        return self.name.currentText().strip()

    def _explain(self) -> None:
        typed = self._typed
        self.notice.clear()
        self.ok.setEnabled(bool(typed) and [typed] != list(self._names))
        if typed in self._others:
            self.said.setText(tr("There is a class '{name}' already: its photos and these become one class.", name=typed))
        elif len(self._names) > 1:
            self.said.setText(tr("Their photos become one class. The folder stays as it is."))
        else:
            self.said.setText(tr("The model will know the class by this name. The folder stays as it is."))

    def _done(self) -> None:
        try:
            self._take(self._names, self._typed)
        except UserError as error:
            self.notice.fail(error)
            return
        self.accept()
