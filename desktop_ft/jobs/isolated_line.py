"""What goes between a process that trains a run and the one that supervises it: lines of JSON, each one of these, or an event.

They are read as these values and nothing else: whatever a line holds, nothing in it is run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from desktop_ft.core.events import RunEnded, TrainEvent
from desktop_ft.core.language import tr
from desktop_ft.core.values import from_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a child is to do: the name of a verb of `training`, and what it is done with.

    Attributes:
        recipe: as TOML; "" where the run has one.
        language: the code of the one to speak.
    """

    verb: Literal["train", "resume", "keep_best", "judge"]
    run: str
    recipe: str = ""
    language: str = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """What `progress` is told."""

    what: str
    done: int
    total: int | None = None
    type: Literal["phase"] = "phase"


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """The verb is done."""

    ended: RunEnded
    type: Literal["returned"] = "returned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """It ended in a UserError."""

    what: str
    cure: str
    type: Literal["refused"] = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp:
    """It ended as it was cancelled."""

    type: Literal["given_up"] = "given_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unforeseen:
    """It ended in an error that nobody foresaw."""

    traceback: str
    type: Literal["unforeseen"] = "unforeseen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alive:
    """Nothing is new; said every few seconds."""

    type: Literal["alive"] = "alive"


Said = TrainEvent | Phase | Returned | Refused | GivenUp | Unforeseen | Alive
"""What a child says."""
_LINE = Annotated[Said, Field(discriminator="type")]


def understood(line: bytes) -> Said:
    """What a line says.

    Raises:
        UserError: nothing that a child may say.
    """
    said: Said = from_json(_LINE, line, tr("What the trainer says"))
    return said
