"""Ticking layers and setting their rates: from one freeze plan to another, with as few exceptions as say the same."""

from collections.abc import Iterator, Mapping

from desktop_ft.core.errors import UserError
from desktop_ft.core.freezing import MAX_MULTIPLIER, BatchNormPolicy, FreezePlan
from desktop_ft.core.layers import LayerNode, NormKind, is_under


def tick(plan: FreezePlan, tree: LayerNode, head: str, path: str, learn: bool) -> FreezePlan:
    """`plan`, changed so that everything under `path` learns (or is frozen) in every epoch, and everything else is as before.

    Layers that the preset lets learn keep their rate. BatchNorm layers that the policy keeps frozen stay so.
    """
    keeps = {own: value for own, value in plan.overrides.items() if not is_under(own, path) or (learn and value > 0)}
    held = held_by_policy(plan, tree)
    wanted = [
        {leaf: leaf not in held and (learn if is_under(leaf, path) else rate > 0) for leaf, rate in rates.items()}
        for rates in _over_time(plan, tree, head)
    ]
    changed = _with(plan, keeps)
    if [{leaf: rate > 0 for leaf, rate in rates.items()} for rates in _over_time(changed, tree, head)] != wanted:
        changed = _with(plan, keeps | {path: 1.0 if learn else 0.0})
    return simplify(changed, tree, head)


def set_rate(plan: FreezePlan, tree: LayerNode, head: str, path: str, share: float) -> FreezePlan:
    """`plan`, changed so that everything under `path` learns at `share` of the learning rate in every epoch; 0 freezes it.

    BatchNorm layers that the policy keeps frozen stay so.

    Raises:
        UserError: no plan can hold so large a share under this preset.
    """
    preset = _with(plan, {}).rates(tree, head)
    held = held_by_policy(plan, tree)
    base = {
        leaf.path: preset[leaf.path] or plan.backbone_rate
        for leaf in tree.leaves()
        if is_under(leaf.path, path) and leaf.path not in held
    }
    if share > MAX_MULTIPLIER * (smallest := min(base.values(), default=1.0)):
        most = MAX_MULTIPLIER * smallest
        raise UserError(f"Under this preset {path or 'the network'} learns at no more than {most:.2g}.", "Give a smaller number.")
    # A multiplier is relative to what the preset says, which differs from layer to layer. Digits past the twelfth are noise.
    own = {leaf: float(f"{share / rate:.12g}") for leaf, rate in base.items()}
    others = {other: value for other, value in plan.overrides.items() if not is_under(other, path)}
    same = {path: next(iter(own.values()))} if len(set(own.values())) == 1 else own
    return simplify(_with(plan, others | same), tree, head)


def held_by_policy(plan: FreezePlan, tree: LayerNode) -> frozenset[str]:
    """The layers that cannot learn, whatever is ticked: BatchNorm under the policy `frozen`."""
    if plan.batch_norm is not BatchNormPolicy.FROZEN:
        return frozenset()
    return frozenset(leaf.path for leaf in tree.leaves() if leaf.norm is NormKind.BATCH)


def simplify(plan: FreezePlan, tree: LayerNode, head: str) -> FreezePlan:
    """The same rates with fewer exceptions: one above many where it says the same, and none that changes nothing."""
    rates = _over_time(plan, tree, head)
    best = plan
    for ancestor in _ancestors(best.overrides):
        below = [own for own in best.overrides if is_under(own, ancestor)]
        if len(below) < 2:
            continue
        rest = {own: value for own, value in best.overrides.items() if own not in below}
        values = {best.overrides[own] for own in below}
        for value in values:
            candidate = _with(best, rest | {ancestor: value})
            if _over_time(candidate, tree, head) == rates:
                best = candidate
                break
    for own in sorted(best.overrides, key=len, reverse=True):
        candidate = _with(best, {other: value for other, value in best.overrides.items() if other != own})
        if _over_time(candidate, tree, head) == rates:
            best = candidate
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
