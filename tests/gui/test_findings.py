"""What is kept in a check-up, and when it is shown again: the next check-up of other pictures is made of plain values here."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from desktop_ft import places
from desktop_ft.core.checkup import Checkup, Inflation, LearningCurve, NearDoubles, SuspectLabel
from desktop_ft.core.dataset import DatasetManifest, Layout, Sample
from desktop_ft.gui.data_edits import DataEdits
from desktop_ft.gui.findings import Finding, FindingsPanel, doubles, suspects
from desktop_ft.gui.main_window import MainWindow

Show = Callable[[str, Checkup], FindingsPanel]


def photo(name: str, label: int = 0) -> Sample:
    return Sample(path=f"{name}.png", label=label, subset=None, sha256=name, width=9, height=9, bytes=9, mtime_ns=0)


def checkup(*, groups: Sequence[Sequence[Sample]] = (), wrong: Sequence[Sample] = (), samples: Sequence[Sample] = ()) -> Checkup:
    return Checkup(
        classes=("cat", "dog"),
        samples=tuple(samples),
        doubles=tuple(NearDoubles(samples=tuple(group)) for group in groups),
        inflation=Inflation(twins=0, judged=0, everything=None, without=None),
        suspects=tuple(SuspectLabel(sample=each, likely=1 - each.label, given=0.1, found=0.9, clear=True) for each in wrong),
        outliers=(),
        faults=(),
        widespread=(),
        confused=(),
        curve=LearningCurve(measured=(), coming=()),
    )


def manifest_of(found: Checkup) -> DatasetManifest:
    samples = tuple(sample for group in found.doubles for sample in group.samples)
    return DatasetManifest(
        root="/photos", source="/photos", layout=Layout.CLASS_FOLDERS, classes=found.classes, samples=samples, problems=()
    )


@pytest.fixture
def show(window: MainWindow, tmp_path: Path, qtbot: QtBot) -> Show:
    """Shows the findings of a kind in a new panel, as the next check-up would."""
    findings: dict[str, Callable[[Checkup], list[Finding]]] = {
        "doubles": lambda found: doubles(found, manifest_of(found)),
        "labels": suspects,
    }
    session = window.session

    def shown(kind: str, found: Checkup) -> FindingsPanel:
        edits, kept = DataEdits(session.state, session.opening), session.kept_findings
        panel = FindingsPanel(edits, kept, session.theme, "Findings", "None", kind)
        qtbot.addWidget(panel, before_close_func=lambda panel: panel.stop())
        kept.recall("/photos")
        kept.changed.connect(panel.refresh)
        panel.show_findings(findings[kind](found), found, tmp_path, session.state.recipe.dataset)
        return panel

    return shown


def paths(panel: FindingsPanel) -> list[str]:
    return [finding.sample.path for finding in panel.shown]


def keep(panel: FindingsPanel, *rows: int) -> None:
    panel.wall.choose_rows(list(rows))
    panel.keep()


def trigger(window: MainWindow, name: str) -> None:
    window.refresh()
    window.actions_[name].trigger()


def test_a_label_that_was_kept_is_shown_again_once_it_is_another(show: Show) -> None:
    keep(show("labels", checkup(wrong=[photo("a"), photo("b")])), 0)
    assert paths(show("labels", checkup(wrong=[photo("a"), photo("b")]))) == ["b.png"]
    assert paths(show("labels", checkup(wrong=[photo("a", label=1), photo("b")]))) == ["a.png", "b.png"]


def test_a_kept_group_of_doubles_goes_whole_and_comes_back_whole_once_it_has_another_photo(show: Show) -> None:
    one, other = [photo("x"), photo("y")], [photo("p"), photo("q")]
    panel = show("doubles", checkup(groups=[one, other]))
    keep(panel, 0)
    assert paths(panel) == ["p.png", "q.png"], "of no group a part is left"
    assert paths(show("doubles", checkup(groups=[one[::-1], other]))) == ["p.png", "q.png"]
    assert paths(show("doubles", checkup(groups=[[*one, photo("z")]]))) == ["x.png", "y.png", "z.png"]


def test_keeping_is_undone_and_done_again_here_and_for_the_next_check_up(show: Show, window: MainWindow) -> None:
    found, state = checkup(wrong=[photo("a"), photo("b"), photo("c")]), window.session.state
    state.edit_optimisation("epochs", 7)
    panel = show("labels", found)
    keep(panel, 0)
    keep(panel, 0, 1)
    window.refresh()
    assert not panel.shown and window.actions_["edit.undo"].toolTip().startswith("Undo: keep 2 photos")
    trigger(window, "edit.undo")
    assert paths(panel) == paths(show("labels", found)) == ["b.png", "c.png"]
    trigger(window, "edit.redo")
    assert not panel.shown and panel.any_kept and not show("labels", found).shown
    panel.show_kept()
    assert paths(panel) == ["a.png", "b.png", "c.png"]
    trigger(window, "edit.undo")
    assert not panel.shown and not show("labels", found).shown
    trigger(window, "edit.undo")
    trigger(window, "edit.undo")
    assert paths(panel) == paths(show("labels", found)) == ["a.png", "b.png", "c.png"] and not panel.any_kept
    assert state.recipe.optimisation.epochs == 7, "what was done before it stays"
    trigger(window, "edit.undo")
    assert state.recipe.optimisation.epochs != 7


def test_keeping_in_a_folder_that_was_checked_before_is_undone_there(show: Show, window: MainWindow) -> None:
    found, kept = checkup(wrong=[photo("a")]), window.session.kept_findings
    keep(show("labels", found), 0)
    kept.recall("/others")
    kept.keep("labels", {"mark"}, 1)
    for _ in range(2):
        window.session.state.undo_stack.undo()
    assert not kept.of("labels") and paths(show("labels", found)) == ["a.png"]
    for _ in range(2):
        window.session.state.undo_stack.redo()
    kept.recall("/others")
    assert kept.of("labels") == {"mark"} and not show("labels", found).shown


def test_what_cannot_be_written_down_is_told_and_heeded_in_this_window(show: Show, window: MainWindow) -> None:
    panel = show("labels", checkup(wrong=[photo("a")]))
    checked = places.data() / "checked"
    checked.parent.mkdir(exist_ok=True)
    checked.write_bytes(b"no folder")
    keep(panel, 0)
    assert not panel.shown and "checked" in window.notice.text
    window.notice.clear()
    window.session.state.undo_stack.undo()
    assert panel.shown and "checked" in window.notice.text


def test_of_a_photo_that_lies_there_twice_it_is_said_that_both_go_the_same_way(show: Show) -> None:
    one, other = photo("a"), photo("b")
    copy = dataclasses.replace(one, path="dog/copy.png", label=1)
    panel = show("labels", checkup(wrong=[one, other], samples=[one, other, copy]))
    panel.wall.choose_rows([0])
    assert "1 more file has the same bytes, and goes the same way: dog/copy.png." in panel.said.text()
    panel.wall.choose_rows([1])
    assert "the same bytes" not in panel.said.text()


def test_no_class_is_given_that_nobody_chose(show: Show) -> None:
    panel = show("doubles", checkup(groups=[[photo("x"), photo("y")]]))
    panel.wall.choose_rows([0])
    assert panel.any_chosen and not panel.can_change
    panel.to.setCurrentIndex(panel.to.findData("dog"))
    assert panel.can_change
