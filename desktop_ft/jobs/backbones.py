"""Facts, layers and weights of the backbones on offer, how fast they are here, and which one suits a folder of pictures."""

import hashlib
import platform
import threading
from collections.abc import Callable, Iterable
from functools import cache
from importlib.metadata import version
from pathlib import Path

from desktop_ft import __version__
from desktop_ft.api import Backbone
from desktop_ft.core.backbone import resize_rule
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.core.layers import LayerNode
from desktop_ft.core.offers import Offer, Speed
from desktop_ft.jobs.kept import measurements
from desktop_ft.models import weights
from desktop_ft.plugin_manager import Plugins
from desktop_ft.runs.kept import KeptMeasurements

_CLASSES = 1000
_PLACES = 2


def is_local(backbone: Backbone) -> bool:
    """Whether the pre-trained weights are on this machine. Quick; imports no torch."""
    return weights.is_local(backbone)


def check_weights(path: Path) -> None:
    """Raise a UserError where the file at `path` cannot be weights, by how it begins. Quick; imports no torch."""
    weights.check_kind(path)


def offers(plugins: Plugins) -> list[Offer]:
    """All networks on offer, in the catalog's order, as this machine has them. Quick; imports no torch."""
    measured = measurements()
    return [Offer(spec=each.spec, local=is_local(each), speed=known_speed(each, measured)) for each in plugins.backbones]


def download(
    backbone: Backbone, *, progress: Callable[[int, int], None] | None = None, cancel: threading.Event | None = None
) -> Path:
    """Fetch the weights from their publisher, checked; `progress` is told bytes done and bytes in all."""
    return weights.download(backbone, progress=progress, cancel=cancel)


def layers(backbone: Backbone, image_size: int = 0, classes: int | None = None) -> LayerNode:
    """The layer tree, without loading weights; with a new head where `classes` is given. Imports torch."""
    from desktop_ft.models.layer_tree import layers_of

    return layers_of(backbone, image_size, classes)


def known_speed(backbone: Backbone, measured: KeptMeasurements | None = None, *, image_size: int = 0) -> Speed | None:
    """How fast the network answers here, if that was measured with the torch that is installed. Quick; imports no torch.

    Args:
        measured: what is kept, for whoever asks for many.
        image_size: side of the pictures, in pixels; 0: the size it was trained at.
    """
    found = (measured or measurements()).get(_key(backbone, image_size))
    if not found:
        return None
    device, speed = next(iter(found.items()))
    return Speed(pictures_per_second=speed, device=device) if speed > 0 else None


def measure_speeds(
    backbones: Iterable[Backbone],
    *,
    image_size: int = 0,
    turns: int = 1,
    progress: Callable[[int, int | None], None] | None = None,
    cancel: threading.Event | None = None,
) -> dict[str, Speed]:
    """Measure how fast each network answers here, and remember it; weights are not needed for that. Imports torch.

    Args:
        image_size: side of the pictures, in pixels; 0: the size that each was trained at.
        turns: how often each is measured, one after the other, its fastest counts: where they are compared, what keeps the
            machine busy for a while must not make one of them look slow.
        progress: told how many measurements are done, of how many; each is remembered by then.

    Raises:
        UserError: a network does not fit into memory. Cancelled: `cancel` was set; what was measured before is kept.
    """
    wanted, found = list(backbones) * turns, dict[str, Speed]()
    for number, backbone in enumerate(wanted):
        if progress is not None:
            progress(number, len(wanted))
        speed = _measured(backbone, image_size, cancel)
        speed = max(found.get(backbone.spec.name, speed), speed, key=lambda each: each.pictures_per_second)
        found[backbone.spec.name] = speed
        measurements().put(_key(backbone, image_size), {speed.device: speed.pictures_per_second})
    if progress is not None:
        progress(len(wanted), len(wanted))
    return found


def _measured(backbone: Backbone, image_size: int, cancel: threading.Event | None) -> Speed:
    import torch

    from desktop_ft.engine.device import choose, give_memory_back
    from desktop_ft.engine.speed import pictures_per_second
    from desktop_ft.models.build import build_network

    compute, side = choose(), resize_rule(backbone.spec, image_size).crop
    try:
        network = build_network(backbone, _CLASSES, pretrained=False, image_size=image_size)
        speed = pictures_per_second(network, side, compute, cancel=cancel)
    except (MemoryError, torch.OutOfMemoryError) as error:
        what = tr("{name} does not fit into the memory of {device}.", name=backbone.spec.name, device=compute.words)
        raise UserError(what, tr("Take a smaller network.")) from error
    finally:
        give_memory_back(compute.device)
    return Speed(pictures_per_second=round(speed, _PLACES) or 10**-_PLACES, device=compute.words)


def _key(backbone: Backbone, image_size: int) -> str:
    """What a measurement is remembered under. The device is not part of it: which one there is, torch alone could say."""
    spec = backbone.spec
    parts = (platform.node(), _torch_version(), __version__, spec.plugin, spec.name, resize_rule(spec, image_size).crop)
    return f"speed-{hashlib.sha256(repr(parts).encode()).hexdigest()[:32]}"


@cache
def _torch_version() -> str:
    return version("torch")
