"""What waits to be trained, one after another: a plain file of recipes that outlives every process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import tomli_w

from desktop_ft import places
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import marked, tr
from desktop_ft.core.recipe import Recipe, differences
from desktop_ft.core.values import plain_toml
from desktop_ft.core.words import epoch_count
from desktop_ft.runs import atomic, lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A recipe that waits for its turn.

    Attributes:
        number: by which it is called, as long as it waits.
        data: the recipe as it stands in the file; it is looked at when its turn comes.
        run: the folder of its run, once its turn has come.
        error: why it could not be trained; it is left out until it is removed.
        broken_off: how often in a row its process has died with it.
    """

    number: int
    name: str
    data: dict[str, Any]
    run: str = ""
    error: str = ""
    broken_off: int = 0

    def __post_init__(self) -> None:
        """Raise TypeError where a hand put something else into the file."""
        whole = all(isinstance(number, int) for number in (self.number, self.broken_off))
        if not whole or not all(isinstance(text, str) for text in (self.name, self.run, self.error)):
            raise TypeError("`number` and `broken_off` must be whole numbers, and `name`, `run` and `error` texts")

    @property
    def begun(self) -> bool:
        """Whether it is being trained, or was broken off and goes on before all others."""
        return bool(self.run) and not self.error

    @property
    def recipe(self) -> Recipe:
        """What is to be trained. Raises UserError where it is not valid (any more)."""
        return Recipe.from_data(self.data, tr("The recipe of '{name}'", name=self.name))


class Queue:
    """The queue of a person: several processes may change it, one of them at a time works at it.

    Args:
        folder: where it is kept; among the person's own data by default.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or places.data() / "queue"
        self._file = self._folder / "queue.toml"

    def entries(self) -> tuple[Waiting, ...]:
        """What waits, in order, and what failed.

        Raises:
            UserError: the file is damaged.
        """
        return self._read()[0]

    def _read(self) -> tuple[tuple[Waiting, ...], int]:
        """What is in the file, and the last number that was given."""
        if not self._file.is_file():
            return (), 0
        try:
            held = plain_toml(atomic.read(self._file).decode())
            return tuple(Waiting(data=dict(each.pop("recipe")), **each) for each in held["waiting"]), int(held["last"])
        except (ValueError, OverflowError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                tr("The queue in {file} is damaged: {error}.", file=self._file, error=error),
                tr("Correct the file, or delete it."),
            ) from error

    def add(self, recipe: Recipe, name: str = "") -> Waiting:
        """Let `recipe` wait behind all others."""
        data = recipe.model_dump(mode="json", exclude_none=True)

        def added(held: tuple[Waiting, ...], number: int) -> tuple[Waiting, ...]:
            return (*held, Waiting(number=number, name=name or _name(recipe), data=data))

        return self._edit(added)[-1]

    def remove(self, number: int) -> None:
        """Take one out.

        Raises:
            UserError: there is none of that number.
        """
        self._edit(lambda held, free: [each for each in _having(held, number) if each.number != number])

    def clear(self) -> int:
        """Take all out that are not being trained; returns how many."""
        before, worked = len(self.entries()), self.is_worked
        return before - len(self._edit(lambda held, free: [each for each in held if worked and each.begun]))

    def move(self, number: int, by: int) -> None:
        """Let one come so many places later; earlier with a negative number, but not before one that has begun.

        Raises:
            UserError: there is none of that number, or it has begun itself.
        """

        def moved(held: tuple[Waiting, ...], free: int) -> list[Waiting]:
            place, one = next((place, each) for place, each in enumerate(_having(held, number)) if each.number == number)
            if one.begun:
                raise UserError(
                    tr("'{name}' has begun: it comes before all that waits.", name=one.name), tr("Move those that wait.")
                )
            rest = [each for each in held if each is not one]
            first = max((above + 1 for above, each in enumerate(held[:place]) if each.begun), default=0)
            rest.insert(max(first, place + by), one)
            return rest

        self._edit(moved)

    def mark(self, number: int, *, run: str = "", error: str = "", broken_off: int = 0) -> None:
        """Keep what became of one: the folder of its run, or why it failed."""

        def marked_one(held: tuple[Waiting, ...], free: int) -> list[Waiting]:
            return [
                replace(each, run=run or each.run, error=error, broken_off=broken_off) if each.number == number else each
                for each in held
            ]

        self._edit(marked_one)

    @property
    def next(self) -> Waiting | None:
        """The one whose turn comes: one that was broken off, else the first that has not failed."""
        return self.after(None)

    def after(self, number: int | None) -> Waiting | None:
        """The one whose turn comes once the one of this `number` waits no more; None: whose turn it is now."""
        waits = [each for each in self.entries() if not each.error and each.number != number]
        return next((each for each in waits if each.begun), waits[0] if waits else None)

    def worked(self) -> AbstractContextManager[None]:
        """Keep other processes from working at the queue while the block runs.

        Raises:
            UserError: on entry, when another process does.
        """
        atomic.make_folder(self._folder)
        return lock.held(
            self._folder / "work.lock", marked("The queue is being worked at by process {pid} on {host}, since {since}.")
        )

    @property
    def is_worked(self) -> bool:
        """Whether some process works at it now."""
        return lock.is_held(self._folder / "work.lock")

    def _edit(self, change: Callable[[tuple[Waiting, ...], int], Iterable[Waiting]]) -> Sequence[Waiting]:
        """Put what `change` makes of what waits, and of a number that was never given, in its place."""
        atomic.make_folder(self._folder)
        with lock.held_soon(
            self._folder / "edit.lock", marked("The queue is being changed by process {pid} on {host}, since {since}.")
        ):
            held, last = self._read()
            after = tuple(change(held, last + 1))
            told = [{**_without(asdict(each), "data"), "recipe": each.data} for each in after]
            last = max([last, *(each.number for each in after)])
            atomic.write(self._file, tomli_w.dumps({"last": last, "waiting": told}).encode())
        return after


def told_apart(entries: Iterable[Waiting]) -> dict[int, dict[str, object]]:
    """What tells those of one name from each other: by number, the fields that differ among their recipes, with its values.

    Of one whose recipe is not valid any more nothing is told.
    """
    alike: dict[str, dict[int, Recipe]] = {}
    for each in entries:
        with suppress(UserError):  # said when its turn comes
            alike.setdefault(each.name, {})[each.number] = each.recipe
    told: dict[int, dict[str, object]] = {}
    for recipes in alike.values():
        fields = differences(list(recipes.values()))
        told |= {number: {name: values[n] for name, values in fields.items()} for n, number in enumerate(recipes)}
    return told


def _having(held: tuple[Waiting, ...], number: int) -> tuple[Waiting, ...]:
    if all(each.number != number for each in held):
        raise UserError(
            tr("Nothing in the queue has the number {number}.", number=number), tr("`desktop-ft queue list` shows what waits.")
        )
    return held


def _without(fields: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key != name}


def _name(recipe: Recipe) -> str:
    folder = recipe.portable().dataset.folder.removesuffix(".zip") or "dataset"
    return tr(
        "{folder} {network} {plan}, {epochs}",
        folder=folder,
        network=recipe.backbone.name,
        plan=recipe.freeze.words,
        epochs=epoch_count(recipe.optimisation.epochs),
    )
