"""Backbones at work: their weights are fetched on request, and their layers become known in the background."""

import threading
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from desktop_ft.core.layers import LayerNode
from desktop_ft.gui.state import ProjectState
from desktop_ft.gui.worker import Newest, Report, Task, Worker
from desktop_ft.jobs import backbones
from desktop_ft.plugin_manager import Plugins


class Networks(QObject):
    """Keeps the project's layer tree in step with its backbone once `want_tree` was called, and downloads weights."""

    download_began = Signal(str)
    download_progressed = Signal(object, object)
    download_failed = Signal(object)
    download_ended = Signal()
    tree_failed = Signal(object)

    def __init__(self, state: ProjectState, worker: Worker, plugins: Plugins) -> None:
        super().__init__(state)
        self._state = state
        self._worker = worker
        self._plugins = plugins
        self._wanted = False
        self._key: tuple[str, int, int] | None = None
        self._newest = Newest(worker, self._know, self._fail, self)
        self._download: Task | None = None
        self.downloading = ""
        state.recipe_changed.connect(self._renew)
        state.manifest_changed.connect(self._renew)

    def want_tree(self) -> None:
        """From now on, keep the layer tree known. Not done before a page needs it: building a network imports torch."""
        self._wanted = True
        self._renew()

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
            cancelled=self._download_over,
        )
        self.download_began.emit(name)

    def cancel_download(self) -> None:
        """Ask the download to end."""
        if self._download is not None:
            self._download.cancel.set()

    def _renew(self) -> None:
        recipe, manifest = self._state.recipe, self._state.manifest
        name = recipe.backbone.name
        key = (name, recipe.backbone.image_size, len(manifest.classes) if manifest else 0)
        if not self._wanted or key == self._key:
            return
        self._key = key
        self._state.set_tree(None)
        if name not in self._plugins.backbones:
            return
        backbone, size, classes = self._plugins.backbones.get(name), key[1], key[2] or None

        def work(report: Report, cancel: threading.Event) -> LayerNode:
            return backbones.layers(backbone, size, classes)

        self._newest.ask(work)

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

    def _download_over(self) -> None:
        self._download = None
        self.downloading = ""
        self.download_ended.emit()
