"""What a person wrote about a run."""

import re
from collections.abc import Iterable

from pydantic import Field, field_validator

from desktop_ft.core.language import tr
from desktop_ft.core.values import Described

_TAG = re.compile(r"[^\s,#]{1,40}")


class RunNote(Described):
    """Words of the person's own about a run, and tags to find it by."""

    text: str = Field("", max_length=20_000, description="What the person wants to remember of the run.")
    tags: tuple[str, ...] = Field(
        (), max_length=50, description="Short words to find the run by, without blanks, commas and '#'."
    )

    @field_validator("tags")
    @classmethod
    def _whole(cls, tags: tuple[str, ...]) -> tuple[str, ...]:
        for tag in tags:
            if not _TAG.fullmatch(tag):
                raise ValueError(tr("'{tag}' is not a tag: a tag has 1 to 40 signs, no blanks, commas or '#'", tag=tag))
        return tuple(dict.fromkeys(tags))

    @property
    def words(self) -> str:
        """The tags in a line, such as `#night #good`."""
        return " ".join(f"#{tag}" for tag in self.tags)


def tags_in(line: str) -> tuple[str, ...]:
    """The tags that a person typed into a line, between blanks or commas, with or without `#`; what is too long is cut."""
    return tuple(dict.fromkeys(tag[:40] for tag in re.split(r"[\s,#]+", line) if tag))[:50]


def changed(note: RunNote, *, text: str | None = None, add: Iterable[str] = (), remove: Iterable[str] = ()) -> RunNote:
    """`note` with another text (None: its own), and with tags added and removed.

    Raises:
        pydantic.ValidationError: what is added is no tag, or the text is too long.
    """
    gone = set(remove)
    tags = tuple(tag for tag in (*note.tags, *add) if tag not in gone)
    return RunNote(text=note.text if text is None else text, tags=tags)
