"""Which layers learn, and how fast: a plan is a rule; the tree turns it into a rate for every layer."""

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from itertools import groupby

from pydantic import Field, field_validator

from desktop_ft.core.language import marked, tr
from desktop_ft.core.layers import LayerNode, NormKind, blocks, is_under, nearest
from desktop_ft.core.values import Described

PRESETS = {
    "head": marked("Only the new head learns. Fastest, needs the fewest pictures."),
    "last:2": marked("The head and the last N blocks learn (last:1, last:2, …)."),
    "all": marked("Everything learns, the backbone more slowly than the head."),
    "discriminative": marked(
        "Everything learns; the rate falls block by block towards the input (discriminative:0.8 sets the factor)."
    ),
    "gradual": marked("The head first, then one more block from the top each epoch (gradual:2: every second epoch)."),
    "scratch": marked("No pre-trained weights: everything learns from nothing. For comparison."),
}
_GRAMMAR = re.compile(r"head|all|scratch|last:[1-9]\d{0,3}|discriminative(:0?\.\d+|:1(\.0*)?)?|gradual(:[1-9]\d{0,2})?")
_DISCRIMINATIVE = 0.8
MAX_MULTIPLIER = 1e12


class BatchNormPolicy(StrEnum):
    """What BatchNorm layers do while training."""

    FOLLOW = "follow"
    FROZEN = "frozen"


