"""The window."""

import sys

import PySide6.QtCore  # noqa: F401 - brings what is looked up below


def _answer_without_reading() -> None:
    """Keep Qt for Python from reading the source of every module that is imported after it, torch's 2,000 among them.

    It looks for the word "PySide6" in each, so that a `from __feature__ import snake_case` elsewhere reaches no module that
    uses Qt's names as they are. That none does needs no reading: every module gets Qt's own names unless it asks otherwise.
    """
    feature = sys.modules.get("shibokensupport.feature")
    if hasattr(feature, "_mod_uses_pyside"):
        vars(feature)["_mod_uses_pyside"] = lambda module: True


_answer_without_reading()
