"""What probes say against labels and classes, and of more pictures; on clouds of points whose truth is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desktop_ft.core.dataset import Sample
from desktop_ft.evaluation.layout import laid_out
from desktop_ft.evaluation.learning_curve import followed_to, learning_curve
from desktop_ft.evaluation.out_of_fold import learned, out_of_fold, reduced
from desktop_ft.evaluation.suspicions import confused_classes, outliers, suspect_labels


def clouds(count: int, classes: int, *, apart: float = 6.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """So many points of each class around a middle of its own: (N, 8) and the labels (N,)."""
    chance = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), count)
    return np.eye(8)[labels] * apart + chance.normal(size=(len(labels), 8)), labels


def samples_of(labels: np.ndarray) -> list[Sample]:
    return [
        Sample(path=str(number), label=int(label), subset=None, sha256="", width=9, height=9, bytes=1, mtime_ns=0)
        for number, label in enumerate(labels)
    ]


def asked(rows: np.ndarray, labels: np.ndarray, classes: int, groups: list[list[int]] | None = None) -> np.ndarray:
    return out_of_fold(rows, labels, classes, groups or [], 0, lambda: None)


def test_wrong_labels_come_first() -> None:
    rows, labels = clouds(40, 4)
    wrong = np.random.default_rng(1).choice(len(labels), 12, replace=False)
    labels[wrong] = (labels[wrong] + 1) % 4
    probabilities = asked(rows, labels, 4)
    assert np.allclose(probabilities.sum(axis=1), 1)
    found = suspect_labels(samples_of(labels), probabilities)
    assert {int(each.sample.path) for each in found[:12]} == set(wrong.tolist())
    assert all(each.likely == (each.sample.label - 1) % 4 and each.found > each.given for each in found[:12])
    for clear in (True, False):
        margins = [each.found - each.given for each in found if each.clear is clear]
        assert margins == sorted(margins, reverse=True)


@pytest.mark.parametrize("planted", [0, 12, 32])
def test_what_is_told_as_clear_is_as_a_rule_what_was_planted(planted: int) -> None:
    rows, labels = clouds(60, 4, apart=2.5)
    wrong = np.random.default_rng(2).choice(len(labels), planted, replace=False)
    labels[wrong] = (labels[wrong] + 1) % 4
    found = suspect_labels(samples_of(labels), asked(rows, labels, 4))
    clear = [int(each.sample.path) for each in found if each.clear]
    assert [each.clear for each in found] == sorted((each.clear for each in found), reverse=True), "the clear ones come first"
    assert len(found) > 1.6 * planted, "probes take many others for another class, too"
    assert len(clear) <= planted + 4
    assert len(set(clear) & set(wrong.tolist())) >= 0.65 * planted


def test_a_twin_does_not_vouch_for_a_wrong_label() -> None:
    """Two pictures that are one and both labelled wrongly: asked of each other they would be right."""
    labels = np.array([0] * 10 + [1] * 10)
    rows = np.vstack([np.random.default_rng(0).normal(size=(20, 30))])
    rows[1], labels[:2] = rows[0] + 1e-3, 1
    groups = [[0, 1]]
    assert asked(rows, labels, 2, groups)[0, 1] < 0.9


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 5), st.integers(0, 99))
def test_whatever_there_is_of_classes_every_row_is_a_probability(count: int, classes: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    rows, labels = chance.normal(size=(count, 6)), chance.integers(classes, size=count)
    probabilities = asked(rows, labels, classes)
    assert np.isfinite(probabilities).all() and np.allclose(probabilities.sum(axis=1), 1)


def test_the_strength_is_chosen_by_what_is_left_out() -> None:
    rows, labels = clouds(30, 3)
    noisy = np.hstack([rows, np.random.default_rng(0).normal(size=(len(rows), 60))])
    held = np.arange(len(rows)) % 3 == 0
    assert learned(noisy[~held], labels[~held], 3).accuracy(noisy[held], labels[held]) > 0.9


def test_principal_components_keep_all_distances_where_there_is_room() -> None:
    rows = np.random.default_rng(0).normal(size=(50, 12)).astype(np.float32)
    less = reduced(rows)
    assert less.shape == (50, 12)
    far = np.linalg.norm(rows[:, None] - rows, axis=2)
    assert np.allclose(np.linalg.norm(less[:, None] - less, axis=2), far, atol=1e-3)
    assert (np.diff(less.var(axis=0)) <= 1e-6).all()


def test_what_lies_far_from_all_is_told() -> None:
    cosines = np.clip(np.random.default_rng(0).normal(0.8, 0.02, size=(200, 5)), -1, 1)
    cosines[7] = 0.1
    found = outliers(samples_of(np.zeros(200, int)), cosines)
    assert found[0].sample.path == "7" and found[0].distance == pytest.approx(4.5, rel=0.1)
    assert outliers(samples_of(np.zeros(3, int)), np.ones((3, 2))) == ()


def test_classes_that_are_one_are_told_and_others_are_not() -> None:
    rows, labels = clouds(60, 3)
    labels[labels == 2] = np.random.default_rng(0).permutation([1, 2] * 30)
    rows = np.vstack([rows, clouds(30, 3, seed=5)[0][60:]])
    labels = np.append(labels, [2, 1] * 15)
    found = confused_classes(samples_of(labels), asked(rows, labels, 3))
    assert [(each.one, each.other) for each in found] == [(1, 2)] or not found
    chance = np.random.default_rng(3)
    rows, labels = clouds(60, 3)
    same = labels >= 1
    rows[same] = np.eye(8)[1] * 6 + chance.normal(size=(same.sum(), 8))
    (pair,) = confused_classes(samples_of(labels), asked(rows, labels, 3))
    assert (pair.one, pair.other) == (1, 2) and pair.apart.low <= 0.5 and "cannot be told apart" in pair.words(("a", "b", "c"))


@given(st.floats(0, 0.3), st.floats(0.01, 0.6), st.floats(0.15, 1.4))
def test_a_power_law_is_followed_to_where_it_leads(floor: float, height: float, bend: float) -> None:
    sizes = [20, 40, 80, 160, 320]
    errors = floor + height * (np.array(sizes) / 20) ** -bend
    expected = floor + height * (np.array([640, 1280]) / 20) ** -bend
    assert np.allclose(followed_to(sizes, errors, [640, 1280]), expected, atol=0.01)


def test_more_pictures_help_while_the_curve_still_rises() -> None:
    rows, labels = clouds(60, 5, apart=2.0)
    curve = learning_curve(rows, labels, 5, [], 0, lambda: None)
    assert curve.measured[-1].accuracy.value > curve.measured[0].accuracy.value
    assert [point.pictures for point in curve.coming] == [480, 960]
    for point in (*curve.measured, *curve.coming):
        assert 0 <= point.accuracy.low <= point.accuracy.value <= point.accuracy.high <= 1
    assert "480" in curve.words


def test_of_too_few_pictures_nothing_is_followed() -> None:
    rows, labels = clouds(4, 2)
    curve = learning_curve(rows, labels, 2, [], 0, lambda: None)
    assert curve.coming == () and "too few" in curve.words


@pytest.mark.parametrize("count", [1, 3, 5, 60])
def test_the_map_has_a_place_for_every_picture(count: int) -> None:
    rows = np.random.default_rng(0).normal(size=(count, 6))
    places = laid_out(rows, 0)
    assert places.shape == (count, 2) and np.isfinite(places).all()
