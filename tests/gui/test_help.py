"""Help: every setting and page is explained, F1 explains what has the focus, and links lead on."""

import pytest
from PySide6.QtCore import Qt, QUrl
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from desktop_ft.core.help import COST, WHEN
from desktop_ft.gui.form import ModelForm
from desktop_ft.gui.help_card import CardPopup, HelpButton
from desktop_ft.gui.help_reader import HelpReader, topics
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.gui.palette import SETTINGS
from desktop_ft.gui.state import PAGES
from desktop_ft.gui.words import PAGE_TITLES
from desktop_ft.jobs import help_texts
from desktop_ft.plugin_manager import load_plugins


def popup() -> CardPopup:
    shown = QApplication.activePopupWidget()
    assert isinstance(shown, CardPopup)
    return shown


def focused(window: MainWindow, page: str, name: str, qtbot: QtBot) -> QWidget:
    window.session.state.go(page)
    control = window.page(page).findChild(QWidget, name)
    assert control is not None
    window.activateWindow()
    control.setFocus()
    qtbot.waitUntil(control.hasFocus)
    return control


def test_every_setting_and_page_has_a_card_and_none_is_left_over() -> None:
    cards, settings = help_texts.cards(), help_texts.settings()
    assert set(settings) <= set(cards)
    others = set(cards) - set(settings)
    assert {name.partition(".")[0] for name in others} <= set(PAGES), "a card that no control of a page asks for"
    assert set(help_texts.pages()) == set(PAGES)
    for name, card in cards.items():
        assert card.when and card.cost, name
        for text in (card.what, card.when, card.cost):
            assert text.endswith("."), name
    assert all(step.endswith(".") for page in help_texts.pages().values() for step in page.steps)


def test_every_word_that_is_referred_to_is_explained_and_every_explanation_is_referred_to() -> None:
    used = {word for card in help_texts.cards().values() for word in card.words}
    used |= {word for page in help_texts.pages().values() for word in page.words}
    assert used == set(help_texts.glossary())


def test_every_shipped_transform_says_when_to_use_it_and_what_it_costs() -> None:
    for augmentation in load_plugins().augmentations:
        for field in ("", *augmentation.parameters.model_fields):
            card = help_texts.transform_card(augmentation, field)
            assert card.when.endswith(".") and card.cost.endswith("."), augmentation.name
            assert augmentation.description in card.what


@pytest.mark.parametrize("page", [page for page in PAGES if page != "layers"])
def test_the_controls_of_settings_carry_their_cards(window: MainWindow, page: str) -> None:
    window.session.state.go(page)
    for setting in (setting for setting in SETTINGS if setting.page == page):
        control = window.page(page).findChild(QWidget, setting.field)
        assert control is not None
        name = next(name for name in help_texts.settings() if name.rpartition(".")[2] == setting.field)
        assert control.whatsThis() == help_texts.cards()[name].text
    for form in window.page(page).findChildren(ModelForm):
        assert len(form.findChildren(HelpButton)) == len([w for w in form.findChildren(QWidget) if w.whatsThis()])
    assert window.page(page).whatsThis().startswith(PAGE_TITLES[page])


def test_f1_explains_the_control_with_the_focus_and_escape_gives_it_back(window: MainWindow, qtbot: QtBot) -> None:
    control = focused(window, "train", "weight_decay", qtbot)
    QTest.keyClick(control, Qt.Key.Key_F1)
    card = popup()
    assert card.accessibleName() == "Weight decay"
    assert WHEN in card.accessibleDescription() and COST in card.accessibleDescription()
    assert window.screen().availableGeometry().contains(card.geometry())
    QTest.keyClick(card, Qt.Key.Key_Escape)
    assert QApplication.activePopupWidget() is None
    assert control.hasFocus()


def test_f1_explains_the_page_where_the_control_has_no_card(window: MainWindow, qtbot: QtBot) -> None:
    window.activateWindow()
    window.rail.setFocus()
    qtbot.waitUntil(window.rail.hasFocus)
    QTest.keyClick(window.rail, Qt.Key.Key_F1)
    assert popup().accessibleName() == "Data"
    popup().close()


def test_the_question_mark_explains_the_control_beside_it(window: MainWindow, qtbot: QtBot) -> None:
    window.session.state.go("train")
    mark = next(mark for mark in window.page("train").findChildren(HelpButton) if mark.accessibleName().endswith("Epochs"))
    QTest.mouseClick(mark, Qt.MouseButton.LeftButton)
    assert popup().accessibleName() == "Epochs"
    popup().close()


def test_the_help_reads_the_page_that_is_shown_and_links_lead_to_words(window: MainWindow, qtbot: QtBot) -> None:
    window.session.state.go("augment")
    window.activateWindow()
    QTest.keyClick(window, Qt.Key.Key_F1, Qt.KeyboardModifier.ShiftModifier)
    reader = window.findChild(HelpReader)
    assert reader is not None and reader.isVisible()
    assert "Augment" in reader.text.toPlainText()
    reader.text.anchorClicked.emit(QUrl("word:training and validation"))
    assert help_texts.glossary()["training and validation"] in reader.text.toPlainText()
    QTest.keyClicks(reader.search, "mirror")
    assert "Mirror" in reader.text.toPlainText()
    QTest.keyClicks(reader.search, " xyzzy")
    assert "Nothing in the help" in reader.text.toPlainText()
    reader.read("word:freezing")
    assert reader.search.text() == "" and "Freezing" in reader.text.toPlainText()
    reader.close()


def test_every_link_of_the_help_leads_somewhere() -> None:
    every = topics(load_plugins().augmentations)
    keys = {topic.key for topic in every}
    assert len(keys) == len(every)
    linked = {part.partition('"')[0] for topic in every for part in topic.body.split('href="')[1:]}
    assert linked <= keys
    assert {key for key in keys if key.startswith("card:")} <= linked, "each card is listed on its page"
