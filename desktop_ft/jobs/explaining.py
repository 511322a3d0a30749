"""What a run's best model looked at in a picture, and whether that can be believed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from desktop_ft.core.language import tr
from desktop_ft.data import decode
from desktop_ft.data.source import read_picture
from desktop_ft.evaluation.explanation import Explanation, Similarity
from desktop_ft.jobs.building import heeding
from desktop_ft.jobs.running import OpenRun, Warn, open_run, silent, trained
from desktop_ft.plugin_manager import Plugins

if TYPE_CHECKING:
    from torch import Tensor

    from desktop_ft.models.network import Network

Progress = Callable[[int, int | None], None]


class Explainer:
    """Explains the answers of the best model of the run in `path`, which is opened, once, when it is first asked.

    May be called from any thread. Whatever is asked raises UserError where it is no run, damaged, or made with a backbone that
    no plugin here brings.
    """

    def __init__(self, path: Path, plugins: Plugins, warn: Warn = silent) -> None:
        self._path = path
        self._plugins = plugins
        self._warn = warn
        self._alone = threading.Lock()
        self._network: Network | None = None

    @cached_property
    def _run(self) -> OpenRun:
        return open_run(self._path, self._plugins)

    @property
    def classes(self) -> tuple[str, ...]:
        """The model's classes."""
        return self._run.manifest.classes

    def explain(self, picture: Path, label: int | None = None) -> Explanation:
        """The maps of the class that `picture` is taken for and, where it is another, of the class `label`. Imports torch.

        Raises:
            UserError: the picture cannot be read, or there is no usable checkpoint.
        """
        from desktop_ft.evaluation.activation_maps import activation_maps

        rule = self._run.rule
        pixels = read_picture(picture, lambda where: decode.network_input(where, rule), tr("Choose another picture."))
        with self._alone:
            network, given = self._trained(), _tensor(pixels)
            probabilities = activation_maps(network, given, ()).probabilities
            predicted = int(np.argmax(probabilities))
            shown = (predicted,) if label in (None, predicted) else (predicted, int(label or 0))
            maps = activation_maps(network, given, shown)
        return Explanation(
            picture=pixels,
            classes=self.classes,
            probabilities=maps.probabilities,
            shown=shown,
            place=maps.place,
            grids=maps.grids,
        )

    def check(
        self, explanation: Explanation, progress: Progress | None = None, cancel: threading.Event | None = None
    ) -> tuple[Similarity, ...]:
        """How alike the maps stay when the network forgets what it learned; empty where there is no map. Imports torch.

        Raises:
            Cancelled: `cancel` was set.
        """
        from desktop_ft.evaluation.activation_maps import sanity_check

        if not explanation.place:
            return ()
        with self._alone:
            return sanity_check(
                self._trained(),
                _tensor(explanation.picture),
                explanation.shown,
                explanation.place,
                explanation.grids,
                progress=progress,
                heed=heeding(cancel),
            )

    def _trained(self) -> Network:
        if self._network is None:
            self._network = trained(self._run, self._warn).network
        return self._network


def _tensor(pixels: np.ndarray) -> Tensor:
    import torch

    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
