"""Where to cut a network, and which network to take, from what a probe reads of a person's own pictures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from desktop_ft.core.language import tr, tr_n
from desktop_ft.core.metrics import Interval
from desktop_ft.core.offers import Speed
from desktop_ft.core.words import percent, short_duration, size

FEWEST_TO_TRY = 100
"""Pictures to try plans on: of fewer each is worth a point or more, and the error of a share is 4 of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """How the answers of a probe, or of a plan that was tried, differ from those of the best one on the same pictures.

    Attributes:
        won: how many pictures it alone told. lost: how many the best alone did.
    """

    won: int = 0
    lost: int = 0

    @classmethod
    def of(cls, right: Iterable[bool], best: Iterable[bool]) -> Self:
        """Of whether each picture was told, by one and by the best."""
        pairs = list(zip(right, best, strict=True))
        return cls(won=sum(own and not other for own, other in pairs), lost=sum(other and not own for own, other in pairs))

    @property
    def is_near(self) -> bool:
        """Whether the best is not better by more than one standard error (the rule of Breiman et al. 1984, section 3.4.3).

        The error is that of the difference on the same pictures (McNemar 1947), with one picture more on each side, so that few
        pictures that are all right or all wrong prove nothing (Agresti and Min 2005).
        """
        won, lost = self.won + 1, self.lost + 1
        return lost - won <= math.sqrt(won + lost)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeScore:
    """How well the classes are told from what the first blocks make of a picture, by a classifier that has not seen it.

    Attributes:
        depth: how many blocks have answered.
        against: what the best depth, as `best_of` says, tells otherwise.
    """

    depth: int
    accuracy: Interval
    against: Against = Against()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """How many pictures were told that had not been learned from. It is no forecast of what the whole training reaches.

    Attributes:
        right: how many of the `judged` were told.
        epochs: of the try, which learned from four fifths of the pictures; 0: nothing was tried, and this is what a probe tells.
    """

    right: int
    judged: int
    epochs: int = 0

    @property
    def share(self) -> float:
        """How many of them were told, 0 to 1."""
        return self.right / max(1, self.judged)

    @property
    def figure(self) -> str:
        """The share and what it is a share of."""
        return tr("{share} of {judged:,}", share=percent(self.share), judged=self.judged)

    @property
    def words(self) -> str:
        """As `figure`, and how it was found."""
        if not self.epochs:
            return tr("{figure} by a probe, with nothing trained", figure=self.figure)
        return tr_n(
            "{figure} in a try of {n:,} epoch on four fifths of the pictures",
            "{figure} in a try of {n:,} epochs on four fifths of the pictures",
            n=self.epochs,
            figure=self.figure,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOption:
    """What may be frozen, and what that costs.

    Attributes:
        preset: of the freeze plan. depth: how many blocks it freezes, from the input up.
        evidence: where several were tried, what it told of pictures kept from it; else what a probe does.
        seconds: of the whole training here. memory: bytes that what learns takes.
    """

    preset: str
    depth: int
    evidence: Evidence
    seconds: float
    memory: int

    @property
    def words(self) -> str:
        """What speaks for it, and what it costs, in a sentence."""
        return tr(
            "{preset}: {evidence}; the whole training takes {time}, with {memory} of memory for what learns.",
            preset=self.preset,
            evidence=self.evidence.words,
            time=short_duration(self.seconds),
            memory=size(self.memory),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What to freeze for some pictures, and why.

    Attributes:
        backbone: the network that was asked. blocks: how many it has besides its head.
        pictures: how many training pictures were looked at, out of `training`.
        different: how many these are where near doubles count as one; so many are judged.
        scores: by depth, rising; the last is what the head is given.
        options: the recommended one, and what it is to be compared with; the cheapest first.
        recommended: the preset among `options`.
        notes: what is to be known of the pictures, in sentences.
    """

    backbone: str
    blocks: int
    pictures: int
    different: int
    training: int
    scores: tuple[ProbeScore, ...]
    options: tuple[PlanOption, ...]
    recommended: str
    notes: tuple[str, ...] = ()

    @property
    def option(self) -> PlanOption:
        """The recommended one."""
        return next(option for option in self.options if option.preset == self.recommended)

    @property
    def words(self) -> str:
        """The recommendation and its reason, in sentences."""
        return " ".join((self._recommendation, self.reason, *self.notes))

    @property
    def short(self) -> str:
        """The recommendation without its reason, in sentences."""
        return " ".join((self._recommendation, *self.notes))

    @property
    def _recommendation(self) -> str:
        return tr("Recommended: {option}", option=self.option.words)

    @property
    def reason(self) -> str:
        """Why it is recommended, in a sentence."""
        best, last = best_of(self.scores), self.scores[-1]
        figures = {"best": percent(best.accuracy.value), "depth": best.depth, "last": percent(last.accuracy.value)}
        if best.depth == last.depth:
            told = tr("Nothing tells the classes better than all the blocks together do ({last}).", **figures)
        else:
            told = tr("After block {depth} {best} can be told, after the last one {last}.", **figures)
        if len(self.options) > 1:
            reached = ", ".join(f"{each.preset} {each.evidence.figure}" for each in self.options)
            more = tr(
                "What blocks gain by learning cannot be told before they do, so each plan was tried until it was clearly behind, "
                "or no better than a cheaper one, on the same pictures, which it had not learned from: {reached}. {preset} is "
                "the cheapest that is behind the best by one standard error at most.",
                reached=reached,
                preset=self.recommended,
            )
        else:
            more = tr_n(
                "{n:,} different picture is too few to try plans on, so the cheapest is taken.",
                "{n:,} different pictures are too few to try plans on, so the cheapest is taken.",
                n=self.different,
            )
        return f"{told} {more}"


def best_of(scores: Sequence[ProbeScore]) -> ProbeScore:
    """The score that is the highest; of equal ones the deepest, behind which the least is left to learn."""
    return max(scores, key=lambda score: (score.accuracy.value, score.depth))


def worth_trying(scores: Sequence[ProbeScore], blocks: int, pictures: int) -> tuple[int, ...]:
    """How many blocks to freeze in each plan that is to be tried, the cheapest plan first; the first is the head alone.

    With it the last block is tried, which costs little and often gains, and the cut that a probe tells. Nothing is tried on so
    few pictures that plans which differ by points change places by chance.

    Args:
        scores: of the network's `blocks`. pictures: that can be tried on, near doubles counted as one.
    """
    if pictures < FEWEST_TO_TRY:
        return (blocks,)
    return tuple(sorted({blocks, max(0, blocks - 1), where_to_cut(scores)}, reverse=True))


def where_to_cut(scores: Sequence[ProbeScore]) -> int:
    """How many blocks to freeze for a try: the cheapest choice that the pictures cannot tell from the best.

    What is frozen up to some depth still holds all that a probe reads there, so what learns behind it may come as far;
    what a later block no longer tells it has given up for its old task (Yosinski et al. 2014, "How transferable are features in
    deep neural networks?"), and must learn anew. Of all depths that are near the best the deepest is taken, behind which the
    least has to learn: few pictures tell little apart, and so keep to the head. That everything should learn no probe can say.
    """
    return max(score.depth for score in scores if score.against.is_near)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneScore:
    """What a network makes of some pictures before it is trained.

    Attributes:
        accuracy: of a probe on what its head would be given.
        logme: as `evaluation.probing.logme`; to be compared only between networks, on the same pictures.
        side: of the pictures that it was asked about, in pixels. speed: how fast it answers here, pictures of that size.
        against: what the best network tells otherwise.
    """

    name: str
    accuracy: Interval
    logme: float
    side: int
    speed: Speed
    against: Against = Against()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """The networks whose weights are here, for some pictures.

    Attributes:
        scores: the best probe first; at least one.
        pictures: how many training pictures were looked at.
        left_out: the networks that could not be asked, each with the reason, in sentences.
        notes: what is to be known of the pictures, in sentences.
    """

    scores: tuple[BackboneScore, ...]
    pictures: int
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def recommended(self) -> BackboneScore:
        """The fastest that the pictures cannot tell from the best."""
        return max((score for score in self.scores if score.against.is_near), key=lambda score: score.speed.pictures_per_second)

    @property
    def words(self) -> str:
        """Which one suits, and why, in sentences."""
        return " ".join((self._reason, *self.notes))

    @property
    def _reason(self) -> str:
        chosen, best = self.recommended, self.scores[0]
        figures = {
            "name": chosen.name,
            "accuracy": percent(chosen.accuracy.value),
            "speed": f"{chosen.speed.pictures_per_second:.3g}",
            "side": chosen.side,
            "best": best.name,
            "most": percent(best.accuracy.value),
        }
        if chosen is best:
            return tr(
                "{name} tells the most of your pictures, {accuracy}, and answers {speed} pictures of {side} pixels a second "
                "here.",
                **figures,
            )
        return tr(
            "{name} tells {accuracy}, not clearly less than the {most} of {best}, and answers more: {speed} pictures of {side} "
            "pixels a second here.",
            **figures,
        )
