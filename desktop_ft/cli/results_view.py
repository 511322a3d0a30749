"""How results are told: to a person in sentences, to a machine as a document."""

from pathlib import Path

from desktop_ft.cli.terminal import Terminal, printable
from desktop_ft.core.metrics import Evaluation, ExportReport


def evaluation_document(evaluation: Evaluation) -> dict[str, object]:
    """What `evaluate --json` prints."""
    names = evaluation.classes

    def told(answer_path: str, label: int, predicted: int, confidence: float) -> dict[str, object]:
        return {"path": printable(answer_path), "class": names[label], "predicted": names[predicted], "confidence": confidence}

    return {
        "dataset": evaluation.dataset,
        "subset": evaluation.subset,
        "pictures": len(evaluation.answers),
        "accuracy": evaluation.accuracy.value,
        "interval": interval_of(evaluation),
        "top5": evaluation.top5,
        "calibration_error": evaluation.calibration_error,
        "per_class": [
            {"class": c.name, "precision": c.precision, "recall": c.recall, "f1": c.f1, "pictures": c.support}
            for c in evaluation.per_class
        ],
        "confusion": evaluation.confusion,
        "mistakes": [told(a.path, a.label, a.predicted, a.confidence) for a in evaluation.mistakes],
        "answers": [told(a.path, a.label, a.predicted, a.confidence) for a in evaluation.answers],
    }


def interval_of(evaluation: Evaluation) -> list[float]:
    """The 95 % interval of the accuracy, low and high."""
    return [evaluation.accuracy.low, evaluation.accuracy.high]


def show_accuracy(evaluation: Evaluation, terminal: Terminal) -> None:
    """The accuracy and its interval, in a sentence."""
    share = evaluation.accuracy
    terminal.say(
        f"Accuracy {share.value:.1%} on {len(evaluation.answers)} pictures ({evaluation.subset}; "
        f"95 % interval {share.low:.1%} to {share.high:.1%})."
    )


def export_document(report: ExportReport, out: Path) -> dict[str, object]:
    """What `export --json` prints."""
    return {
        "file": str(out),
        "bytes": report.bytes,
        "compared": report.compared,
        "largest_difference": report.largest_difference,
        "changed_answers": report.changed_answers,
    }


def show_export(report: ExportReport, out: Path, terminal: Terminal) -> None:
    """What was written, and how it compares, in a sentence."""
    terminal.say(
        f"{out} ({report.bytes / 1e6:.1f} MB), loaded again without torch and compared on {report.compared} of your pictures: "
        f"largest relative difference {report.largest_difference:.1e}, changed answers {report.changed_answers}."
    )
