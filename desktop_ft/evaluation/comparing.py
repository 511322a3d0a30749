"""From the figures of many runs to what was gained: means with intervals, paired tests, what it takes to match the best from
scratch, and all of it in plain sentences. numpy only.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from desktop_ft.core.comparing import (
    AS_IT_IS,
    SCRATCH,
    Compared,
    Comparison,
    CurvePoint,
    Match,
    PairedTest,
    RunFigures,
    Score,
    Variant,
    images_words,
    strategy,
)
from desktop_ft.core.language import tr, tr_n
from desktop_ft.core.words import duration, short_duration
from desktop_ft.evaluation.markup import percent
from desktop_ft.evaluation.paired import Right, difference_interval, holm, mean_interval, sign_flip

_LIKELY = 0.001
_FEW = 50
_OVER = 1.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What the runs were judged on.

    Attributes:
        commonest: share of these pictures that are of the commonest class.
    """

    device: str
    dataset: str
    classes: tuple[str, ...]
    subset: str
    pictures: tuple[str, ...]
    commonest: float


def compared(
    comparison: Comparison, judged: Judged, runs: Sequence[RunFigures], failed: Iterable[tuple[str, str]], planned: int
) -> Compared:
    """All that `runs`, some or all of the comparison's, tell."""
    scores = tuple(_scores(comparison, judged, runs))
    tests = tuple(_tests(comparison, judged, runs))
    most = comparison.images[-1]
    to_match = _best_of_scratch([run for run in runs if run.strategy == SCRATCH.name and run.images == most])
    matches = tuple(_matches(comparison, runs, scores, to_match)) if to_match is not None else ()
    first, more = (said := tuple(_verdict(comparison, judged, scores, tests, matches)))[:1], said[1:]
    return Compared(
        comparison=comparison,
        device=judged.device,
        dataset=judged.dataset,
        classes=judged.classes,
        subset=judged.subset,
        pictures=judged.pictures,
        planned=planned,
        runs=tuple(runs),
        failed=tuple(failed),
        scores=scores,
        tests=tests,
        to_match=to_match,
        matches=matches,
        verdict=(
            *first,
            *_over_budget(comparison, scores),
            *more,
            *([chance_told()] if tests else []),
            *_one_seed(comparison),
        ),
    )


def mean_curve(runs: Sequence[RunFigures]) -> tuple[CurvePoint, ...]:
    """The best accuracy so far by epoch, with the seconds until then: means over `runs`, as far as all of them went."""
    best = [_best_so_far(run.curve) for run in runs]
    return tuple(
        CurvePoint(
            epoch=together[0].epoch,
            seconds=float(np.mean([point.seconds for point in together])),
            accuracy=float(np.mean([point.accuracy for point in together])),
        )
        for together in zip(*best, strict=False)
    )


def seconds_to(curve: Sequence[CurvePoint], accuracy: float) -> float | None:
    """When a run was as good as `accuracy`: between two epochs on the straight line; after the first epoch at the earliest.

    None where it never was.
    """
    best = _best_so_far(curve)
    if not best or best[-1].accuracy < accuracy:
        return None
    if best[0].accuracy >= accuracy:
        return best[0].seconds
    before, after = next((a, b) for a, b in pairwise(best) if b.accuracy >= accuracy)
    share = (accuracy - before.accuracy) / (after.accuracy - before.accuracy)
    return before.seconds + share * (after.seconds - before.seconds)


def images_to(scores: Sequence[Score], accuracy: float) -> float | None:
    """How many training pictures of each class a strategy needs to be as good as `accuracy`, its `scores` from few to many.

    Between two numbers that were tried it is read from the straight line over their logarithms; None where none was enough.
    """
    points = [(score.per_class, score.accuracy.value) for score in scores]
    enough = next((index for index, (_, value) in enumerate(points) if value >= accuracy), None)
    if enough is None:
        return None
    if enough == 0:
        return points[0][0]
    (few, low), (many, high) = points[enough - 1 : enough + 1]
    share = (accuracy - low) / (high - low)
    return math.exp(math.log(few) + share * (math.log(many) - math.log(few)))


