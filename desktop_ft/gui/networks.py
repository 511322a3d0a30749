"""Backbones at work: weights are fetched and speeds measured on request, and layers become known in the background."""

import threading
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from desktop_ft.api import Backbone
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.core.layers import LayerNode
from desktop_ft.gui.state import ProjectState
from desktop_ft.gui.worker import Newest, Report, Task, Worker
from desktop_ft.jobs import backbones
from desktop_ft.plugin_manager import Plugins


class Networks(QObject):
    """Keeps the layer tree in step with the project's backbone once `want_tree` was called; fetches weights; measures speeds."""

    download_began = Signal(str)
    download_progressed = Signal(object, object)
    download_failed = Signal(object)
    download_ended = Signal()
    measuring_began = Signal()
    measuring_progressed = Signal(object, object)
    measuring_failed = Signal(object)
    measuring_ended = Signal()
    given_up = Signal(str)
    """What is kept of a download or a measurement that was cancelled."""
    tree_failed = Signal(object)

    def __init__(self, state: ProjectState, worker: Worker, plugins: Plugins) -> None:
        super().__init__(state)
        self._state = state
        self._worker = worker
        self._plugins = plugins
        self._wanted = False
        self._key: tuple[str, int, int] | None = None
        self._built: Backbone | None = None
        self._newest = Newest(worker, self._know, self._fail, self)
        self._download: Task | None = None
        self._measuring: Task | None = None
        self.downloading = ""
        state.recipe_changed.connect(self._renew)
        state.manifest_changed.connect(self._renew)
        state.evaluation_changed.connect(self._renew)

    def want_tree(self) -> None:
        """From now on, keep the layer tree known. Not done before a page needs it: building a network imports torch."""
        self._wanted = True
        self._renew()

    def look_again(self) -> None:
        """A plugin may have come or gone: the tree is made anew where its network is another one now."""
        name, catalog = self._state.recipe.backbone.name, self._plugins.backbones
        if (catalog.get(name) if name in catalog else None) is not self._built:
            self.retry_tree()

    def retry_tree(self) -> None:
        """Try again after a failure."""
        self._key = None
        self._renew()

    def download(self, name: str) -> None:
        """Fetch the weights of the backbone `name`; one download at a time."""
        if self._download is not None:
            return
        backbone = self._plugins.backbones.get(name)

        def work(report: Report, cancel: threading.Event) -> Path:
            return backbones.download(backbone, progress=report, cancel=cancel)

        self.downloading = name
        self._download = self._worker.run(
            work,
            finished=self._fetched,
            failed=self._not_fetched,
            progressed=self.download_progressed.emit,
            cancelled=self._download_given_up,
        )
        self.download_began.emit(name)

    def cancel_download(self) -> None:
        """Ask the download to end."""
        if self._download is not None:
            self._download.cancel.set()

    @property
    def measuring(self) -> bool:
        """Whether speeds are being measured."""
        return self._measuring is not None

    def measure(self, names: Sequence[str]) -> None:
        """Measure how fast the networks `names` answer here; each is remembered as soon as it is known."""
        if self._measuring is not None:
            return
        wanted = [self._plugins.backbones.get(name) for name in names]

        def work(report: Report, cancel: threading.Event) -> object:
            return backbones.measure_speeds(wanted, progress=report, cancel=cancel)

        self._measuring = self._worker.run(
            work,
            finished=self._measured,
            failed=self._not_measured,
            progressed=self.measuring_progressed.emit,
            cancelled=self._measuring_given_up,
        )
        self.measuring_began.emit()

    def cancel_measuring(self) -> None:
        """Ask the measurement to end."""
        if self._measuring is not None:
            self._measuring.cancel.set()

    def _renew(self) -> None:
        recipe = self._state.recipe
        name = recipe.backbone.name
        key = (name, recipe.backbone.image_size, self._classes)
        if not self._wanted or key == self._key:
            return
        self._key = key
        self._state.set_tree(None)
        try:
            backbone = self._built = self._plugins.backbones.get(name)
        except UserError as error:
            self._built = None
            self._newest.stop()
            self.tree_failed.emit(error)
            return
        size, classes = key[1], key[2] or None

        def work(report: Report, cancel: threading.Event) -> LayerNode:
            return backbones.layers(backbone, size, classes)

        self._newest.ask(work)

    @property
    def _classes(self) -> int:
        """How many classes the head tells apart: those of the pictures, or else of the open run; 0: neither is known."""
        known = self._state.manifest or self._state.evaluation
        return len(known.classes) if known is not None else 0

    def _know(self, tree: LayerNode) -> None:
        self._state.set_tree(tree)

    def _fail(self, error: BaseException) -> None:
        self.tree_failed.emit(error)

    def _fetched(self, path: Path) -> None:
        self._download_over()
        # Whether a run can start depends on it.
        self._state.recipe_changed.emit()

    def _not_fetched(self, error: BaseException) -> None:
        self._download_over()
        self.download_failed.emit(error)

    def _measured(self, speeds: object) -> None:
        self._measuring_over()

    def _not_measured(self, error: BaseException) -> None:
        self._measuring_over()
        self.measuring_failed.emit(error)

    def _measuring_over(self) -> None:
        self._measuring = None
        self.measuring_ended.emit()

    def _measuring_given_up(self) -> None:
        self._measuring_over()
        self.given_up.emit(tr("Cancelled. The speeds that were measured before are kept."))

    def _download_given_up(self) -> None:
        name = self.downloading
        self._download_over()
        self.given_up.emit(tr("The download of the weights of {network} was cancelled: nothing of it is kept.", network=name))

    def _download_over(self) -> None:
        self._download = None
        self.downloading = ""
        self.download_ended.emit()
