"""The queue at work: one run after another, whatever becomes of each."""

import shutil
from pathlib import Path

import pytest

from desktop_ft import places
from desktop_ft.api import TrainEvent
from desktop_ft.core.errors import UserError
from desktop_ft.core.events import EpochDone, RunEnded, RunStatus
from desktop_ft.core.recipe import Recipe
from desktop_ft.engine.control import RunControl
from desktop_ft.jobs.queueing import next_run, settle
from desktop_ft.plugin_manager import Plugins
from desktop_ft.runs.queue import Queue
from desktop_ft.runs.run_folder import RunFolder


class Killed(BaseException):
    """The process is gone."""


def silent(event: TrainEvent) -> None:
    """Hears nothing."""


def quiet(what: str, done: int, total: int | None) -> None:
    """Shows nothing."""


def test_one_after_another_and_a_bad_one_does_not_stop_the_rest(recipe: Recipe, plugins: Plugins, tmp_path: Path) -> None:
    queue, gone = Queue(), tmp_path / "gone"
    shutil.copytree(recipe.dataset.folder, gone)
    queue.add(recipe.model_copy(update={"dataset": recipe.dataset.model_copy(update={"folder": str(gone)})}), "gone")
    queue.add(recipe, "good")
    shutil.rmtree(gone)
    bad = next_run(queue, plugins)
    assert bad is not None and bad.name == "gone"
    with pytest.raises(UserError) as error:
        bad.fit(silent, RunControl(), quiet)
    settle(queue, bad.number, RunEnded(status=RunStatus.FAILED, error=str(error.value)))
    good = next_run(queue, plugins)
    assert good is not None and good.name == "good" and good.path.parent == places.runs()
    ended = good.fit(silent, RunControl(), quiet)
    settle(queue, good.number, ended)
    assert ended.status is RunStatus.COMPLETED and RunFolder.open(good.path).recipe == recipe
    assert next_run(queue, plugins) is None
    (left,) = queue.entries()
    assert left.name == "gone" and str(gone) in left.error  # it says why, until it is taken out


def test_a_run_that_broke_off_with_its_process_goes_on(recipe: Recipe, plugins: Plugins) -> None:
    queue = Queue()
    queue.add(recipe.with_optimisation(epochs=2))
    begun = next_run(queue, plugins)
    assert begun is not None

    def die(event: TrainEvent) -> None:
        if isinstance(event, EpochDone):
            raise Killed

    with pytest.raises(Killed):
        begun.fit(die, RunControl(), quiet)
    events = begun.path / "events.jsonl"
    kept = [line for line in events.read_text().splitlines() if '"run_ended"' not in line]
    events.write_text("".join(line + "\n" for line in kept))  # a process that is killed tells no end
    again = next_run(Queue(), plugins)
    assert again is not None and again.path == begun.path
    assert again.fit(silent, RunControl(), quiet).status is RunStatus.COMPLETED
    assert next_run(Queue(), plugins) is None and Queue().entries() == ()  # that it ended is seen, were it not settled


def test_what_cannot_be_read_any_more_is_left_out(recipe: Recipe, plugins: Plugins) -> None:
    queue = Queue()
    queue.add(recipe, "damaged")
    queue.add(recipe, "good")
    file = places.data() / "queue" / "queue.toml"
    file.write_text(file.read_text().replace('preset = "head"', 'preset = "newer"', 1))
    found = next_run(queue, plugins)
    assert found is not None and found.name == "good"
    assert "The recipe of 'damaged' is not valid" in queue.entries()[0].error
    queue.remove(found.number)
    settle(queue, found.number, RunEnded(status=RunStatus.COMPLETED))  # taken out meanwhile: nothing to settle
    assert [each.name for each in queue.entries()] == ["damaged"]
