"""Small pieces of HTML. Names of classes and files are strangers' text: everything goes through `text` or `name`."""

import html
import re
from collections.abc import Iterable, Sequence

from desktop_ft.core.language import tr
from desktop_ft.core.metrics import Interval

# What no HTML document may hold: control characters, and the surrogates that stand for bytes that are not UTF-8.
_IMPOSSIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def text(value: object) -> str:
    """`value` as text of a document or an attribute: shown literally, whatever it holds."""
    return html.escape(_IMPOSSIBLE.sub("\ufffd", str(value)))


def name(value: str) -> str:
    """A class's or file's name, kept apart from the text round it even where it is written right to left."""
    return f"<bdi>{text(value)}</bdi>"


def percent(share: float, digits: int = 1) -> str:
    """A share as per cent, such as `94.8 %`; with a space that does not break."""
    return f"{100 * share:.{digits}f}\u00a0%"


def interval(figure: Interval) -> str:
    """A figure's 95 % interval in per cent, such as `91.2 to 97.0 %`; with spaces that do not break."""
    return tr("{low:.1f} to {high:.1f} %", low=100 * figure.low, high=100 * figure.high).replace(" ", "\u00a0")


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """Pairs of a word and its value (HTML) as a list."""
    return "<dl>" + "".join(f"<div><dt>{text(word)}</dt><dd>{value}</dd></div>" for word, value in rows) + "</dl>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers_from: int = 1) -> str:
    """A table of cells (HTML); columns from `numbers_from` on hold numbers. Headings are plain text."""
    kinds = ["" if index < numbers_from else ' class="number"' for index in range(len(head))]
    top = "".join(f'<th scope="col"{kind}>{text(title)}</th>' for title, kind in zip(head, kinds, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{cell}</td>" for cell, kind in zip(row, kinds, strict=True)) + "</tr>\n" for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>\n{body}</tbody></table></div>'


def bar(share: float, label: str) -> str:
    """A number with a bar behind it that is `share` (0 to 1) of the cell wide."""
    return f'<span class="bar" style="--share:{min(1.0, max(0.0, share)):.3f}">{text(label)}</span>'


def section(title: str, *parts: str) -> str:
    """A part of the page with its heading; parts that are empty are left out."""
    return f"<section><h2>{text(title)}</h2>\n" + "\n".join(part for part in parts if part) + "\n</section>\n"


def folded(summary: str, content: str) -> str:
    """Content (HTML) that opens on a click."""
    return f"<details><summary>{text(summary)}</summary>\n{content}\n</details>"
