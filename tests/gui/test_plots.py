"""The curves: scale, smoothing, what lies under the mouse, and files of them."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPointF
from PySide6.QtGui import QImage
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from desktop_ft.core.curves import curves_csv
from desktop_ft.core.errors import UserError
from desktop_ft.gui.main_window import MainWindow
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


def test_smoothing_draws_means_and_nothing_else(train: TrainPage) -> None:
    raw, validation = drawn(train, "steps"), drawn(train, "val_loss")
    assert list(raw) == [1 / (1 + at) for at in range(100)]
    train.controls.smooth.setValue(10)
    smooth = drawn(train, "steps")
    assert smooth[0] == raw[0] and smooth[4] == pytest.approx(raw[:5].mean()) and smooth[-1] == pytest.approx(raw[-10:].mean())
    assert list(drawn(train, "val_loss")) == list(validation)
    train.controls.smooth.setValue(1)
    assert list(drawn(train, "steps")) == list(raw)


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
    qtbot.waitUntil(lambda: "epoch 2, batch 25" in train.controls.pointed.text())
    assert "validation loss 0.75, accuracy 33.3 %" in train.controls.pointed.text()


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
