"""The page Export: what kind of file, its proof, and the files side by side; through real events."""

import hashlib
import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QDesktopServices, QMouseEvent, QStandardItemModel
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QComboBox, QDoubleSpinBox, QPushButton
from pytestqt.qtbot import QtBot

from desktop_ft.cli import main
from desktop_ft.core.errors import Cancelled
from desktop_ft.core.exporting import AS_IT_IS, ExportSettings, FileInput, FilePrecision
from desktop_ft.core.metrics import ChangedAnswer, ExportReport, Latency
from desktop_ft.gui.export_page import ExportPage
from desktop_ft.gui.exports_dialog import ExportsDialog
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.gui.photo_dialog import PhotoDialog
from desktop_ft.runs.run_folder import RunFolder
from tests.gui.test_results import LONG, judged, run, trained  # noqa: F401 - fixtures
from tests.gui.test_window import click, page
from tests.gui.test_window import drop as dropped


@pytest.fixture
def export(window: MainWindow, judged: Path) -> ExportPage:  # noqa: F811 - the fixture
    window.session.shown.open(judged)
    shown = page(window, "export")
    assert isinstance(shown, ExportPage)
    window.session.state.go("export")
    return shown


def choose(page: ExportPage, field: str, value: object) -> None:
    """Pick `value` with the keyboard."""
    control = page.form.control(field)
    assert isinstance(control, QComboBox)
    control.setFocus()
    QTest.keyClick(control, Qt.Key.Key_Home)
    for _ in range(control.findData(value)):
        QTest.keyClick(control, Qt.Key.Key_Down)
    assert control.currentData() == value


def report(run: Path, name: str, **others: object) -> ExportReport:  # noqa: F811
    known = {
        "file": str(run / "exports" / name),
        "bytes": 1000,
        "compared": 10,
        "largest_difference": 0.01,
        "changed_answers": 0,
        "worst_path": "a",
        "accepted": True,
        "threshold": 0.0,
        "judged": 10,
        "accuracy": 0.9,
        "trained_accuracy": 0.9,
        "latency": (Latency(batch=1, milliseconds=3.0), Latency(batch=8, milliseconds=20.0)),
    }
    return ExportReport(**(known | others))  # type: ignore[arg-type] # values by name


def test_runs_and_recipes_dropped_beside_a_model_are_opened(
    window: MainWindow,
    export: ExportPage,
    judged: Path,  # noqa: F811
    qtbot: QtBot,
) -> None:
    model = RunFolder.open(judged).exports / "model.onnx"
    model.write_bytes(b"a model")
    window.session.state.set_export(report(judged, model.name))
    assert dropped(window, judged / "recipe.toml") and not window.session.runs.busy
    qtbot.waitUntil(lambda: not window.session.opening.running, timeout=LONG)
    window.session.state.go("export")
    assert dropped(window, judged) and not window.session.runs.busy
    assert window.session.state.page == "results"


def test_the_proof_says_below_what_it_says_dont_know_and_leads_to_the_file(
    window: MainWindow,
    export: ExportPage,
    judged: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, shown = RunFolder.open(judged).exports / "model.onnx", list[str]()
    model.write_bytes(b"a model" * 143)
    window.session.state.set_export(report(judged, model.name, threshold=0.8, bytes=1001))
    assert "It says don't know below 80.0 %." in export.proof_text.text()
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: shown.append(url.toLocalFile()) or False)
    click(export.folder)
    assert shown == [str(model.parent)] and str(model.parent) in export.notice.text
    model.unlink()
    export.refresh()
    assert not export.folder.isVisible()


@pytest.mark.parametrize(("judged_on", "few"), [(99, True), (100, False)])
def test_a_loss_of_a_point_is_not_called_proven_on_fewer_photos_than_show_it(
    window: MainWindow,
    export: ExportPage,
    judged: Path,  # noqa: F811
    judged_on: int,
    few: bool,
) -> None:
    model = RunFolder.open(judged).exports / "model.onnx"
    model.write_bytes(b"a model" * 143)
    int8 = ExportSettings(precision=FilePrecision.INT8, largest_drop=1)
    window.session.state.set_export(report(judged, model.name, bytes=1001, judged=judged_on, settings=int8))
    assert ("too few to prove" in export.proof_title.text()) is few
    assert ("a loss of 1 cannot be seen on so few" in export.proof_text.text()) is few
    assert export.proof_title.property("level") == ("warn" if few else "good")


