"""What follows from how well the classes are told by depth."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_ft.core.advice import (
    Advice,
    Against,
    BackboneScore,
    Evidence,
    PlanOption,
    ProbeScore,
    Ranking,
    best_of,
    where_to_cut,
    worth_trying,
)
from desktop_ft.core.freezing import preset_of_depth
from desktop_ft.core.metrics import Interval
from desktop_ft.core.offers import Speed


def score(depth: int, accuracy: float) -> ProbeScore:
    return ProbeScore(depth=depth, accuracy=Interval(value=accuracy, low=accuracy, high=accuracy))


def curve(*accuracies: float, pictures: int = 1000) -> list[ProbeScore]:
    """Where the best depth tells what the others tell, and more."""
    scores = [score(depth, accuracy) for depth, accuracy in enumerate(accuracies, start=1)]
    best = best_of(scores).accuracy.value
    lost = [round(pictures * (best - each.accuracy.value)) for each in scores]
    return [replace(each, against=Against(lost=count)) for each, count in zip(scores, lost, strict=True)]


def option(preset: str, depth: int, accuracy: float) -> PlanOption:
    evidence = Evidence(right=round(1000 * accuracy), judged=1000, epochs=6)
    return PlanOption(preset=preset, depth=depth, evidence=evidence, seconds=65, memory=2_000_000)


def advice(accuracies: tuple[float, ...], pictures: int, tried: tuple[float, ...] = ()) -> Advice:
    """What is advised of such a curve; where several plans are tried, they reach what `tried` says."""
    scores, blocks = curve(*accuracies, pictures=pictures), len(accuracies)
    depths = worth_trying(scores, blocks, pictures)
    reached = tried if len(depths) > 1 else accuracies[-1:]
    options = tuple(option(preset_of_depth(depth, blocks), depth, share) for depth, share in zip(depths, reached, strict=True))
    return Advice(
        backbone="any",
        blocks=blocks,
        pictures=pictures,
        different=pictures,
        training=pictures,
        scores=tuple(scores),
        options=options,
        recommended=max(options, key=lambda each: each.evidence.share).preset,
    )


@pytest.mark.parametrize(("tried", "better"), [((0.9, 0.8), "head"), ((0.8, 0.9), "last:1"), ((0.9, 0.9), "head")])
def test_where_the_curve_rises_to_its_end_the_head_is_tried_against_the_last_block(tried: tuple[float, ...], better: str) -> None:
    told = advice((0.5, 0.7, 0.8, 0.9), 1000, tried)
    assert [each.preset for each in told.options] == ["head", "last:1"] and told.recommended == better
    assert told.reason.startswith("Nothing tells the classes better than all the blocks together do (90.0 %).")
    assert f"head {100 * tried[0]:.1f} % of 1,000, last:1 {100 * tried[1]:.1f} % of 1,000" in told.reason
    share = f"{100 * max(tried):.1f} % of 1,000 in a try of 6 epochs on four fifths of the pictures"
    assert told.words.startswith(f"Recommended: {better}: {share}; the whole training takes 1 min 05 s, with 2.0 MB of memory")


@pytest.mark.parametrize(("tried", "better"), [((0.8, 0.85, 0.9), "last:2"), ((0.9, 0.8, 0.8), "head")])
def test_what_falls_before_the_end_is_tried_too_and_the_best_plan_recommended(tried: tuple[float, ...], better: str) -> None:
    told = advice((0.5, 0.95, 0.9, 0.7), 1000, tried)
    assert [each.preset for each in told.options] == ["head", "last:1", "last:2"] and told.recommended == better
    assert "After block 2 95.0 % can be told, after the last one 70.0 %" in told.reason


def test_what_speaks_for_a_plan_says_of_how_many_pictures_and_how_it_was_found() -> None:
    assert Evidence(right=36, judged=40, epochs=1).words == "90.0 % of 40 in a try of 1 epoch on four fifths of the pictures"
    assert Evidence(right=9, judged=12).words == "75.0 % of 12 by a probe, with nothing trained"
    assert Evidence(right=0, judged=0).share == 0


def test_few_pictures_try_nothing_and_keep_to_the_head() -> None:
    assert len(advice((0.5, 0.95, 0.7), 100, (0.9, 0.95)).options) == 2
    told = advice((0.5, 0.95, 0.7), 99)
    assert told.recommended == "head" and "99 different pictures are too few to try plans on" in told.reason


def test_a_network_of_one_block_is_tried_whole() -> None:
    assert worth_trying(curve(0.9), 1, 1000) == (1, 0)


shares = st.floats(0, 1, allow_nan=False)


@given(st.lists(shares, min_size=1, max_size=30), st.integers(1, 5000))
def test_nothing_behind_the_cut_is_near_the_best(accuracies: list[float], pictures: int) -> None:
    scores = curve(*accuracies, pictures=pictures)
    depth = where_to_cut(scores)
    assert scores[depth - 1].against.is_near and not any(each.against.is_near for each in scores[depth:])


@pytest.mark.parametrize(
    ("won", "lost", "near"),
    [(0, 0, True), (0, 1, True), (0, 2, True), (0, 8, False), (100, 108, True), (100, 130, False)],
)
def test_how_near_the_best_is_goes_by_the_pictures_on_which_they_differ(won: int, lost: int, near: bool) -> None:
    assert Against(won=won, lost=lost).is_near is near


def test_one_picture_of_a_dozen_moves_no_cut_even_where_the_best_is_always_right() -> None:
    assert where_to_cut(curve(0.5, 0.5, 1.0, *[11 / 12] * 13, pictures=12)) == 16


def ranking(*told: tuple[str, float, float], pictures: int = 100) -> Ranking:
    most = max(share for _, share, _ in told)
    return Ranking(
        scores=tuple(
            BackboneScore(
                name=name,
                accuracy=Interval(value=share, low=share, high=share),
                logme=0.0,
                side=224,
                speed=Speed(pictures_per_second=speed, device="CPU"),
                against=Against(lost=round(pictures * (most - share))),
            )
            for name, share, speed in told
        ),
        pictures=pictures,
    )


@pytest.mark.parametrize(("second", "chosen"), [(0.91, "quick"), (0.8, "best")])
def test_the_fastest_network_that_is_not_clearly_worse_is_recommended(second: float, chosen: str) -> None:
    told = ranking(("best", 0.92, 10), ("quick", second, 90), ("slow", 0.5, 1))
    assert told.recommended.name == chosen and told.words.startswith(chosen)
