"""How results are told: to a person in sentences, to a machine as a document."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from desktop_ft.cli.terminal import Terminal, printable
from desktop_ft.core.metrics import Evaluation, ExportReport, Interval
from desktop_ft.core.words import count
from desktop_ft.evaluation.certainty import Figures, figures
from desktop_ft.evaluation.intervals import share_of
from desktop_ft.evaluation.selective import Selection, coverage_curve
from desktop_ft.runs.run_folder import RunFolder


def share(text: str) -> float:
    """An option's value that is a share of 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is no share: give a number from 0 to 1")
    return value


def evaluation_document(evaluation: Evaluation, selection: Selection, caveat: str) -> dict[str, object]:
    """What `evaluate --json` prints; every figure with its 95 % interval, low and high."""
    names, found = evaluation.classes, figures(evaluation)

    def told(answer_path: str, label: int, predicted: int, confidence: float) -> dict[str, object]:
        return {"path": printable(answer_path), "class": names[label], "predicted": names[predicted], "confidence": confidence}

    return {
        "dataset": evaluation.dataset,
        "subset": evaluation.subset,
        "pictures": len(evaluation.answers),
        "accuracy": evaluation.accuracy.value,
        "interval": _ends(evaluation.accuracy),
        "top5": evaluation.top5,
        "top5_interval": _ends(found.top5),
        "macro_f1": found.macro_f1.value,
        "macro_f1_interval": _ends(found.macro_f1),
        "calibration_error": evaluation.calibration_error,
        "calibration_error_interval": _ends(found.calibration_error),
        "per_class": _per_class(found),
        "threshold": _selection_document(selection, caveat),
        "coverage": [
            {"threshold": p.threshold, "answered": p.coverage, "accuracy": p.accuracy.value, "interval": _ends(p.accuracy)}
            for p in coverage_curve(evaluation)
        ],
        "confusion": evaluation.confusion,
        "mistakes": [told(a.path, a.label, a.predicted, a.confidence) for a in evaluation.mistakes],
        "answers": [told(a.path, a.label, a.predicted, a.confidence) for a in evaluation.answers],
    }


def _ends(figure: Interval | None) -> list[float] | None:
    return None if figure is None else [figure.low, figure.high]


def _per_class(told: Figures) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for each in told.per_class:
        row: dict[str, object] = {"class": each.name}
        for name, figure in (("precision", each.precision), ("recall", each.recall), ("f1", each.f1)):
            row |= {name: figure and figure.value, f"{name}_interval": _ends(figure)}
        rows.append(row | {"pictures": each.support})
    return rows


def _selection_document(selection: Selection, caveat: str) -> dict[str, object]:
    return {
        "value": selection.threshold,
        "answered": selection.coverage.value,
        "answered_interval": _ends(selection.coverage),
        "accuracy": selection.accuracy.value if selection.answered else None,
        "interval": _ends(selection.accuracy),
        "mistakes": len(selection.mistakes),
        "caveat": caveat,
    }


def show_selection(selection: Selection, caveat: str, terminal: Terminal) -> None:
    """What a threshold comes to, in sentences; nothing where there is none."""
    if not selection.threshold:
        return
    accuracy = f"accuracy among them {_told(selection.accuracy)}" if selection.answered else "so nothing can be said of them"
    terminal.say(
        f"Answers less sure than {selection.threshold:g} are don't know: {selection.answered} of "
        f"{count(selection.of, 'picture')} are answered ({_told(selection.coverage)}), {accuracy}; "
        f"mistakes that remain: {len(selection.mistakes)}."
    )
    if caveat:
        terminal.say(caveat)


def show_figures(evaluation: Evaluation, terminal: Terminal) -> None:
    """How each class fares, and how sure the model is; every figure with its interval."""
    told = figures(evaluation)

    def cell(figure: Interval | None) -> str:
        return "–" if figure is None else f"{figure.value:.3f} ({figure.low:.2f} to {figure.high:.2f})"

    rows = [[c.name, cell(c.precision), cell(c.recall), cell(c.f1), str(c.support)] for c in told.per_class]
    terminal.table(["class", "precision", "recall", "f1", "pictures"], rows, right=(1, 2, 3, 4))
    top5 = f", right class among the first five {_told(told.top5)}" if told.top5 else ""
    terminal.say(
        f"\nMean F1 {cell(told.macro_f1)}{top5}. It is {_told(told.confidence)} sure; its confidence is off by "
        f"{_told(told.calibration_error)} on average (expected calibration error)."
    )


