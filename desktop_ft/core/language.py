"""The person's language. Texts stand in English in the code and are looked up where they are shown.

`tr` and `tr_n` look a text up now; `marked` only tells the collector of texts (`installer/translations.py`) that it will be. A
sentence is translated whole, with named places for what changes in it: its parts stand in another order in another language.
"""

from __future__ import annotations

import gettext
from string import Formatter
from typing import Any, BinaryIO

LANGUAGES = {"en": "English", "de": "Deutsch", "es": "Español", "ja": "日本語", "zh": "简体中文"}
"""Every language there is, by code, each in its own words."""

_COMMA_BEGINS_FRACTION = frozenset({"de", "es"})
"""Where a comma begins a fraction: 1,234 is a little more than one there. A narrow space between threes is read everywhere."""
_NARROW_SPACE = "\u202f"

_texts = gettext.NullTranslations()


class _Figures(Formatter):
    """`str.format`, whose `{n:,}` groups digits as is read in the person's language."""

    def format_field(self, value: Any, format_spec: str) -> str:
        shown = str(super().format_field(value, format_spec))
        return shown.replace(",", _NARROW_SPACE) if "," in format_spec and code() in _COMMA_BEGINS_FRACTION else shown


_figures = _Figures()


def use(catalogue: BinaryIO | None) -> None:
    """Look texts up in `catalogue`, the content of a .mo file, from now on; None: leave them in English.

    For the whole process, and before anything is shown: what is drawn already stays as it is.
    """
    global _texts  # noqa: PLW0603 - a process speaks one language, as in gettext itself
    _texts = gettext.NullTranslations() if catalogue is None else gettext.GNUTranslations(catalogue)


def code() -> str:
    """The code of the language in use, one of `LANGUAGES`."""
    return _texts.info().get("language", "en")


def tr(text: str, /, **values: object) -> str:
    """`text` in the person's language, with each `{name}` in it replaced as `str.format` does; `{n:,}` as `grouped`."""
    found = _texts.gettext(text) if text else ""  # an empty text names the catalogue's own heading
    return _figures.format(found, **values) if values else found


def tr_n(one: str, many: str, /, n: int, **values: object) -> str:
    """The wording that fits the number `n`, which both can name as `{n}`; otherwise as `tr`."""
    return _figures.format(_texts.ngettext(one, many, n), n=n, **values)


def grouped(number: int) -> str:
    """A count with its digits in threes, as in `{n:,}` of `tr`: `12,345`."""
    return _figures.format("{:,}", number)


def marked(text: str) -> str:
    """`text` as it is, to be looked up with `tr` where it is shown."""
    return text
