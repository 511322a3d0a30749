"""The report's parts on what was asked, what the pictures are, how the run went, and what was exported."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from desktop_ft.core.augmentation import AugmentationSpec
from desktop_ft.core.dataset import DatasetManifest, Problem, Severity, Subset
from desktop_ft.core.events import EpochDone, RunStatus
from desktop_ft.core.freezing import PRESETS, FreezePlan
from desktop_ft.core.language import marked, tr, tr_n
from desktop_ft.core.metrics import ExportReport, MetricHistory
from desktop_ft.core.recipe import Balance, Optimisation, Optimizer, Recipe, Schedule
from desktop_ft.core.run_note import RunNote
from desktop_ft.core.words import duration, epoch_count
from desktop_ft.evaluation.charts import Line, line_chart
from desktop_ft.evaluation.intervals import share_of, wilson
from desktop_ft.evaluation.markup import facts, folded, interval, name, percent, section, table, text

_LISTED_PROBLEMS = 200
_ENDED = {
    RunStatus.COMPLETED: marked("The run completed, after {epochs} and {time}."),
    RunStatus.STOPPED: marked("The run stopped early; what was learned was kept, after {epochs} and {time}."),
    RunStatus.CANCELLED: marked("The run was cancelled, after {epochs} and {time}."),
    RunStatus.FAILED: marked("The run failed, after {epochs} and {time}."),
}
_NOT_ENDED = marked("The run has not ended, after {epochs} and {time}.")
_SCHEDULES = {
    Schedule.COSINE: marked("cosine schedule"),
    Schedule.ONE_CYCLE: marked("one cycle schedule"),
    Schedule.CONSTANT: marked("constant schedule"),
}


def noted(note: RunNote) -> str:
    """What the person wrote about the run; nothing where that is nothing."""
    if note == RunNote():
        return ""
    paragraphs = "".join(f"<p>{text(line)}</p>" for line in note.text.splitlines() if line.strip())
    tags = f'<p class="soft">{text(note.words)}</p>' if note.tags else ""
    return section(tr("Notes"), paragraphs, tags)


def asked(recipe: Recipe, history: MetricHistory) -> str:
    """The recipe in words, and where it really ran."""
    portable = recipe.portable()
    network = text(recipe.backbone.name)
    if recipe.backbone.image_size:
        network = tr("{network} at {size} pixels", network=network, size=recipe.backbone.image_size)
    if portable.backbone.weights:
        network = tr("{network}, starting from {file}", network=network, file=name(portable.backbone.weights))
    rows = [
        (tr("Network"), network),
        (tr("What learns"), _plan(recipe.freeze, history)),
        (tr("Changes to pictures"), ", ".join(map(_change, recipe.augmentation)) or tr("none")),
        (tr("Learning"), _optimisation(recipe.optimisation)),
        (tr("Seed"), str(recipe.seed)),
        (
            tr("To repeat it"),
            tr(
                "{command}, with the file that lies beside this report",
                command="<code>desktop-ft train --recipe recipe.toml</code>",
            ),
        ),
    ]
    if history.started:
        rows.append((tr("Computed on"), text(f"{history.started.device}, {history.precision}")))
    full = folded(tr("The recipe (SHA-256 {digest}…)", digest=recipe.digest()[:12]), f"<pre>{text(portable.to_toml())}</pre>")
    return section(tr("What was asked"), facts(rows), full)


def _plan(plan: FreezePlan, history: MetricHistory) -> str:
    kind = plan.preset.partition(":")[0]
    described = next((words for preset, words in PRESETS.items() if preset.partition(":")[0] == kind), "")
    parts = [f"<b>{text(plan.preset)}</b>: {text(tr(described))}"]
    if history.begun:
        share = percent(history.begun.learning_share)
        parts.append(
            tr("{share} of the parameters learn in the first epoch.", share=share)
            if plan.changes_over_time
            else tr("{share} of the parameters learn.", share=share)
        )
    if plan.overrides:
        parts.append(tr_n("{n:,} layer was set by hand.", "{n:,} layers were set by hand.", n=len(plan.overrides)))
    if plan.batch_norm.value == "frozen":
        parts.append(tr("Every BatchNorm layer stays as it is."))
    for changed in history.replanned:
        change = text(changed.change.words)
        if changed.change.freeze is not None:
            change = tr("{change} ({share} learn)", change=change, share=percent(changed.learning_share))
        parts.append(tr("Changed while it trained: from epoch {epoch} on {change}.", epoch=changed.epoch + 1, change=change))
    return " ".join(parts)


def _change(spec: AugmentationSpec) -> str:
    values = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in spec.parameters.items())
    return text(spec.transform.replace("_", " ") + (f" ({values})" if values else ""))


def _optimisation(chosen: Optimisation) -> str:
    parts = [
        tr("{epochs} in batches of {size}", epochs=epoch_count(chosen.epochs), size=chosen.batch_size),
        tr("{optimizer} at {rate:g}", optimizer="AdamW" if chosen.optimizer is Optimizer.ADAMW else "SGD", rate=chosen.lr),
        tr(_SCHEDULES[chosen.schedule]),
        tr("weight decay {value:g}", value=chosen.weight_decay),
        tr("label smoothing {value:g}", value=chosen.label_smoothing),
    ]
    if chosen.balance is not Balance.NONE:
        weighed = chosen.balance is Balance.CLASS_WEIGHTS
        parts.append(tr("rare classes weigh more") if weighed else tr("rare classes are shown more often"))
    if chosen.early_stopping:
        parts.append(tr("ends after {epochs} without progress", epochs=epoch_count(chosen.early_stopping)))
    return text("; ".join(parts))


def pictures(manifest: DatasetManifest) -> str:
    """Classes with their counts by subset, and every problem found."""
    subsets = [subset for subset in Subset if manifest.of(subset)]
    counts = [manifest.counts(subset) for subset in subsets]
    rows = [(name(title), *(str(count[title]) for count in counts)) for title in manifest.classes]
    rows.append((f"<b>{tr('All')}</b>", *(f"<b>{sum(count.values())}</b>" for count in counts)))
    found = Counter(problem.severity for problem in manifest.problems)
    source = name(Path(manifest.source).name or manifest.source)
    said = tr(
        "{source}: {pictures} pictures of {classes} classes. Left out: {left_out}; used with a note: {noted}.",
        source=source,
        pictures=len(manifest.samples),
        classes=len(manifest.classes),
        left_out=found[Severity.LEFT_OUT],
        noted=found[Severity.NOTE],
    )
    listed = '<div class="short">' + table((tr("Class"), *(tr(subset.value) for subset in subsets)), rows) + "</div>"
    told = [problem for problem in manifest.problems if problem.severity is not Severity.IGNORED]
    problems = folded(tr("Problems ({count})", count=len(told)), _problems(told)) if told else ""
    return section(tr("The pictures"), f"<p>{said}</p>", listed, problems)


def _problems(problems: Sequence[Problem]) -> str:
    rows = [
        (
            name(problem.path),
            name(problem.class_name or ""),
            text(tr(problem.severity.value)),
            text(f"{problem.reason} {problem.cure}".strip()),
        )
        for problem in problems[:_LISTED_PROBLEMS]
    ]
    more = len(problems) - len(rows)
    rest = f'<p class="soft">{tr("And {count} more; all are in {file}.", count=more, file="manifest.json")}</p>' if more else ""
    return table((tr("File"), tr("Class"), "", tr("Reason and cure")), rows, numbers_from=4) + rest


def course(history: MetricHistory, validated: int) -> str:
    """How the run went: its end, its warnings and its curves. It was validated on `validated` pictures."""
    per_epoch = max(1, history.started.steps_per_epoch if history.started else 1)
    steps = [(step.epoch + (step.step + 1) / per_epoch, step) for step in history.steps]
    epochs = [(epoch.epoch + 1.0, epoch) for epoch in history.epochs]
    loss = line_chart(
        tr("Loss"),
        tr("epoch"),
        tr("loss"),
        [
            Line(tr("training, by step"), "faint", tuple((at, step.loss) for at, step in steps)),
            Line(tr("training"), "train", tuple((at, epoch.train_loss) for at, epoch in epochs)),
            Line(tr("validation"), "val", tuple((at, epoch.val_loss) for at, epoch in epochs)),
        ],
    )
    accuracy = line_chart(
        tr("Accuracy"),
        tr("epoch"),
        tr("share that is right"),
        [
            Line(tr("training"), "train", tuple((at, epoch.train_accuracy) for at, epoch in epochs)),
            Line(tr("validation"), "val", tuple((at, epoch.val_accuracy) for at, epoch in epochs)),
        ],
    )
    rate = line_chart(
        tr("Learning rate"),
        tr("epoch"),
        tr("rate of the head"),
        [Line(tr("rate"), "rate", tuple((at, step.lr) for at, step in steps))],
    )
    warned = "".join(f"<li>{text(message)}</li>" for message in history.warnings)
    notes = f'<ul class="notes">{warned}</ul>' if warned else ""
    return section(tr("How it learned"), _end(history, validated), notes, loss, accuracy, rate, _epochs(history, validated))


def _end(history: MetricHistory, validated: int) -> str:
    if not history.steps:
        return f"<p>{tr('Nothing was learned yet.')}</p>"
    ended = tr(
        _ENDED[history.ended.status] if history.ended else _NOT_ENDED,
        epochs=epoch_count(len(history.epochs)),
        time=duration(history.work_seconds),
    )
    if best := history.best:
        share = _validation(best, validated)
        top = tr("The best is epoch {epoch}, with {accuracy} on the validation pictures.", epoch=best.epoch + 1, accuracy=share)
        ended = f"{ended} {top}"
    error = f'<p class="bad">{text(history.ended.error)}</p>' if history.ended and history.ended.error else ""
    return f"<p>{ended}</p>{error}"


def _epochs(history: MetricHistory, validated: int) -> str:
    rows = [
        (
            tr("{epoch} (best)", epoch=epoch.epoch + 1) if epoch is history.best else str(epoch.epoch + 1),
            f"{epoch.train_loss:.4f}",
            f"{epoch.val_loss:.4f}",
            percent(epoch.train_accuracy),
            _validation(epoch, validated),
        )
        for epoch in history.epochs
    ]
    head = (tr("Epoch"), tr("Training loss"), tr("Validation loss"), tr("Training accuracy"), tr("Validation accuracy"))
    return folded(tr("The figures, epoch by epoch"), table(head, rows)) if rows else ""


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
            text(f"{report.settings.format}, {report.settings.input}, {report.settings.precision}"),
            f"{report.bytes / 1e6:.1f}\u00a0MB",
            str(report.compared) if not report.unverified else text(tr("not run here")),
            f"{report.largest_difference:.1e}" if not report.unverified else "–",
            str(report.changed_answers) if not report.unverified else "–",
            _accuracy_of(report),
        )
        for report in exports
    ]
    said = tr(
        "Each file was loaded again in a process of its own, which decoded the photos itself, and was compared with the "
        "trained model. The difference is that of the logits, relative to the largest logit. A float32 file of tensors would "
        "have been refused with more than 1e-4, or any changed answer; another one where it loses more accuracy on the "
        "validation photos than was allowed."
    )
    head = (
        tr("File"),
        tr("Kind"),
        tr("Size"),
        tr("Photos compared"),
        tr("Largest difference"),
        tr("Changed answers"),
        tr("Accuracy"),
    )
    return section(tr("The exported file"), f"<p>{text(said)}</p>", table(head, rows, numbers_from=2))


def _accuracy_of(report: ExportReport) -> str:
    known = share_of(report.accuracy, report.judged)
    return "–" if known is None else f"{percent(known.value)} ({interval(known)})"