def _told(figure: Interval) -> str:
    return f"{figure.value:.1%} ({figure.low:.1%} to {figure.high:.1%})"


def in_a_cell(figure: Interval) -> str:
    """A share with its 95 % interval, as short as a table wants it."""
    return f"{figure.value:.1%} ({100 * figure.low:.1f} to {100 * figure.high:.1f})"


def interval_of(evaluation: Evaluation) -> list[float]:
    """The 95 % interval of the accuracy, low and high."""
    return [evaluation.accuracy.low, evaluation.accuracy.high]


def show_accuracy(evaluation: Evaluation, terminal: Terminal) -> None:
    """The accuracy and its interval, in a sentence."""
    share = evaluation.accuracy
    terminal.say(
        f"Accuracy {share.value:.1%} on {count(len(evaluation.answers), 'picture')} ({evaluation.subset}; "
        f"95 % interval {share.low:.1%} to {share.high:.1%})."
    )


def export_document(report: ExportReport, out: Path) -> dict[str, object]:
    """What `export --json` prints."""
    return {
        "file": str(out),
        **report.settings.model_dump(mode="json"),
        "bytes": report.bytes,
        "compared": report.compared,
        "largest_difference": report.largest_difference,
        "changed_answers": report.changed_answers,
        "changed": [asdict(changed) for changed in report.changed],
        "judged": report.judged,
        "accuracy": report.accuracy,
        "interval": _ends(share_of(report.accuracy, report.judged)),
        "trained_accuracy": report.trained_accuracy,
        "trained_interval": _ends(share_of(report.trained_accuracy, report.judged)),
        "latency_ms": {latency.batch: latency.milliseconds for latency in report.latency},
        "unverified": report.unverified,
    }


def _mark(report: ExportReport, run: RunFolder) -> str:
    if run.exported(report) is None:
        return " (gone)"
    return " (of an earlier state)" if run.has_learned_since(report) else ""


def show_export(report: ExportReport, out: Path, terminal: Terminal) -> None:
    """What was written, and how it compares, in a sentence."""
    size = f"{out} ({report.bytes / 1e6:.1f} MB)"
    if report.unverified:
        terminal.say(f"{size}, not compared with the model: {report.unverified}")
        return
    terminal.say(
        f"{size}, loaded again in a process of its own and compared on {report.compared} of your pictures: largest relative "
        f"difference {report.largest_difference:.1e}, changed answers {report.changed_answers}."
    )
    own, trained = (share_of(share, report.judged) for share in (report.accuracy, report.trained_accuracy))
    if own is not None and trained is not None:
        allowed = f"; percentage points that may be lost: {report.settings.largest_drop:g}" if not report.settings.exact else ""
        terminal.say(
            f"Accuracy on {count(report.judged, 'validation photo')}: {_told(own)}, of the trained model "
            f"{_told(trained)}{allowed}. In brackets: 95 % intervals."
        )
    if report.coarse:
        terminal.note(report.coarse)
    if report.latency:
        spent = ", ".join(f"{latency.batch} in {latency.milliseconds:.1f} ms" for latency in report.latency)
        terminal.say(f"Pictures answered at once here: {spent}.")


def show_exports(reports: Sequence[ExportReport], run: RunFolder, terminal: Terminal) -> None:
    """The files of a `run` side by side, those marked that are gone, or hold an earlier state of it."""
    batches = sorted({latency.batch for report in reports for latency in report.latency})
    rows = []
    for report in reports:
        spent = {latency.batch: f"{latency.milliseconds:.1f}" for latency in report.latency}
        settings = report.settings
        rows.append(
            [
                Path(report.file).name + _mark(report, run),
                settings.format,
                settings.input,
                settings.precision,
                f"{report.bytes / 1e6:.1f}",
                "–" if (known := share_of(report.accuracy, report.judged)) is None else in_a_cell(known),
                "not run here" if report.unverified else f"{report.changed_answers} of {report.compared}",
                *(spent.get(batch, "–") for batch in batches),
            ]
        )
    head = ["file", "format", "input", "precision", "MB", "accuracy", "changed", *(f"ms, batch {batch}" for batch in batches)]
    terminal.table(head, rows, right=tuple(range(4, len(head))))
    if batches:
        terminal.say(
            "\nThe times were measured when each file was exported, beside whatever else ran then: `desktop-ft export` measures "
            "anew."
        )
