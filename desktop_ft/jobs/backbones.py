"""Facts, layers and weights of the backbones on offer."""

import threading
from collections.abc import Callable
from pathlib import Path

from desktop_ft.api import Backbone
from desktop_ft.core.layers import LayerNode
from desktop_ft.models import weights


def is_local(backbone: Backbone) -> bool:
    """Whether the pre-trained weights are on this machine. Quick; imports no torch."""
    return weights.is_local(backbone)


def download(
    backbone: Backbone, *, progress: Callable[[int, int], None] | None = None, cancel: threading.Event | None = None
) -> Path:
    """Fetch the weights from their publisher, checked; `progress` is told bytes done and bytes in all."""
    return weights.download(backbone, progress=progress, cancel=cancel)


def layers(backbone: Backbone, image_size: int = 0, classes: int | None = None) -> LayerNode:
    """The layer tree, without loading weights; with a new head where `classes` is given. Imports torch."""
    from desktop_ft.models.layer_tree import layers_of

    return layers_of(backbone, image_size, classes)
