"""The curves: scale, smoothing, what lies under the mouse, and files of them."""

import errno
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyqtgraph.graphicsItems.ViewBox.ViewBoxMenu import ViewBoxMenu
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QImage
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from desktop_ft.core.curves import curves_csv
from desktop_ft.core.errors import UserError
from desktop_ft.core.events import MachineUse, RatesSet
from desktop_ft.core.metrics import MetricHistory
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.gui.plots import free_plot, make_plot
from desktop_ft.gui.train_page import TrainPage
from desktop_ft.runs import atomic
from tests.core.test_curves import history
from tests.gui.test_window import page


@pytest.fixture
def train(window: MainWindow) -> TrainPage:
    """The page with the curves of a run of 2 epochs of 50 steps."""
    train = page(window, "train")
    assert isinstance(train, TrainPage)
    window.session.training.show(Path("a run"), history(2, 50))
    return train


def drawn(train: TrainPage, name: str) -> np.ndarray:
    return train.plots.shown.values(name)


def test_a_plot_makes_no_menu_only_to_take_it_apart_again(monkeypatch: pytest.MonkeyPatch, qtbot: QtBot) -> None:
    # Beside a busy thread each widget taken apart is a wait for Python's lock: on a crowded machine the window stood still.
    made = list[str]()
    before = ViewBoxMenu.__init__
    monkeypatch.setattr(ViewBoxMenu, "__init__", lambda menu, view: (made.append("menu"), before(menu, view))[1])
    plot = make_plot("Loss", "epoch")
    assert made == [] and not plot.getPlotItem().menuEnabled() and not plot.getPlotItem().getViewBox().menuEnabled()
    free_plot(plot)


def test_what_is_empty_shows_no_numbers_of_its_own_making(train: TrainPage, window: MainWindow) -> None:
    learning = train.plots.learning
    for told, shown in ((MetricHistory(), False), (history(2, 50), True), (MetricHistory(), False)):
        window.session.training.show(Path("a run"), told)
        train.grab()
        assert learning.loss.getAxis("left").style["showValues"] is shown
        low, high = learning.accuracy.getPlotItem().getViewBox().viewRange()[1]
        assert learning.accuracy.getAxis("left").style["showValues"] and ((low < 0 and high > 100) is not shown)


def test_smoothing_draws_means_and_nothing_else(train: TrainPage) -> None:
    raw, validation = drawn(train, "steps"), drawn(train, "val_loss")
    assert list(raw) == [1 / (1 + at) for at in range(100)]
    train.controls.smooth.setValue(10)
    smooth = drawn(train, "steps")
    assert smooth[0] == raw[0] and smooth[4] == pytest.approx(raw[:5].mean()) and smooth[-1] == pytest.approx(raw[-10:].mean())
    assert list(drawn(train, "val_loss")) == list(validation)
    train.controls.smooth.setValue(1)
    assert list(drawn(train, "steps")) == list(raw)


def test_another_run_of_as_many_steps_is_drawn(train: TrainPage, window: MainWindow) -> None:
    other = history(2, 50)
    other.steps = [replace(step, loss=5 + step.loss) for step in other.steps]
    train.grab()
    train.plots.pointed.emit("epoch 2, batch 25: loss 1")
    window.session.training.show(Path("another run"), other)
    assert "batch" not in train.controls.pointed.text()
    train.grab()  # the range follows when it is painted
    assert train.plots.learning.loss.getPlotItem().getViewBox().viewRange()[1][1] > 5


def test_the_loss_can_be_drawn_on_a_logarithmic_scale(train: TrainPage) -> None:
    raw = drawn(train, "steps")
    train.controls.log.click()
    assert list(drawn(train, "steps")) == pytest.approx(list(np.log10(raw)))
    train.controls.log.click()
    assert list(drawn(train, "steps")) == list(raw)


def test_what_lies_under_the_mouse_is_told(train: TrainPage, qtbot: QtBot) -> None:
    view = train.plots.learning.loss.getPlotItem().getViewBox()
    where = train.plots.learning.loss.mapFromScene(view.mapViewToScene(QPointF(1.5, view.viewRect().center().y())))
    QTest.mouseMove(train.plots.learning.loss.viewport(), where)
    near = re.compile("epoch 2, batch 2[456]")  # a pixel is about a batch wide
    qtbot.waitUntil(lambda: near.search(train.controls.pointed.text()) is not None)
    assert "validation loss 0.75, accuracy 33.3 %" in train.controls.pointed.text()


@pytest.mark.parametrize("view", ["learning", "machine"])
def test_a_double_click_shows_all_again_after_a_look_at_a_part(train: TrainPage, view: str) -> None:
    run = history(2, 50)
    for seconds in (0.0, 120.0, 240.0):
        run.add(MachineUse(seconds=seconds, cpu=0.5, memory=10**9, gpu=None, gpu_memory=None, gpu_celsius=None))
    train._session.training.show(Path("another run"), run)
    train.plots.tabs.setCurrentWidget(getattr(train.plots, view))
    plot = train.plots.shown.plots[0]
    box = plot.getPlotItem().getViewBox()
    train.grab()  # the range follows when it is painted
    whole = box.viewRange()[0]
    plot.setXRange(0.5, 0.6)
    train.plots.shown.redraw()
    assert box.viewRange()[0][1] < 1, "a part stays in sight while it goes on"
    middle = plot.viewport().rect().center()
    QTest.mouseClick(plot.viewport(), Qt.MouseButton.LeftButton, pos=middle)
    assert box.viewRange()[0][1] < 1, "one click is no two"
    QTest.mouseDClick(plot.viewport(), Qt.MouseButton.LeftButton, pos=middle)
    QTest.mouseRelease(plot.viewport(), Qt.MouseButton.LeftButton, pos=middle)  # which is left out there
    for _ in range(2):  # points out of sight are taken in with the first paint, and shown with the next
        train.grab()
    assert box.viewRange()[0] == pytest.approx(whole)


