"""The check-up in the window: planted faults are found and dealt with by real events, and every change can be undone."""

from itertools import pairwise
from pathlib import Path

import pyqtgraph as pg
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from desktop_ft import places
from desktop_ft.core.checkup import Weight
from desktop_ft.core.dataset import Subset
from desktop_ft.gui.checkup_dialog import CheckupDialog
from desktop_ft.gui.data_page import DataPage
from desktop_ft.gui.findings import FindingsPanel
from desktop_ft.gui.main_window import MainWindow
from tests.gui.test_window import button_named, click, opened, page
from tests.jobs.test_checkup import planted


@pytest.fixture
def dialog(window: MainWindow, tmp_path: Path, qtbot: QtBot) -> CheckupDialog:
    """The check-up of a folder with a wrong label, a double across subsets and a dark photo, done."""
    opened(window, planted(tmp_path / "photos"), qtbot)
    state = window.session.state
    state.edit(
        "smaller", state.recipe.model_copy(update={"backbone": state.recipe.backbone.model_copy(update={"image_size": 64})})
    )
    return checked_up(window, qtbot)


def checked_up(window: MainWindow, qtbot: QtBot) -> CheckupDialog:
    data = page(window, "data")
    assert isinstance(data, DataPage)
    click(button_named(data, "Check up…"))
    made = next(each for each in data.findChildren(CheckupDialog) if each.isVisible())
    qtbot.waitUntil(lambda: made.found is not None, timeout=120_000)
    qtbot.waitUntil(made.isActiveWindow)
    return made


def paths(panel: FindingsPanel) -> list[str]:
    return [finding.sample.path for finding in panel.shown]


def subset_of(dialog: CheckupDialog, path: str) -> Subset | None:
    manifest = dialog._session.state.manifest
    assert manifest is not None
    return next(sample.subset for sample in manifest.samples if sample.path == path)


def pick(panel: FindingsPanel, path: str) -> None:
    row = next(number for number, finding in enumerate(panel.shown) if finding.sample.path == path)
    panel.wall.scrollTo(panel.wall.model().index(row, 0))
    at = panel.wall.visualRect(panel.wall.model().index(row, 0)).center()
    QTest.mouseClick(panel.wall.viewport(), Qt.MouseButton.LeftButton, pos=at)


def parted(panel: FindingsPanel) -> list[int]:
    """In front of which photos a line stands."""
    return [row for row in range(len(panel.shown)) if panel.wall.thumbs.cell(row)[0].parted]


def counts(dialog: CheckupDialog) -> dict[str, int]:
    manifest = dialog._session.state.manifest
    assert manifest is not None
    return manifest.counts()


def test_the_split_is_repaired_with_one_click_and_comes_back_by_undo(dialog: CheckupDialog) -> None:
    before = dialog._session.state.recipe
    assert "1 group lies in several subsets" in dialog.inflation.text
    assert subset_of(dialog, "val/green/twin.jpg") is Subset.VAL
    pick(dialog.doubles, "val/green/twin.jpg")
    assert "in several subsets. Repair the split" in dialog.doubles.said.text()
    click(dialog.repair)
    pick(dialog.doubles, "val/green/twin.jpg")
    assert "2 pictures are nearly the same. Leave all but one out" in dialog.doubles.said.text()
    assert {finding.weight for finding in dialog.doubles.shown} == {Weight.LOOK}, "nor is it marked as bad"
    assert subset_of(dialog, "val/green/twin.jpg") is Subset.TRAIN
    assert "is repaired" in dialog.inflation.text and not dialog.repair.isEnabled()
    click(dialog.undo)
    assert dialog._session.state.recipe == before
    assert subset_of(dialog, "val/green/twin.jpg") is Subset.VAL and dialog.repair.isEnabled()
    assert "in several subsets" in dialog.doubles.shown[0].said
    pick(dialog.doubles, "val/green/twin.jpg")
    QTest.keyClick(dialog.doubles.wall, Qt.Key.Key_Delete)
    assert not dialog.doubles.shown, "what is left is no double"


