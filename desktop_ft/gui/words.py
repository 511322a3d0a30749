"""Figures and names as a person reads them."""

import re

from desktop_ft.core.dataset import Subset
from desktop_ft.core.metrics import Interval
from desktop_ft.core.words import count as count
from desktop_ft.core.words import duration as duration
from desktop_ft.core.words import percent as percent
from desktop_ft.core.words import size as size

SUBSET_WORDS: dict[str, str] = {Subset.TRAIN: "training", Subset.VAL: "validation", Subset.TEST: "test"}
_TITLES = {"lr": "Learning rate", "clip_norm": "Gradient clipping", "warmup": "Warm-up", "adamw": "AdamW", "sgd": "SGD"}


def millions(number: int) -> str:
    """A count of parameters, such as `4.65 M`."""
    if number < 1_000_000:
        return f"{number:,}"
    return f"{number / 1e6:.2f} M" if number < 1e8 else f"{number / 1e6:.0f} M"


def interval(value: Interval) -> str:
    """A share with its 95 % interval, in percent."""
    return f"{percent(value.value)} ({100 * value.low:.1f} to {100 * value.high:.1f})"


def rate(value: float) -> str:
    """A learning rate or multiplier, short."""
    return f"{value:.3g}"


def title(name: str) -> str:
    """A field or option's name as a label: `batch_size` becomes `Batch size`."""
    return _TITLES.get(name) or name.replace("_", " ").capitalize()


def printable(text: str) -> str:
    """`text` with bytes that are not UTF-8 shown as replacement signs, so that it can be drawn."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def breakable(name: str) -> str:
    """A name that may go on in the next line after `_`, `.`, `/` or `-`, where a narrow panel asks for it."""
    return re.sub(r"(?<=[_./-])(?=\w)", "\u200b", name)


def unbroken(text: str) -> str:
    """What `breakable` was made of."""
    return text.replace("\u200b", "")
