"""What learning does to each layer, and what a person should do where one does not learn, or forgets what it knew."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from desktop_ft.core.events import LayerSeen, LayersSeen
from desktop_ft.core.language import marked, tr

_STILL, _FORGOTTEN = 1e-6, 0.1
_ENOUGH_EPOCHS = 2
_SHOWN = 3
_LEAST_PERCENT = 0.0001


class Sign(StrEnum):
    """What is wrong with how a layer learns."""

    NO_GRADIENT = marked("gets no gradient")
    STILL = marked("does not learn")
    FORGETS = marked("forgets")


CURES = {
    Sign.NO_GRADIENT: marked(
        "Nothing that the network answers depends on it. Freeze it: it costs time and memory, and will not change."
    ),
    Sign.STILL: marked(
        "Even its largest steps moved its weights by less than a millionth of their length. Raise the learning rate, or its "
        "share of it, if it is to adapt; freeze it if not: then what lies in front of it is computed only once."
    ),
    Sign.FORGETS: marked(
        "Its weights have moved by more than a tenth of their length from what they were pre-trained to. Lower the learning "
        "rate, or its share of it, train for fewer epochs, or freeze it."
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerState:
    """How a layer, or all that learns below a path, has learned so far.

    Attributes:
        gradient: length of the gradient in the last look.
        update: what a step moved the weights by, as a share of their length, in the last look.
        drift: how far they are from what they were pre-trained to, as a share of their length then; None where that is unknown.
        sign: what is wrong, if anything.
    """

    gradient: float
    update: float
    drift: float | None
    sign: Sign | None = None


def states(looks: Sequence[LayersSeen]) -> dict[str, LayerState]:
    """How each layer of the last of `looks` has learned, by leaf path, with what is wrong; empty where there was none.

    A schedule lets the rate fall to nothing, so that the last steps of a run move nothing: the largest steps of a layer count.
    """
    if not looks:
        return {}
    by_path: dict[str, list[LayerSeen]] = {seen.path: [] for seen in looks[-1].layers}
    for look in looks:
        for seen in look.layers:
            if seen.path in by_path:
                by_path[seen.path].append(seen)
    return {path: _state(seen) for path, seen in by_path.items()}


def _state(seen: Sequence[LayerSeen]) -> LayerState:
    last = seen[-1]
    return LayerState(gradient=last.gradient, update=last.update, drift=last.drift, sign=_sign(seen))


def _sign(seen: Sequence[LayerSeen]) -> Sign | None:
    drift = seen[-1].drift
    if drift is not None and drift > _FORGOTTEN:
        return Sign.FORGETS
    if len(seen) < _ENOUGH_EPOCHS:
        return None
    if not any(one.gradient for one in seen):
        return Sign.NO_GRADIENT
    return Sign.STILL if max(one.update for one in seen) < _STILL else None


def together(parts: Iterable[LayerState]) -> LayerState | None:
    """What is said of a part of the network by what is said of the layers in it; None where there are none.

    The gradient's length is that of all together. Of shares the largest is told, and the worst sign.
    """
    found = list(parts)
    if not found:
        return None
    drifts = [one.drift for one in found if one.drift is not None]
    signs = {one.sign for one in found}
    return LayerState(
        gradient=math.hypot(*(one.gradient for one in found)),
        update=max(one.update for one in found),
        drift=max(drifts) if drifts else None,
        sign=next((sign for sign in (Sign.FORGETS, Sign.NO_GRADIENT, Sign.STILL) if sign in signs), None),
    )


def blocks(found: Mapping[str, LayerState]) -> dict[str, LayerState]:
    """What `found` says by leaf path, with the layers of each block as one; a block's path has two names at most."""
    parts: dict[str, list[LayerState]] = {}
    for path, state in found.items():
        parts.setdefault(".".join(path.split(".")[:2]), []).append(state)
    return {path: told for path, states in parts.items() if (told := together(states)) is not None}


def share(value: float) -> str:
    """A share of a length as people read it: `14 %`, `0.35 %`, `< 0.0001 %`."""
    percent = 100 * value
    if 0 < percent < _LEAST_PERCENT:
        return f"< {_LEAST_PERCENT:.4f} %"
    return f"{percent:.0f} %" if percent >= 10 else f"{float(f'{percent:.2g}'):.4f}".rstrip("0").rstrip(".") + " %"


def remarks(found: Mapping[str, LayerState]) -> tuple[str, ...]:
    """What a person should know of the layers `found`, by leaf path: for each sign which layers show it, and what to do."""
    said = []
    for sign in Sign:
        layers = [path for path, state in found.items() if state.sign is sign]
        if layers:
            shown = ", ".join(layers[:_SHOWN]) + (" …" if len(layers) > _SHOWN else "")
            said.append(f"{tr('{layers}: {sign}.', layers=shown, sign=tr(sign.value))} {tr(CURES[sign])}")
    return tuple(said)
