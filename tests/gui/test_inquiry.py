"""What is found out of a recipe: told of no other, known again after an edit that was undone, and out of the way of a run."""

import threading
from collections.abc import Iterator

import pytest
from pytestqt.qtbot import QtBot

from desktop_ft.core.dataset import DatasetManifest, Layout
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.recipe import DeviceChoice, Recipe
from desktop_ft.gui.inquiry import Inquiry, Told
from desktop_ft.gui.state import ProjectState
from desktop_ft.gui.training_job import Training
from desktop_ft.gui.worker import Worker


class Desk:
    """An inquiry whose answer is the seed, and how often it was found out; it waits while `free` is not set."""

    def __init__(self, *, lasting: bool) -> None:
        self.lasting = lasting
        self.state = ProjectState()
        self.worker, self.training = Worker(self.state), Training(self.state)
        self.free = threading.Event()
        self.free.set()
        self.times = 0
        self.inquiry: Inquiry[Recipe, tuple[int, int]] = Inquiry(
            self.state,
            self.worker,
            self.training,
            lambda: self.state.recipe,
            self._answer,
            lambda recipe: recipe.model_copy(update={"device": DeviceChoice.CPU}),
            lambda: True,
            lasting=lasting,
        )

    def edit(self, **changed: object) -> None:
        self.state.edit("an edit", self.state.recipe.model_copy(update=changed))

    def _answer(self, recipe: Recipe, manifest: DatasetManifest | None, told: Told, cancel: threading.Event) -> tuple[int, int]:
        told("Asking", 0, 1)
        self.free.wait()
        if cancel.is_set():
            raise Cancelled
        if recipe.seed == 13:
            raise UserError("Thirteen has no answer.", "Take another seed.")
        self.times += 1
        return recipe.seed, self.times


@pytest.fixture(params=[True, False], ids=["lasting", "of the moment"])
def desk(request: pytest.FixtureRequest, qtbot: QtBot) -> Iterator[Desk]:
    made = Desk(lasting=request.param)
    yield made
    made.free.set()
    made.worker.shut_down()
    made.state.deleteLater()


def ask(desk: Desk, qtbot: QtBot) -> None:
    desk.inquiry.ask()
    qtbot.waitUntil(lambda: desk.inquiry.can_ask)


def test_an_answer_is_of_its_recipe_alone_and_comes_back_with_it(desk: Desk, qtbot: QtBot) -> None:
    inquiry = desk.inquiry
    ask(desk, qtbot)
    assert inquiry.told == (0, 1)
    desk.edit(device=DeviceChoice.CUDA)
    assert inquiry.told == (0, 1), "what does not matter to it"
    desk.edit(seed=5)
    assert inquiry.told is None
    desk.state.undo_stack.undo()
    assert inquiry.told == (0, 1)
    desk.state.set_manifest(
        DatasetManifest(root="/a", source="/a", layout=Layout.CLASS_FOLDERS, classes=(), samples=(), problems=())
    )
    assert inquiry.told is None, "of other pictures"


def test_an_edit_while_it_is_found_out_gives_it_up(desk: Desk, qtbot: QtBot) -> None:
    inquiry = desk.inquiry
    desk.free.clear()
    inquiry.ask()
    assert inquiry.running and not inquiry.can_ask
    desk.edit(device=DeviceChoice.CUDA)
    assert inquiry.running
    desk.edit(seed=5)
    assert not inquiry.running
    desk.free.set()
    qtbot.waitUntil(lambda: inquiry.can_ask)
    assert inquiry.told is None and not inquiry.fault


def test_a_fault_is_told_until_it_is_asked_anew_or_of_another_recipe(desk: Desk, qtbot: QtBot) -> None:
    inquiry = desk.inquiry
    desk.edit(seed=13)
    ask(desk, qtbot)
    assert inquiry.told is None and inquiry.fault == "Thirteen has no answer. Take another seed."
    desk.edit(seed=5)
    assert not inquiry.fault


def test_a_run_stops_the_asking_and_withdraws_what_is_of_the_moment(desk: Desk, qtbot: QtBot) -> None:
    inquiry = desk.inquiry
    ask(desk, qtbot)
    desk.free.clear()
    inquiry.ask()
    assert inquiry.told == ((0, 1) if desk.lasting else None), "while it is asked for anew"
    desk.training.started.emit()
    assert not inquiry.running
    desk.free.set()
    qtbot.waitUntil(lambda: inquiry.can_ask)
    assert inquiry.told == ((0, 1) if desk.lasting else None)
    ask(desk, qtbot)
    desk.training.started.emit()
    assert inquiry.told == ((0, 2) if desk.lasting else None)
