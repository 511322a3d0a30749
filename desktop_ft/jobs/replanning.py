"""A run is to do otherwise while it goes on: asked for here, done by whoever trains it, at the start of its next epoch.

What was done is added to the run's recipe (`Recipe.changes`): so a run that is resumed, or trained anew from that recipe, does
the same in the same epochs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from desktop_ft.core.changes import Change
from desktop_ft.core.errors import UserError
from desktop_ft.core.events import CheckpointSaved, RunStatus, Warned
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.language import marked, tr
from desktop_ft.core.metrics import MetricHistory
from desktop_ft.core.recipe import Recipe
from desktop_ft.jobs import distributed
from desktop_ft.jobs.building import check_change, learner, succession
from desktop_ft.jobs.running import OpenRun, open_run
from desktop_ft.plugin_manager import Plugins
from desktop_ft.runs.run_folder import RunFolder

if TYPE_CHECKING:
    from torch import nn

    from desktop_ft.engine.learner import Learner, Turn
    from desktop_ft.models.network import Network

_NEW = marked("Train a new one; `--weights` starts it from what another run has learned.")


def replan(run: Path, change: Change, plugins: Plugins) -> bool:
    """Ask for `change`, from the start of the run's next epoch on. Imports torch where it is about what learns.

    A run that is not being trained does it when it is resumed. Where an early stop leaves no next epoch, its end tells so.

    Returns:
        Whether the run is being trained now.

    Raises:
        UserError: no run, or one that is complete or in its last epoch; the network has no such layer, or none would learn; a run
            that began with pre-trained weights is to be one from scratch, or the other way round; several processes train it.
    """
    opened = open_run(run, plugins)
    _check(opened, change)
    folder = opened.folder
    folder.ask_change(change)
    if _is_too_late(folder) and folder.withdraw():
        raise UserError(tr("It is too late: the run '{name}' has no epoch left to begin.", name=folder.name), tr(_NEW))
    return folder.is_locked


def _check(opened: OpenRun, change: Change) -> None:
    ended = opened.folder.ended
    if ended is not None and ended.status is RunStatus.COMPLETED:
        raise UserError(tr("The run '{name}' is complete.", name=opened.folder.name), tr(_NEW))
    if distributed.processes(opened.recipe, opened.manifest) > 1:
        what = tr("Several processes train this run, and nothing can be changed in all of them at once.")
        raise UserError(what, tr("Stop it, and train a new one with `--processes 1`."))

    def network() -> nn.Module:
        from desktop_ft.models.build import outline

        return outline(opened.backbone, len(opened.manifest.classes), opened.recipe.backbone.image_size)

    check_change(change, 1, opened.recipe, network, opened.backbone)  # which epoch it will be is known when it begins


def _is_too_late(folder: RunFolder) -> bool:
    """Whether the run has begun its last epoch, or goes on from within it."""
    events = folder.events()
    history = MetricHistory.of(events)
    if history.started is None:
        return False
    last = history.started.epochs - 1
    if folder.is_locked:
        return max(history.started.first_epoch, history.epochs[-1].epoch + 1 if history.epochs else 0) >= last
    saved = [(event.epoch, event.step) for event in events if isinstance(event, CheckpointSaved)]
    return bool(saved) and saved[-1] > (last, 0)


def current(folder: RunFolder) -> Recipe:
    """The run's recipe with what it follows by all that is planned, told and asked for in place of what it began with."""
    recipe, history = folder.recipe, folder.history()
    at = (history.steps[-1].epoch, 1) if history.steps else (0, 0)
    course = recipe.followed(*at)
    if (asked := folder.asked_change()) is not None:
        course = course.altered(asked, at[0] + 1)
    return recipe.model_copy(update={"freeze": course.freeze}).with_optimisation(lr=course.lr)


class Replanning:
    """Tells the trainer of a run what to do otherwise from an epoch on: what its recipe plans, and what is asked for now.

    Args:
        tell: hears in a sentence what cannot be followed.
        asks: whether to look at what is asked for; processes that train together would have to hear of it at the same time.
    """

    def __init__(self, run: OpenRun, network: Network, tell: Callable[[Warned], None], *, asks: bool) -> None:
        self._run = run
        self._network = network
        self._recipe = run.recipe
        self._tell = tell
        self._asks = asks

    def asked(self, epoch: int) -> Turn | None:
        """What is otherwise from `epoch` on: what is asked for, beside what is planned.

        What is planned is a turn even where all of it is followed already: so is what was asked for in its place, and a run of
        that recipe must go as this one.
        """
        planned, folder = self._recipe.change_in(epoch), self._run.folder
        try:
            if self._asks and (asked := folder.take_asked()) is not None:
                if planned is not None or self._recipe.followed(epoch, 0).news(asked) is not None:
                    return self._turn(asked.after(planned), epoch)
                folder.forget_taken()  # it is followed already
        except UserError as error:
            self._tell(Warned(message=tr("The change that was asked for cannot be made: {error}", error=error)))
            folder.forget_taken()
        return self._turn(planned, epoch) if planned is not None else None

    def settled(self, turn: Turn, epoch: int) -> None:
        """`turn` is taken in `epoch`: the recipe says so from now on, and it is asked for no more."""
        recipe = self._recipe.with_change(epoch, turn.change)
        if recipe != self._recipe:
            self._recipe = recipe
            self._run.folder.write_recipe(recipe)
        if self._asks:
            self._run.folder.forget_taken()

    def ahead(self, epoch: int) -> Learner:
        """What will learn from `epoch` on, by all that is planned now."""
        return succession(self._network.backbone, self._recipe, self._run.backbone, epoch=epoch)

    def ended(self) -> None:
        """The run is complete: say so, where something was asked for too late."""
        if self._asks and self._run.folder.withdraw():
            self._tell(Warned(message=tr("A change was asked for too late: the run had no epoch left to make it in.")))

    def _turn(self, change: Change, epoch: int) -> Turn:
        """The whole `change` at the start of `epoch`; what learns already goes on as it was."""
        from desktop_ft.engine.learner import Turn

        news = self._recipe.followed(epoch, 0).news(change)
        return Turn(Change(lr=change.lr, freeze=change.freeze), self._learner(news.freeze if news else None, epoch))

    def _learner(self, plan: FreezePlan | None, epoch: int) -> Learner | None:
        if plan is None:
            return None
        run = self._run
        learning, note = learner(self._network.backbone, plan, run.backbone, since=epoch)
        if note:
            self._tell(Warned(message=note))
        return learning
