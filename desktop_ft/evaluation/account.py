"""The report's parts on what was asked, what the pictures are, how the run went, and what was exported."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from desktop_ft.core.augmentation import AugmentationSpec
from desktop_ft.core.dataset import DatasetManifest, Problem, Severity, Subset
from desktop_ft.core.events import EpochDone, RunStatus
from desktop_ft.core.freezing import PRESETS, FreezePlan
from desktop_ft.core.metrics import ExportReport, MetricHistory
from desktop_ft.core.recipe import Balance, Optimisation, Optimizer, Recipe
from desktop_ft.core.run_note import RunNote
from desktop_ft.core.words import duration
from desktop_ft.evaluation.charts import Line, line_chart
from desktop_ft.evaluation.intervals import wilson
from desktop_ft.evaluation.markup import facts, folded, interval, name, percent, section, table, text

_LISTED_PROBLEMS = 200
_ENDED = {
    RunStatus.COMPLETED: "completed",
    RunStatus.STOPPED: "stopped early; what was learned was kept",
    RunStatus.CANCELLED: "cancelled",
    RunStatus.FAILED: "failed",
}


def noted(note: RunNote) -> str:
    """What the person wrote about the run; nothing where that is nothing."""
    if note == RunNote():
        return ""
    paragraphs = "".join(f"<p>{text(line)}</p>" for line in note.text.splitlines() if line.strip())
    tags = f'<p class="soft">{text(note.words)}</p>' if note.tags else ""
    return section("Notes", paragraphs, tags)


def asked(recipe: Recipe, history: MetricHistory) -> str:
    """The recipe in words, and where it really ran."""
    portable = recipe.portable()
    size = f" at {recipe.backbone.image_size} pixels" if recipe.backbone.image_size else ""
    start = f", starting from {name(portable.backbone.weights)}" if portable.backbone.weights else ""
    rows = [
        ("Network", f"{text(recipe.backbone.name)}{size}{start}"),
        ("What learns", _plan(recipe.freeze, history)),
        ("Changes to pictures", ", ".join(map(_change, recipe.augmentation)) or "none"),
        ("Learning", _optimisation(recipe.optimisation)),
        ("Seed", str(recipe.seed)),
        ("To repeat it", "<code>desktop-ft train --recipe recipe.toml</code>, with the file that lies beside this report"),
    ]
    if history.started:
        rows.append(("Computed on", text(f"{history.started.device}, {history.precision}")))
    full = folded(f"The recipe (SHA-256 {recipe.digest()[:12]}…)", f"<pre>{text(portable.to_toml())}</pre>")
    return section("What was asked", facts(rows), full)


def _plan(plan: FreezePlan, history: MetricHistory) -> str:
    kind = plan.preset.partition(":")[0]
    described = next((words for preset, words in PRESETS.items() if preset.partition(":")[0] == kind), "")
    parts = [f"<b>{text(plan.preset)}</b>: {text(described)}"]
    if history.begun:
        when = " in the first epoch" if plan.changes_over_time else ""
        parts.append(f"{percent(history.begun.learning_share)} of the parameters learn{when}.")
    if plan.overrides:
        parts.append(f"{len(plan.overrides)} layers were set by hand.")
    if plan.batch_norm.value == "frozen":
        parts.append("Every BatchNorm layer stays as it is.")
    for changed in history.replanned:
        share = f" ({percent(changed.learning_share)} learn)" if changed.change.freeze is not None else ""
        parts.append(f"Changed while it trained: from epoch {changed.epoch + 1} on {text(changed.change.words)}{share}.")
    return " ".join(parts)


def _change(spec: AugmentationSpec) -> str:
    values = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in spec.parameters.items())
    return text(spec.transform.replace("_", " ") + (f" ({values})" if values else ""))


def _optimisation(chosen: Optimisation) -> str:
    parts = [
        f"{chosen.epochs} epochs in batches of {chosen.batch_size}",
        f"{'AdamW' if chosen.optimizer is Optimizer.ADAMW else 'SGD'} at {chosen.lr:g}",
        f"{chosen.schedule.value.replace('_', ' ')} schedule",
        f"weight decay {chosen.weight_decay:g}",
        f"label smoothing {chosen.label_smoothing:g}",
    ]
    if chosen.balance is not Balance.NONE:
        parts.append("rare classes " + ("weigh more" if chosen.balance is Balance.CLASS_WEIGHTS else "are shown more often"))
    if chosen.early_stopping:
        parts.append(f"ends after {chosen.early_stopping} epochs without progress")
    return text("; ".join(parts))


def pictures(manifest: DatasetManifest) -> str:
    """Classes with their counts by subset, and every problem found."""
    subsets = [subset for subset in Subset if manifest.of(subset)]
    counts = [manifest.counts(subset) for subset in subsets]
    rows = [(name(title), *(str(count[title]) for count in counts)) for title in manifest.classes]
    rows.append(("<b>All</b>", *(f"<b>{sum(count.values())}</b>" for count in counts)))
    found = Counter(problem.severity for problem in manifest.problems)
    source = name(Path(manifest.source).name or manifest.source)
    said = (
        f"<p>{source}: {len(manifest.samples)} pictures of {len(manifest.classes)} classes. "
        f"Left out: {found[Severity.LEFT_OUT]}; used with a note: {found[Severity.NOTE]}.</p>"
    )
    listed = '<div class="short">' + table(("Class", *(subset.value for subset in subsets)), rows) + "</div>"
    told = [problem for problem in manifest.problems if problem.severity is not Severity.IGNORED]
    return section("The pictures", said, listed, folded(f"Problems ({len(told)})", _problems(told)) if told else "")


def _problems(problems: Sequence[Problem]) -> str:
    rows = [
        (
            name(problem.path),
            name(problem.class_name or ""),
            text(problem.severity.value),
            text(f"{problem.reason} {problem.cure}".strip()),
        )
        for problem in problems[:_LISTED_PROBLEMS]
    ]
    more = len(problems) - len(rows)
    rest = f'<p class="soft">And {more} more; all are in manifest.json.</p>' if more else ""
    return table(("File", "Class", "", "Reason and cure"), rows, numbers_from=4) + rest


def course(history: MetricHistory, validated: int) -> str:
    """How the run went: its end, its warnings and its curves. It was validated on `validated` pictures."""
    per_epoch = max(1, history.started.steps_per_epoch if history.started else 1)
    steps = [(step.epoch + (step.step + 1) / per_epoch, step) for step in history.steps]
    epochs = [(epoch.epoch + 1.0, epoch) for epoch in history.epochs]
    loss = line_chart(
        "Loss",
        "epoch",
        "loss",
        [
            Line("training, by step", "faint", tuple((at, step.loss) for at, step in steps)),
            Line("training", "train", tuple((at, epoch.train_loss) for at, epoch in epochs)),
            Line("validation", "val", tuple((at, epoch.val_loss) for at, epoch in epochs)),
        ],
    )
    accuracy = line_chart(
        "Accuracy",
        "epoch",
        "share that is right",
        [
            Line("training", "train", tuple((at, epoch.train_accuracy) for at, epoch in epochs)),
            Line("validation", "val", tuple((at, epoch.val_accuracy) for at, epoch in epochs)),
        ],
    )
    rate = line_chart(
        "Learning rate", "epoch", "rate of the head", [Line("rate", "rate", tuple((at, step.lr) for at, step in steps))]
    )
    warned = "".join(f"<li>{text(message)}</li>" for message in history.warnings)
    notes = f'<ul class="notes">{warned}</ul>' if warned else ""
    return section("How it learned", _end(history, validated), notes, loss, accuracy, rate, _epochs(history, validated))


def _end(history: MetricHistory, validated: int) -> str:
    if not history.steps:
        return "<p>Nothing was learned yet.</p>"
    ended = f"The run {_ENDED[history.ended.status]}" if history.ended else "The run has not ended"
    best = history.best
    top = f" The best is epoch {best.epoch + 1}, with {_validation(best, validated)} on the validation pictures." if best else ""
    error = f'<p class="bad">{text(history.ended.error)}</p>' if history.ended and history.ended.error else ""
    return f"<p>{ended}, after {len(history.epochs)} epochs and {duration(history.work_seconds)}.{top}</p>{error}"


def _epochs(history: MetricHistory, validated: int) -> str:
    rows = [
        (
            f"{epoch.epoch + 1}{' (best)' if epoch is history.best else ''}",
            f"{epoch.train_loss:.4f}",
            f"{epoch.val_loss:.4f}",
            percent(epoch.train_accuracy),
            _validation(epoch, validated),
        )
        for epoch in history.epochs
    ]
    head = ("Epoch", "Training loss", "Validation loss", "Training accuracy", "Validation accuracy")
    return folded("The figures, epoch by epoch", table(head, rows)) if rows else ""


def _validation(epoch: EpochDone, validated: int) -> str:
    """The accuracy on the validation pictures with its interval."""
    share = wilson(round(epoch.val_accuracy * validated), validated)
    return f"{percent(epoch.val_accuracy)} ({interval(share)})"


def exported(exports: Sequence[ExportReport]) -> str:
    """The proof of each exported file."""
    if not exports:
        return ""
    rows = [
        (
            name(Path(report.file).name),
            f"{report.bytes / 1e6:.1f}\u00a0MB",
            str(report.compared),
            f"{report.largest_difference:.1e}",
            str(report.changed_answers),
        )
        for report in exports
    ]
    said = (
        "<p>Each file was loaded again in a process without torch, which decoded the photos itself, and was compared with the "
        "trained model. The difference is that of the logits, relative to the largest logit; with more than 1e-4, or any changed "
        "answer, the file would have been refused.</p>"
    )
    return section(
        "The exported file", said, table(("File", "Size", "Photos compared", "Largest difference", "Changed answers"), rows)
    )