def test_curves_are_saved_as_pictures_and_as_a_table(train: TrainPage, tmp_path: Path) -> None:
    for name in ("curves.png", "curves.svg", "curves.csv"):
        train.controls.write(tmp_path / name)
    picture = QImage(str(tmp_path / "curves.png"))
    assert picture.size() == 2 * train.plots.shown.size()
    assert QSvgRenderer(str(tmp_path / "curves.svg")).isValid() and "<text" in (tmp_path / "curves.svg").read_text()
    assert (tmp_path / "curves.csv").read_text() == curves_csv(history(2, 50))


def test_what_cannot_be_saved_is_told(train: TrainPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="cannot be saved as"):
        train.controls.write(tmp_path / "curves.gif")

    def full(path: Path, *parts: bytes) -> None:
        raise atomic.cannot_write(path, 1, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    with monkeypatch.context() as patched:
        patched.setattr(atomic, "write", full)
        patched.setattr("desktop_ft.gui.plot_controls.choose_new_file", lambda *given: tmp_path / "curves.csv")
        train.controls.save.click()
    assert "disk is full" in train.notice.text


def test_another_view_offers_what_makes_sense_for_it(train: TrainPage, window: MainWindow) -> None:
    controls, plots = train.controls, train.plots
    assert controls.log.isEnabled() and controls.smooth.isEnabled() and not controls.log.isChecked()
    plots.tabs.setCurrentWidget(plots.rates)
    assert controls.log.isChecked() and not controls.smooth.isEnabled()  # rates fall to a thousandth
    controls.log.click()
    assert not plots.rates.log and not plots.learning.log
    plots.tabs.setCurrentWidget(plots.machine)
    assert not controls.log.isEnabled() and controls.smooth.isEnabled()


def test_rates_are_drawn_by_group(train: TrainPage, window: MainWindow) -> None:
    told = history(3, 4)
    told.rates += [
        RatesSet(epoch=0, groups=(("head", 1.0),)),
        RatesSet(epoch=1, groups=(("blocks.5", 0.1), ("head", 1.0))),
        RatesSet(epoch=2, groups=(("blocks.5", 0.2), ("head", 1.0))),
    ]
    train.plots.tabs.setCurrentWidget(train.plots.rates)
    train.controls.log.click()
    window.session.training.show(Path("a run"), told)
    rates = [step.lr for step in told.steps]
    assert list(drawn(train, "head")) == pytest.approx(rates)
    block = drawn(train, "blocks.5")
    assert np.isnan(block[:4]).all()
    assert list(block[4:8]) == pytest.approx([0.1 * rate for rate in rates[4:8]])
    assert list(block[8:]) == pytest.approx([0.2 * rate for rate in rates[8:]])
    assert "head" in train.controls.legend.text() and "blocks.5" in train.controls.legend.text()
    assert train.plots.rates._told_at(1.25) == "epoch 2, batch 1: head 0.5, blocks.5 0.05"


def test_speed_and_the_machine_are_drawn_pointed_at_and_saved(train: TrainPage, window: MainWindow, tmp_path: Path) -> None:
    told = history(2, 5)
    assert told.started is not None
    told.started = replace(told.started, batch_size=10)
    told.took = [0.5] * 10
    for second in range(4):
        told.add(
            MachineUse(seconds=60.0 * second, cpu=0.25 * second, memory=10**9, gpu=0.5, gpu_memory=2 * 10**9, gpu_celsius=61.0)
        )
    window.session.training.show(Path("a run"), told)
    plots = train.plots
    plots.tabs.setCurrentWidget(plots.speed)
    assert list(drawn(train, "steps")) == [20.0] * 8 and list(drawn(train, "epochs")) == [20.0, 20.0]
    assert plots.speed._told_at(0.2) == "epoch 1, batch 1: 20.0 pictures a second"
    plots.tabs.setCurrentWidget(plots.machine)
    assert list(drawn(train, "cpu")) == [0.0, 25.0, 50.0, 75.0] and list(drawn(train, "gpu_memory")) == [2.0] * 4
    assert plots.machine.heat.isVisible() and "GPU" in train.controls.legend.text()
    assert plots.machine._told_at(2.1) == "after 2 min 00 s: processor 50 %, memory 1.0 GB, GPU 50 %, GPU memory 2.0 GB, 61 °C"
    for name in ("machine.png", "machine.svg", "machine.csv"):
        train.controls.write(tmp_path / name)
    assert QImage(str(tmp_path / "machine.png")).size() == 2 * plots.machine.size()
    assert "machine" in (tmp_path / "machine.csv").read_text()


def test_nothing_below_moves_when_something_is_said(train: TrainPage) -> None:
    before = [widget.mapTo(train, widget.rect().topLeft()).y() for widget in (train.plots, train.start)]
    train.notice.say("The run goes on at a learning rate of 0.001 from its next epoch on.", "good")
    QApplication.processEvents()
    assert train.notice.isVisible()
    assert [widget.mapTo(train, widget.rect().topLeft()).y() for widget in (train.plots, train.start)] == before
