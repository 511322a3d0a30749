"""The log as the window has it: what it holds, and when something is added; and what is written into it about work."""

import logging
from collections.abc import Callable

from PySide6.QtCore import QObject, Qt, Signal, SignalInstance

from desktop_ft.core.events import RunStatus
from desktop_ft.core.language import marked, tr
from desktop_ft.gui.networks import Networks
from desktop_ft.gui.opening import Opening
from desktop_ft.gui.run_work import RunWork
from desktop_ft.gui.strip import ending_words
from desktop_ft.gui.training_job import Training
from desktop_ft.plugin_manager import Plugins, PluginState
from desktop_ft.runs.logbook import LogBook, tell

_Named = Callable[[str], str]
BROKEN = {
    PluginState.FAILED: marked("The plugin {name} is failed: {reason}."),
    PluginState.STOPPED: marked("The plugin {name} is stopped: {reason}."),
    PluginState.INCOMPATIBLE: marked("The plugin {name} is incompatible: {reason}."),
    PluginState.MISNAMED: marked("The plugin {name} is misnamed: {reason}."),
}


class Log(QObject):
    """Tells in the window's thread when something was added."""

    came = Signal()
    _news = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.book = LogBook(self._news.emit)
        # Queued: records come from any thread.
        self._news.connect(self.came, Qt.ConnectionType.QueuedConnection)

    def open(self, plugins: Plugins) -> None:
        """Begin, with the plugins that could not be loaded."""
        self.book.open()
        for record in plugins.records:
            if record.state in BROKEN:
                said = tr(BROKEN[record.state], name=record.name, reason=record.told)
                tell(logging.WARNING, said, tr("Plugins"))
        for trouble in plugins.troubles:
            tell(logging.WARNING, trouble, tr("Plugins"))


class Diary(QObject):
    """Writes into the log when work begins and ends, and what a run warns of. Failures are told where they are shown."""

    def __init__(self, opening: Opening, networks: Networks, runs: RunWork, training: Training) -> None:
        super().__init__(training)
        self._training = training
        self._warned = 0
        self._watch(opening.began, opening.ended, tr("Data"), tr)
        self._watch(networks.download_began, networks.download_ended, tr("Model"), _download)
        self._watch(runs.began, runs.ended, tr("Runs"), tr)
        training.started.connect(self._started)
        training.updated.connect(self._updated)
        training.ended.connect(self._ended)

    def _watch(self, began: SignalInstance, ended: SignalInstance, origin: str, name: _Named) -> None:
        work = _Work(origin, name, self)
        began.connect(work.begin)
        ended.connect(work.end)

    def _started(self) -> None:
        self._warned = 0
        tell(logging.INFO, tr("A run began: {run}", run=self._training.run), tr("Train"))

    def _updated(self) -> None:
        if self._training.running:
            warnings = self._training.history.warnings
            for warning in warnings[self._warned :]:
                tell(logging.WARNING, warning, tr("Train"))
            self._warned = len(warnings)

    def _ended(self, fault: BaseException | None) -> None:
        if (end := self._training.end) is not None:
            level = logging.WARNING if end.status is RunStatus.FAILED else logging.INFO
            tell(level, f"{ending_words(end, self._training.history)}: {self._training.run}", tr("Train"))


class _Work(QObject):
    """One kind of work: what is under way of it, as `name` calls that."""

    def __init__(self, origin: str, name: _Named, parent: QObject) -> None:
        super().__init__(parent)
        self._origin, self._name = origin, name
        self._what = ""

    def begin(self, what: str) -> None:
        """Work began."""
        self._what = self._name(what)
        tell(logging.INFO, tr("Begun: {work}.", work=self._what), self._origin)

    def end(self) -> None:
        """It is over, in whatever way."""
        tell(logging.INFO, tr("Ended: {work}.", work=self._what), self._origin)


def _download(network: str) -> str:
    return tr("Download of {network}", network=network)