def _best_so_far(curve: Sequence[CurvePoint]) -> list[CurvePoint]:
    highest, found = 0.0, []
    for point in curve:
        highest = max(highest, point.accuracy)
        found.append(CurvePoint(epoch=point.epoch, seconds=point.seconds, accuracy=highest))
    return found


def _right(judged: Judged, runs: Sequence[RunFigures]) -> Right:
    right = np.ones((len(runs), len(judged.pictures)), dtype=np.bool_)
    for row, run in zip(right, runs, strict=True):
        row[list(run.wrong)] = False
    return right


def _of(runs: Sequence[RunFigures], name: str, images: int) -> dict[int, RunFigures]:
    """The runs of a strategy with a number of pictures, by seed."""
    found = {run.seed: run for run in runs if run.strategy == name and run.images == images}
    return dict(sorted(found.items()))


def _scores(comparison: Comparison, judged: Judged, runs: Sequence[RunFigures]) -> Iterable[Score]:
    for name in comparison.strategies:
        for images in comparison.images:
            if found := tuple(_of(runs, name, images).values()):
                yield Score(
                    strategy=name,
                    images=images,
                    per_class=float(np.mean([run.training for run in found])) / max(1, len(judged.classes)),
                    seeds=len(found),
                    accuracy=mean_interval(_right(judged, found)),
                    seconds=float(np.mean([run.seconds for run in found])),
                )


def _tests(comparison: Comparison, judged: Judged, runs: Sequence[RunFigures]) -> Iterable[PairedTest]:
    made = []
    for name, than, images in comparison.pairs:
        mine, its = _of(runs, name, images), _of(runs, than, images)
        seeds = sorted(mine.keys() & its.keys())
        if not seeds:
            continue
        first, second = _right(judged, [mine[seed] for seed in seeds]), _right(judged, [its[seed] for seed in seeds])
        made.append(
            PairedTest(
                strategy=name,
                than=than,
                images=images,
                seeds=len(seeds),
                difference=difference_interval(first, second),
                only_first=int((first & ~second).sum()),
                only_second=int((second & ~first).sum()),
                p=sign_flip(first, second),
                corrected=1.0,
            )
        )
    # For all that are planned, so that what is shown of some of them is not taken back when the others end.
    waiting = [1.0] * (len(comparison.pairs) - len(made))
    for test, corrected in zip(made, holm([*(test.p for test in made), *waiting]), strict=False):
        yield replace(test, corrected=corrected)


def _best_of_scratch(runs: Sequence[RunFigures]) -> CurvePoint | None:
    """The best validation of the runs from scratch, and when it came: means over seeds."""
    best = [max(run.curve, key=lambda point: (point.accuracy, -point.epoch)) for run in runs if run.curve]
    if not best:
        return None
    return CurvePoint(
        epoch=round(float(np.mean([point.epoch for point in best]))),
        seconds=float(np.mean([point.seconds for point in best])),
        accuracy=float(np.mean([point.accuracy for point in best])),
    )


def _matches(
    comparison: Comparison, runs: Sequence[RunFigures], scores: Sequence[Score], to_match: CurvePoint
) -> Iterable[Match]:
    most = comparison.images[-1]
    scratch = next((score for score in scores if score.strategy == SCRATCH.name and score.images == most), None)
    for name in comparison.strategies:
        found = tuple(_of(runs, name, most).values())
        if name == SCRATCH.name or not found or scratch is None:
            continue
        times = [seconds_to(run.curve, to_match.accuracy) for run in found]
        reached = [(took, run.curve[0].seconds) for took, run in zip(times, found, strict=True) if took is not None]
        own = [score for score in scores if score.strategy == name]
        images = images_to(own, scratch.accuracy.value)
        yield Match(
            strategy=name,
            seconds=float(np.mean([took for took, _ in reached])) if reached else None,
            reached=len(reached),
            seeds=len(found),
            at_once=bool(reached) and all(took <= first for took, first in reached),
            images=images,
            fewest=images is not None and own[0].accuracy.value >= scratch.accuracy.value,
        )