class FreezePlan(Described):
    """Which layers learn, at which share of the learning rate, and what BatchNorm does."""

    preset: str = Field("head", description="head, last:N, all, discriminative[:FACTOR], gradual[:EPOCHS] or scratch.")
    backbone_rate: float = Field(
        0.03, ge=0.0001, le=1, description="Learning rate of the backbone, as a share of the head's. Not used from scratch."
    )
    overrides: Mapping[str, float] = Field(
        default_factory=dict,
        description="Layer path to its own multiplier of the preset's rate: 0 freezes it, and a layer that the preset "
        "freezes learns at the backbone's rate times it. The longest path that matches wins.",
    )
    batch_norm: BatchNormPolicy = Field(
        BatchNormPolicy.FOLLOW,
        description="follow: a BatchNorm layer keeps its statistics where it is frozen and updates them where it learns, from "
        "the new pictures alone where those that it came with do not suit them. "
        "frozen: every BatchNorm layer stays as it is; steadier with small batches.",
    )

    @field_validator("preset")
    @classmethod
    def _known(cls, preset: str) -> str:
        if not _GRAMMAR.fullmatch(preset):
            raise ValueError(tr("'{preset}' is not a preset; take one of {presets}", preset=preset, presets=", ".join(PRESETS)))
        return preset

    @field_validator("overrides")
    @classmethod
    def _bounded(cls, overrides: Mapping[str, float]) -> Mapping[str, float]:
        for path, multiplier in overrides.items():
            if not 0 <= multiplier <= MAX_MULTIPLIER:
                raise ValueError(
                    tr(
                        "multiplier {multiplier} of '{path}' is not between 0 and {most:g}",
                        multiplier=multiplier,
                        path=path,
                        most=MAX_MULTIPLIER,
                    )
                )
        return overrides

    @property
    def words(self) -> str:
        """The plan in a few words: its preset, and how many exceptions there are to it."""
        return tr("{preset} + {count} own", preset=self.preset, count=len(self.overrides)) if self.overrides else self.preset

    def with_preset(self, preset: str) -> "FreezePlan":
        """The plan with another preset, and no exceptions to it."""
        return self.model_copy(update={"preset": preset, "overrides": {}})

    @property
    def pretrained(self) -> bool:
        """Whether training starts from the backbone's weights."""
        return self.preset != "scratch"

    @property
    def changes_over_time(self) -> bool:
        """Whether the layers that learn differ from epoch to epoch."""
        return self.preset.startswith("gradual")

    def rates(self, tree: LayerNode, head: str, epoch: int = 0) -> dict[str, float]:
        """Leaf path to its multiplier of the learning rate in `epoch` (0-based); 0 means frozen.

        Args:
            tree: the network's layers.
            head: path of the new classifier.
        """
        preset = self._preset_rates(tree, head, epoch)
        held = self.batch_norm is BatchNormPolicy.FROZEN
        return {
            leaf.path: 0.0
            if held and leaf.norm is NormKind.BATCH
            else self.multiplied(preset[leaf.path], multiplier(leaf.path, self.overrides))
            for leaf in tree.leaves()
        }

    def turning_points(self, tree: LayerNode, head: str) -> range:
        """The epochs (0-based) from which on other layers learn than before, the first epoch included."""
        if not self.changes_over_time:
            return range(1)
        every = int(self.preset.partition(":")[2] or 1)
        return range(0, (len(blocks(tree, head)) + 1) * every, every)

    def unknown_overrides(self, tree: LayerNode) -> tuple[str, ...]:
        """The override paths that name no layer of `tree`."""
        known = {node.path for node in tree.walk()}
        return tuple(path for path in self.overrides if path not in known)

    def beyond(self, tree: LayerNode, head: str) -> str:
        """A sentence where the preset asks for more blocks than the network has; "" where it does not."""
        name, _, argument = self.preset.partition(":")
        count = len(blocks(tree, head))
        if name != "last" or int(argument) <= count:
            return ""
        return tr(
            "The network has {count} blocks besides its head, so {preset} lets all of them learn.",
            count=count,
            preset=self.preset,
        )

    def _preset_rates(self, tree: LayerNode, head: str, epoch: int) -> dict[str, float]:
        name, _, argument = self.preset.partition(":")
        if name == "scratch":
            return {leaf.path: 1.0 for leaf in tree.leaves()}
        from_top = [1.0] * len(found := blocks(tree, head)[::-1])
        if name == "discriminative":
            factor = float(argument or _DISCRIMINATIVE)
            from_top = [factor**depth for depth in range(len(found))]
        elif name != "all":
            learning = {"head": 0, "last": int(argument or 0), "gradual": epoch // int(argument or 1)}[name]
            from_top = [float(depth < learning) for depth in range(len(found))]
        rates = {leaf.path: 1.0 for leaf in tree.leaves() if is_under(leaf.path, head)}
        for share, block in zip(from_top, found, strict=True):
            rates |= dict.fromkeys(block, share * self.backbone_rate)
        return rates

    def multiplied(self, rate: float, own: float | None) -> float:
        """What the preset's `rate` becomes under an override's multiplier; None: under none."""
        return rate if own is None else own * (rate or self.backbone_rate)


def one_after_another(plans: Iterable[FreezePlan]) -> str:
    """Plans that a run follows in this order, in a few words: `last:2 → head`; one like the one before is not named again."""
    return " → ".join(said for said, _ in groupby(plan.words for plan in plans))


def multiplier(path: str, overrides: Mapping[str, float]) -> float | None:
    """What `overrides` say of the layer `path`: the nearest one above counts; None where there is none."""
    own = nearest(path, overrides)
    return None if own is None else overrides[own]


def frozen_depth(found: Sequence[Sequence[str]], rates: Mapping[str, float]) -> int:
    """How many of the blocks `found` (as `blocks` gives them) do not learn at all, counted from the input up."""
    return next((depth for depth, block in enumerate(found) if any(rates[leaf] for leaf in block)), len(found))


def preset_of_depth(frozen: int, count: int) -> str:
    """The preset that freezes the first `frozen` of `count` blocks, and lets the rest learn."""
    if frozen >= count:
        return "head"
    return f"last:{count - frozen}" if frozen > 0 else "all"


def learning_share(tree: LayerNode, rates: Mapping[str, float]) -> float:
    """The share, 0 to 1, of the network's parameters that learn at all."""
    learning = sum(leaf.parameters for leaf in tree.leaves() if rates[leaf.path])
    return learning / max(tree.parameters, 1)