def test_the_name_follows_what_is_chosen_until_one_is_typed(export: ExportPage) -> None:
    assert Path(export.file.text()).name == "model.onnx"
    assert not export.form.control("largest_drop").isEnabled(), "an exact file may lose nothing"
    choose(export, "precision", FilePrecision.INT8)
    assert Path(export.file.text()).name == "model-int8.onnx"
    assert export.form.control("largest_drop").isEnabled()
    choose(export, "input", FileInput.PICTURE)
    assert Path(export.file.text()).name == "model-int8-picture.onnx"
    export.file.setText("/somewhere/mine.onnx")
    choose(export, "precision", FilePrecision.FLOAT16)
    assert export.file.text() == "/somewhere/mine.onnx"


def test_every_choice_has_its_card(export: ExportPage) -> None:
    for field in ("input", "precision", "largest_drop"):
        assert export.form.control(field).whatsThis()


def test_what_a_format_does_not_write_cannot_be_chosen(export: ExportPage, window: MainWindow) -> None:
    from desktop_ft.api import Exporter

    choose(export, "precision", FilePrecision.INT8)
    plain = Exporter(name="plain", title="Plain", suffix=".plain", write=lambda job: None)
    window.session.plugins.exporters.add(plain, "test")
    window.session.plugin_work.changed.emit()
    export.format.setCurrentIndex(export.format.findData("plain"))
    control = export.form.control("precision")
    assert isinstance(control, QComboBox)
    assert control.currentData() == FilePrecision.FLOAT32
    items = control.model()
    assert isinstance(items, QStandardItemModel)
    assert [items.item(row).isEnabled() for row in range(3)] == [True, False, False]
    assert Path(export.file.text()).name == "model.plain"


def test_files_are_compared_side_by_side_and_changed_answers_are_shown(
    export: ExportPage,
    judged: Path,  # noqa: F811
    window: MainWindow,
    qtbot: QtBot,
) -> None:
    click(export.compare)
    dialog = export.findChild(ExportsDialog)
    assert dialog is not None
    assert dialog.nothing.isVisible() and not dialog.plot.isVisible()
    photo = next(path for path in (judged.parent / "colours" / "light").rglob("*.png"))
    folder = RunFolder.open(judged)
    folder.add_export_report(report(judged, "model.onnx"))
    for name in ("model.onnx", "small.onnx"):
        (judged / "exports" / name).touch()
    small = ExportSettings(precision=FilePrecision.INT8)
    changed = ChangedAnswer(path=str(photo), label=0, trained=0, exported=1)
    folder.add_export_report(
        report(judged, "small.onnx", bytes=250, settings=small, accuracy=0.8, changed_answers=1, changed=(changed,))
    )
    window.session.state.set_export(folder.export_reports[-1])
    assert dialog.table.rows.rowCount() == 2
    assert dialog.plot.isVisible() and not dialog.nothing.isVisible()
    assert dialog.table.rows.index(0, 5).data() == "90.0 % (59.6 to 98.2)"
    reach = dialog.whiskers.boundingRect()
    assert (reach.top(), reach.bottom()) == pytest.approx((49.0, 98.2), abs=0.1), "8 of 10 to 9 of 10, with their intervals"
    assert "80.0 % (49.0 to 94.3)" in export.proof_text.text() and "90.0 % (59.6 to 98.2)" in export.proof_text.text()
    dialog.table.select(lambda row: row.settings.precision == "int8")
    assert "1 answer changed" in dialog.about.text()
    assert photo.name in dialog.photos.item(0).text()
    dialog.photos.setCurrentRow(0)
    dialog.photos.setFocus()
    QTest.keyClick(dialog.photos, Qt.Key.Key_Return)
    shown = dialog.findChild(PhotoDialog)
    assert shown is not None
    shown.reject()
    click(export.compare)
    assert len(export.findChildren(ExportsDialog)) == 1, "shown once"
    dialog.reject()


