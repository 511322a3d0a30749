"""Other layers are to learn while a run goes on: asked for here, done by whoever trains it, at the start of its next epoch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from desktop_ft.core.errors import UserError
from desktop_ft.core.events import RunStatus, Warned
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.jobs.building import learner
from desktop_ft.jobs.running import OpenRun, open_run
from desktop_ft.plugin_manager import Plugins

if TYPE_CHECKING:
    from desktop_ft.engine.learner import Change, Relearn
    from desktop_ft.models.network import Network


def replan(run: Path, plan: FreezePlan, plugins: Plugins) -> bool:
    """Let the layers learn that `plan` names, from the next epoch of the run on: at once where it is being trained, else when it
    is resumed. Imports torch.

    Returns:
        Whether it is being trained now.

    Raises:
        UserError: no run, or one that is complete; the network has no such layer, or none would learn; a run that began with
            pre-trained weights is to be one from scratch, or the other way round.
    """
    from desktop_ft.models.build import outline

    opened = open_run(run, plugins)
    ended = opened.folder.history().ended
    if ended is not None and ended.status is RunStatus.COMPLETED:
        raise UserError(f"The run '{opened.folder.name}' is complete.", "Train a new one, with its weights if you like.")
    if plan.pretrained is not opened.recipe.freeze.pretrained:
        raise UserError("Whether a run starts from pre-trained weights cannot be changed any more.", "Train a new one.")
    whole = outline(opened.backbone, len(opened.manifest.classes), opened.recipe.backbone.image_size)
    learner(whole, plan, opened.backbone, opened.rule.crop)
    opened.folder.ask_plan(plan)
    return opened.folder.is_locked


def relearning(run: OpenRun, network: Network, tell: Callable[[Warned], None]) -> Relearn:
    """What tells the trainer of the run that another plan was asked for. It becomes the recipe's own when it is taken up."""
    from desktop_ft.engine.learner import Change

    def relearn(save: Callable[[], None]) -> Change | None:
        folder = run.folder
        try:
            plan, before = folder.asked_plan, folder.recipe.freeze
            if plan is None:
                return None
            learning, note = learner(network.backbone, plan, run.backbone, run.rule.crop)
        except UserError as error:
            tell(Warned(message=f"The plan that was asked for cannot be followed: {error}"))
            folder.forget_asked_plan()
            return None
        save()
        folder.adopt_plan(plan)
        if note:
            tell(Warned(message=note))
        return Change(learning, before.words, plan.words)

    return relearn
