"""What is said before a run, and what refuses it."""

import numpy as np
import pytest

from desktop_ft.core.dataset import DatasetManifest, Problem, Severity, Subset
from desktop_ft.core.errors import UserError
from desktop_ft.data.health import check_trainable, class_weights, rare
from tests.data.test_splits import manifest, sample


def divided(train: list[int], val: list[int], problems: tuple[Problem, ...] = ()) -> DatasetManifest:
    numbers = iter(range(10_000))
    samples = [
        sample(next(numbers), label, subset)
        for subset, counts in ((Subset.TRAIN, train), (Subset.VAL, val))
        for label, count in enumerate(counts)
        for _ in range(count)
    ]
    made = manifest(samples, classes=len(train))
    return DatasetManifest(
        root=made.root, source=made.source, layout=made.layout, classes=made.classes, samples=made.samples, problems=problems
    )


@pytest.mark.parametrize(
    "train, val, words",
    [
        ([5], [5], "only one class"),
        ([], [], "no class left"),
        ([0, 0], [1, 1], "no training pictures"),
        ([3, 0], [1, 1], "The class 1 has no training picture"),
        ([3, 3], [0, 0], "no validation pictures"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(train: list[int], val: list[int], words: str) -> None:
    with pytest.raises(UserError, match=words):
        check_trainable(divided(train, val), 8)


def test_a_sound_dataset_needs_no_words() -> None:
    assert check_trainable(divided([20, 30], [5, 5]), 8) == ()


def test_warnings_say_what_is_skewed_small_unseen_and_left_out() -> None:
    problem = Problem(path="a/x", class_name="a", kind="empty", severity=Severity.LEFT_OUT, reason="Is empty.", cure="Remove it.")
    folder = Problem(path="b", class_name="b", kind="empty-class", severity=Severity.LEFT_OUT, reason="Empty.", cure="Fill it.")
    said = " ".join(check_trainable(divided([100, 4], [5, 0], (problem, folder)), 1))
    for words in (
        "25 times",
        "Fewer than 10 training pictures in 1",
        "No validation picture in 1",
        "cannot be used: 2",
        "the class b",
        "batch size of 1",
    ):
        assert words in said


@pytest.mark.parametrize(("number", "told"), [(1, "1 picture is"), (2, "2 pictures are")])
@pytest.mark.parametrize("kind", ["duplicate-across-subsets", "contradicting-label"])
def test_one_picture_is_and_two_are(kind: str, number: int, told: str) -> None:
    problem = Problem(path="a/x", class_name="a", kind=kind, severity=Severity.NOTE, reason="Is twice.", cure="Remove one.")
    (said,) = check_trainable(divided([20, 20], [5, 5], (problem,) * number), 8)
    assert said.startswith(f"{told} in ")


def test_class_weights_are_inverse_and_one_on_average_over_the_pictures() -> None:
    skewed = divided([30, 10, 0], [1, 1, 1])
    weights = class_weights(skewed)
    assert weights.dtype == np.float32
    assert np.isclose(weights[1] / weights[0], 3)
    assert np.isclose((30 * weights[0] + 10 * weights[1]) / 40, 1)
    assert weights[2] == 0


def test_classes_are_marked_where_the_warning_speaks_of_them() -> None:
    """One rule: five times fewer training pictures than the largest class has."""
    assert rare(divided([49, 10, 0], [1, 1, 1])) == {}
    skewed = divided([50, 10, 4, 0], [1, 1, 1, 1])
    assert rare(skewed) == {"1": 5.0, "2": 12.5}