def test_which_file_answers_on_the_page_can_be_chosen(
    export: ExportPage,
    judged: Path,  # noqa: F811
    window: MainWindow,
) -> None:
    folder = RunFolder.open(judged)
    for name in ("model.onnx", "small.onnx", "gone.onnx"):
        folder.add_export_report(report(judged, name))
        (judged / "exports" / name).touch()
    (judged / "exports" / "gone.onnx").unlink()
    window.session.state.set_export(folder.export_reports[1])
    assert "small.onnx answers" in export.trying.reason.text()
    click(export.compare)
    dialog = export.findChild(ExportsDialog)
    assert dialog is not None
    use = next(each for each in dialog.findChildren(QPushButton) if each.text() == "Use on the page Export")
    dialog.table.select(lambda row: Path(row.file).name == "gone.onnx")
    assert not use.isEnabled(), "it is not there any more"
    dialog.table.select(lambda row: Path(row.file).name == "model.onnx")
    click(use)
    assert "model.onnx answers" in export.trying.reason.text() and "model.onnx" in export.proof_text.text()
    dialog.table.select(lambda row: Path(row.file).name == "small.onnx")
    use.setFocus()
    QTest.keyClick(use, Qt.Key.Key_Space)
    assert "small.onnx answers" in export.trying.reason.text()
    dialog.reject()


def test_what_could_not_be_written_is_told_where_it_was_asked_for(
    export: ExportPage,
    judged: Path,  # noqa: F811
    window: MainWindow,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: QtBot,
) -> None:
    def export_every(run: Path, *_: object, warn: Callable[[str], None], **__: object) -> tuple[ExportReport, ...]:  # noqa: F811
        warn("model-int8.onnx: It changes too many answers.")
        warn("model.odd: The format is not written here.")
        written = tuple(report(run, name) for name in ("model.onnx", "model-float16.onnx"))
        for each in written:
            RunFolder.open(run).add_export_report(each)
            Path(each.file).touch()
        return written

    monkeypatch.setattr("desktop_ft.jobs.exporting.export_every", export_every)
    click(export.compare)
    dialog = export.findChild(ExportsDialog)
    assert dialog is not None
    click(dialog.every)
    qtbot.waitUntil(lambda: not window.session.runs.busy, timeout=LONG)
    for part in ("model-int8.onnx: It changes", "model.odd: The format"):
        assert part in dialog.notice.text and part in export.notice.text
    assert "model-float16.onnx" in export.proof_text.text(), "of several, the last is told of as the last"
    dialog.reject()


@pytest.mark.slow
def test_every_precision_is_written_and_proven_from_the_window(
    window: MainWindow,
    run: Path,  # noqa: F811
    tmp_path: Path,
    qtbot: QtBot,
) -> None:
    window.session.shown.open(run)
    export = page(window, "export")
    assert isinstance(export, ExportPage)
    window.session.state.go("export")
    choose(export, "precision", FilePrecision.INT8)
    drop = export.form.control("largest_drop")
    assert isinstance(drop, QDoubleSpinBox)
    drop.setValue(20)
    click(export.compare)
    dialog = export.findChild(ExportsDialog)
    assert dialog is not None
    assert not dialog.cancel.isVisible() and "Nothing was exported" in dialog.nothing.text()
    click(dialog.every)
    assert not dialog.every.isEnabled() and dialog.reason.text() and dialog.cancel.isVisible()
    assert "Nothing was exported" not in dialog.nothing.text()
    seen = list[int]()
    window.session.runs.progressed.connect(lambda done, total: seen.append(dialog.table.rows.rowCount()))
    (some := tmp_path / "some").mkdir()
    sent = dropped(window, some)
    assert sent and "is under way. Wait for it" in export.notice.text
    told, lines = [set[str](), set[str]()], (dialog.reason, export.progress.what)
    window.session.runs.progressed.connect(
        lambda done, total: [said.add(line.text()) for said, line in zip(told, lines, strict=True)]
    )
    qtbot.waitUntil(lambda: not window.session.runs.busy, timeout=4 * LONG)
    assert told[0] == told[1] and not dialog.reason.text() and not export.notice.text
    for part in ("Asking the trained model", "Writing the file", "Looking at training photos", "Comparing the answers"):
        assert any(line.startswith(f"model-int8.onnx: {part}") for line in told[0]), (part, told[0])
    written = {Path(known.file).name for known in RunFolder.open(run).export_reports}
    assert {"model.onnx", "model-float16.onnx"} <= written
    assert {known.settings.largest_drop for known in RunFolder.open(run).export_reports} == {20}
    assert dialog.table.rows.rowCount() == len(written)
    assert {0, 1, len(written) - 1} <= set(seen), "each comes as it is finished"
    assert all((run / "exports" / name).is_file() for name in written)
    dialog.reject()


