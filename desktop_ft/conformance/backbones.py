"""What is asked of a backbone: facts that are true, a head that can be replaced, and layers that freeze exactly."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

from desktop_ft.api import Backbone, BackboneSpec, WeightsOrigin
from desktop_ft.conformance.failure import require, told
from desktop_ft.core.events import RunStatus
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.layers import is_under
from desktop_ft.core.recipe import DeviceChoice, Optimisation, Optimizer, Precision
from desktop_ft.engine.control import RunControl
from desktop_ft.engine.device import choose
from desktop_ft.engine.losses import classification_loss
from desktop_ft.engine.prefix import Prefix
from desktop_ft.engine.trainer import Trainer
from desktop_ft.models.build import build_network
from desktop_ft.models.checkpoint import CheckpointStore
from desktop_ft.models.cutting import Uncuttable, cut
from desktop_ft.models.freezing import Freezer
from desktop_ft.models.layer_tree import layer_tree, layers_of
from desktop_ft.models.modes import eval_mode
from desktop_ft.models.network import Network
from desktop_ft.models.weights import is_local
from desktop_ft.plugin_manager import Plugins
from desktop_ft.runs import atomic

CLASSES = 3
_WITHOUT = "without kept answers of its frozen layers, more slowly"
_PICTURES = 3
_THREADS = 4
_CLOSE = 1e-4
"""How far logits that should be equal may be apart by rounding, relative to the largest of them."""


def _states_true_facts(plugins: Plugins, backbone: Backbone, folder: Path) -> None:
    spec = backbone.spec
    with told(
        f"The layers of the backbone {spec.name} cannot be looked at with an input of {spec.resize.crop} pixels",
        "let `build()` make all of it, for pictures of the side that the spec's resize rule names.",
    ):
        tree = layers_of(backbone)
    require(
        tree.parameters == spec.parameters,
        f"The backbone {spec.name} has {tree.parameters:,} parameters with its published head, and its spec states "
        f"{spec.parameters:,}: state what it has.",
    )
    require(
        spec.resize.resize >= spec.resize.crop > 0,
        f"The resize rule of {spec.name} makes pictures of {spec.resize.resize} pixels and cuts {spec.resize.crop} out of them: "
        "name a `resize` no smaller than `crop`.",
    )
    require(
        all(0 <= mean <= 1 and 0 < std <= 1 for mean, std in zip(spec.mean, spec.std, strict=True)),
        f"The mean {spec.mean} and std {spec.std} of {spec.name} are not of pixels scaled to 0..1: divide them by 255.",
    )
    require(
        spec.family and spec.source and spec.weights.licence,
        f"The spec of {spec.name} leaves its family, its source or its weights' licence empty: name them; people choose by them.",
    )
    _says_where_its_weights_are(spec)


def _says_where_its_weights_are(spec: BackboneSpec) -> None:
    weights = spec.weights
    if weights.origin is WeightsOrigin.DOWNLOAD:
        require(
            weights.url.startswith("https://") and weights.sha256_prefix,
            f"The weights of {spec.name} are to be downloaded: name an https address and their SHA-256, so that a file can be "
            "checked. (Where they have none, say that they are fetched by hand.)",
        )
    if weights.origin is WeightsOrigin.BY_HAND:
        require(
            weights.url.startswith("https://"),
            f"The weights of {spec.name} are fetched by hand: name the https address where a person finds them.",
        )
    if weights.origin is WeightsOrigin.PACKAGE:
        require(
            weights.package and weights.sha256_prefix,
            f"The weights of {spec.name} come in a package: name it, and their SHA-256, so that the file can be checked.",
        )


def _takes_a_new_head(plugins: Plugins, backbone: Backbone, folder: Path) -> None:
    network, pictures = _built(backbone), _pictures(backbone)
    network.train()
    with told(
        f"The backbone {backbone.spec.name} fails on uint8 pictures of {backbone.spec.resize.crop} pixels in training mode",
        "let it take a float tensor (N, 3, H, W) of that side.",
    ):
        logits = network(pictures)
    got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    require(
        got == (_PICTURES, CLASSES),
        f"The backbone {backbone.spec.name} gives {got} for {_PICTURES} pictures and a new head of {CLASSES} classes, in "
        f"training mode: give logits {(_PICTURES, CLASSES)}, as they come from its head, the layer '{backbone.spec.head}'.",
    )


def _answers_alike(plugins: Plugins, backbone: Backbone, folder: Path) -> None:
    network, pictures, name = _built(backbone).eval(), _pictures(backbone), backbone.spec.name
    with torch.no_grad():
        once, again = network(pictures), network(pictures)
        alone = torch.cat([network(picture[None]) for picture in pictures])
    with ThreadPoolExecutor(_THREADS) as pool:
        beside = list(pool.map(torch.no_grad()(network), [pictures] * _THREADS))
    require(torch.isfinite(once).all(), f"The backbone {name} gives values that are not numbers: mend its random weights.")
    require(
        torch.equal(once, again),
        f"The backbone {name} gives other logits when it is asked again in eval mode: draw and count nothing there.",
    )
    require(
        _close(alone, once),
        f"What the backbone {name} answers for a picture in eval mode depends on the pictures beside it: take no statistics of "
        "the batch there.",
    )
    require(
        all(_close(each, once) for each in beside),
        f"The backbone {name} answers otherwise in eval mode while another thread asks it, too: keep nothing on it there.",
    )


def _takes_its_weights(plugins: Plugins, backbone: Backbone, folder: Path) -> str | None:
    with told(f"Where the weights of {backbone.spec.name} lie cannot be told", "let `packaged_weights` give a path, or None."):
        if not is_local(backbone):
            return None if backbone.spec.weights.origin is WeightsOrigin.NONE else "its weights are not on this machine"
    with told(
        f"The weights of {backbone.spec.name} that are on this machine do not fit it",
        "let `adapt` give them the names of the network's own state dict, and state their SHA-256.",
    ):
        build_network(backbone, CLASSES, pretrained=True)
    return None


def _is_cut_exactly(plugins: Plugins, backbone: Backbone, folder: Path) -> str | None:
    network, pictures = _built(backbone), _pictures(backbone)
    _frozen(network, backbone)
    try:
        made = cut(network, pictures)
        if made is None:
            return f"it trains {_WITHOUT}: nothing in front of its head can be cut off, as it is one layer or cannot be traced"
        Prefix(network, made, choose(DeviceChoice.CPU, Precision.FP32)).prove(pictures)
    except Uncuttable as why:
        return f"it trains {_WITHOUT}: {why}"
    others = _pictures(backbone, seed=2)
    with torch.no_grad(), eval_mode(network):
        kept = torch.cat([made.prefix(picture[None]) for picture in others])
        apart = not _close(made.judging(kept), network(others))
    require(
        not apart,
        f"What the frozen layers of {backbone.spec.name} answer for single pictures, kept and passed on, is not what the whole "
        f"network answers: let each picture's answer depend on that picture alone, up to the layer '{made.after}'.",
    )
    return None


def _keeps_still(plugins: Plugins, backbone: Backbone, folder: Path) -> None:
    network, name = _built(backbone), backbone.spec.name
    before = {key: tensor.clone() for key, tensor in network.backbone.state_dict().items()}
    with told(f"Training the new head of {name} for {_Few.steps} steps fails", "let gradients reach the head in training mode."):
        ended = Trainer(
            network=network,
            learner=_freezer(network, backbone),
            batches=_Few(backbone),
            optimisation=Optimisation(epochs=1, batch_size=_PICTURES, lr=0.1, optimizer=Optimizer.SGD, weight_decay=0),
            compute=choose(DeviceChoice.CPU, Precision.FP32),
            store=CheckpointStore(folder, atomic.write),
            seed=0,
            loss=classification_loss(0.1),
        ).fit(lambda event: None, RunControl())
    require(ended.status is RunStatus.COMPLETED, f"Training the new head of {name} ends early: {ended.error}")
    after = network.backbone.state_dict()
    moved = [key for key, tensor in before.items() if not torch.equal(tensor, after[key])]
    frozen = [key for key in moved if not is_under(key, backbone.spec.head)]
    require(
        not frozen,
        f"While only the head learned, {', '.join(frozen[:3])} of {name} moved: change buffers in training mode only "
        "(`self.training`), and parameters never.",
    )
    require(moved, f"The new head of {name} learned nothing: let its answer decide the logits.")


class _Few:
    """As many batches as are needed to see something move."""

    steps = 2

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone

    def train(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Pictures of noise, each class once."""
        for step in range(first_step, self.steps):
            yield _pictures(self._backbone, seed=step), torch.arange(_PICTURES) % CLASSES

    def validation(self) -> Iterator[tuple[Tensor, Tensor]]:
        """As above."""
        yield _pictures(self._backbone, seed=self.steps), torch.arange(_PICTURES) % CLASSES


