"""The picture of the network: what it shows, and the depth it lets a person choose."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from desktop_ft.core.advice import Advice, Evidence, PlanOption, ProbeScore
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.metrics import Interval
from desktop_ft.gui.network_picture import NetworkPicture, bars
from desktop_ft.gui.score_curve import ScoreCurve
from desktop_ft.gui.theme import Theme, ThemeChoice
from tests.core.test_freezing import TREE


@pytest.fixture
def picture(qtbot: QtBot) -> Iterator[NetworkPicture]:
    made = NetworkPicture(Theme(ThemeChoice.LIGHT))
    made.resize(500, 80)
    made.show_network(TREE, "head")
    made.show()
    qtbot.addWidget(made)
    qtbot.waitExposed(made)
    yield made


def shown(picture: NetworkPicture, preset: str, **more: object) -> None:
    picture.show_rates(FreezePlan.model_validate({"preset": preset, **more}).rates(TREE, "head"))


def middle(picture: NetworkPicture, number: int) -> QPoint:
    return picture.bar_rect(number).center().toPoint()


def colour(picture: NetworkPicture, number: int, height: float = 0.25) -> QColor:
    """Of the bar `number`, so far below its top; left of its middle, where no grip stands."""
    rect = picture.bar_rect(number)
    image = picture.grab().toImage()
    at = QPointF(rect.left() + rect.width() / 3, rect.top() + height * rect.height()) * image.devicePixelRatio()
    return image.pixelColor(at.toPoint())


def test_a_bar_a_block_and_one_for_the_head(picture: NetworkPicture) -> None:
    found = bars(TREE, "head")
    assert [bar.path for bar in found] == ["stem", "stages.0", "stages.1", "stages.2", "head"]
    assert (picture.minimum(), picture.maximum()) == (0, 4)
    assert sum(bar.parameters for bar in found) == TREE.parameters


@pytest.mark.parametrize(("preset", "depth"), [("head", 4), ("last:1", 3), ("last:3", 1), ("all", 0), ("discriminative", 0)])
def test_the_grip_stands_where_the_first_block_learns(picture: NetworkPicture, qtbot: QtBot, preset: str, depth: int) -> None:
    with qtbot.assertNotEmitted(picture.valueChanged):  # what is shown was not chosen by a person
        shown(picture, preset)
    assert picture.value() == depth
    assert picture.accessibleDescription() == f"{depth} of 4 blocks of layers frozen from the input up"
    assert picture.bar_rect(depth - 1).right() < picture.grip_at().x() < picture.bar_rect(depth).left() or depth == 0


def test_what_learns_is_coloured_and_the_faster_the_stronger(picture: NetworkPicture) -> None:
    colours = Theme(ThemeChoice.LIGHT).colours
    shown(picture, "last:2", backbone_rate=0.1)
    assert colour(picture, 0) == colour(picture, 1) == QColor(colours.border)
    assert colour(picture, 4) == QColor(colours.accent)
    assert QColor(colours.accent).saturation() > colour(picture, 3).saturation() > QColor(colours.border).saturation()
    shown(picture, "head", overrides={"stages.1.conv": 1.0})  # half of that block
    assert colour(picture, 2, 0.25) == QColor(colours.border) != colour(picture, 2, 0.75)


def test_the_grip_is_drawn_and_a_bar_is_picked(picture: NetworkPicture, qtbot: QtBot) -> None:
    shown(picture, "head")
    grip = picture.grip_at().toPoint()
    QTest.mousePress(picture, Qt.MouseButton.LeftButton, pos=grip)
    QTest.mouseMove(picture, QPoint(round(picture.bar_rect(1).left()), grip.y()))
    QTest.mouseRelease(picture, Qt.MouseButton.LeftButton, pos=QPoint(round(picture.bar_rect(1).left()), grip.y()))
    assert picture.value() == 1
    QTest.mouseMove(picture, middle(picture, 4))
    assert picture.value() == 1  # it was let go
    with qtbot.waitSignal(picture.picked) as told:
        QTest.mouseClick(picture, Qt.MouseButton.LeftButton, pos=middle(picture, 2))
    assert told.args == ["stages.1"] and picture.value() == 1


def test_the_keyboard_moves_the_depth(picture: NetworkPicture) -> None:
    shown(picture, "last:2")
    picture.setFocus()
    for key, depth in ((Qt.Key.Key_Right, 3), (Qt.Key.Key_Left, 2), (Qt.Key.Key_Home, 0), (Qt.Key.Key_End, 4)):
        QTest.keyClick(picture, key)
        assert picture.value() == depth


def test_without_a_network_there_is_nothing(picture: NetworkPicture) -> None:
    picture.show_network(None, "")
    shown(picture, "head")
    QTest.mouseClick(picture, Qt.MouseButton.LeftButton, pos=QPoint(50, 30))
    picture.set_current("stem")
    assert picture.maximum() == 0 and not picture.grab().isNull()


def test_what_advice_found_stands_where_the_grip_would(picture: NetworkPicture) -> None:
    shown(picture, "head")
    told = [0.4, 0.5, 0.9, 0.8]
    scores = tuple(
        ProbeScore(depth=depth, accuracy=Interval(value=share, low=share - 0.05, high=share + 0.05))
        for depth, share in enumerate(told, start=1)
    )
    option = PlanOption(preset="last:1", depth=3, evidence=Evidence(right=9, judged=10), seconds=1, memory=1)
    advice = Advice(
        backbone="x", blocks=4, pictures=9, different=9, training=9, scores=scores, options=(option,), recommended="last:1"
    )
    low = picture.sizeHint().height()
    picture.show_advice(advice)
    picture.resize(500, picture.sizeHint().height())
    assert picture.height() > low and picture.curve is not None
    points = [picture.curve.at(score) for score in scores]
    assert sorted(points, key=lambda point: -point.y()) == [points[0], points[1], points[3], points[2]]
    best = picture.grab().toImage().pixelColor((points[2] * picture.devicePixelRatioF()).toPoint())
    assert best == QColor(Theme(ThemeChoice.LIGHT).colours.good)
    QTest.mouseClick(picture, Qt.MouseButton.LeftButton, pos=points[1].toPoint())
    assert picture.value() == 2 and picture.grip_at().x() == points[1].x()
    close = ScoreCurve(scores=scores, chosen=3, x=float, top=0, bottom=90)  # a pixel apart
    assert [close.depth_near(close.at(score)) for score in scores] == [1, 2, 3, 4]
    assert close.depth_near(QPointF(90, 0)) is None
    picture.show_advice(replace(advice, blocks=7))  # of another network
    assert picture.curve is None
    picture.show_advice(None)
    assert picture.sizeHint().height() == low
