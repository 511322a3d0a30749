"""In what two freeze plans differ on one network: layer by layer, and in words."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.language import tr, tr_n
from desktop_ft.core.layers import LayerNode

_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanComparison:
    """One plan seen beside another.

    Attributes:
        name: what the other one is called.
        learning, others: how many parameters learn in this plan and in the other.
        total: parameters of the network.
        rates: leaf path to the other plan's multiplier of the learning rate.
        differing: the leaves whose rates differ, from input to head.
        over_time: whether one of the plans changes from epoch to epoch, so that this holds for one epoch alone.
    """

    name: str
    learning: int
    others: int
    total: int
    rates: Mapping[str, float]
    differing: tuple[str, ...]
    over_time: bool

    @property
    def words(self) -> str:
        """The comparison in a sentence or two."""
        if not self.differing:
            if self.over_time:
                return tr("Compared with {name}: every layer learns at the same rate in this epoch.", name=self.name)
            return tr("Compared with {name}: every layer learns at the same rate.", name=self.name)
        said = tr("Compared with {name}:", name=self.name)
        if self.over_time:
            said = tr("Compared with {name} in this epoch:", name=self.name)
        return f"{said} {self._amount} {self._layers}"

    @property
    def _layers(self) -> str:
        named = ", ".join(self.differing[:_NAMED])
        if len(self.differing) > _NAMED:
            return tr_n("{n:,} layer differs: {names}, …", "{n:,} layers differ: {names}, …", n=len(self.differing), names=named)
        return tr_n("{n:,} layer differs: {names}.", "{n:,} layers differ: {names}.", n=len(self.differing), names=named)

    @property
    def _amount(self) -> str:
        if self.learning == self.others:
            return tr("as many parameters learn ({count:,}), but at other rates or elsewhere.", count=self.learning)
        shares = [f"{100 * count / max(1, self.total):.1f} %" for count in (self.learning, self.others)]
        return tr(
            "{count:,} parameters learn ({share}) instead of {other:,} ({other_share}).",
            count=self.learning,
            share=shares[0],
            other=self.others,
            other_share=shares[1],
        )


def differ(one: float, other: float) -> bool:
    """Whether two multipliers are not the same but for what rounding leaves."""
    return not math.isclose(one, other, rel_tol=1e-9)


def compare(plan: FreezePlan, other: FreezePlan, name: str, tree: LayerNode, head: str, epoch: int = 0) -> PlanComparison:
    """`plan` beside `other`, which is called `name`, on the network `tree` in `epoch` (0-based)."""
    mine, others = plan.rates(tree, head, epoch), other.rates(tree, head, epoch)
    leaves = list(tree.leaves())
    return PlanComparison(
        name=name,
        learning=sum(leaf.parameters for leaf in leaves if mine[leaf.path]),
        others=sum(leaf.parameters for leaf in leaves if others[leaf.path]),
        total=tree.parameters,
        rates=others,
        differing=tuple(leaf.path for leaf in leaves if differ(mine[leaf.path], others[leaf.path])),
        over_time=plan.changes_over_time or other.changes_over_time,
    )
