"""The comparison in the window: asked for, watched, stopped and gone on with; what it found is read there."""

import shutil
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from desktop_ft import places
from desktop_ft.core.augmentation import AugmentationSpec
from desktop_ft.core.recipe import BackboneChoice, Optimisation
from desktop_ft.gui.augment_page import AugmentPage
from desktop_ft.gui.compare_dialog import CompareDialog
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.plugin_manager import set_enabled
from tests import tiny_backbone
from tests.e2e.conftest import shapes
from tests.gui.test_window import page
from tests.models.tiny import save_safetensors


@pytest.fixture(autouse=True)
def tiny(home: Path) -> None:
    """A network whose runs take a moment, on offer before the window is there."""
    place = places.data() / "plugins" / "tiny.py"
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(str(tiny_backbone.__file__), place)
    set_enabled("tiny", on=True)


@pytest.fixture
def dialog(tiny: None, window: MainWindow, qtbot: QtBot, tmp_path: Path) -> CompareDialog:
    """The dialog of a window whose pictures are open, set to the least that can be compared."""
    state = window.session.state
    window.session.opening.open(shapes(tmp_path / "photos", pictures=8))
    qtbot.waitUntil(lambda: state.manifest is not None, timeout=10_000)
    weights = save_safetensors(window.session.plugins.backbones.get("tiny").build().state_dict(), tmp_path / "tiny.safetensors")
    changes = {
        "backbone": BackboneChoice(name="tiny", weights=str(weights)),
        "optimisation": Optimisation(epochs=1, batch_size=8),
    }
    state.edit("tiny", state.recipe.model_copy(update=changes))
    window.actions_["compare"].trigger()
    found = window.findChild(CompareDialog)
    assert found is not None
    found.seeds.setValue(1)
    found.images.setText("3,all")
    for name in ("last:2", "all", "discriminative"):
        found.strategies[name].setChecked(False)
    return found


def click(which: QPushButton) -> None:
    assert which.isEnabled(), which.toolTip()
    QTest.mouseClick(which, Qt.MouseButton.LeftButton)


def test_a_comparison_runs_to_its_end_and_says_what_was_gained(dialog: CompareDialog, window: MainWindow, qtbot: QtBot) -> None:
    assert dialog.verdict.text() == "Nothing has been compared yet." and not dialog.report.isEnabled()
    click(dialog.start)
    assert not dialog.start.isEnabled() and dialog.progress.isVisible()
    work = window.session.comparing
    qtbot.waitUntil(lambda: work.found is not None and not work.working, timeout=60_000)
    assert work.found is not None and len(work.found.runs) == work.found.planned == 4
    assert dialog.table.rows.rows == list(work.found.scores) and dialog.verdict.text() == work.found.verdict[0]
    assert work.report is not None and dialog.report.isEnabled() and not dialog.progress.isVisible()
    assert len(dialog.plots[1].getPlotItem().listDataItems()) == 2 + 4  # two curves, and a whisker for each score
    dialog.reject()


def test_stopped_it_goes_on_where_it_was(dialog: CompareDialog, window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    work = window.session.comparing
    click(dialog.start)
    qtbot.waitUntil(lambda: work.done[0] == 1, timeout=60_000)
    work.stop()
    qtbot.waitUntil(lambda: not work.working and not window.session.training.running, timeout=60_000)
    assert work.report is not None and dialog.start.isEnabled()
    done = work.done[0]
    assert 1 <= done < 4
    work.start(None, work.report.parent)
    qtbot.waitUntil(lambda: work.found is not None and len(work.found.runs) == 4 and not work.working, timeout=60_000)
    dialog.reject()


def test_stopped_between_two_runs_it_lets_go_of_its_folder(dialog: CompareDialog, window: MainWindow, qtbot: QtBot) -> None:
    work = window.session.comparing
    stopped = []

    def stop(*_: object) -> None:
        if work.now is None and work.done[0] == 1 and work.working:
            stopped.append(True)
            work.stop()

    window.session.training.ended.connect(stop)  # heard after the comparison has heard it, before the next run begins
    click(dialog.start)
    qtbot.waitUntil(lambda: bool(stopped), timeout=60_000)
    assert work.report is not None and not work.working
    work.start(None, work.report.parent)
    qtbot.waitUntil(lambda: work.found is not None and len(work.found.runs) == 4 and not work.working, timeout=60_000)
    dialog.reject()


def test_paused_it_begins_no_other_run_until_it_is_to_go_on(dialog: CompareDialog, window: MainWindow, qtbot: QtBot) -> None:
    work, training = window.session.comparing, window.session.training
    click(dialog.start)
    qtbot.waitUntil(lambda: work.now is not None, timeout=60_000)
    work.pause()  # as while the window asks whether to close
    qtbot.waitUntil(lambda: not training.running, timeout=60_000)
    assert work.done == (1, 4) and work.now is None
    work.go_on()
    qtbot.waitUntil(lambda: work.done == (4, 4) and not work.working, timeout=60_000)
    dialog.reject()


@pytest.mark.parametrize(("images", "told"), [("5,some", "no number of pictures"), ("", "no number of pictures")])
def test_what_cannot_be_compared_is_told_there(dialog: CompareDialog, window: MainWindow, images: str, told: str) -> None:
    dialog.images.setText(images)
    click(dialog.start)
    assert told in dialog.notice.text and not window.session.comparing.planning
    dialog.reject()


def test_the_page_augment_asks_what_each_transform_is_worth(dialog: CompareDialog, window: MainWindow, qtbot: QtBot) -> None:
    state = window.session.state
    state.go("augment")
    augment = page(window, "augment")
    assert isinstance(augment, AugmentPage) and not augment.worth.isEnabled()
    flip = AugmentationSpec(transform="horizontal_flip")
    state.edit("flip", state.recipe.model_copy(update={"augmentation": (flip,)}))
    click(augment.worth)
    assert dialog.images.isHidden() and all(box.isHidden() for box in dialog.strategies.values())
    click(dialog.start)
    qtbot.waitUntil(lambda: dialog.verdict.text().startswith("horizontal_flip"), timeout=60_000)
    qtbot.waitUntil(lambda: not window.session.comparing.working, timeout=60_000)
    assert dialog.table.rows.rowCount() == 2
    dialog.reject()
