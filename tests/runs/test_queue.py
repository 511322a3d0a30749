"""The queue: a plain file that several processes change."""

import tomllib
from concurrent.futures import ThreadPoolExecutor

import pytest

from desktop_ft import places
from desktop_ft.core.augmentation import AugmentationSpec
from desktop_ft.core.errors import UserError
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.recipe import DatasetChoice, Recipe
from desktop_ft.runs.queue import Queue, told_apart

RECIPE = Recipe(dataset=DatasetChoice(folder="/photos/ants"), freeze=FreezePlan(preset="last:2", overrides={"blocks.0": 0.5}))


def names(queue: Queue) -> list[str]:
    return [waiting.name for waiting in queue.entries()]


def test_what_waits_is_kept_in_order_for_other_processes_and_later_starts() -> None:
    queue = Queue()
    assert queue.entries() == () and queue.next is None
    first, second = queue.add(RECIPE), queue.add(RECIPE.model_copy(update={"seed": 7}), "another seed")
    assert first.name == "ants efficientnet_lite0 last:2 + 1 own, 10 epochs"
    again = Queue()
    assert again.entries() == (first, second)
    assert again.entries()[0].recipe == RECIPE and again.entries()[1].recipe.seed == 7
    assert again.next == first
    held = tomllib.loads((places.data() / "queue" / "queue.toml").read_text())
    assert held["waiting"][1]["recipe"]["seed"] == 7  # a person can read and mend it


def test_it_can_be_put_in_another_order_and_thinned_out() -> None:
    queue = Queue()
    one, two, three = (queue.add(RECIPE, name).number for name in "abc")
    queue.move(three, -2)
    assert names(queue) == ["c", "a", "b"]
    queue.move(three, 99)
    queue.move(two, -99)
    assert names(queue) == ["b", "a", "c"]
    queue.remove(one)
    assert names(queue) == ["b", "c"]
    with pytest.raises(UserError, match="the number 1"):
        queue.remove(one)
    queue.remove(three)
    assert queue.add(RECIPE, "d").number not in (one, two, three)  # a number is never given twice
    queue.mark(two, run="/runs/b")
    with queue.worked():
        assert queue.clear() == 1 and names(queue) == ["b"]  # what is being trained stays
    assert queue.clear() == 1 and names(queue) == []  # what was broken off, and nobody trains, does not


def test_nothing_comes_before_what_has_begun() -> None:
    queue = Queue()
    bad, one, two, three = (queue.add(RECIPE, name).number for name in "!abc")
    queue.mark(bad, error="The folder is gone.")
    queue.mark(one, run="/runs/a")
    with pytest.raises(UserError, match="'a' has begun"):
        queue.move(one, 1)
    queue.move(three, -99)
    assert names(queue) == ["!", "a", "c", "b"]
    queue.move(two, -1)
    queue.move(bad, 2)
    assert names(queue) == ["a", "b", "!", "c"]


def test_those_of_one_name_are_told_apart_by_what_differs() -> None:
    queue, flip = Queue(), AugmentationSpec(transform="horizontal_flip")
    one = queue.add(RECIPE)
    two = queue.add(RECIPE.model_copy(update={"seed": 7, "augmentation": (flip,)}))
    three = queue.add(RECIPE.model_copy(update={"seed": 8}), "another")
    found = told_apart(queue.entries())
    assert found[one.number]["seed"] == 0 and found[one.number]["augmentation.1"] == ""
    assert found[two.number]["seed"] == 7 and found[two.number]["augmentation.1"] == "horizontal_flip"
    assert not found[three.number]


def test_what_failed_is_left_out_and_what_was_broken_off_comes_first() -> None:
    queue = Queue()
    one, two, three = (queue.add(RECIPE, name).number for name in "abc")
    queue.mark(one, error="The folder is gone.")
    queue.mark(three, run="/runs/c")
    assert queue.next is not None and queue.next.number == three
    queue.remove(three)
    assert queue.next is not None and queue.next.number == two
    queue.remove(two)
    assert queue.next is None and queue.entries()[0].error == "The folder is gone."


def test_nothing_is_lost_where_many_add_at_once() -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: Queue().add(RECIPE, str(name)), range(12)))
    entries = Queue().entries()
    assert sorted(int(each.name) for each in entries) == list(range(12))
    assert len({each.number for each in entries}) == 12


def test_one_process_works_at_it() -> None:
    queue = Queue()
    assert not queue.is_worked
    with queue.worked():
        assert queue.is_worked
        with pytest.raises(UserError, match="The queue is being worked at by process"), Queue().worked():
            pass
        queue.add(RECIPE)  # changing it is another matter
    assert not queue.is_worked


@pytest.mark.parametrize("text", ["waiting = [", "waiting = 7\nlast = 1", "last = 1\n[[waiting]]\nnumber = 1\n", "\udcff"])
def test_a_damaged_file_is_told(text: str) -> None:
    queue = Queue()
    queue.add(RECIPE)
    (places.data() / "queue" / "queue.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UserError, match="is damaged"):
        queue.entries()


def test_a_number_that_a_hand_wrote_as_a_text_is_told() -> None:
    queue = Queue()
    queue.add(RECIPE)
    file = places.data() / "queue" / "queue.toml"
    file.write_text(file.read_text().replace("number = 1", 'number = "2"'))
    for do in (queue.entries, queue.clear, lambda: queue.add(RECIPE)):
        with pytest.raises(UserError, match="is damaged: `number` and `broken_off` must be whole numbers"):
            do()


def test_a_recipe_that_is_not_valid_any_more_is_told_when_it_is_looked_at() -> None:
    queue = Queue()
    queue.add(RECIPE, "old")
    file = places.data() / "queue" / "queue.toml"
    file.write_text(file.read_text().replace('preset = "last:2"', 'preset = "newer"'))
    (waiting,) = queue.entries()
    with pytest.raises(UserError, match="The recipe of 'old' is not valid"):
        _ = waiting.recipe
