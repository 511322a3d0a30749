"""The page Results: how sure the model is, where it found its answers, and trying it on any photos; through real events."""

import csv
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PySide6.QtCore import QModelIndex, QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractItemView
from pytestqt.qtbot import QtBot

from desktop_ft.core.dataset import Subset
from desktop_ft.core.events import EpochDone, RunEnded, RunStarted, RunStatus
from desktop_ft.core.exporting import AS_IT_IS
from desktop_ft.core.metrics import ExportReport, Threshold
from desktop_ft.core.recipe import BackboneChoice, DatasetChoice, Optimisation, Recipe
from desktop_ft.engine.control import RunControl
from desktop_ft.evaluation.score import evaluate
from desktop_ft.evaluation.selective import select
from desktop_ft.gui.export_page import ExportPage
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.gui.photo_dialog import PhotoDialog
from desktop_ft.gui.results_page import ResultsPage
from desktop_ft.gui.thumbnails import THUMB_ROLE
from desktop_ft.jobs.evaluating import keep_threshold
from desktop_ft.jobs.running import Warn
from desktop_ft.jobs.scanning import scan_dataset
from desktop_ft.jobs.training import train
from desktop_ft.plugin_manager import Plugins, load_plugins
from desktop_ft.runs.run_folder import RunFolder
from tests.archives import packed as archive
from tests.data.test_model_files import SAID
from tests.e2e.conftest import shapes
from tests.gui.test_window import click, drop, page

LONG = 60_000


