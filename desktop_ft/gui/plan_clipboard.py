"""The freeze plan of a project to and from the clipboard."""

from PySide6.QtGui import QGuiApplication

from desktop_ft.core.errors import UserError
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.language import tr
from desktop_ft.core.plan_text import as_options, as_recipe, plan_in
from desktop_ft.gui.state import ProjectState


def copy_plan(state: ProjectState, *, options: bool = False) -> None:
    """Put the project's plan on the clipboard: as a piece of a recipe, or as options of the command line."""
    plan = state.recipe.freeze
    QGuiApplication.clipboard().setText(as_options(plan) if options else as_recipe(plan))
    state.plan_told.emit(
        tr("The plan is on the clipboard, as options of desktop-ft train and replan.")
        if options
        else tr("The plan is on the clipboard.")
    )


def plan_of_clipboard() -> FreezePlan:
    """The plan that is on the clipboard.

    Raises:
        UserError: there is none.
    """
    return plan_in(QGuiApplication.clipboard().text())


def paste_plan(state: ProjectState) -> None:
    """Make the plan that is on the clipboard the project's; an edit that can be undone.

    Raises:
        UserError: there is none, or it names layers that the project's network does not have.
    """
    plan = plan_of_clipboard()
    if state.tree is not None and (unknown := plan.unknown_overrides(state.tree)):
        network, layer = state.recipe.backbone.name, unknown[0]
        what = tr("{network} has no layer '{layer}', which the copied plan names.", network=network, layer=layer)
        raise UserError(what, tr("Choose the network that the plan was made for, on the page Model, and paste it again."))
    state.edit(tr("paste a plan"), state.recipe.model_copy(update={"freeze": plan}))
    state.plan_told.emit(tr("The copied plan is this project's now. Undo takes it back."))