def test_what_exports_every_precision_can_be_cancelled_where_it_was_begun(
    export: ExportPage,
    judged: Path,  # noqa: F811
    window: MainWindow,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: QtBot,
) -> None:
    go_on = threading.Event()

    def export_every(run: Path, *_: object, cancel: threading.Event, **__: object) -> None:  # noqa: F811
        RunFolder.open(run).add_export_report(report(run, "model.onnx"))
        (run / "exports" / "model.onnx").touch()
        go_on.wait(LONG)
        if cancel.is_set():
            raise Cancelled

    monkeypatch.setattr("desktop_ft.jobs.exporting.export_every", export_every)
    click(export.compare)
    dialog = export.findChild(ExportsDialog)
    assert dialog is not None
    assert not dialog.cancel.isVisible() and "Nothing was exported" in dialog.nothing.text()
    click(dialog.every)
    try:
        assert dialog.cancel.isVisible() and "as soon as it is proven" in dialog.nothing.text()
        click(dialog.cancel)
        assert not dialog.cancel.isEnabled() and dialog.reason.text() == "Stopping…"
    finally:
        go_on.set()
    qtbot.waitUntil(lambda: not window.session.runs.busy, timeout=LONG)
    assert "The files that were proven before are kept" in export.notice.text
    assert not dialog.cancel.isVisible() and dialog.every.isEnabled() and not dialog.reason.text()
    assert dialog.table.rows.rowCount() == 1, "what was finished before is kept"
    assert "model.onnx" in export.proof_text.text() and export.proof_text.isVisible()
    assert "model.onnx answers" in export.trying.reason.text()
    dialog.reject()


@pytest.mark.slow
def test_a_bundle_is_written_where_it_was_asked_for(
    window: MainWindow,
    run: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: QtBot,
) -> None:
    window.session.shown.open(run)
    export = page(window, "export")
    assert isinstance(export, ExportPage)
    window.session.state.go("export")
    RunFolder.open(run).add_export_report(other := report(run, "other.onnx"))
    (run / "exports" / "other.onnx").touch()
    window.session.state.set_export(other)
    assert "other.onnx" in export.proof_text.text()
    out = tmp_path / "mine.zip"
    monkeypatch.setattr("desktop_ft.gui.export_page.choose_new_file", lambda *given: out)
    click(export.bundle)
    assert dropped(window, tmp_path) and "is under way. Wait for it" in export.notice.text
    qtbot.waitUntil(lambda: not window.session.runs.busy, timeout=2 * LONG)
    assert out.is_file() and not export.notice.text
    few = export.proof_title.text().startswith("No worse on your photos, which are too few")
    assert few and export.proof_title.property("level") == "warn"
    told = export.proof_text.text()
    assert export.proof_text.isVisible() and str(out) in told and "other.onnx" not in told
    assert "it knows" in told and "Photos answered at once here" in told, "of the bundle's own model"
    assert "other.onnx answers" in export.trying.reason.text(), "a bundle is no model to ask"
    window.session.state.set_export(other)
    assert "other.onnx" in export.proof_text.text() and str(out) not in export.proof_text.text()


