"""Plugins that come and go while the window is open: each verb works in the background, one at a time."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QFile, QObject, Signal

from desktop_ft.core.language import tr
from desktop_ft.gui.state import ProjectState
from desktop_ft.gui.worker import Report, Worker
from desktop_ft.plugin_manager import PluginRecord, Plugins, look_again, turn


class PluginWork(QObject):
    """What a person does with plugins. `changed` follows where the catalogs may hold other things than before.

    Nothing is done while a run or other work uses what plugins brought: it would lose that half-way.

    Attributes:
        busy: what is under way, as a sentence's beginning; "" where nothing is.
        asked: the same, where a person asked for it.
    """

    began = Signal(str)
    changed = Signal()
    installed = Signal(str)
    turned = Signal(object)
    failed = Signal(object)
    ended = Signal()

    def __init__(self, state: ProjectState, worker: Worker, plugins: Plugins, elsewhere: Callable[[], str]) -> None:
        super().__init__(state)
        self._elsewhere = elsewhere
        self._worker = worker
        self._plugins = plugins
        self.busy = self.asked = ""

    @property
    def can_begin(self) -> bool:
        """Whether plugins may come and go now."""
        return not self.under_way

    @property
    def under_way(self) -> str:
        """What keeps plugins from coming and going now, as a sentence's beginning; "" where nothing does."""
        return self.busy or self._elsewhere()

    def turn(self, name: str, *, on: bool) -> None:
        """Turn a plugin on, which tries it in a process of its own first, or off."""

        def work() -> PluginRecord | None:
            return turn(self._plugins, name, on=on)

        self._do(tr("Trying {name}", name=name) if on else tr("Turning {name} off", name=name), work, self.turned.emit)

    def install(self, source: Path) -> None:
        """Copy the plugin in `source`; it stays off."""
        from desktop_ft.plugin_manager import installing

        def work() -> str:
            name = installing.install(source)
            look_again(self._plugins)
            return name

        self._do(tr("Copying {name}", name=source.name), work, self.installed.emit)

    def remove(self, name: str) -> None:
        """Turn a plugin off, and move its files to the trash."""
        from desktop_ft.plugin_manager import installing

        def work() -> None:
            try:
                installing.remove(name, discard=lambda place: QFile(str(place)).moveToTrash())
            finally:
                look_again(self._plugins)  # it is off, whether or not its files are gone

        self._do(tr("Removing {name}", name=name), work)

    def look_again(self) -> None:
        """Find out what was put into the plugin folder, or changed there, meanwhile."""
        self._do(tr("Looking for plugins"), lambda: look_again(self._plugins), asked=False)

    def _do(self, what: str, work: Callable[[], Any], done: Callable[[Any], object] | None = None, *, asked: bool = True) -> None:
        if not self.can_begin:
            return
        self.busy, self.asked = what, what if asked else ""
        before = self._found()

        def whole(report: Report, cancel: threading.Event) -> Any:
            return work()

        def finished(result: Any) -> None:
            self._over(before)
            if done is not None:
                done(result)

        def failed(error: BaseException) -> None:
            self._over(before)
            self.failed.emit(error)

        self._worker.run(whole, finished=finished, failed=failed, cancelled=lambda: self._over(before))
        self.began.emit(what)

    def _found(self) -> tuple[list[PluginRecord], tuple[str, ...]]:
        return list(self._plugins.records), self._plugins.troubles

    def _over(self, before: object) -> None:
        self.busy = self.asked = ""
        if self._found() != before:  # a record holds the fingerprint of its files
            self.changed.emit()
        self.ended.emit()
