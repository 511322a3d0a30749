"""Brings the catalogues of translations up to what is said now: `make translations` runs it after any text was changed.

It collects every literal that `desktop_ft.core.language` looks up, and the texts that stand in data instead. In each
resources/translations/{language}.po a text that is new comes without a translation, to be written there; a text that is gone is
dropped. From each .po it compiles the .mo that the window reads. No dates and no line numbers, so that nothing else changes.
"""

import ast
import io
import tomllib
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from string import Formatter
from typing import Any

from babel.messages import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from desktop_ft.core.comparing import Comparison
from desktop_ft.core.exporting import ExportSettings
from desktop_ft.core.language import LANGUAGES
from desktop_ft.core.metrics import Threshold
from desktop_ft.core.recipe import Recipe
from desktop_ft.core.values import Described
from desktop_ft.gui.words import title
from desktop_ft.jobs import help_texts
from desktop_ft.plugin_manager import load_plugins

ROOT = Path(__file__).parents[1]
RESOURCES = ROOT / "resources"
FOLDER = RESOURCES / "translations"
TRANSLATED = tuple(code for code in LANGUAGES if code != "en")
_ARGUMENTS = {"tr": 1, "marked": 1, "tr_n": 2}
Said = tuple[str | tuple[str, str], str]
"""A text, or its wordings for one and for many; and the file that says it."""


class Texts(Catalog):
    """A catalogue whose heading holds only what a reader of it needs."""

    @property  # type: ignore[misc] # nothing sets it
    def mime_headers(self) -> list[tuple[str, str]]:
        """Language, coding and plural forms; none of the dates and names of people that Babel would add."""
        return [
            ("Language", self.locale_identifier or ""),
            ("MIME-Version", "1.0"),
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Transfer-Encoding", "8bit"),
            ("Plural-Forms", self.plural_forms),
        ]


def main() -> None:
    """Bring every .po and .mo up to date, and say how much is left to translate."""
    FOLDER.mkdir(exist_ok=True)
    said = collected()
    for code in TRANSLATED:
        texts = updated(code, said)
        (FOLDER / f"{code}.po").write_bytes(written(texts))
        (FOLDER / f"{code}.mo").write_bytes(compiled(texts))
        missing = sum(not all(wordings(message.string)) for message in texts if message.id)
        print(f"{code}: {len(texts)} texts, {missing} of them not translated")


def kept(code: str) -> Catalog:
    """What resources/translations/{code}.po holds."""
    file = FOLDER / f"{code}.po"
    return read_po(io.BytesIO(file.read_bytes() if file.exists() else b""), locale=code)


def updated(code: str, said: Iterable[Said]) -> Texts:
    """Every text that is `said`, with the translation that is kept of exactly this text."""
    before = kept(code)
    texts = Texts(locale=code, header_comment=f"# {LANGUAGES[code]}. The texts come from `make translations`.", fuzzy=False)
    for text, where in said:
        known = before.get(text)
        fits = known is not None and known.id == text and not known.fuzzy
        empty = "" if isinstance(text, str) else ("",) * texts.num_plurals
        message = texts.add(text, known.string if known is not None and fits else empty, locations=[(where, 0)])
        message.flags.clear()  # Babel takes "20 % of" for a place of the older kind
    return texts


def written(texts: Catalog) -> bytes:
    """The .po file of `texts`, each text on one line."""
    file = io.BytesIO()
    write_po(file, texts, width=0, include_lineno=False, ignore_obsolete=True)
    return file.getvalue()


def compiled(texts: Texts) -> bytes:
    """The .mo file of what is translated; all else stays in English."""
    translated = Texts(locale=texts.locale, fuzzy=False)
    for message in texts:
        if message.id and all(wordings(message.string)):
            translated.add(message.id, message.string)
    file = io.BytesIO()
    write_mo(file, translated)
    return file.getvalue()


def wordings(text: str | tuple[str, ...] | list[str] | None) -> tuple[str, ...]:
    """A text as a tuple: of itself alone, or of its wordings for one, many and what else there is."""
    return (text or "",) if text is None or isinstance(text, str) else tuple(text)


def collected() -> list[Said]:
    """All that is said, in the order of files; a text that is said with and without a number only with it.

    Raises:
        ValueError: a text cannot be collected as it stands in the code.
    """
    said = [*_in_code(), *_in_fields(), *_in_plugins(), *_in_resources()]
    counted = {text[0]: text for text, _ in said if isinstance(text, tuple)}
    for text, where in said:
        if isinstance(text, tuple) and counted[text[0]] != text:
            raise ValueError(f"{where}: {text[0]!r} has another plural elsewhere")
    return [(counted.get(text, text) if isinstance(text, str) else text, where) for text, where in said]


