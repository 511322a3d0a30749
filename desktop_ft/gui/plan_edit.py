"""Ticking layers and setting their rates: from one freeze plan to another, with as few exceptions as say the same."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from desktop_ft.core.errors import UserError
from desktop_ft.core.freezing import MAX_MULTIPLIER, BatchNormPolicy, FreezePlan, multiplier
from desktop_ft.core.language import tr
from desktop_ft.core.layers import LayerNode, NormKind, is_under, nearest

_Same = Callable[[Iterable[str], float | None], bool]
"""Whether leaves learn as they should under a multiplier; None: under none."""


def tick(plan: FreezePlan, tree: LayerNode, head: str, paths: Collection[str], learn: bool) -> FreezePlan:
    """`plan`, changed so that all under each of `paths` learns (or is frozen) in every epoch, and everything else is as before.

    Layers that the preset lets learn keep their rate. BatchNorm layers that the policy keeps frozen stay so.
    """
    chosen = frozenset(paths)
    kept = {own: value for own, value in plan.overrides.items() if nearest(own, chosen) is None or (learn and value > 0)}
    held = held_by_policy(plan, tree)
    over_time = _over_time(_with(plan, kept), tree, head)
    wrong = {leaf for rates in over_time for leaf, rate in rates.items() if leaf not in held and (rate > 0) != learn}
    told = [path for path in paths if any(is_under(leaf, path) for leaf in wrong)]
    return simplify(_with(plan, kept | dict.fromkeys(told, 1.0 if learn else 0.0)), tree, head)


def set_rate(plan: FreezePlan, tree: LayerNode, head: str, paths: Collection[str], share: float) -> FreezePlan:
    """`plan`, changed so that what learns under `paths` does so at `share` of the learning rate in every epoch; 0 freezes it.

    Where nothing learns there, all of it does then. BatchNorm layers that the policy keeps frozen stay so.

    Raises:
        UserError: no plan can hold so large a share under this preset.
    """
    preset = _with(plan, {}).rates(tree, head)
    held = held_by_policy(plan, tree)
    base = {leaf: rate or plan.backbone_rate for leaf, rate in preset.items() if leaf not in held}
    chosen = frozenset(paths)
    overrides = {other: value for other, value in plan.overrides.items() if nearest(other, chosen) is None}
    under = {leaf: rate for leaf, rate in base.items() if nearest(leaf, chosen) is not None}
    learns = {leaf for rates in _over_time(plan, tree, head) for leaf, rate in rates.items() if rate and leaf in under}
    if share and learns and learns != under.keys():
        overrides |= dict.fromkeys(under.keys() - learns, 0.0)
        paths = tuple(learns)
    for path in paths:
        overrides |= _sharing(path, {leaf: rate for leaf, rate in base.items() if is_under(leaf, path)}, share)
    return simplify(_with(plan, overrides), tree, head)


def _sharing(path: str, base: Mapping[str, float], share: float) -> dict[str, float]:
    """The exceptions that let the leaves `base` of `path`, with the rates that multipliers are relative to, learn at `share`."""
    if share > (most := MAX_MULTIPLIER * min(base.values(), default=1.0)):
        what = tr("Under this preset {path} learns at no more than {most:.2g}.", path=path or tr("the network"), most=most)
        raise UserError(what, tr("Give a smaller number."))
    # A multiplier is relative to what the preset says, which differs from layer to layer. Digits past the twelfth are noise.
    own = {leaf: float(f"{share / rate:.12g}") for leaf, rate in base.items()}
    return {path: next(iter(own.values()))} if len(set(own.values())) == 1 else own


def held_by_policy(plan: FreezePlan, tree: LayerNode) -> frozenset[str]:
    """The layers that cannot learn, whatever is ticked: BatchNorm under the policy `frozen`."""
    if plan.batch_norm is not BatchNormPolicy.FROZEN:
        return frozenset()
    return frozenset(leaf.path for leaf in tree.leaves() if leaf.norm is NormKind.BATCH)


def simplify(plan: FreezePlan, tree: LayerNode, head: str) -> FreezePlan:
    """The same rates with fewer exceptions: one above many where it says the same, and none that changes nothing."""
    held = held_by_policy(plan, tree)
    over_time = _over_time(_with(plan, {}), tree, head)
    given = {leaf: [rates[leaf] for rates in over_time] for leaf in over_time[0] if leaf not in held}

    def rates(leaf: str, own: float | None) -> list[float]:
        return [plan.multiplied(rate, own) for rate in given[leaf]]

    wanted = {leaf: rates(leaf, multiplier(leaf, plan.overrides)) for leaf in given}

    def same(leaves: Iterable[str], own: float | None) -> bool:
        return all(rates(leaf, own) == wanted[leaf] for leaf in leaves)

    overrides = _without_idle(_merged(plan.overrides, tuple(given), same), tuple(given), same)
    return plan if overrides == plan.overrides else _with(plan, overrides)


def _merged(overrides: Mapping[str, float], leaves: Collection[str], same: _Same) -> dict[str, float]:
    """One exception above many, wherever all `leaves` under it are to learn so."""
    best = dict(overrides)
    for ancestor in _ancestors(overrides):
        below = [own for own in best if is_under(own, ancestor)]
        under = [leaf for leaf in leaves if is_under(leaf, ancestor)]
        values = {best[own] for own in below} if len(below) > 1 else ()
        if (value := next((value for value in values if same(under, value)), None)) is not None:
            best = {own: best[own] for own in best if own not in below} | {ancestor: value}
    return best


def _without_idle(overrides: Mapping[str, float], leaves: Collection[str], same: _Same) -> dict[str, float]:
    """Without the exceptions whose leaves learn the same by what stands above them."""
    best = dict(overrides)
    for own in sorted(overrides, key=len, reverse=True):
        led = [leaf for leaf in leaves if is_under(leaf, own) and nearest(leaf, best) == own]
        value = best.pop(own)
        if not same(led, multiplier(own, best)):
            best[own] = value
    return best


def _ancestors(overrides: Mapping[str, float]) -> Iterator[str]:
    """Every path above an override, the nearest to the root first, so that one exception may replace many."""
    found = {""} if overrides else set()
    for own in overrides:
        parts = own.split(".")
        found |= {".".join(parts[:length]) for length in range(1, len(parts))}
    yield from sorted(found, key=lambda path: (path.count(".") + bool(path), path))


def _over_time(plan: FreezePlan, tree: LayerNode, head: str) -> list[dict[str, float]]:
    """The rates of every epoch in which they can differ from those before."""
    return [plan.rates(tree, head, epoch) for epoch in plan.turning_points(tree, head)]


def _with(plan: FreezePlan, overrides: Mapping[str, float]) -> FreezePlan:
    return plan.model_copy(update={"overrides": dict(sorted(overrides.items()))})
