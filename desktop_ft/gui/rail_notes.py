"""Where each step is, in a few words for the rail and a sentence for its tool tip."""

from typing import NamedTuple

from desktop_ft.core.language import tr, tr_n
from desktop_ft.gui import words
from desktop_ft.gui.log import BROKEN
from desktop_ft.gui.session import Session
from desktop_ft.jobs import augmenting

_Told = tuple[str, str]


class Note(NamedTuple):
    """A few words, a sentence, and whether something there is to be put right."""

    text: str
    tip: str
    attention: bool = False


def notes(session: Session) -> dict[str, Note]:
    """Page name to its note. What of the recipe is not right is said there until it is, whatever page is shown."""
    recipe, faults = session.state.recipe, session.to_put_right()
    if not recipe.dataset.folder:
        faults.pop("data", None)  # none was chosen yet: that is no fault
    steps = {page: Note(*told) for page, told in _steps(session).items()}
    return steps | {page: Note(tr("needs attention"), reason, attention=True) for page, reason in faults.items()}


def _steps(session: Session) -> dict[str, _Told]:
    recipe = session.state.recipe
    return {
        "data": _data(session),
        "model": (recipe.backbone.name, tr("The network to fine-tune: {name}.", name=recipe.backbone.name)),
        "layers": (recipe.freeze.words, tr("Which layers learn, and how fast.")),
        "augment": (_augmentation(session), tr("How training pictures are changed.")),
        "train": _train(session),
        "results": _results(session),
        "export": _export(session),
        "plugins": (_plugins(session), tr("What others made for Desktop FT, or you: networks, augmentations, file formats.")),
        "runs": ("", tr("Your runs: compare them, go on with one, or start from its recipe.")),
    }


def _data(session: Session) -> _Told:
    manifest = session.state.manifest
    if session.opening.running:
        return tr("looking…"), session.opening.what
    if manifest is None:
        return tr("choose pictures"), tr("Choose a folder of pictures.")
    pictures = tr_n("{n:,} picture", "{n:,} pictures", n=len(manifest.samples))
    where = manifest.source
    return pictures, tr_n("{n:,} class in {folder}", "{n:,} classes in {folder}", n=len(manifest.classes), folder=where)


def _plugins(session: Session) -> str:
    broken = sum(record.state in BROKEN for record in session.plugins.records) + len(session.plugins.troubles)
    return tr_n("{n} needs attention", "{n} need attention", n=broken) if broken else ""


def _augmentation(session: Session) -> str:
    specs = session.state.recipe.augmentation
    if preset := augmenting.preset_of(specs):
        return words.title_within(preset)
    return tr_n("{n:,} transform", "{n:,} transforms", n=len(specs))


def _train(session: Session) -> _Told:
    if session.training.running:
        history, phase = session.training.history, session.training.phase
        if phase is not None:  # before the first step, and after the last
            return tr("running"), tr(phase[0])
        state = tr("paused") if history.paused else tr("running")
        return f"{state}, {int(100 * history.progress)} %", tr("A run is under way.")
    blocker = session.blocker()
    return (tr("not ready"), blocker.reason) if blocker else (tr("ready"), tr("Everything is there to start."))


def _results(session: Session) -> _Told:
    evaluation = session.state.evaluation
    if evaluation is None:
        return "", tr("Results come with a run.")
    accuracy = words.interval(evaluation.accuracy)
    pictures = tr(words.SUBSET_WORDS.get(evaluation.subset, evaluation.subset))
    told = tr("Accuracy {accuracy} on {pictures}.", accuracy=accuracy, pictures=pictures)
    return words.percent(evaluation.accuracy.value), told


def _export(session: Session) -> _Told:
    report = session.state.export
    if report is None:
        return "", tr("Write the model to a file once there is one.")
    return tr("proven") if report.accepted else tr("refused"), report.file