def _over_budget(comparison: Comparison, scores: Sequence[Score]) -> Iterable[str]:
    """Which ways took clearly longer than the budget: what they gained is not for the same time."""
    budget = comparison.seconds
    if over := [score for score in scores if budget and score.seconds > _OVER * budget]:
        yield tr(
            "These took more than the budget of {time}, as a single epoch does or as the machine was busy, so that they are no "
            "fair comparison: {listed}. Give a larger budget.",
            time=duration(budget),
            listed=", ".join(f"{title(score.strategy)} ({images_words(score.images)})" for score in over),
        )


def _one_seed(comparison: Comparison) -> Iterable[str]:
    if comparison.seeds == 1:
        yield tr("Each was trained from one seed alone: how much another would change is not known.")


def _verdict(
    comparison: Comparison, judged: Judged, scores: Sequence[Score], tests: Sequence[PairedTest], matches: Sequence[Match]
) -> Iterable[str]:
    most = comparison.images[-1]
    pictures = len(judged.pictures)
    too_few = comparison.cannot_show(pictures)
    if comparison.strategies[0] == AS_IT_IS.name:
        yield from _worth(tests, pictures, too_few)
        return
    against = [test for test in tests if test.images == most and test.than == SCRATCH.name]
    if not against and any((score.strategy, score.images) == (SCRATCH.name, most) for score in scores):
        yield tr("Nothing that training from scratch is compared with has come to its end: what is gained cannot be said yet.")
        return
    if not against:
        yield tr("Training from scratch was not compared, or has not come to its end: what fine-tuning gains cannot be said.")
        return
    value = {score.strategy: score.accuracy.value for score in scores if score.images == most}
    gains = [test for test in against if test.is_sure and test.difference.value > 0]
    with_all = images_words(most)
    if not gains:
        yield tr("Nothing was gained by fine-tuning that could be shown with {images}.", images=with_all)
        if too_few:
            yield too_few
        elif pictures < _FEW:
            yield tr_n(
                "There is only {n} picture to judge on, so that only a very large gain could be shown: hold out more.",
                "There are only {n} pictures to judge on, so that only a very large gain could be shown: hold out more.",
                n=pictures,
            )
    else:
        best = max(gains, key=lambda test: value[test.strategy])
        yield tr(
            "Fine-tuning gained something: with {images}, the best of it ({strategy}) is right on {share} of the pictures that "
            "were held out, training from scratch on {scratch}.",
            images=with_all,
            strategy=title(best.strategy),
            share=percent(value[best.strategy]),
            scratch=percent(value[SCRATCH.name]),
        )
    scratch = next(score for score in scores if (score.strategy, score.images) == (SCRATCH.name, most))
    if scratch.accuracy.low <= judged.commonest:
        yield tr(
            "From scratch nothing was learned within the budget that shows: always naming the commonest class is right on "
            "{share}. To match that is no feat; a larger budget may change it.",
            share=percent(judged.commonest),
        )
    needs = {match.strategy: f"{_time_needed(match)} {_images_needed(match)}" for match in matches}
    yield from (" ".join(filter(None, (_gain(test), needs.get(test.strategy)))) for test in against)
    yield from _between(tests, value, most)


