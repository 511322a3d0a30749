"""What is kept in a check-up, and when it is shown again: the next check-up of other pictures is made of plain values here."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from desktop_ft.core.checkup import Checkup, Inflation, LearningCurve, NearDoubles, SuspectLabel
from desktop_ft.core.dataset import Sample
from desktop_ft.gui.data_edits import DataEdits
from desktop_ft.gui.findings import Finding, FindingsPanel, doubles, suspects
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.runs.checked import CheckedPictures

Show = Callable[[str, Checkup], FindingsPanel]


def photo(name: str, label: int = 0) -> Sample:
    return Sample(path=f"{name}.png", label=label, subset=None, sha256=name, width=9, height=9, bytes=9, mtime_ns=0)


def checkup(*, groups: Sequence[Sequence[Sample]] = (), wrong: Sequence[Sample] = (), samples: Sequence[Sample] = ()) -> Checkup:
    return Checkup(
        classes=("cat", "dog"),
        samples=tuple(samples),
        doubles=tuple(NearDoubles(samples=tuple(group)) for group in groups),
        inflation=Inflation(twins=0, judged=0, everything=None, without=None),
        suspects=tuple(SuspectLabel(sample=each, likely=1 - each.label, given=0.1, found=0.9) for each in wrong),
        outliers=(),
        faults=(),
        widespread=(),
        confused=(),
        curve=LearningCurve(measured=(), coming=()),
    )


@pytest.fixture
def show(window: MainWindow, tmp_path: Path, qtbot: QtBot) -> Show:
    """Shows the findings of a kind in a new panel, as the next check-up would."""
    findings: dict[str, Callable[[Checkup], list[Finding]]] = {"doubles": doubles, "labels": suspects}
    session = window.session

    def shown(kind: str, found: Checkup) -> FindingsPanel:
        panel = FindingsPanel(DataEdits(session.state, session.opening), session.theme, "Findings", "None", kind)
        qtbot.addWidget(panel, before_close_func=lambda panel: panel.stop())
        panel.remember(CheckedPictures(tmp_path / "checked", "/photos"))
        panel.show_findings(findings[kind](found), found, tmp_path, session.state.recipe.dataset)
        return panel

    return shown


def paths(panel: FindingsPanel) -> list[str]:
    return [finding.sample.path for finding in panel.shown]


def keep(panel: FindingsPanel, *rows: int) -> None:
    panel.wall.choose_rows(list(rows))
    panel.keep()


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
