"""The language of the window: the one that was chosen or else the system's, with letters that can be drawn."""

from collections.abc import Collection, Sequence

from PySide6.QtCore import QLibraryInfo, QLocale, QTranslator
from PySide6.QtGui import QFont, QFontDatabase
from PySide6.QtWidgets import QApplication

from desktop_ft import places
from desktop_ft.core import language

_ENGLISH = "en"
_QT_NAMES = {"zh": "zh_CN"}
_LETTERS = {"ja": QFontDatabase.WritingSystem.Japanese, "zh": QFontDatabase.WritingSystem.SimplifiedChinese}
"""What a font must have; languages in Latin letters need nothing special."""
_FAMILIES = {
    "ja": ("Noto Sans CJK JP", "Noto Sans JP", "Hiragino Sans", "Yu Gothic UI", "IPAexGothic"),
    "zh": ("Noto Sans CJK SC", "Noto Sans SC", "PingFang SC", "Microsoft YaHei UI", "WenQuanYi Micro Hei"),
}
"""Fonts that draw the characters both languages share as each of them writes them, best first."""


def drawable() -> set[str]:
    """The languages whose letters some font on this machine has."""
    letters = QFontDatabase.writingSystems()
    return {code for code in language.LANGUAGES if code not in _LETTERS or _LETTERS[code] in letters}


def choose(chosen: str, system: Sequence[str], drawn: Collection[str]) -> str:
    """The code of the language to speak.

    Args:
        chosen: the code of the one the person chose; "" for the system's.
        system: what the system would speak, such as `de-DE`, best first.
        drawn: the codes of the languages whose letters can be drawn; another would show empty boxes.
    """
    wanted = [chosen] if chosen else [name.replace("_", "-").partition("-")[0] for name in system]
    return next((code for code in wanted if code in language.LANGUAGES and code in drawn), _ENGLISH)


def speak(application: QApplication, chosen: str) -> str:
    """Let everything that is shown from now on speak the language `chosen`, "" for the system's; returns its code.

    Numbers stay as they are: fields that need a point for a comma say so themselves.
    """
    code = choose(chosen, QLocale.system().uiLanguages(), drawable())
    catalogue = places.catalogue(code)
    if code == _ENGLISH or not catalogue.is_file():
        language.use(None)
        return _ENGLISH
    with catalogue.open("rb") as file:
        language.use(file)
    _translate_qt(application, code)
    _take_font(application, code)
    return code


def _translate_qt(application: QApplication, code: str) -> None:
    """Let Qt's own buttons and dialogs speak it too, where Qt came with its translations."""
    own = QTranslator(application)
    if own.load(f"qtbase_{_QT_NAMES.get(code, code)}", QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)):
        application.installTranslator(own)


def _take_font(application: QApplication, code: str) -> None:
    """Draw everything in one font that fits the language, where there is one."""
    there = set(QFontDatabase.families())
    fitting = [family for family in _FAMILIES.get(code, ()) if family in there]
    if fitting:
        font = QFont(application.font())
        font.setFamilies([*fitting[:1], *font.families()])
        application.setFont(font)