def _built(backbone: Backbone) -> Network:
    head = backbone.spec.head
    with told(
        f"The backbone {backbone.spec.name} cannot be built for {CLASSES} classes",
        f"let `build()` give a network that holds an nn.Linear or a 1x1 nn.Conv2d as its last layer, at the path '{head}' that "
        "the spec calls its head.",
    ):
        return build_network(backbone, CLASSES, pretrained=False)


def _pictures(backbone: Backbone, seed: int = 1) -> Tensor:
    side = backbone.spec.resize.crop
    chance = torch.Generator().manual_seed(seed)
    return torch.randint(256, (_PICTURES, 3, side, side), dtype=torch.uint8, generator=chance)


def _freezer(network: Network, backbone: Backbone) -> Freezer:
    return Freezer(network.backbone, FreezePlan(preset="head"), layer_tree(network.backbone), backbone.spec.head)


def _frozen(network: Network, backbone: Backbone) -> None:
    """Let the head alone learn, as the trainer does."""
    freezer = _freezer(network, backbone)
    network.train()
    freezer.apply(0)
    freezer.train_mode(0)


def _close(one: Tensor, other: Tensor) -> bool:
    return bool((one - other).abs().max() <= _CLOSE * other.abs().max().clamp_min(1e-12))


CHECKS: dict[str, Callable[[Plugins, Backbone, Path], str | None]] = {
    "states true facts": _states_true_facts,
    "takes a new head": _takes_a_new_head,
    "takes its weights": _takes_its_weights,
    "answers alike": _answers_alike,
    "is cut exactly": _is_cut_exactly,
    "keeps still what is frozen": _keeps_still,
}