@pytest.fixture
def judged(photos: Path, tmp_path: Path) -> Path:
    """A run that was evaluated, and has no model: what needs none is shown without torch."""
    folder = RunFolder.create(tmp_path / "judged")
    folder.write_recipe(Recipe(dataset=DatasetChoice(folder=str(photos), val=0.5)))
    manifest = scan_dataset(DatasetChoice(folder=str(photos), val=0.5))
    folder.write_manifest(manifest)
    with folder.log() as log:
        log.append(RunEnded(status=RunStatus.COMPLETED))
    held_out = manifest.of(Subset.VAL)
    sure = np.linspace(0.3, 0.95, len(held_out))
    folder.write_evaluation(
        evaluate(np.stack([sure, 1 - sure], 1), held_out, manifest.classes, dataset=photos.name, subset="val")
    )
    return folder.path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Photos of shapes, and a run that learned a little from them; made once, and copied by whoever changes it."""
    folder = tmp_path_factory.mktemp("trained")
    photos = shapes(folder / "photos", pictures=8)
    recipe = Recipe(
        dataset=DatasetChoice(folder=str(photos), val=0.5),
        backbone=BackboneChoice(image_size=64),
        optimisation=Optimisation(epochs=1, batch_size=8),
    )
    train(recipe, folder / "run", load_plugins(safe_mode=True), lambda event: None, RunControl())
    return photos, folder / "run"


@pytest.fixture
def run(trained: tuple[Path, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained[1], tmp_path / "run"))


def opened(window: MainWindow, run: Path) -> ResultsPage:
    window.session.shown.open(run)
    shown = page(window, "results")
    assert isinstance(shown, ResultsPage)
    return shown


@pytest.fixture
def figures(window: MainWindow, judged: Path) -> ResultsPage:
    return opened(window, judged)


@pytest.fixture
def results(window: MainWindow, run: Path) -> ResultsPage:
    return opened(window, run)


def double_click(view: QAbstractItemView, index: QModelIndex) -> None:
    place = view.visualRect(index).center()
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    QTest.mouseDClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)


def photos_in_cell(page: ResultsPage, actual: int, called: int) -> list[Path]:
    """Pick a cell of the matrix; the files of the photos that are shown."""
    page.tabs.setCurrentIndex(1)
    page.confusion.setCurrentIndex(QModelIndex())
    page.confusion.setCurrentIndex(page.confusion.model().index(actual, called))
    thumbs = page.cell.thumbs
    return [thumbs.index(row).data(THUMB_ROLE).path for row in range(thumbs.rowCount())]


def test_every_figure_has_its_interval_and_every_cell_its_photos(window: MainWindow, figures: ResultsPage) -> None:
    assert "95 % sure to be between" in figures.figures.text()
    for figure in ("mean F1", "confidence off by"):
        said = next(part for part in figures.figures.text().split(" · ") if part.startswith(figure))
        assert " to " in said
    assert figures.classes.rows.rowCount() == 2
    for column in (1, 2, 3):
        assert " to " in figures.classes.rows.index(0, column).data()
    evaluation = window.session.state.evaluation
    assert evaluation is not None
    figures.tabs.setCurrentIndex(1)
    matrix = figures.confusion
    matrix.setFocus()
    matrix.setCurrentIndex(matrix.model().index(0, 0))
    QTest.keyClick(matrix, Qt.Key.Key_Down)
    assert figures.cell.thumbs.rowCount() == evaluation.confusion[1][0] > 0
    QTest.keyClick(matrix, Qt.Key.Key_Return)
    assert figures.cell.hasFocus()
    assert figures.cell.currentIndex().row() == 0


@pytest.mark.parametrize(("in_the_curves", "told"), [(0.25, True), (1 / 7, False)])
def test_where_the_curves_say_another_accuracy_of_the_same_photos_it_is_said_why(
    in_the_curves: float, told: bool, window: MainWindow, judged: Path
) -> None:
    with RunFolder(judged).log() as log:
        log.append(RunStarted(epochs=1, steps_per_epoch=1, first_epoch=0, first_step=0, device="CPU", precision="fp32",
                              learning_share=1, time=0))  # fmt: skip
        log.append(
            EpochDone(epoch=0, train_loss=1, train_accuracy=1, val_loss=1, val_accuracy=in_the_curves, seconds=1, best=True)
        )
        log.append(RunEnded(status=RunStatus.COMPLETED))
    shown = opened(window, judged)
    assert shown.accuracy.text() == "14.3 % right"
    assert ("25.0 % in the curves, whose arithmetic is faster and less exact" in shown.figures.text()) is told


def test_what_is_long_to_read_comes_when_it_is_read(
    window: MainWindow, judged: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    """Of 20,000 held-out pictures reading and counting takes more than a second, in which the window must go on."""
    monkeypatch.setattr("desktop_ft.gui.shown_run._AT_ONCE", 0)
    monkeypatch.setattr("desktop_ft.gui.results_page._AT_ONCE", 0)
    results, state = opened(window, judged), window.session.state
    assert (state.run, state.evaluation) == (judged, None) and results.empty.words.text() == "Reading the results…"
    assert not (results.evaluate.isVisible() or results.open_button.isEnabled())
    qtbot.waitUntil(lambda: "95 % sure" in results.figures.text(), timeout=LONG)
    assert results.accuracy.text().endswith("right") and results.classes.rows.rows and results.open_button.isEnabled()
    assert {path.parent for path in photos_in_cell(results, 1, 0)} == {photos / "light"}
    assert window.session.training.run == judged
    file = judged / "evaluation.json"
    whole = file.read_bytes()
    file.write_text("{")
    window.session.shown.open(judged)
    qtbot.waitUntil(lambda: "evaluation.json" in window.notice.text, timeout=LONG)
    assert state.evaluation is None and not window.session.shown.reading
    file.write_bytes(whole)
    window.session.shown.open(judged)
    state.set_run(None, None)  # what comes for a run that is not shown any more is not shown
    assert results.open_button.isEnabled() and "Train a model" in results.empty.words.text()
    qtbot.waitUntil(lambda: not window.session.worker.busy, timeout=LONG)
    assert state.evaluation is None and results.empty.isVisible()


def test_what_was_read_of_one_run_is_never_shown_as_another_s(
    window: MainWindow, judged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    long = Path(shutil.copytree(judged, tmp_path / "long"))
    (long / "evaluation.json").write_text("{")
    monkeypatch.setattr(RunFolder, "result_bytes", property(lambda run: 10**9 if run.path == long else 0))
    window.session.shown.open(long)
    assert window.session.shown.reading
    results = opened(window, judged)
    told = window.session.state.evaluation
    qtbot.waitUntil(lambda: not window.session.worker.busy, timeout=LONG)
    assert window.session.state.evaluation is told is not None and "right" in results.accuracy.text()
    assert not window.notice.text, "it was left before it was known to be damaged"


def test_what_is_damaged_in_a_run_is_told_and_costs_nothing_else(window: MainWindow, judged: Path, qtbot: QtBot) -> None:
    recipe, evaluation = judged / "recipe.toml", judged / "evaluation.json"
    whole = recipe.read_bytes()
    recipe.write_bytes(whole.replace(b"lite0", b"lyte0"))
    assert recipe.read_bytes() != whole
    results = opened(window, judged)
    qtbot.waitUntil(lambda: "recipe.toml is damaged" in window.notice.text)
    assert "right" in results.accuracy.text()
    recipe.write_bytes(whole)
    evaluation.write_bytes(evaluation.read_bytes()[:100])
    results = opened(window, judged)
    qtbot.waitUntil(lambda: "evaluation.json" in window.notice.text)
    assert results.evaluate.isVisible(), "it can be made anew"
    (judged / "exports").mkdir(exist_ok=True)
    (judged / "exports" / "reports.json").write_text("{")
    window.session.shown.open(judged)
    qtbot.waitUntil(lambda: "reports.json" in window.notice.text)
    assert window.session.state.run == judged and window.session.state.export is None


def test_photos_are_looked_for_where_the_recipe_says_when_the_run_does_not_know(
    window: MainWindow, judged: Path, qtbot: QtBot
) -> None:
    (judged / "manifest.json").write_text("{")
    results = opened(window, judged)
    qtbot.waitUntil(lambda: "manifest.json" in window.notice.text)
    assert "right" in results.accuracy.text()


def test_photos_of_a_run_that_are_gone_are_told_of_once(figures: ResultsPage, photos: Path, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: figures.mistakes.thumbs.decoded > 0, timeout=LONG)
    assert figures.gone.isHidden()
    photos.rename(photos.with_name("unplugged"))
    figures.tabs.setCurrentIndex(1)
    photos_in_cell(figures, 1, 0)
    figures.cell.thumbs.unreadable.emit()  # as where one is to be shown that was not decoded before
    qtbot.waitUntil(figures.gone.isVisible, timeout=LONG)
    assert str(photos) in figures.gone.notice.text and "right" in figures.accuracy.text()


def test_a_run_that_got_no_further_than_its_start_says_so(window: MainWindow, judged: Path, tmp_path: Path) -> None:
    start, new = RunFolder.create(tmp_path / "first"), RunFolder.open(judged)
    start.write_recipe(new.recipe)
    assert new.evaluation is not None
    start.write_evaluation(new.evaluation)
    (start.checkpoints / "index.json").write_text('{"best": {"file": "best.safetensors"}}')
    backbone = new.recipe.backbone.model_copy(update={"weights": str(start.path / "checkpoints" / "best.safetensors")})
    new.write_recipe(new.recipe.model_copy(update={"backbone": backbone}))
    assert "No better than its start: the run first had " in opened(window, judged).figures.text()


def test_a_threshold_is_tried_kept_and_dropped(window: MainWindow, figures: ResultsPage, judged: Path, qtbot: QtBot) -> None:
    evaluation = window.session.state.evaluation
    assert evaluation is not None
    sure = figures.sureness
    figures.tabs.setCurrentWidget(sure)
    assert not sure.keep.isEnabled() and not sure.drop.isEnabled()
    assert sure.wall.thumbs.rowCount() == len(evaluation.mistakes)
    sure.value.selectAll()
    QTest.keyClicks(sure.value, "40")
    QTest.keyClick(sure.value, Qt.Key.Key_Return)
    assert sure.slider.value() == 400
    sure.slider.setFocus()
    QTest.keyClick(sure.slider, Qt.Key.Key_PageUp)
    chosen = select(evaluation, 0.45)
    assert sure.threshold == 0.45
    assert f"{chosen.answered} of {chosen.of} photos answered" in sure.said.text() or not chosen.answered
    assert sure.wall.thumbs.rowCount() == len(chosen.mistakes)
    assert "these very pictures" in sure.warned.text()
    click(sure.keep)
    qtbot.waitUntil(lambda: RunFolder.open(judged).threshold is not None and not window.session.worker.busy, timeout=LONG)
    kept = RunFolder.open(judged).threshold
    assert kept is not None and kept.value == 0.45
    assert "it says don't know" in figures.figures.text()
    assert "less sure than 45.0" in (judged / "report.html").read_text().replace("\u00a0", " ")
    assert not sure.keep.isEnabled()
    window.session.shown.open(judged)
    assert sure.threshold == 0.45, "another time the kept one is shown"
    (judged / "note.json").write_text("{")
    click(sure.drop)
    qtbot.waitUntil(lambda: RunFolder.open(judged).threshold is None and not window.session.worker.busy, timeout=LONG)
    assert "don't know" not in figures.figures.text()
    assert "note.json" in figures.notice.text, "the report that was drawn anew is without it"
    (judged / "threshold.json").mkdir()
    sure.value.setValue(50)
    click(sure.keep)
    qtbot.waitUntil(lambda: bool(figures.notice.text), timeout=LONG)


def test_thresholds_are_kept_one_after_another_and_told_of_their_own_run(
    window: MainWindow, figures: ResultsPage, judged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    other = Path(shutil.copytree(judged, tmp_path / "other"))
    gate, begun = threading.Event(), list[Threshold | None]()

    def slowly(run: Path, plugins: Plugins, threshold: Threshold | None, *, warn: Warn) -> None:
        begun.append(threshold)
        assert gate.wait(30)
        keep_threshold(run, plugins, threshold, warn=warn)

    sure = figures.sureness
    figures.tabs.setCurrentWidget(sure)
    sure.value.setValue(40)
    click(sure.keep)
    qtbot.waitUntil(lambda: sure.drop.isEnabled() and not window.session.worker.busy, timeout=LONG)
    monkeypatch.setattr("desktop_ft.jobs.evaluating.keep_threshold", slowly)
    sure.value.setValue(60)
    click(sure.keep)
    click(sure.drop)
    qtbot.waitUntil(lambda: bool(begun), timeout=LONG)
    assert [threshold and threshold.value for threshold in begun] == [0.6], "the second waits for the first"
    gate.set()
    qtbot.waitUntil(lambda: len(begun) == 2 and not window.session.worker.busy, timeout=LONG)
    assert begun[1] is None and RunFolder.open(judged).threshold is None
    assert "less sure than" not in (judged / "report.html").read_text()
    gate.clear()
    (judged / "threshold.json").mkdir()
    click(sure.keep)
    window.session.shown.open(other)
    gate.set()
    qtbot.waitUntil(lambda: not window.session.worker.busy, timeout=LONG)
    assert not figures.notice.text, "that of the other run is in the log"


def test_a_file_that_was_exported_before_the_threshold_changed_is_told_of(
    window: MainWindow, figures: ResultsPage, judged: Path, qtbot: QtBot
) -> None:
    file, export = judged / "exports" / "model.onnx", window.page("export")
    file.write_bytes(b"as it was exported")
    told = ExportReport(
        file=str(file),
        bytes=1,
        compared=1,
        largest_difference=0.0,
        changed_answers=0,
        worst_path="a",
        accepted=True,
        threshold=0.0,
    )
    RunFolder.open(judged).add_export_report(told)
    window.session.shown.open(judged)
    assert isinstance(export, ExportPage)
    window.session.state.go("export")
    assert export.proof_text.isVisible() and not export.outdated.isVisible()
    window.session.state.go("results")
    figures.tabs.setCurrentWidget(figures.sureness)
    figures.sureness.value.setValue(40)
    for way, said in ((figures.sureness.keep, True), (figures.sureness.drop, False)):
        click(way)
        qtbot.waitUntil(lambda: not window.session.worker.busy, timeout=LONG)
        window.session.state.go("export")
        assert export.outdated.isVisible() is said
        assert ("this file still answers always" in export.outdated.text()) is said
        window.session.state.go("results")
    assert export.proof_title.text() == "Proven: it answers like the model"
    (judged / "checkpoints").mkdir(exist_ok=True)
    (judged / "checkpoints" / "index.json").write_text('{"best": null, "last": {"file": "epoch0001-step000000-a"}}\nseal\n')
    RunFolder.open(judged).add_export_report(replace(told, checkpoint="epoch0000-step000000-0000000000000000.safetensors"))
    window.session.shown.open(judged)
    window.session.state.go("export")
    assert export.outdated.isVisible() and "learned on since" in export.outdated.text()
    assert export.proof_title.text() == "Proven, for an earlier state of the run"


def test_what_a_run_s_manifest_and_figures_say_is_looked_up_once(
    window: MainWindow, figures: ResultsPage, judged: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    """A manifest of 100,000 photos took a second at every step of the slider."""
    (judged / "manifest.json").rename(judged / "elsewhere.json")
    evaluation, sure = window.session.state.evaluation, figures.sureness
    assert evaluation is not None
    figures.tabs.setCurrentWidget(sure)
    sure.slider.setFocus()
    remaining = set()
    with monkeypatch.context() as watched:
        watched.setattr("desktop_ft.evaluation.selective.fingerprint", lambda evaluation: pytest.fail("once an evaluation"))
        for _ in range(15):
            QTest.keyClick(sure.slider, Qt.Key.Key_PageUp)
            remaining.add(sure.wall.thumbs.rowCount())
    assert len(remaining) > 3, "other mistakes at other steps"
    assert "these very pictures" in sure.warned.text()
    assert {path.parent for path in photos_in_cell(figures, 1, 0)} == {photos / "light"}
    assert not figures.notice.text
    (judged / "elsewhere.json").rename(judged / "manifest.json")
    monkeypatch.setattr("desktop_ft.gui.results_page.figures", lambda evaluation: pytest.fail("once an evaluation"))
    click(sure.keep)
    qtbot.waitUntil(lambda: "it says don't know" in figures.figures.text(), timeout=LONG)
    qtbot.waitUntil(lambda: not window.session.worker.busy, timeout=LONG)


@pytest.mark.slow
def test_cells_lead_to_their_photos_by_keyboard_and_photos_to_where_the_answer_was_found(
    window: MainWindow, results: ResultsPage, qtbot: QtBot
) -> None:
    evaluation = window.session.state.evaluation
    assert evaluation is not None
    results.tabs.setCurrentIndex(1)
    row, column = next((i, j) for i, counts in enumerate(evaluation.confusion) for j, n in enumerate(counts) if n > 1)
    matrix = results.confusion
    matrix.setFocus()
    matrix.setCurrentIndex(matrix.model().index(0, 0))
    for key, times in ((Qt.Key.Key_Down, row), (Qt.Key.Key_Right, column)):
        for _ in range(times):
            QTest.keyClick(matrix, key)
    assert results.cell.thumbs.rowCount() == evaluation.confusion[row][column]
    QTest.keyClick(matrix, Qt.Key.Key_Return)
    assert results.cell.hasFocus()
    QTest.keyClick(results.cell, Qt.Key.Key_Return)
    dialog = results.findChild(PhotoDialog)
    assert dialog is not None
    qtbot.waitUntil(lambda: dialog.checked, timeout=LONG)
    told = dialog.told
    assert told is not None and told.classes[told.shown[0]] == evaluation.classes[column]
    assert dialog.shown.count() == (1 if row == column else 2)
    assert "ikeness with random weights" in dialog.verdict.text() or "Nothing in the picture" in dialog.verdict.text()
    with_map = dialog.picture.image
    assert dialog.scale.isVisible() is bool(told.grids[0].any())
    click(dialog.map)
    assert not dialog.scale.isVisible()
    assert dialog.picture.image != with_map or not told.grids[0].any()
    assert dialog.number == 0 and not dialog.previous.isEnabled()
    QTest.keyClick(dialog.picture, Qt.Key.Key_Right)
    assert dialog.number == 1 and dialog.told is None
    qtbot.waitUntil(lambda: dialog.told is not None, timeout=LONG)
    QTest.keyClick(dialog, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: not window.session.worker.busy, timeout=LONG)


@pytest.mark.slow
def test_a_photo_that_is_gone_is_told_in_the_dialog(
    window: MainWindow, results: ResultsPage, trained: tuple[Path, Path], qtbot: QtBot
) -> None:
    results.tabs.setCurrentIndex(4)
    lost = shutil.copy(trained[0] / "disc" / "00.png", window.session.state.run or Path())
    results.trying.try_on((Path(lost),))
    qtbot.waitUntil(lambda: not window.session.runs.busy and results.trying.wall.thumbs.rowCount() == 1, timeout=LONG)
    Path(lost).unlink()
    double_click(results.trying.wall, results.trying.wall.thumbs.index(0))
    dialog = results.findChild(PhotoDialog)
    assert dialog is not None
    qtbot.waitUntil(lambda: bool(dialog.notice.text), timeout=LONG)
    assert "00.png" in dialog.notice.text and not dialog.answer.isVisible()
    dialog.close()


@pytest.mark.slow
def test_what_is_dropped_is_answered_and_saved(
    window: MainWindow, results: ResultsPage, run: Path, trained: tuple[Path, Path], tmp_path: Path, qtbot: QtBot
) -> None:
    photos, before = trained[0], window.session.state.manifest
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for number in range(3):
        shutil.copy(photos / "disc" / f"0{number}.png", mixed)
    (mixed / "broken.png").write_bytes(b"not a picture")
    assert drop(window, mixed)
    assert results.tabs.currentWidget() is results.try_tab
    assert not results.offer.isVisible(), "no folder in it is called like a class"
    qtbot.waitUntil(lambda: not window.session.runs.busy, timeout=LONG)
    assert window.session.state.manifest is before
    assert results.trying.wall.thumbs.rowCount() == 4
    assert "3 answered" in results.trying.summary.text() and "1 cannot be read" in results.trying.summary.text()
    evaluated = {answer.path: answer for answer in window.session.state.evaluation.answers}
    for answer in results.trying.answers:
        same = evaluated.get(f"disc/{answer.path.name}")
        assert same is None or answer.confidence == pytest.approx(same.confidence, abs=1e-5)
    results.trying.write(tmp_path / "answers.csv")
    rows = list(csv.DictReader((tmp_path / "answers.csv").read_text().splitlines()))
    assert [Path(row["file"]).name for row in rows] == [answer.path.name for answer in results.trying.answers]
    assert {row["sure"] for row in rows} == {"yes", ""}
    assert next(row for row in rows if row["problem"])["answer"] == ""


@pytest.mark.slow
def test_a_folder_of_class_folders_is_answered_and_can_be_judged(
    window: MainWindow, results: ResultsPage, trained: tuple[Path, Path], tmp_path: Path, qtbot: QtBot
) -> None:
    results.sureness.value.setValue(99.9)
    click(results.sureness.keep)
    qtbot.waitUntil(lambda: not window.session.worker.busy, timeout=LONG)
    folder = tmp_path / "new"
    shutil.copytree(trained[0] / "disc", folder / "disc")
    assert drop(window, folder)
    assert results.offer.isVisible()
    assert not results.offer.button.isEnabled(), "one thing at a time"
    qtbot.waitUntil(lambda: not window.session.runs.busy, timeout=LONG)
    assert f"{sum(not answer.sure for answer in results.trying.answers)} don't know" in results.trying.summary.text()
    click(results.offer.button)
    qtbot.waitUntil(lambda: not window.session.runs.busy, timeout=LONG)
    assert window.session.state.judged == folder
    assert "all of new" in results.figures.text()


@pytest.mark.parametrize("where", ["results", "export"])
@pytest.mark.parametrize("said", list(SAID))
def test_a_dropped_bundle_or_foreign_export_is_told_of_at_once(
    window: MainWindow, figures: ResultsPage, tmp_path: Path, where: str, said: str
) -> None:
    (packed := tmp_path / "model.zip").write_bytes(SAID[said])
    window.session.state.go(where)
    assert drop(window, packed)
    export = window.page("export")
    assert isinstance(export, ExportPage)
    told = figures.trying.notice.text if where == "results" else export.notice.text
    assert " ".join(told.split()).startswith(f"model.zip {said}")
    assert not figures.offer.isVisible() and not window.session.runs.busy
    (photos := tmp_path / "photos.zip").write_bytes(archive(("disc/1.png", b"x")))
    assert drop(window, photos)
    assert not figures.trying.notice.text or where == "export"


@pytest.mark.slow
def test_photos_of_a_zip_that_is_judged_are_those_of_the_zip(
    window: MainWindow, results: ResultsPage, trained: tuple[Path, Path], tmp_path: Path, qtbot: QtBot
) -> None:
    packed = tmp_path / "new.zip"
    with ZipFile(packed, "w") as archive:
        for number, photo in enumerate(sorted((trained[0] / "disc").iterdir())[::-1]):
            archive.write(photo, f"new/disc/{number:02}.png")
    assert drop(window, packed)
    click(results.offer.button)
    qtbot.waitUntil(lambda: not window.session.runs.busy, timeout=LONG)
    evaluation = window.session.state.evaluation
    assert window.session.state.judged == packed and evaluation is not None
    disc = evaluation.classes.index("disc")
    called = max(range(len(evaluation.classes)), key=lambda column: evaluation.confusion[disc][column])
    shown = photos_in_cell(results, disc, called)
    assert len(shown) == evaluation.confusion[disc][called] > 0
    with ZipFile(packed) as archive:
        for path in shown:
            assert path.read_bytes() == archive.read(f"new/disc/{path.name}")
    click(results.own)
    own = window.session.state.evaluation
    assert own is not None and own is not evaluation
    called = max(range(len(own.classes)), key=lambda column: own.confusion[disc][column])
    assert {path.parent for path in photos_in_cell(results, disc, called)} == {trained[0] / "disc"}


@pytest.mark.slow
def test_asking_can_be_broken_off(
    window: MainWindow, results: ResultsPage, trained: tuple[Path, Path], tmp_path: Path, qtbot: QtBot
) -> None:
    assert drop(window, trained[0])
    trying = results.trying
    assert trying.progress.isVisible()
    click(trying.progress.findChildren(type(trying.ask))[0])
    qtbot.waitUntil(lambda: not window.session.runs.busy, timeout=LONG)
    assert len(trying.answers) < 24 and "are kept here" in trying.notice.text
    assert trying.ask.isEnabled()
    exported, run = page(window, "export"), window.session.state.run
    assert run is not None
    window.session.runs.export(run, tmp_path / "model.onnx", AS_IT_IS)
    window.session.runs.cancel()
    qtbot.waitUntil(lambda: not window.session.runs.busy, timeout=LONG)
    assert isinstance(exported, ExportPage) and "no file was written" in exported.notice.text
    assert not list(tmp_path.glob("*.onnx"))


@pytest.mark.slow
def test_what_was_found_of_a_run_that_is_not_shown_any_more_is_told(
    window: MainWindow, results: ResultsPage, run: Path, qtbot: QtBot
) -> None:
    window.session.runs.evaluate(run)
    window.session.state.set_run(None, None)  # as where another run ends meanwhile
    qtbot.waitUntil(lambda: window.notice.text == f"The run {run.name} is evaluated.", timeout=LONG)
    assert window.session.state.evaluation is None
    window.session.runs.export(run, run / "exports" / "model.onnx", AS_IT_IS)
    qtbot.waitUntil(lambda: "is exported and proven" in window.notice.text, timeout=LONG)
    assert str(run / "exports" / "model.onnx") in window.notice.text


@pytest.mark.slow
def test_answers_of_one_run_are_never_shown_as_those_of_the_next(
    window: MainWindow, results: ResultsPage, run: Path, trained: tuple[Path, Path], tmp_path: Path, qtbot: QtBot
) -> None:
    other = Path(shutil.copytree(run, tmp_path / "other"))
    trying = results.trying
    trying.try_on((trained[0] / "disc" / "00.png",))
    qtbot.waitUntil(lambda: not window.session.runs.busy, timeout=LONG)
    (given,) = trying.answers
    window.session.shown.open(other)
    assert trying.answers == [] and trying.wall.thumbs.rowCount() == 0
    window.session.shown.open(run)
    assert trying.answers == [given] and trying.wall.thumbs.rowCount() == 1, "they belong to the run that is shown"
    assert drop(window, trained[0])
    assert trying.progress.isVisible()
    window.session.state.set_run(other, None)  # as where another run ends meanwhile
    assert trying.progress.isHidden()
    qtbot.waitUntil(lambda: not window.session.runs.busy, timeout=LONG)
    assert trying.answers == [] and trying.wall.thumbs.rowCount() == 0
    assert trying.ask.isEnabled(), "and the next can be asked"


def test_a_run_that_ends_takes_no_other_out_of_sight(
    window: MainWindow, figures: ResultsPage, judged: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    ended = Path(shutil.copytree(judged, tmp_path / "ended"))
    recipe = RunFolder.open(judged).recipe
    window.session.opening.open_recipe(recipe)
    qtbot.waitUntil(lambda: not window.session.opening.running)
    for page_shown, run_shown in (("results", judged), ("train", ended)):
        window.session.state.go(page_shown)
        window.session.shown.open(judged)
        window.session.starting.begin(recipe, ended, lambda emit, control, progress: RunEnded(status=RunStatus.COMPLETED))
        qtbot.waitUntil(lambda: not window.session.training.running)
        assert window.session.state.run == run_shown
        assert window.session.training.run == ended and window.strip.results.isVisibleTo(window)
        click(window.strip.results)
        assert window.session.state.run == ended and figures.isVisible()


def test_a_run_that_is_dropped_is_opened(window: MainWindow, figures: ResultsPage, judged: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(judged, tmp_path / "other"))
    assert drop(window, other)
    assert window.session.state.run == other


@pytest.mark.slow
def test_the_plots_follow_the_colours(window: MainWindow, figures: ResultsPage) -> None:
    figures.tabs.setCurrentWidget(figures.sureness)
    light = figures.sureness.diagram.grab().toImage().pixelColor(QPoint(20, 20))
    window.commands.theme_dark()
    dark = figures.sureness.diagram.grab().toImage().pixelColor(QPoint(20, 20))
    window.commands.theme_light()
    assert light.lightness() > dark.lightness() + 50
