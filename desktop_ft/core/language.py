"""The person's language. Texts stand in English in the code and are looked up where they are shown.

`tr` and `tr_n` look a text up now; `marked` only tells the collector of texts (`installer/translations.py`) that it will be. A
sentence is translated whole, with named places for what changes in it: its parts stand in another order in another language.
"""

from __future__ import annotations

import gettext
from typing import BinaryIO

LANGUAGES = {"en": "English", "de": "Deutsch", "es": "Español", "ja": "日本語", "zh": "简体中文"}
"""Every language there is, by code, each in its own words."""

_texts = gettext.NullTranslations()


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
    """`text` in the person's language, with each `{name}` in it replaced as `str.format` does."""
    found = _texts.gettext(text) if text else ""  # an empty text names the catalogue's own heading
    return found.format(**values) if values else found


def tr_n(one: str, many: str, /, n: int, **values: object) -> str:
    """The wording that fits the number `n`, which both can name as `{n}`; otherwise as `tr`."""
    return _texts.ngettext(one, many, n).format(n=n, **values)


def marked(text: str) -> str:
    """`text` as it is, to be looked up with `tr` where it is shown."""
    return text