def test_undo_takes_back_what_was_done_here_alone(window: MainWindow, dialog: CheckupDialog, qtbot: QtBot) -> None:
    dialog.activateWindow()
    qtbot.waitUntil(dialog.isActiveWindow)
    assert not dialog.undo.isEnabled() and window.session.state.undo_stack.canUndo(), "the size of the pictures was chosen before"
    pick(dialog.doubles, "val/green/twin.jpg")
    QTest.keyClick(dialog.doubles.wall, Qt.Key.Key_Delete)
    QTest.keyClick(dialog.doubles.wall, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: bool(dialog.doubles.shown))  # a button is pressed for a moment first
    assert not dialog.undo.isEnabled()
    before = window.session.state.recipe
    QTest.keyClick(dialog.doubles.wall, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert window.session.state.recipe == before


def test_what_is_kept_is_not_repaired_and_the_figure_that_counts_it_says_so(dialog: CheckupDialog) -> None:
    before = dialog._session.state.recipe
    pick(dialog.doubles, "val/green/twin.jpg")
    QTest.keyClick(dialog.doubles.wall, Qt.Key.Key_K)
    assert dialog.tabs.tabText(0) == "Near doubles (0 photos)" and not dialog.repair.isEnabled()
    assert "group lies in several subsets" not in dialog.inflation.text
    assert "1 group that is kept as right lies in several subsets" in dialog.inflation.text
    dialog._repair()
    assert dialog._session.state.recipe == before
    click(dialog.undo)
    assert dialog.repair.isEnabled() and "1 group lies in several subsets" in dialog.inflation.text
    assert "kept" not in dialog.inflation.text


def test_a_double_in_another_class_leaves_its_partner_not_alone(dialog: CheckupDialog) -> None:
    panel, before = dialog.doubles, paths(dialog.doubles)
    panel.to.setCurrentIndex(panel.to.findData("purple"))
    pick(panel, "val/green/twin.jpg")
    QTest.keyClick(panel.wall, Qt.Key.Key_C)
    assert paths(panel) == before == ["train/green/010.png", "val/green/twin.jpg"]
    assert [finding.caption for finding in panel.shown] == ["1: green", "1: purple"]


def test_doubles_found_while_the_folder_is_looked_at_anew_are_shown_as_they_lay(dialog: CheckupDialog) -> None:
    found, state = dialog.found, dialog._session.state
    assert found is not None and state.manifest is not None
    shown, manifest = paths(dialog.doubles), state.manifest
    state.set_manifest(None)
    dialog._show((found, *dialog._shown_as))
    assert paths(dialog.doubles) == shown != [] and not dialog.repair.isEnabled()
    assert dialog.tabs.tabText(0) == "Near doubles (2 photos)"
    state.set_manifest(manifest)
    assert dialog.repair.isEnabled()


def test_findings_are_kept_changed_and_left_out_by_keys(dialog: CheckupDialog, qtbot: QtBot) -> None:
    dialog.tabs.setCurrentIndex(1)
    panel, total, before = dialog.suspects, len(dialog.suspects.shown), counts(dialog)
    clear = sum(finding.weight is Weight.LIKELY for finding in panel.shown)
    assert panel.shown[0].sample.path == "train/purple/wrong.png", "the most suspicious first"
    pick(panel, "train/purple/wrong.png")
    assert "Looks like green" in panel.said.text()
    assert parted(panel) == [number for number, each in enumerate(panel.shown) if each.weight is Weight.LOOK][:1]
    assert f"{clear} label" in dialog.labels.text and "suspicious" in dialog.labels.text
    assert dialog.tabs.tabText(1) == f"Wrong labels ({clear}, and {total - clear} in doubt)"
    QTest.keyClick(panel.wall, Qt.Key.Key_C)
    assert counts(dialog) == {"green": before["green"] + 1, "purple": before["purple"] - 1}
    assert len(panel.shown) == total - 1 and f"({clear - 1}, " in dialog.tabs.tabText(1)
    click(dialog.undo)
    assert counts(dialog) == before and len(panel.shown) == total
    pick(panel, "train/purple/wrong.png")
    QTest.keyClick(panel.wall, Qt.Key.Key_K)
    assert len(panel.shown) == total - 1 and counts(dialog) == before
    click(dialog.undo)
    assert len(panel.shown) == total
    dialog.tabs.setCurrentIndex(2)
    pick(dialog.odd, "train/green/dark.png")
    assert "dark" in dialog.odd.said.text()
    QTest.keyClick(dialog.odd.wall, Qt.Key.Key_Delete)
    assert counts(dialog)["green"] == before["green"] - 1
    assert "train/green/dark.png" not in [finding.sample.path for finding in dialog.odd.shown]


def test_what_is_kept_is_not_shown_at_the_next_check_up_even_if_it_was_renamed(
    dialog: CheckupDialog, window: MainWindow, tmp_path: Path, qtbot: QtBot
) -> None:
    dialog.tabs.setCurrentIndex(1)
    panel, shown = dialog.suspects, paths(dialog.suspects)
    pick(panel, "train/purple/wrong.png")
    QTest.keyClick(panel.wall, Qt.Key.Key_K)
    others = paths(dialog.odd)
    dialog.reject()
    (tmp_path / "photos/train/purple/wrong.png").rename(tmp_path / "photos/train/purple/fine.png")
    opened(window, tmp_path / "photos", qtbot)
    again = checked_up(window, qtbot)
    again.tabs.setCurrentIndex(1)
    assert paths(again.suspects) == [path for path in shown if "wrong" not in path]
    assert [path.replace("fine", "wrong") for path in paths(again.odd)] == others, "it was kept as to its label alone"
    again.suspects.wall.setFocus()
    again.suspects.actions_["finding.show_kept"].trigger()
    assert "train/purple/fine.png" in paths(again.suspects) and not again.suspects.any_kept
    click(again.again)
    qtbot.waitUntil(again.again.isEnabled, timeout=120_000)
    assert "train/purple/fine.png" in paths(again.suspects), "kept no more"
    again.reject()


def test_what_was_kept_and_is_damaged_is_put_aside_and_told_and_more_can_be_kept(
    dialog: CheckupDialog, qtbot: QtBot, caplog: pytest.LogCaptureFixture
) -> None:
    def keep() -> None:
        dialog.tabs.setCurrentIndex(1)
        pick(dialog.suspects, "train/purple/wrong.png")
        QTest.keyClick(dialog.suspects.wall, Qt.Key.Key_K)

    def check_again() -> None:
        click(dialog.again)
        qtbot.waitUntil(dialog.again.isEnabled, timeout=120_000)

    keep()
    (file,) = (places.data() / "checked").glob("*.json")
    file.write_text("{")
    check_again()
    assert "is damaged" in dialog.notice.text and f"{file.stem}.damaged-1" in dialog.notice.text
    assert [each.getMessage().count("is damaged") for each in caplog.records if "is damaged" in each.getMessage()] == [1]
    keep()
    check_again()
    assert not dialog.notice.text and "train/purple/wrong.png" not in paths(dialog.suspects)


def test_the_lasso_selects_photos_that_are_then_left_out(
    dialog: CheckupDialog, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(pg.CONFIG_OPTIONS, "mouseRateLimit", 0)  # else it takes moves at its own pace
    dialog.tabs.setCurrentIndex(4)
    plot, view = dialog.map.plot, dialog.map.plot.getPlotItem().getViewBox()
    qtbot.waitUntil(plot.isVisible)
    area = view.sceneBoundingRect()
    corners = [area.topLeft(), area.topRight(), area.bottomRight(), area.bottomLeft(), area.topLeft()]
    inward = area.center()
    points = [plot.mapFromScene(corner + 0.02 * (inward - corner)) for corner in corners]
    QTest.mousePress(plot.viewport(), Qt.MouseButton.LeftButton, pos=points[0])
    for first, second in pairwise(points):
        for share in (0.2, 0.4, 0.6, 0.8, 1.0):
            _drag_to(plot.viewport(), first + (second - first) * share)
    QTest.mouseRelease(plot.viewport(), Qt.MouseButton.LeftButton, pos=points[-1])
    assert dialog.found is not None
    assert len(dialog.among.shown) == len(dialog.found.samples), "a lasso around all selects all"
    assert len(dialog.among.chosen) == len(dialog.among.shown), "and what is done is done to all of them"
    sample = dialog.found.samples[7]
    x, y = dialog.found.places[7]
    dialog.map.choose(
        [QPointF(x - 1e-3, y - 1e-3), QPointF(x + 1e-3, y - 1e-3), QPointF(x + 1e-3, y + 1e-3), QPointF(x - 1e-3, y + 1e-3)]
    )
    assert [finding.sample.path for finding in dialog.among.shown] == [sample.path]
    before = sum(counts(dialog).values())
    pick(dialog.among, sample.path)
    QTest.keyClick(dialog.among.wall, Qt.Key.Key_Delete)
    assert sum(counts(dialog).values()) == before - 1 and dialog.among.none.isVisible()


def test_the_map_has_most_of_the_window_from_the_first_on(dialog: CheckupDialog, qtbot: QtBot) -> None:
    dialog.tabs.setCurrentIndex(4)
    qtbot.waitUntil(dialog.map.plot.isVisible)
    assert dialog.width() <= 1280 and dialog.height() <= 720, "it fits a small screen"
    assert dialog.map.plot.width() > dialog.width() / 2 and dialog.map.plot.height() > 0.7 * dialog.height()


def test_photos_are_selected_on_the_map_by_keys(dialog: CheckupDialog, qtbot: QtBot) -> None:
    assert dialog.found is not None
    dialog.tabs.setCurrentIndex(4)
    plot, places = dialog.map.plot, dialog.found.places
    plot.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.waitUntil(plot.hasFocus)

    def press(key: Qt.Key, *, shift: bool = False) -> None:
        QTest.keyClick(plot, key, Qt.KeyboardModifier.ShiftModifier if shift else Qt.KeyboardModifier.NoModifier)

    def at() -> int:
        said = plot.accessibleDescription()
        return next(n for n, sample in enumerate(dialog.found.samples) if said.startswith(f"{sample.path}, "))  # type: ignore[union-attr]

    def chosen() -> set[str]:
        return set(paths(dialog.among))

    assert "Space selects" in plot.accessibleDescription()
    press(Qt.Key.Key_Right)  # the first key stands at a photo in the middle
    first = at()
    assert not chosen() and "not selected" in plot.accessibleDescription()
    press(Qt.Key.Key_Space)
    assert chosen() == {dialog.found.samples[first].path} and "not selected" not in plot.accessibleDescription()
    for key, axis, sign in (
        (Qt.Key.Key_Right, 0, 1), (Qt.Key.Key_Left, 0, -1), (Qt.Key.Key_Up, 1, 1), (Qt.Key.Key_Down, 1, -1)
    ):  # fmt: skip
        before = at()
        press(key)
        apart = [now - then for now, then in zip(places[at()], places[before], strict=True)]
        assert at() == before or sign * apart[axis] >= abs(apart[1 - axis]) > 0
    here = at()
    press(Qt.Key.Key_Right, shift=True)
    assert at() != here and {dialog.found.samples[n].path for n in (here, at())} <= chosen()
    press(Qt.Key.Key_Space)
    assert dialog.found.samples[at()].path not in chosen(), "it takes out again"
    QTest.keyClick(plot, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    assert len(chosen()) == len(places)
    press(Qt.Key.Key_Escape)
    assert not chosen() and dialog.isVisible()
    press(Qt.Key.Key_Escape)
    assert not dialog.isVisible(), "with nothing selected it closes, as everywhere"


def _drag_to(widget: QWidget, at: QPoint) -> None:
    """Move the mouse with its left button held; QTest moves it with none."""
    button, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    where = QPointF(widget.mapToGlobal(at))
    QApplication.sendEvent(widget, QMouseEvent(QEvent.Type.MouseMove, QPointF(at), where, Qt.MouseButton.NoButton, button, none))


def test_what_more_photos_would_bring_is_drawn_and_said(dialog: CheckupDialog) -> None:
    dialog.tabs.setCurrentIndex(3)
    assert dialog.curve.plot.isVisible()
    assert "With 80 it would be" in dialog.curve.words.text()


def test_it_is_cancelled_and_begun_again(window: MainWindow, tmp_path: Path, qtbot: QtBot) -> None:
    opened(window, planted(tmp_path / "photos"), qtbot)
    data = page(window, "data")
    assert isinstance(data, DataPage)
    click(data.check)
    (dialog,) = data.findChildren(CheckupDialog)
    session = window.session
    assert dialog.empty.title.text() == "The photos are being checked"
    assert not session.lesson.can_start and not session.forecast.can_ask, "beside it nothing is measured"
    click(button_named(dialog.progress, "Cancel"))
    qtbot.waitUntil(dialog.again.isEnabled, timeout=60_000)
    assert session.lesson.can_start and session.forecast.can_ask
    assert "cancelled" in dialog.notice.text and dialog.found is None and dialog.empty.isVisible()
    assert dialog.empty.title.text() == "Not checked"
    click(data.check)
    assert data.findChildren(CheckupDialog) == [dialog], "one at a time"
    dialog.reject()
