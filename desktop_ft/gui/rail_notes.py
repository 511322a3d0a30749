"""Where each step is, in a few words for the rail and a sentence for its tool tip."""

from desktop_ft.gui import words
from desktop_ft.gui.session import Session
from desktop_ft.jobs import augmenting

Note = tuple[str, str]


def notes(session: Session) -> dict[str, Note]:
    """Page name to its note."""
    recipe = session.state.recipe
    return {
        "data": _data(session),
        "model": (recipe.backbone.name, f"The network to fine-tune: {recipe.backbone.name}."),
        "layers": (recipe.freeze.words, "Which layers learn, and how fast."),
        "augment": (_augmentation(session), "How training pictures are changed."),
        "train": _train(session),
        "results": _results(session),
        "export": _export(session),
        "runs": ("", "Your runs: compare them, go on with one, or start from its recipe."),
    }


def _data(session: Session) -> Note:
    manifest = session.state.manifest
    if session.opening.running:
        return "looking…", session.opening.what
    if manifest is None:
        return "choose pictures", "Choose a folder of pictures."
    return words.count(len(manifest.samples), "picture"), f"{words.count(len(manifest.classes), 'class')} in {manifest.source}"


def _augmentation(session: Session) -> str:
    specs = session.state.recipe.augmentation
    return augmenting.preset_of(specs) or words.count(len(specs), "transform")


def _train(session: Session) -> Note:
    if session.training.running:
        history = session.training.history
        return f"{'paused' if history.paused else 'running'}, {100 * history.progress:.0f} %", "A run is under way."
    blocker = session.blocker()
    return ("not ready", blocker.reason) if blocker else ("ready", "Everything is there to start.")


def _results(session: Session) -> Note:
    evaluation = session.state.evaluation
    if evaluation is None:
        return "", "Results come with a run."
    return words.percent(evaluation.accuracy.value), f"Accuracy {words.interval(evaluation.accuracy)} on {evaluation.subset}."


def _export(session: Session) -> Note:
    report = session.state.export
    if report is None:
        return "", "Write the model to a file once there is one."
    return "proven" if report.accepted else "refused", report.file
