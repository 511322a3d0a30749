"""What a comparison says of its runs' figures: what was gained, and just as plainly that nothing was."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_ft.core.augmentation import AugmentationSpec
from desktop_ft.core.comparing import ALL, Compared, Comparison, CurvePoint, RunFigures, augmentation_strategies
from desktop_ft.core.events import EpochDone, PrecisionChosen, PrefixReady, RunStarted, StepDone, TrainEvent
from desktop_ft.core.recipe import DatasetChoice, Recipe
from desktop_ft.core.values import from_json, to_json
from desktop_ft.evaluation.comparing import Judged, compared, seconds_to
from desktop_ft.evaluation.comparison_page import page
from desktop_ft.evaluation.paired import holm, sign_flip
from desktop_ft.evaluation.run_times import RunTimes, seconds_an_answer

PICTURES, PER_CLASS = 200, {5: 5, 20: 20, ALL: 100}
JUDGED = Judged(
    device="CPU",
    dataset="<toys>",
    classes=("a", "b"),
    subset="val",
    pictures=tuple(f"val/{n}.png" for n in range(PICTURES)),
    commonest=0.5,
)


def comparison(*names: str, seeds: int = 3, images: Sequence[int] = (5, 20, ALL)) -> Comparison:
    return Comparison(base=Recipe(dataset=DatasetChoice(folder="/toys")), strategies=names, seeds=seeds, images=tuple(images))


def figures(plan: Comparison, accuracy: Callable[[str, int], float], *, seconds: float = 1.0) -> list[RunFigures]:
    """Runs whose wrong answers are drawn by chance, and whose validation accuracy rises to its end in ten even steps."""
    rng, made = np.random.default_rng(1), []
    for run in plan.runs({}):
        share = accuracy(run.strategy, run.images)
        wrong = tuple(sorted(rng.choice(PICTURES, round((1 - share) * PICTURES), replace=False).tolist()))
        curve = tuple(CurvePoint(epoch=n, seconds=(n + 1) * seconds, accuracy=share * (n + 1) / 10) for n in range(10))
        made.append(
            RunFigures(
                run=run.folder,
                strategy=run.strategy,
                images=run.images,
                seed=run.seed,
                training=2 * PER_CLASS[run.images],
                epochs=10,
                accuracy=share,
                wrong=wrong,
                seconds=curve[-1].seconds,
                preparation=0.0,
                reused=0.0,
                curve=curve,
            )
        )
    return made


def told(plan: Comparison, runs: Sequence[RunFigures]) -> Compared:
    return compared(plan, JUDGED, runs, (), planned=len(plan.runs({})))


def test_where_nothing_is_gained_that_is_what_is_said() -> None:
    plan = comparison("scratch", "head", "all")
    found = told(plan, figures(plan, lambda name, images: 0.7))
    assert found.verdict[0] == "Nothing was gained by fine-tuning that could be shown with all pictures."
    assert not any("points better" in said for said in found.verdict)
    assert sum("no gain that could be shown" in said for said in found.verdict) == 2
    assert not any(test.is_sure for test in found.tests)
    assert "Nothing was gained" in page(found, {})


@pytest.mark.parametrize("names", [("scratch", "head"), ("scratch", "head", "last:2", "all"), ("as-it-is", "without:x")])
def test_that_nothing_can_be_shown_is_said_exactly_where_not_even_all_against_none_could_be(names: Sequence[str]) -> None:
    base = Recipe(dataset=DatasetChoice(folder="/toys"), augmentation=(AugmentationSpec(transform="x"),))
    plan = Comparison(base=base, strategies=tuple(names), images=(5, ALL))
    could = []
    for pictures in range(1, 20):
        right = np.ones((3, pictures), np.bool_)
        best = holm([sign_flip(right, ~right)] * len(plan.pairs))[0] < 0.05
        could.append(best)
        assert (plan.cannot_show(pictures) == "") is best
    assert set(could) == {True, False}


def test_on_too_few_pictures_the_verdict_says_that_they_could_show_nothing() -> None:
    plan = comparison("scratch", "head", images=(ALL,))
    runs = [dataclasses.replace(run, wrong=()) for run in figures(plan, lambda name, images: 1.0)]
    for number, told in ((2, True), (40, False)):
        judged = dataclasses.replace(JUDGED, pictures=JUDGED.pictures[:number])
        found = compared(plan, judged, runs, (), planned=6)
        assert any("no difference can be shown" in said for said in found.verdict) is told


def test_where_it_is_worse_it_says_that_it_lost() -> None:
    plan = comparison("scratch", "head")
    found = told(plan, figures(plan, lambda name, images: 0.9 if name == "scratch" else 0.5))
    assert found.verdict[0].startswith("Nothing was gained")
    assert any(said.startswith("head only: it lost. 40.0 points worse") for said in found.verdict)
    (match,) = found.matches
    assert (match.seconds, match.reached, match.images) == (None, 0, None)
    assert any("never became as good as the best from scratch within the budget" in said for said in found.verdict)
    assert "never within the budget" in page(found, {})


def test_what_took_longer_than_the_budget_is_told_beside_the_verdict() -> None:
    plan = comparison("scratch", "head").model_copy(update={"seconds": 5.0})
    found = told(plan, figures(plan, lambda name, images: 0.9 if name == "head" else 0.5))  # 10 s each
    assert found.verdict[0].startswith("Fine-tuning gained something")
    assert "no fair comparison: from scratch" in found.verdict[1] and found.verdict[1] in page(found, {})
    assert "no fair comparison" not in " ".join(told(plan, figures(plan, lambda name, images: 0.5, seconds=0.5)).verdict)


def test_that_only_scratch_has_come_to_its_end_is_told() -> None:
    plan = comparison("scratch", "head")
    (only, *_) = told(plan, [run for run in figures(plan, lambda name, images: 0.5) if run.strategy == "scratch"]).verdict
    assert only.startswith("Nothing that training from scratch is compared with has come to its end")


def test_a_gain_is_told_with_its_size_and_what_it_takes_to_match_scratch() -> None:
    plan = comparison("scratch", "head", "all")
    shares = {"scratch": 0.6, "head": 0.9, "all": 0.91}
    found = told(plan, figures(plan, lambda name, images: shares[name] if images == ALL else shares[name] - 0.25))
    assert found.verdict[0].startswith("Fine-tuning gained something: with all pictures, the best of it (all) is right on 91.0")
    gains = {test.strategy: test for test in found.tests if test.than == "scratch" and test.images == ALL}
    assert set(gains) == {"head", "all"} and all(test.is_sure for test in gains.values())
    assert gains["head"].difference.value == pytest.approx(0.3) and gains["head"].difference.low > 0.15
    assert found.to_match is not None and found.to_match.accuracy == pytest.approx(0.6)
    head = next(match for match in found.matches if match.strategy == "head")
    assert head.seconds == pytest.approx(6.67, abs=0.01) and head.reached == 3  # 0.6 of a line that rises to 0.9 in 10 s
    assert head.images is not None and head.fewest  # 0.65 with five pictures already
    assert any("Between the ways to fine-tune no difference could be shown" in said for said in found.verdict)


def test_how_many_pictures_it_takes_is_read_between_those_tried() -> None:
    plan = comparison("scratch", "head")
    shares = {("head", 5): 0.4, ("head", 20): 0.8, ("head", ALL): 0.9}
    found = told(plan, figures(plan, lambda name, images: shares.get((name, images), 0.6)))
    (match,) = found.matches
    assert match.images == pytest.approx(10.0) and not match.fewest  # half way, on a scale of logarithms
    assert any("About 10 pictures of each class are enough" in said for said in found.verdict)


def test_where_scratch_only_names_the_commonest_class_it_is_said_that_to_match_it_is_no_feat() -> None:
    plan = comparison("scratch", "head")
    for scratch, blind in ((0.5, True), (0.8, False)):
        found = told(plan, figures(plan, lambda name, images, scratch=scratch: 0.95 if name == "head" else scratch))
        assert any("To match that is no feat" in said for said in found.verdict) is blind


def test_without_scratch_nothing_is_claimed_about_it() -> None:
    plan = comparison("head", "all", images=(ALL,))
    found = told(plan, figures(plan, lambda name, images: 0.9 if name == "head" else 0.5))
    assert "cannot be said" in found.verdict[0] and found.to_match is None
    assert [(test.strategy, test.than) for test in found.tests] == [("all", "head")]
    page(found, {})


def test_what_is_complete_so_far_is_told_as_such() -> None:
    plan = comparison("scratch", "head")
    runs = figures(plan, lambda name, images: 0.9 if name == "head" else 0.5)
    for count in range(1, len(runs) + 1):
        found = told(plan, runs[:count])
        assert ("runs are complete; what follows" in page(found, {})) is (count < len(runs))
        assert from_json(Compared, to_json(found), "it") == found


def test_what_is_shown_of_some_runs_is_not_taken_back_when_the_others_end() -> None:
    """Seven pictures, all of which one way knows and another none of: sure alone, and not among the four that are planned."""
    transforms = ("rotation", "colour", "horizontal_flip")
    base = Recipe(
        dataset=DatasetChoice(folder="/toys"), augmentation=tuple(AugmentationSpec(transform=name) for name in transforms)
    )
    plan = Comparison(base=base, strategies=augmentation_strategies(base), seeds=1, images=(ALL,))
    judged = dataclasses.replace(JUDGED, pictures=JUDGED.pictures[:7])
    share = {"as-it-is": (), "without:rotation": tuple(range(7))}
    runs = [dataclasses.replace(run, wrong=share[run.strategy]) for run in figures(plan, lambda *_: 1.0) if run.strategy in share]
    (test,) = compared(plan, judged, runs, (), planned=len(plan.runs({}))).tests
    assert test.p == pytest.approx(2**-6) and test.corrected == pytest.approx(len(plan.pairs) * 2**-6) and not test.is_sure


def test_the_page_loads_nothing_and_shows_names_literally() -> None:
    plan = comparison("scratch", "head", "last:2", "all", "discriminative", "last:7", "last:8")
    allotted = {(name, images): (3, 1.5) for name in plan.strategies for images in plan.images}
    html = page(told(plan, figures(plan, lambda name, images: 0.8)), allotted)
    assert "&lt;toys&gt;" in html and "<toys>" not in html
    assert "default-src 'none'" in html and "http" not in html.replace("http-equiv", "") and "<script" not in html


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0, 1))
def test_the_time_to_an_accuracy_lies_where_the_curve_passes_it(values: list[float], wanted: float) -> None:
    curve = [CurvePoint(epoch=n, seconds=n + 1.0, accuracy=value) for n, value in enumerate(values)]
    took = seconds_to(curve, wanted)
    assert (took is None) is (max(values) < wanted)
    if took is not None:
        passed = next(n for n, value in enumerate(values) if value >= wanted)
        assert passed <= took <= passed + 1 or (passed == 0 and took == 1.0)


def started(epoch: int = 0, step: int = 0) -> RunStarted:
    facts = {"device": "CPU", "precision": "fp32", "learning_share": 1.0, "time": 0.0}
    return RunStarted(epochs=2, steps_per_epoch=2, first_epoch=epoch, first_step=step, **facts)  # type: ignore[arg-type]


def ready(kept: int, reused: int, seconds: float) -> PrefixReady:
    return PrefixReady(after="x", kept=kept, reused=reused, bytes=1, precision="fp32", seconds=seconds)


def step(epoch: int, number: int, seconds: float) -> StepDone:
    return StepDone(epoch=epoch, step=number, loss=1.0, lr=0.1, seconds=seconds)


def epoch(number: int, seconds: float) -> EpochDone:
    told = {"train_loss": 1.0, "train_accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.5, "best": True}
    return EpochDone(epoch=number, seconds=seconds, **told)  # type: ignore[arg-type]


def whole(kept: int, reused: int, passing: float) -> list[TrainEvent]:
    """Two epochs of two steps of a second each; a validation takes half a second."""
    p = passing
    steps = [step(0, 0, p + 1), step(0, 1, p + 2), epoch(0, p + 2.5), step(1, 0, p + 3.5), step(1, 1, p + 4.5), epoch(1, p + 5)]
    return [started(), ready(kept, reused, p), *steps]


def test_a_run_that_finds_the_answers_of_another_is_charged_for_making_them() -> None:
    first, second = RunTimes.of(whole(100, 0, 10.0)), RunTimes.of(whole(40, 40, 0.3))
    answer = seconds_an_answer([first, second])
    assert answer == pytest.approx(0.1)
    assert [point.seconds for point in first.curve(answer)] == pytest.approx([12.5, 15.0])
    assert [point.seconds for point in second.curve(answer)] == pytest.approx([6.5, 9.0])


def test_a_run_that_was_broken_off_and_went_on_took_as_long_as_one_that_was_not() -> None:
    broken = whole(100, 0, 10.0)[:6]  # its second epoch's first step is lost: saved was the end of the first
    chosen = PrecisionChosen(precision="fp32", milliseconds=(), remembered=False, seconds=2.0)
    again = [started(1), ready(100, 100, 0.5), chosen, step(1, 0, 3.5), step(1, 1, 4.5), epoch(1, 5.0)]
    once, twice = RunTimes.of(whole(100, 0, 10.0)), RunTimes.of([*broken, *again])
    assert twice == once


def test_a_network_without_frozen_layers_is_charged_for_none() -> None:
    run = RunTimes.of([started(), step(0, 0, 1.0), epoch(0, 1.5)])
    assert (seconds_an_answer([run]), run.curve(0.0)[0].seconds) == (0.0, 1.5)
