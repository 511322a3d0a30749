"""Figures and names as a person reads them."""

import re

from desktop_ft.core.dataset import Subset
from desktop_ft.core.events import RunStatus
from desktop_ft.core.language import grouped, marked, tr
from desktop_ft.core.metrics import Interval
from desktop_ft.core.words import count as count
from desktop_ft.core.words import duration as duration
from desktop_ft.core.words import percent as percent
from desktop_ft.core.words import printable as printable
from desktop_ft.core.words import size as size

PAGE_TITLES = {
    "data": marked("Data"),
    "model": marked("Model"),
    "layers": marked("Layers"),
    "augment": marked("Augment"),
    "train": marked("Train"),
    "results": marked("Results"),
    "export": marked("Export"),
    "runs": marked("Runs"),
    "plugins": marked("Plugins"),
}
SUBSET_WORDS: dict[str, str] = {
    Subset.TRAIN: marked("training"),
    Subset.VAL: marked("validation"),
    Subset.TEST: marked("test"),
}
STATES: dict[str, str] = {
    RunStatus.COMPLETED: marked("completed"),
    RunStatus.STOPPED: marked("stopped"),
    RunStatus.CANCELLED: marked("cancelled"),
    RunStatus.FAILED: marked("failed"),
    "running": marked("running"),
    "interrupted": marked("interrupted"),
    "damaged": marked("damaged"),
}
KINDS = (
    marked("Animated"), marked("Broken"), marked("Broken link"), marked("Cmyk"), marked("Contradicting label"),
    marked("Crashes decoder"), marked("Deep"), marked("Duplicate across subsets"), marked("Emptied class"), marked("Empty"),
    marked("Empty class"), marked("Junk"), marked("Link loop"), marked("Link outside"), marked("Link repeat"), marked("Missing"),
    marked("No class"), marked("No label"), marked("Not a file"), marked("Not an image"), marked("Outside folder"),
    marked("Outside split"), marked("Repeated row"), marked("Similar classes"), marked("Stale edit"), marked("Too large"),
    marked("Too slow"), marked("Transparent"), marked("Truncated"), marked("Unknown split"), marked("Unreadable"),
    marked("Wrong extension"),
)  # fmt: skip
"""The titles of the kinds of problems that are found in pictures, as `problem` makes them."""
_TITLES = {"lr": "Learning rate", "clip_norm": "Gradient clipping", "warmup": "Warm-up", "adamw": "AdamW", "sgd": "SGD"}


def millions(number: int) -> str:
    """A count of parameters, such as `4.65 M`."""
    if number < 1_000_000:
        return grouped(number)
    return f"{number / 1e6:.2f} M" if number < 1e8 else f"{number / 1e6:.0f} M"


def interval(value: Interval) -> str:
    """A share with its 95 % interval, in percent."""
    return tr("{share} ({low:.1f} to {high:.1f})", share=percent(value.value), low=100 * value.low, high=100 * value.high)


def rate(value: float) -> str:
    """A learning rate or multiplier, short."""
    return f"{value:.3g}"


def path_title(path: str) -> str:
    """What a field of the recipe, by its dotted path, is called: `augmentation.2.magnitude` is 'Magnitude 2'."""
    *above, last = path.split(".")
    number = next((part for part in (*above, last) if part.isdigit()), "")
    named = title(above[-1] if above and (last.isdigit() or last == "name") else last)
    if path.startswith("changes."):
        return tr("{field} from epoch {epoch}", field=named, epoch=int(number))
    return f"{named} {number}".strip()


def english_title(name: str) -> str:
    """What `title` looks up."""
    return _TITLES.get(name) or name.replace("_", " ").capitalize()


def title(name: str) -> str:
    """A field or option's name as a label: `batch_size` becomes `Batch size`."""
    return tr(english_title(name))


def title_within(name: str) -> str:
    """The same behind other words, where English begins it with a small letter."""
    shown = title(name)
    return shown.lower() if shown == english_title(name) else shown


def state(status: str) -> str:
    """What a run in the list is, in words."""
    return tr(STATES.get(status, status))


def problem(kind: str) -> str:
    """The name of a kind of problem in pictures, as `title` takes it: `too-large` becomes `too_large`."""
    return kind.replace("-", "_")


def breakable(name: str) -> str:
    """A name that may go on in the next line after `_`, `.`, `/` or `-`, where a narrow panel asks for it."""
    return re.sub(r"(?<=[_./-])(?=\w)", "\u200b", name)


def unbroken(text: str) -> str:
    """What `breakable` was made of."""
    return text.replace("\u200b", "")
