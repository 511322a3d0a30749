"""How the layers of a run learn, in the tree: a switch that shows other columns, and a line that says what is wrong."""

from collections.abc import Sequence

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QTreeView

from desktop_ft.core.events import LayersSeen
from desktop_ft.core.language import tr
from desktop_ft.core.layer_learning import remarks, states
from desktop_ft.gui.help_card import explained
from desktop_ft.gui.layer_model import LEARNED, OUTPUT, RATE, SHARE, TYPE, LayerModel
from desktop_ft.gui.session import Session
from desktop_ft.gui.widgets import button, label

_ELSE = (TYPE, OUTPUT, SHARE, RATE)
"""The columns that make room: they are of the plan as it stands, not of the run."""


class LayerLearning(QObject):
    """Follows the run that is open or under way, epoch by epoch.

    Attributes:
        switch: a button that lets `tree` show how each layer learned instead of what it is; in sight where a run tells of it.
        line: what is wrong, in sentences; in sight while the switch is on.
    """

    def __init__(self, tree: QTreeView, model: LayerModel, session: Session) -> None:
        super().__init__(tree)
        self.line = label(wrap=True)
        self._tree, self._model, self._session = tree, model, session
        self._shown: object = None
        self.switch = button(
            tr("How they learn"),
            self._turn,
            tip=tr("Show in the tree what the run does to each layer: its gradient, its steps, and how far it has drifted."),
        )
        self.switch.setCheckable(True)
        explained(self.switch, "layers.learning")
        for signal in (session.training.updated, session.training.ended, session.training.started):
            signal.connect(self.show_run)
        self.show_run()

    def show_run(self) -> None:
        """Show what the run tells, as far as it is of the network in the tree."""
        training, tree = self._session.training, self._session.state.tree
        looks = training.history.layers
        if self._shown == (shown := (tree, training.run, len(looks))):
            return
        self._shown = shown
        known = {leaf.path for leaf in tree.leaves()} if tree is not None else set()
        found = {path: state for path, state in states(looks).items() if path in known}
        self._model.set_learned(found)
        self.line.setText("\n".join((self._of_run(looks), *remarks(found))) if found else "")
        self.switch.setVisible(bool(found))
        if not found:
            self.switch.setChecked(False)
        self._turn()

    def _of_run(self, looks: Sequence[LayersSeen]) -> str:
        run = self._session.training.run
        name = run.name if run is not None else tr("the run")
        return tr("What epoch {epoch} of '{run}' did to the layers that learned in it.", epoch=looks[-1].epoch + 1, run=name)

    def _turn(self) -> None:
        learned = self.switch.isChecked()
        for column in LEARNED:
            self._tree.setColumnHidden(column, not learned)
        for column in _ELSE:
            self._tree.setColumnHidden(column, learned)
        self.line.setVisible(learned and bool(self.line.text()))
