"""Every text has its place in every catalogue, and no translation loses what a text is filled in with."""

import gettext
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from desktop_ft.core import language
from desktop_ft.core.help import HelpCard
from desktop_ft.core.language import LANGUAGES, tr, tr_n
from desktop_ft.data.scan import scan
from installer import translations


@pytest.fixture(scope="module")
def said() -> list[translations.Said]:
    """Everything that is said, collected once."""
    return translations.collected()


@pytest.fixture
def german() -> Iterator[None]:
    """A catalogue of a few texts is in use."""
    texts = translations.Texts(locale="de", fuzzy=False)
    texts.add("Saved {name}.", "{name} ist gesichert.")
    texts.add(("{n} photo", "{n} photos"), ("{n} Foto", "{n} Fotos"))
    texts.add("When", "Wann")
    texts.add("Is text, not a picture.", "Ist Text, kein Bild.")
    texts.add("{reason}, though it is named {suffix}.", "{reason}, obwohl der Name auf {suffix} endet.")
    language.use(io.BytesIO(translations.compiled(texts)))
    yield
    language.use(None)


def places_in(text: str) -> list[str]:
    """What is filled in, in alphabetical order: in another language it may come in another order, and a date in another form."""
    return sorted(re.sub(":%[^}]*", "", place) for place in re.findall(r"\{[^{}]*\}", text))


def keys_in(text: str) -> int:
    """How many letters are marked as keys of a menu or button."""
    return len(re.findall(r"&\w", text.replace("&&", "")))


def test_texts_are_looked_up_and_filled_in(german: None) -> None:
    assert tr("Saved {name}.", name="x") == "x ist gesichert."
    assert [tr_n("{n} photo", "{n} photos", n=number) for number in (1, 2)] == ["1 Foto", "2 Fotos"]
    assert tr("Not {translated}") == "Not {translated}"
    assert tr("") == ""
    assert language.code() == "de"


def test_what_another_process_finds_wrong_is_told_in_the_language_of_this_one(german: None, tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / name / "picture.png")
    (tmp_path / "one" / "note.png").write_text("nothing to see")
    problem = next(problem for problem in scan(tmp_path).problems if problem.path == "one/note.png")
    assert problem.reason == "Ist Text, kein Bild, obwohl der Name auf .png endet."


def test_the_headings_of_a_card_are_looked_up_and_its_texts_are_as_read(german: None) -> None:
    assert HelpCard(title="Rate", what="How fast.", when="Now.").text == "Rate\n\nHow fast.\n\nWann\nNow."


def test_what_cannot_be_collected_is_refused() -> None:
    assert list(translations.in_source("def f():\n  tr('a' 'b'); tr_n('c', 'd', n=1); tr(x)\nmarked('e')", "x")) == [
        "ab",
        ("c", "d"),
        "e",
    ]
    for code in ("tr('at import')", "def f(x=tr('a')): ...", "class A:\n  x = tr_n('a', 'b', n=1)"):
        with pytest.raises(ValueError, match="at import"):
            list(translations.in_source(code, "x"))
    for code in (
        "def f(): tr('{x}', y=1)",
        "def f(): tr('{x}')",
        "def f(): tr('x', y=1)",
        "def f(): tr_n('{n}', '{n} {x}', n=1)",
    ):
        with pytest.raises(ValueError, match="has no place"):
            list(translations.in_source(code, "x"))
    for code in ("def f(): tr(f'{x}')", "def f(): tr('a' + x)", "marked('%s' % x)"):
        with pytest.raises(ValueError, match="put together"):
            list(translations.in_source(code, "x"))


@pytest.mark.parametrize("code", translations.TRANSLATED)
def test_the_catalogue_holds_exactly_what_is_said(code: str, said: list[translations.Said]) -> None:
    kept = [message.id for message in translations.kept(code) if message.id]
    assert {translations.wordings(text) for text in kept} == {translations.wordings(text) for text, _ in said}, (
        "run `make translations`"
    )
    assert len(kept) == len(set(map(translations.wordings, kept)))


@pytest.mark.parametrize("code", translations.TRANSLATED)
def test_the_compiled_catalogue_is_up_to_date(code: str, said: list[translations.Said]) -> None:
    texts = translations.updated(code, said)
    compiled = (translations.FOLDER / f"{code}.mo").read_bytes()
    kept = (translations.FOLDER / f"{code}.po").read_bytes(), compiled
    is_up_to_date = kept == (translations.written(texts), translations.compiled(texts))
    assert is_up_to_date, "run `make translations`"  # where they differ would fill a screen a thousand times
    gettext.GNUTranslations(io.BytesIO(compiled))


@pytest.mark.parametrize("code", translations.TRANSLATED)
def test_translations_are_filled_in_as_the_text_is(code: str) -> None:
    for message in translations.kept(code):
        assert not message.fuzzy, message.id
        texts = translations.wordings(message.id)
        for wording in filter(None, translations.wordings(message.string)):
            if not message.id:
                continue
            assert places_in(wording) in [places_in(text) for text in texts], f"{wording!r} for {texts[0]!r}"
            assert keys_in(wording) == keys_in(texts[0]) <= 1, f"{wording!r} for {texts[0]!r}"
            assert wording.strip() == wording or any(text.strip() != text for text in texts), f"{wording!r}: blanks around it"


@pytest.mark.parametrize("code", translations.TRANSLATED)
def test_nothing_is_left_in_english(code: str) -> None:
    missing = [message.id for message in translations.kept(code) if not all(translations.wordings(message.string))]
    assert not missing, f"{LANGUAGES[code]}: {len(missing)} texts, such as {missing[0]!r}"
