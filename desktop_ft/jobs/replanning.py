"""Other layers are to learn while a run goes on: asked for here, done by whoever trains it, at the start of its next epoch.

The recipe stays what was asked for at first. What learns in an epoch is what the run's events tell: the latest change up to it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from desktop_ft.core.errors import UserError
from desktop_ft.core.events import PlanChanged, RunStatus, Warned
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.jobs import distributed
from desktop_ft.jobs.building import learner
from desktop_ft.jobs.running import OpenRun, open_run
from desktop_ft.plugin_manager import Plugins
from desktop_ft.runs.run_folder import RunFolder

if TYPE_CHECKING:
    from desktop_ft.engine.learner import Change
    from desktop_ft.models.network import Network

_NEW = "Train a new one; `--weights` starts it from what another run has learned."


def replan(run: Path, plan: FreezePlan, plugins: Plugins) -> bool:
    """Ask for the layers to learn that `plan` names, from the start of the run's next epoch on. Imports torch.

    A run that is not being trained does it when it is resumed. Where there is no next epoch, it is told in the run's end.

    Returns:
        Whether the run is being trained now.

    Raises:
        UserError: no run, or one that is complete; the network has no such layer, or none would learn; a run that began with
            pre-trained weights is to be one from scratch, or the other way round; several processes train it.
    """
    from desktop_ft.models.build import outline

    opened = open_run(run, plugins)
    ended = opened.folder.history().ended
    if ended is not None and ended.status is RunStatus.COMPLETED:
        raise UserError(f"The run '{opened.folder.name}' is complete.", _NEW)
    if plan.pretrained is not opened.recipe.freeze.pretrained:
        raise UserError("Whether a run starts from pre-trained weights cannot be changed any more.", _NEW)
    if distributed.processes(opened.recipe, opened.manifest) > 1:
        what = "Several processes train this run, and what learns cannot be changed in all of them at once."
        raise UserError(what, "Stop it, and train a new one with `--processes 1`.")
    whole = outline(opened.backbone, len(opened.manifest.classes), opened.recipe.backbone.image_size)
    learner(whole, plan, opened.backbone, opened.rule.crop)
    opened.folder.ask_plan(plan)
    return opened.folder.is_locked


def plan_of(folder: RunFolder) -> FreezePlan:
    """What learns in the run, by all that it has told; where another plan is asked for, that one."""
    with suppress(UserError):  # a damaged one is replaced by the next
        if (asked := folder.asked_plan()) is not None:
            return asked
    changes = folder.history().replanned
    return changes[-1].plan if changes else folder.recipe.freeze


class Replanning:
    """Tells the trainer of a run which plan its epochs follow: what was told before it broke off, and what is asked for now.

    Args:
        plan: what it follows to begin with.
        told: the changes that its events tell of beyond the checkpoint that it goes on from: they are made again.
        tell: hears in a sentence what cannot be followed.
    """

    def __init__(
        self,
        run: OpenRun,
        network: Network,
        plan: FreezePlan,
        told: tuple[PlanChanged, ...],
        tell: Callable[[Warned], None],
    ) -> None:
        self._run = run
        self._network = network
        self._plan = plan
        self._told = {change.epoch: change.plan for change in told}
        self._tell = tell

    def asked(self, epoch: int) -> Change | None:
        """The change from `epoch` on: the one that is asked for, else the one that was told of, if any."""
        folder = self._run.folder
        try:
            plan = folder.asked_plan()
            if plan is not None and plan == self._plan:  # a run that broke off just after the change asks again
                folder.forget_asked_plan(plan)
                plan = None
            return self._change(plan, epoch) if plan is not None else self._again(epoch)
        except UserError as error:
            self._tell(Warned(message=f"The plan that was asked for cannot be followed: {error}"))
            folder.forget_asked_plan(None)
            return self._again(epoch)

    def settled(self, change: Change) -> None:
        """`change` was made and told: it is asked for no more."""
        self._plan = change.plan
        self._run.folder.forget_asked_plan(change.plan)

    def ended(self) -> None:
        """The run is complete: say so, where a plan came too late."""
        folder = self._run.folder
        try:
            late = folder.asked_plan() is not None
        except UserError:
            late = True
        if late:
            folder.forget_asked_plan(None)
            self._tell(Warned(message="A plan was asked for too late: the run had no epoch left to follow it in."))

    def _again(self, epoch: int) -> Change | None:
        plan = self._told.get(epoch)
        return self._change(plan, epoch) if plan is not None else None

    def _change(self, plan: FreezePlan, epoch: int) -> Change:
        from desktop_ft.engine.learner import Change

        run = self._run
        learning, note = learner(self._network.backbone, plan, run.backbone, run.rule.crop, since=epoch)
        if note:
            self._tell(Warned(message=note))
        return Change(learning, plan)