def test_the_newest_onnx_file_that_is_there_is_tried_whatever_was_exported_last(
    export: ExportPage,
    judged: Path,  # noqa: F811
    window: MainWindow,
) -> None:
    folder = RunFolder.open(judged)
    ncnn = ExportSettings(format="ncnn")
    for name, settings in (
        ("first.onnx", AS_IT_IS),
        ("second.onnx", AS_IT_IS),
        ("gone.onnx", AS_IT_IS),
        ("model.ncnn.zip", ncnn),
    ):
        folder.add_export_report(report(judged, name, settings=settings))
        (judged / "exports" / name).touch()
    (judged / "exports" / "gone.onnx").unlink()
    window.session.shown.open(judged)
    assert "model.ncnn.zip" in export.proof_text.text()
    assert export.trying.ask.isEnabled() and "second.onnx answers" in export.trying.reason.text()
    (judged / "exports" / "second.onnx").unlink()
    export.refresh()
    assert "first.onnx answers" in export.trying.reason.text()


def test_the_proof_tells_accuracy_and_time_and_goes_while_another_file_is_written(
    export: ExportPage,
    judged: Path,  # noqa: F811
    window: MainWindow,
    qtbot: QtBot,
) -> None:
    (judged / "exports" / "model.onnx").touch()
    window.session.state.set_export(report(judged, "model.onnx"))
    assert export.proof_text.isVisible() and "it knows 90.0 % (59.6 to 98.2)" in export.proof_text.text()
    assert "1 in 3.0 ms, 8 in 20.0 ms" in export.proof_text.text()
    click(export.export)  # of a run without a model, which fails
    assert not export.proof_title.isVisible() and not export.proof_text.isVisible()
    qtbot.waitUntil(lambda: not window.session.runs.busy, timeout=LONG)
    export.notice.clear()
    export.refresh()
    assert export.proof_text.isVisible(), "a file that was not replaced is still proven"


def test_what_is_only_said_leaves_the_proof_in_sight_and_an_error_does_not(
    window: MainWindow,
    export: ExportPage,
    judged: Path,  # noqa: F811
    qtbot: QtBot,
) -> None:
    (judged / "exports" / "model.ncnn.zip").touch()
    window.session.state.set_export(report(judged, "model.ncnn.zip", settings=ExportSettings(format="ncnn")))
    photo = next((judged.parent / "colours" / "light").glob("*.png"))
    assert dropped(window, photo) and "no exported model yet" in export.notice.text
    export.file.setText(str(judged / "other.onnx"))
    choose(export, "precision", FilePrecision.INT8)  # draws the page anew
    assert export.proof_title.isVisible() and export.proof_text.isVisible()
    click(export.export)  # of a run without a model, which fails
    qtbot.waitUntil(lambda: not window.session.runs.busy, timeout=LONG)
    failed = export.notice.text
    assert failed and "no exported model yet" not in failed and not export.proof_text.isVisible()
    click(export.export)
    assert not export.notice.text, "it was about the export before"
    qtbot.waitUntil(lambda: not window.session.runs.busy, timeout=LONG)


@pytest.mark.slow
def test_a_file_that_replaces_another_is_proven_in_sight(window: MainWindow, run: Path, qtbot: QtBot) -> None:  # noqa: F811
    window.session.shown.open(run)
    export = page(window, "export")
    assert isinstance(export, ExportPage)
    window.session.state.go("export")
    RunFolder.open(run).add_export_report(report(run, "model.onnx", settings=ExportSettings(precision=FilePrecision.INT8)))
    (run / "exports" / "model.onnx").touch()
    click(export.export)
    qtbot.waitUntil(lambda: not window.session.runs.busy, timeout=2 * LONG)
    assert "replaced (it was int8)" in export.notice.text
    assert export.proof_title.isVisible() and export.proof_text.isVisible()
    assert "it knows" in export.proof_text.text() and "Photos answered at once here" in export.proof_text.text()


def test_a_format_whose_plugin_goes_away_gives_way_to_the_first(export: ExportPage, window: MainWindow) -> None:
    from desktop_ft.api import Exporter

    exporters = window.session.plugins.exporters
    exporters.add(Exporter(name="plain", title="Plain", suffix=".plain", write=lambda job: None), "test")
    window.session.plugin_work.changed.emit()
    export.format.setCurrentIndex(export.format.findData("plain"))
    assert Path(export.file.text()).name == "model.plain"
    exporters.drop("test")
    window.session.plugin_work.changed.emit()
    assert export.format.currentData() == "onnx"
    assert Path(export.file.text()).name == "model.onnx"


