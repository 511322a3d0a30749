"""What is to be otherwise in a run from some epoch on: asked for while it goes on, or planned in its recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

from pydantic import Field, model_validator

from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.language import tr
from desktop_ft.core.values import Described


class Change(Described):
    """Another learning rate, other layers that learn, or both; what is not named stays as it is."""

    lr: float | None = Field(
        None, gt=0, le=10, description="Learning rate of the head from then on; the schedule goes on as it was."
    )
    freeze: FreezePlan | None = Field(
        None, description="What learns from then on; what changes over time in it counts from there."
    )

    @model_validator(mode="after")
    def _of_something(self) -> Self:
        if self.lr is None and self.freeze is None:
            raise ValueError(tr("names neither a learning rate nor what is to learn"))
        return self

    @property
    def words(self) -> str:
        """The change in a few words."""
        rate = tr("learning rate {rate:g}", rate=self.lr) if self.lr is not None else ""
        return ", ".join(filter(None, (self.freeze.words if self.freeze is not None else "", rate)))

    def after(self, earlier: Change | None) -> Change:
        """This change and `earlier`, in one; where both name something, this one counts."""
        if earlier is None:
            return self
        freeze = self.freeze if self.freeze is not None else earlier.freeze
        return Change(lr=self.lr if self.lr is not None else earlier.lr, freeze=freeze)


class PlannedChange(Change):
    """A change from the start of an epoch on."""

    epoch: int = Field(ge=1, description="The first epoch, counted from 1, that it holds for.")


@dataclass(frozen=True, slots=True)
class Course:
    """What a run follows at some time.

    Attributes:
        since: the first epoch (0-based) that `freeze` is for.
        lr: what the schedule starts from.
    """

    freeze: FreezePlan
    since: int
    lr: float

    def altered(self, change: Change, epoch: int) -> Course:
        """The course from `epoch` (0-based) on, where `change` is made at its start: what it has already goes on."""
        lr = change.lr if change.lr is not None else self.lr
        if change.freeze is None or change.freeze == self.freeze:
            return Course(self.freeze, self.since, lr)
        return Course(change.freeze, epoch, lr)

    def news(self, change: Change) -> Change | None:
        """What of `change` is not followed anyway; None: nothing."""
        lr = change.lr if change.lr != self.lr else None
        freeze = change.freeze if change.freeze != self.freeze else None
        return None if lr is None and freeze is None else Change(lr=lr, freeze=freeze)


def in_order(changes: Sequence[PlannedChange]) -> bool:
    """Whether each of `changes` is for a later epoch than the one before."""
    return all(one.epoch < other.epoch for one, other in pairwise(changes))