def _worth(tests: Sequence[PairedTest], pictures: int, too_few: str) -> Iterable[str]:
    """What each transform is worth: the recipe as it is against the recipe without it."""
    if not tests:
        yield tr("What augmentation is worth can be said once a run with it and one without have come to their end.")
    unsure = False
    for test in tests:
        left_out = strategy(test.strategy)
        if not isinstance(left_out, Variant):
            continue
        told = {
            "transforms": ", ".join(left_out.without),
            "points": _points(test),
            "low": f"{100 * test.difference.low:+.1f}",
            "high": f"{100 * test.difference.high:+.1f}",
            "chance": chance(test.corrected),
        }
        if not test.is_sure:
            unsure = True
            yield tr(
                "{transforms}: no effect that could be shown. Without it the accuracy differs by {points} points (95 % interval "
                "{low} to {high}; {chance}).",
                **told,
            )
        elif test.difference.value < 0:
            yield tr(
                "{transforms}: keep it. Without it the model is {points} points worse (95 % interval {low} to {high}; {chance}).",
                **told,
            )
        else:
            yield tr(
                "{transforms}: leave it out. Without it the model is {points} points better (95 % interval {low} to {high}; "
                "{chance}).",
                **told,
            )
    if tests and too_few:
        yield too_few
    elif unsure:
        yield tr_n(
            "Judged on {n} picture; with more of them, or more seeds, smaller effects would show.",
            "Judged on {n} pictures; with more of them, or more seeds, smaller effects would show.",
            n=pictures,
        )


def title(name: str) -> str:
    """What a strategy is called."""
    return tr(strategy(name).title)


def chance(p: float) -> str:
    """A p in words."""
    return tr("p < 0.001") if p < _LIKELY else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def chance_told() -> str:
    """What a p is, for who reads one."""
    return tr(
        "p: how likely chance alone would part two equally good ways as far as this; below 0.05 a difference counts as shown."
    )


def _points(test: PairedTest) -> str:
    """How far the two are apart; with its sign where the sentence does not say which is better."""
    points = 100 * test.difference.value
    return f"{abs(points):.1f}" if test.is_sure else f"{points:+.1f}"


def _gain(test: PairedTest) -> str:
    points = {
        "strategy": title(test.strategy),
        "points": _points(test),
        "low": f"{100 * test.difference.low:+.1f}",
        "high": f"{100 * test.difference.high:+.1f}",
        "chance": chance(test.corrected),
    }
    if not test.is_sure:
        return tr(
            "{strategy}: no gain that could be shown. It differs from scratch by {points} points (95 % interval {low} to "
            "{high}; {chance}).",
            **points,
        )
    if test.difference.value < 0:
        return tr(
            "{strategy}: it lost. {points} points worse than from scratch (95 % interval {low} to {high}; {chance}).", **points
        )
    return tr("{strategy}: {points} points better than from scratch (95 % interval {low} to {high}; {chance}).", **points)


def _time_needed(match: Match) -> str:
    if match.seconds is None:
        return tr("It never became as good as the best from scratch within the budget.")
    seconds = short_duration(match.seconds)
    told = tr("at most {seconds}", seconds=seconds) if match.at_once else seconds
    if match.reached < match.seeds:
        return tr(
            "It was as good as the best from scratch after {seconds}, but only in {reached} of {seeds} runs.",
            seconds=told,
            reached=match.reached,
            seeds=match.seeds,
        )
    return tr("It was as good as the best from scratch after {seconds} of training.", seconds=told)


def _images_needed(match: Match) -> str:
    if match.images is None:
        return tr("With none of the numbers of pictures that were tried it is as good as from scratch with all.")
    count = round(match.images)
    if match.fewest:
        return tr_n(
            "{n:,} picture of each class is enough for that, and fewer were not tried.",
            "{n:,} pictures of each class are enough for that, and fewer were not tried.",
            n=count,
        )
    return tr_n(
        "About {n:,} picture of each class is enough for that.",
        "About {n:,} pictures of each class are enough for that.",
        n=count,
    )


def _between(tests: Sequence[PairedTest], value: dict[str, float], most: int) -> Iterable[str]:
    """Which of the ways to fine-tune are better than which."""
    among = [test for test in tests if test.images == most and SCRATCH.name not in (test.strategy, test.than)]
    sure = [test for test in among if test.is_sure]
    if among and not sure:
        yield tr("Between the ways to fine-tune no difference could be shown.")
    for test in sure:
        better, worse = (test.strategy, test.than) if test.difference.value > 0 else (test.than, test.strategy)
        yield tr(
            "{better} is better than {worse}: {share} against {other} ({chance}).",
            better=title(better),
            worse=title(worse),
            share=percent(value[better]),
            other=percent(value[worse]),
            chance=chance(test.corrected),
        )