def test_formats_that_plugins_bring_are_told_of_while_these_are_off(export: ExportPage, window: MainWindow, qtbot: QtBot) -> None:
    assert export.more.text().endswith("torch_export, openvino_export, ncnn_export, coreml_export")
    assert "PyTorch program" in export.more.toolTip()
    click(export.to_plugins)
    assert window.session.state.page == "plugins"
    qtbot.waitUntil(lambda: window.session.plugin_work.can_begin)
    window.session.plugin_work.turn("torch_export", on=True)
    qtbot.waitUntil(lambda: "torch_export" not in export.more.text(), timeout=LONG)
    window.session.state.go("export")
    assert export.format.findData("torch") > 0 and "openvino_export" in export.more.text() and export.to_plugins.isVisible()


def test_files_that_are_gone_are_marked_and_compared_with_nothing(
    export: ExportPage,
    judged: Path,  # noqa: F811
    window: MainWindow,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = RunFolder.open(judged)
    for name in ("model.onnx", "small.onnx"):
        folder.add_export_report(report(judged, name))
        (judged / "exports" / name).touch()
    (judged / "exports" / "small.onnx").unlink()
    click(export.compare)
    dialog = export.findChild(ExportsDialog)
    assert dialog is not None
    rows = dialog.table.rows
    assert {rows.index(row, 0).data() for row in range(2)} == {"model.onnx", "small.onnx (gone)"}
    assert len(dialog._dots.points()) == 1
    assert main(["exports", str(judged)]) == 0
    said = capsys.readouterr().out
    assert "small.onnx (gone)" in said and "model.onnx (gone)" not in said
    assert "90.0% (59.6 to 98.2)" in said
    assert "measured when each file was exported" in said and "measured when each file was exported" in dialog.measured.text()
    assert dialog.measured.isVisible()
    assert main(["exports", str(judged), "--json"]) == 0
    for told in json.loads(capsys.readouterr().out):
        assert told["accuracy"] == 0.9 and told["interval"] == told["trained_interval"] == pytest.approx([0.596, 0.982], abs=1e-3)
    (judged / "exports" / "model.onnx").unlink()
    dialog.refresh()
    assert dialog.nothing.isVisible() and "are gone" in dialog.nothing.text()
    dialog.reject()


def test_files_that_were_not_timed_are_told_of_and_not_as_none(export: ExportPage, judged: Path) -> None:  # noqa: F811
    RunFolder.open(judged).add_export_report(report(judged, "old.onnx", accuracy=None, latency=()))
    (judged / "exports" / "old.onnx").touch()
    click(export.compare)
    dialog = export.findChild(ExportsDialog)
    assert dialog is not None
    assert dialog.table.rows.rowCount() == 1
    assert dialog.nothing.isVisible() and "timed" in dialog.nothing.text() and not dialog.measured.isVisible()
    dialog.reject()


def test_files_that_were_never_tried_here_are_not_the_fastest_nor_the_truest(export: ExportPage, judged: Path) -> None:  # noqa: F811
    timed = {"slow": 9.0, "fast": 3.0}
    for name, spent in timed.items():
        told = report(judged, name, latency=(Latency(batch=1, milliseconds=spent),), changed_answers=int(spent))
        RunFolder.open(judged).add_export_report(told)
    RunFolder.open(judged).add_export_report(report(judged, "untried", accuracy=None, latency=(), unverified="Nobody can."))
    click(export.compare)
    dialog = export.findChild(ExportsDialog)
    assert dialog is not None
    shown = dialog.table.proxy
    for title in ("1 picture, ms", "Changed answers"):
        column = next(n for n in range(shown.columnCount()) if shown.headerData(n, Qt.Orientation.Horizontal) == title)
        dialog.table.sortByColumn(column, Qt.SortOrder.AscendingOrder)
        names = [shown.index(number, 0).data().removesuffix(" (gone)") for number in range(shown.rowCount())]
        assert names == ["fast", "slow", "untried"]
    dialog.reject()


def test_each_point_says_which_file_it_is_and_each_colour_which_format(
    export: ExportPage,
    judged: Path,  # noqa: F811
    qtbot: QtBot,
) -> None:
    for number, kind in enumerate(("onnx", "ncnn", "<i>")):
        spent = (Latency(batch=1, milliseconds=3.0 + number),)
        settings = ExportSettings(format=kind)
        RunFolder.open(judged).add_export_report(report(judged, f"{number}.onnx", latency=spent, settings=settings))
    for name in ("0.onnx", "1.onnx"):
        (judged / "exports" / name).touch()
    click(export.compare)
    dialog = export.findChild(ExportsDialog)
    assert dialog is not None
    drawn = {point.data().settings.format: point.pen().color().name() for point in dialog._dots.points()}
    assert drawn.keys() == {"onnx", "ncnn"}, "the third file is gone"
    assert all(f'<span style="color:{colour}">■</span>&nbsp;{name}' in dialog.formats.text() for name, colour in drawn.items())
    assert "&gt;" not in dialog.formats.text()
    view = dialog.plot.getPlotItem().getViewBox()
    dialog.grab()  # the range follows when it is painted
    where = dialog.plot.mapFromScene(view.mapViewToScene(QPointF(4.0, 90.0)))
    button = Qt.MouseButton.NoButton
    moved = QMouseEvent(QEvent.Type.MouseMove, where, QPointF(where), button, button, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(dialog.plot.viewport(), moved)  # without a screen, what is in front of the window is not known
    qtbot.waitUntil(lambda: "1.onnx" in dialog.plot.toolTip())
    assert "90.0 % (59.6 to 98.2), 4.0 ms" in dialog.plot.toolTip() and "0.onnx" not in dialog.plot.toolTip()
    QTest.mouseClick(dialog.plot.viewport(), Qt.MouseButton.LeftButton, pos=where)
    qtbot.waitUntil(lambda: Path(dialog.table.current().file).name == "1.onnx")
    dialog.reject()


def test_only_what_is_gone_can_be_forgotten_and_no_file_with_it(
    export: ExportPage,
    judged: Path,  # noqa: F811
    window: MainWindow,
    qtbot: QtBot,
) -> None:
    folder = RunFolder.open(judged)
    for name in ("model.onnx", "small.onnx"):
        folder.add_export_report(report(judged, name))
    (judged / "exports" / "model.onnx").touch()
    window.session.state.set_export(folder.export_reports[-1])
    click(export.compare)
    dialog = export.findChild(ExportsDialog)
    assert dialog is not None
    qtbot.waitUntil(dialog.isActiveWindow)
    dialog.table.select(lambda row: row.file.endswith("model.onnx"))
    dialog.table.setFocus()
    QTest.keyClick(dialog.table, Qt.Key.Key_Delete)
    assert not dialog.can_forget and len(folder.export_reports) == 2
    dialog.table.select(lambda row: row.file.endswith("small.onnx"))
    QTest.keyClick(dialog.table, Qt.Key.Key_Delete)
    assert [Path(known.file).name for known in folder.export_reports] == ["model.onnx"]
    assert dialog.table.rows.rowCount() == 1 and (judged / "exports" / "model.onnx").is_file()
    assert window.session.state.export == folder.export_reports[0], "the proof on the page is of what is left"
    dialog.reject()


def test_a_large_file_with_another_date_is_read_beside_the_window(
    export: ExportPage,
    judged: Path,  # noqa: F811
    window: MainWindow,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: QtBot,
) -> None:
    read_by, digest = list[threading.Thread](), hashlib.file_digest
    (file := judged / "exports" / "model.onnx").write_bytes(content := bytes(2_000_000))
    sha256 = hashlib.sha256(content).hexdigest()
    known = report(judged, "model.onnx", bytes=len(content), sha256=sha256, modified_ns=1)
    RunFolder.open(judged).add_export_report(known)
    monkeypatch.setattr(hashlib, "file_digest", lambda *given: read_by.append(threading.current_thread()) or digest(*given))
    window.session.shown.open(judged)
    qtbot.waitUntil(lambda: "model.onnx answers" in export.trying.reason.text(), timeout=LONG)
    assert str(file) in export.proof_text.text()
    assert read_by and threading.main_thread() not in read_by
