"""The networks on offer on this machine, three of them for three aims, and which one suits a person's pictures."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from statistics import median_low

from desktop_ft.core import words
from desktop_ft.core.backbone import BackboneSpec, WeightsOrigin
from desktop_ft.core.dataset import DatasetManifest
from desktop_ft.core.language import tr, tr_n
from desktop_ft.core.metrics import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How fast a network answers here, as measured: pictures a second on `device` (in words).

    They are as large as those it was trained on, where nothing else is said.
    """

    pictures_per_second: float
    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A network as this machine has it.

    Attributes:
        local: whether its pre-trained weights are here.
        speed: None where it was not measured here.
        probe: how well a person's classes are told from what it makes of their pictures; None while unknown.
    """

    spec: BackboneSpec
    local: bool
    speed: Speed | None = None
    probe: Interval | None = None


class Aim(StrEnum):
    """What a person may want most of a network."""

    SPEED = "speed"
    BALANCE = "balance"
    ACCURACY = "accuracy"


MOST_GFLOPS: Mapping[Aim, float] = {Aim.SPEED: 0.5, Aim.BALANCE: 5.0, Aim.ACCURACY: float("inf")}
"""Work for one picture that each aim allows."""
NEAR_ENOUGH = 3.0
"""Points of ImageNet accuracy that a network which is here already may be behind one that would have to be fetched."""
LONGEST_LOOK_S = 120.0
MOST_WORK_GFLOPS = {False: 5_000.0, True: 500_000.0}
"""For all pictures together, by whether there is an accelerator: what two processor cores do in about two minutes
(EfficientNet-Lite0, 0.41 GFLOPs a picture, answers 100 a second there), and a hundred times that."""
_ENLARGED = 2.0
_BEST_FIRST = (Aim.ACCURACY, Aim.BALANCE, Aim.SPEED)


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFacts:
    """What a recommendation needs to know of a person's pictures; `side` is the median of their shorter sides in pixels."""

    count: int
    side: int

    @classmethod
    def of(cls, manifest: DatasetManifest) -> "PictureFacts":
        """The facts of all pictures in `manifest`."""
        sides = [min(sample.width, sample.height) for sample in manifest.samples]
        return cls(count=len(sides), side=median_low(sides) if sides else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """Which aim's network suits the pictures, and why, in sentences."""

    aim: Aim
    reason: str


def picks(offers: Iterable[Offer]) -> dict[Aim, Offer]:
    """For each aim the most accurate network (ImageNet, as published) within the work that it allows.

    Only networks whose facts are published and whose weights can be had and be used commercially count. One whose weights are
    here goes before others that are at most `NEAR_ENOUGH` points more accurate. An aim that nothing serves, or nothing but what
    another one has already, is left out.
    """
    known = [offer for offer in offers if _is_known(offer.spec)]
    found: dict[Aim, Offer] = {}
    for aim, most in MOST_GFLOPS.items():
        within = [offer for offer in known if (offer.spec.gflops or 0) <= most]
        if within:
            best = max(within, key=_accuracy)
            here = [offer for offer in within if offer.local and _accuracy(offer) >= _accuracy(best) - NEAR_ENOUGH]
            chosen = max(here, key=_accuracy, default=best)
            if chosen not in found.values():
                found[aim] = chosen
    return found


def recommend(chosen: Mapping[Aim, Offer], pictures: PictureFacts, *, accelerated: bool) -> Recommendation | None:
    """Which of `chosen` (as `picks` gives them) suits the pictures; None where there is none of either.

    What is more accurate on ImageNet is more accurate on other pictures, too, frozen or not (Kornblith, Shlens and Le: Do Better
    ImageNet Models Transfer Better?, CVPR 2019). So it is the most accurate one whose work can be afforded: that looks through
    all pictures within `LONGEST_LOOK_S` where its speed was measured here, else with no more work than `MOST_WORK_GFLOPS`; and
    that does not enlarge most of them to more than twice their size, which costs work and shows nothing new. Where none is, it is
    the last, which takes the least.
    """
    aims = [aim for aim in _BEST_FIRST if aim in chosen]
    if not aims or not pictures.count:
        return None
    passed_over: list[str] = []
    for aim in aims:
        objection = _objection(chosen[aim], pictures, accelerated=accelerated)
        if not objection or aim is aims[-1]:
            return Recommendation(aim=aim, reason=_reason(chosen[aim], pictures, objection, passed_over))
        passed_over.append(objection)
    return None


def _is_known(spec: BackboneSpec) -> bool:
    usable = spec.weights.origin in (WeightsOrigin.PACKAGE, WeightsOrigin.DOWNLOAD) and spec.weights.commercial_use
    return usable and spec.gflops is not None and spec.top1 is not None


def _accuracy(offer: Offer) -> float:
    return offer.spec.top1 or 0.0


def _work(offer: Offer, pictures: PictureFacts) -> float:
    return (offer.spec.gflops or 0.0) * pictures.count


def _objection(offer: Offer, pictures: PictureFacts, *, accelerated: bool) -> str:
    """What speaks against the network, the more accurate one, in a sentence; "" if nothing does."""
    name, side = offer.spec.name, offer.spec.resize.crop
    if offer.speed is not None and (seconds := pictures.count / offer.speed.pictures_per_second) > LONGEST_LOOK_S:
        return tr(
            "The more accurate {name} takes {time} to look at all once, as measured here.",
            name=name,
            time=words.duration(seconds),
        )
    if offer.speed is None and (work := _work(offer, pictures)) > MOST_WORK_GFLOPS[accelerated]:
        return tr("The more accurate {name} needs {work:,.0f} GFLOPs to look at all once.", name=name, work=work)
    if side > _ENLARGED * pictures.side:
        return tr(
            "The more accurate {name} would only enlarge them from {own} to {side} pixels.",
            name=name,
            own=pictures.side,
            side=side,
        )
    return ""


def _reason(offer: Offer, pictures: PictureFacts, objection: str, passed_over: list[str]) -> str:
    least = bool(objection)
    many = tr_n("{n:,} picture", "{n:,} pictures", n=pictures.count)
    what = (
        _by_time(offer.speed, pictures, many, least=least) if offer.speed else _by_work(_work(offer, pictures), many, least=least)
    )
    return " ".join((what, *passed_over[-1:], _where(offer)))


def _by_time(speed: Speed, pictures: PictureFacts, many: str, *, least: bool) -> str:
    time = words.duration(pictures.count / speed.pictures_per_second)
    if least:
        return tr(
            "The least work of these for {pictures}: {time} to look at all once, as measured here.", pictures=many, time=time
        )
    return tr(
        "The most accurate that suits {pictures}: it takes {time} to look at all once, as measured here.",
        pictures=many,
        time=time,
    )


def _by_work(work: float, many: str, *, least: bool) -> str:
    if least:
        return tr("The least work of these for {pictures}: {work:,.0f} GFLOPs to look at all once.", pictures=many, work=work)
    return tr(
        "The most accurate that suits {pictures}: it needs {work:,.0f} GFLOPs to look at all once.", pictures=many, work=work
    )


def _where(offer: Offer) -> str:
    if offer.local:
        return tr("Its weights are on this machine.")
    amount = offer.spec.weights.bytes
    if not amount:
        return tr("Its weights must be fetched first.")
    return tr("Its weights are a download of {size}.", size=words.size(amount))