def _in_code() -> Iterator[Said]:
    for folder in ("desktop_ft", "plugins"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            where = file.relative_to(ROOT).as_posix()
            if "shipped" not in file.parts and where != "desktop_ft/core/language.py":
                yield from ((said, where) for said in in_source(file.read_text(encoding="utf-8"), where))


def in_source(code: str, where: str) -> Iterator[str | tuple[str, str]]:
    """The literals that `code` looks up or marks.

    Raises:
        ValueError: one is put together in the code, looked up as soon as the module is imported, or filled in with other values
            than it has places for.
    """
    tree = ast.parse(code)
    inside = {id(node) for made in ast.walk(tree) for part in _bodies(made) for node in ast.walk(part)}
    for node in _in_order(tree):
        name = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""
        if not isinstance(node, ast.Call) or name not in _ARGUMENTS:
            continue
        if name != "marked" and id(node) not in inside:
            raise ValueError(f"{where}:{node.lineno}: {name} runs at import, before the language is known; mark the text instead")
        given = node.args[: _ARGUMENTS[name]]
        if any(isinstance(argument, (ast.JoinedStr, ast.BinOp)) for argument in given):
            raise ValueError(f"{where}:{node.lineno}: the text of {name} is put together; write it as one literal")
        texts = [argument.value for argument in given if isinstance(argument, ast.Constant) and isinstance(argument.value, str)]
        if len(texts) == len(given) and all(texts):
            if name != "marked" and (wrong := _misfits(node, texts)):
                raise ValueError(f"{where}:{node.lineno}: {texts[0]!r} has no place, or {name} no value, for {', '.join(wrong)}")
            yield texts[0] if len(texts) == 1 else (texts[0], texts[1])


def _misfits(call: ast.Call, texts: list[str]) -> list[str]:
    """The places in `texts` that `call` gives no value for, and the values that have no place; the number may go unnamed."""
    values = {keyword.arg for keyword in call.keywords}
    if None in values:
        return []  # `**values`: what they are shows only when it runs
    places = {field.partition(".")[0] for text in texts for _, field, _, _ in Formatter().parse(text) if field is not None}
    return sorted(str(name) for name in (places ^ values) - ({"n"} if len(texts) > 1 else set()))


def _bodies(node: ast.AST) -> list[ast.AST]:
    """What of `node` runs only when it is called; its defaults and decorators run at once."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return list(node.body)
    return [node.body] if isinstance(node, ast.Lambda) else []


def _in_order(node: ast.AST) -> Iterator[ast.AST]:
    """`node` and all below it, in the order in which they are read."""
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _in_order(child)


def _in_fields() -> Iterator[Said]:
    yield from ((text, "desktop_ft/core/recipe.py") for text in _of_fields(Recipe))
    yield from ((text, "desktop_ft/core/exporting.py") for text in _of_fields(ExportSettings))
    for kind, source in ((Threshold, "desktop_ft/core/metrics.py"), (Comparison, "desktop_ft/core/comparing.py")):  # no form
        yield from ((field.description, source) for field in kind.model_fields.values() if field.description)


def _of_fields(kind: type[Described]) -> Iterator[str]:
    """Titles and descriptions of the fields of `kind` and of its sections, and the titles of options."""
    for name, field in kind.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Described):
            yield from _of_fields(field.annotation)
        elif name != "version":
            yield title(name)
            if field.description:
                yield field.description
            if isinstance(field.annotation, type) and issubclass(field.annotation, StrEnum):
                yield from (title(option.value) for option in field.annotation)


def _in_plugins() -> Iterator[Said]:
    plugins = load_plugins(safe_mode=True)
    for record in plugins.records:
        yield record.about, f"plugins/{record.name}/"
    for augmentation in plugins.augmentations:
        where = f"plugins/{plugins.augmentations.author(augmentation.name)}/"
        texts = [augmentation.title, augmentation.description, augmentation.when, augmentation.cost]
        texts += _of_fields(augmentation.parameters)
        texts += [name.replace("_", " ") for name in augmentation.parameters.model_fields]  # within a card's title
        yield from ((text, where) for text in texts if text)
    for exporter in plugins.exporters:
        yield exporter.title, f"plugins/{plugins.exporters.author(exporter.name)}/"
    for sample in plugins.samples:
        where = f"plugins/{plugins.samples.author(sample.name)}/"
        yield from ((text, where) for text in (sample.title, sample.description))


def _in_resources() -> Iterator[Said]:
    for folder in ("help", "presets"):
        for file in sorted((RESOURCES / folder).glob("*.toml")):
            data = tomllib.loads(file.read_text(encoding="utf-8"))
            where = f"resources/{folder}/{file.name}"
            if file.name == "words.toml":
                yield from ((word, where) for word in data)
            yield from ((text, where) for text in _texts(data))


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for name, value in data.items():
            if name not in (*help_texts.NAMES, "transforms"):
                yield from _texts(value)
    elif isinstance(data, list):
        for value in data:
            yield from _texts(value)


if __name__ == "__main__":
    main()
