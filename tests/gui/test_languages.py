"""The window's language: chosen in the menu, remembered, spoken from the next start on."""

import io

import pytest
from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import QApplication, QDialogButtonBox
from pytestqt.qtbot import QtBot

from desktop_ft import places
from desktop_ft.core import language
from desktop_ft.core.language import LANGUAGES, grouped, tr, tr_n
from desktop_ft.gui import languages
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.gui.settings import Settings
from installer import translations


@pytest.fixture
def resources(english_again: None, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """One text in German and in Japanese."""
    folder = tmp_path_factory.mktemp("resources") / "translations"
    folder.mkdir()
    for code, text in (("de", "Training starten"), ("ja", "学習を開始")):
        texts = translations.Texts(locale=code, fuzzy=False)
        texts.add("Start training", text)
        (folder / f"{code}.mo").write_bytes(translations.compiled(texts))
    monkeypatch.setattr(places, "shipped", lambda name: folder.parent)


@pytest.mark.parametrize(
    ("chosen", "system", "expected"),
    [
        ("", ["de-Latn-AT", "de-AT", "de"], "de"),
        ("", ["fr-FR", "fr", "es-ES"], "es"),
        ("", ["en-GB", "de-DE"], "en"),
        ("", ["C"], "en"),
        ("", [], "en"),
        ("es", ["de-DE"], "es"),
        ("en", ["de-DE"], "en"),
        ("ja", ["de-DE"], "en"),
        ("", ["ja-JP", "de-DE"], "de"),
    ],
)
def test_the_language_is_the_chosen_or_the_first_of_the_system_that_can_be_drawn(
    chosen: str, system: list[str], expected: str
) -> None:
    assert languages.choose(chosen, system, set(LANGUAGES) - {"ja"}) == expected


def test_without_a_font_for_it_a_language_cannot_be_drawn(monkeypatch: pytest.MonkeyPatch, qapp: QApplication) -> None:
    monkeypatch.setattr(QFontDatabase, "writingSystems", lambda: [QFontDatabase.WritingSystem.Latin])
    assert languages.drawable() == {"en", "de", "es"}
    monkeypatch.setattr(QFontDatabase, "writingSystems", lambda: [QFontDatabase.WritingSystem.Japanese])
    assert languages.drawable() == {"en", "de", "es", "ja"}


def test_everything_speaks_the_language_qt_too(resources: None, qapp: QApplication, qtbot: QtBot) -> None:
    assert languages.speak(qapp, "de") == "de"
    assert tr("Start training") == "Training starten"
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
    qtbot.addWidget(buttons)
    assert buttons.button(QDialogButtonBox.StandardButton.Cancel).text() == "Abbrechen"


@pytest.mark.parametrize(("code", "shown"), [("en", "1,234,567"), ("de", "1\u202f234\u202f567"), ("ja", "1,234,567")])
def test_no_count_can_be_read_as_a_fraction(resources: None, qapp: QApplication, code: str, shown: str) -> None:
    languages.speak(qapp, code)
    assert grouped(1_234_567) == shown
    assert tr_n("{n:,} photo, {name}", "{n:,} photos, {name}", n=1_234_567, name="a, b") == f"{shown} photos, a, b"
    assert tr("{done:,} of {share:.1f} %", done=1_234_567, share=12.34) == f"{shown} of 12.3 %"


def test_a_language_without_a_catalogue_is_english(resources: None, qapp: QApplication) -> None:
    language.use(io.BytesIO((places.shipped("resources") / "translations" / "de.mo").read_bytes()))
    assert languages.speak(qapp, "es") == "en"
    assert tr("Start training") == "Start training"


def test_a_font_that_fits_the_language_comes_first(resources: None, qapp: QApplication, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages, "drawable", lambda: set(LANGUAGES))
    monkeypatch.setattr(QFontDatabase, "families", lambda: ["DejaVu Sans", "IPAexGothic", "Noto Sans CJK JP"])
    before = qapp.font().families()
    assert languages.speak(qapp, "ja") == "ja"
    assert qapp.font().families() == ["Noto Sans CJK JP", *before]


def test_the_choice_is_remembered_and_said(window: MainWindow, qtbot: QtBot) -> None:
    assert window.actions_["language.system"].isChecked()
    window.actions_["language.de"].trigger()
    assert window.notice.text == "From its next start on the window speaks Deutsch."
    assert [code for code in LANGUAGES if window.actions_[f"language.{code}"].isChecked()] == ["de"]
    assert not window.actions_["language.system"].isChecked()
    window.close()
    assert Settings().language == "de"


def test_what_is_no_language_is_not_remembered(qapp: QApplication) -> None:
    settings = Settings()
    settings.language = "tlh"
    settings.save()
    assert Settings().language == ""


def test_a_language_that_cannot_be_drawn_cannot_be_chosen_and_says_why(window: MainWindow) -> None:
    window.commands._drawable = {"en", "de", "es", "zh"}
    window.refresh()
    japanese, chinese = window.actions_["language.ja"], window.actions_["language.zh"]
    assert not japanese.isEnabled() and "fonts-noto-cjk" in japanese.toolTip()
    assert chinese.isEnabled() and chinese.toolTip() == chinese.statusTip()
    assert (japanese.text(), chinese.text()) == ("日本語", "简体中文")
