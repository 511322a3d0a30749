"""The card that goes with a model: what it learned from, how good it is, where its limits are.

In English whatever the person speaks: it goes with the files, to whoever deploys them.
"""

import hashlib
from collections.abc import Iterator

from desktop_ft.core.backbone import BackboneSpec
from desktop_ft.core.dataset import DatasetManifest, Subset
from desktop_ft.core.exporting import FileInput
from desktop_ft.core.metrics import ClassScore, Evaluation, ExportReport, Interval
from desktop_ft.core.recipe import Recipe
from desktop_ft.core.words import count, printable
from desktop_ft.evaluation.intervals import share_of

WEAK = 0.5
"""A class whose recall may be lower is named among the limits."""

FEW = 100
"""Fewer judged pictures than this leave the accuracy too uncertain to rely on."""


def fingerprint(manifest: DatasetManifest) -> str:
    """SHA-256 over the pictures' own digests, classes and subsets: the same for the same dataset, wherever it lies."""
    lines = sorted(f"{sample.sha256} {manifest.classes[sample.label]} {sample.subset}" for sample in manifest.samples)
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def model_card(
    recipe: Recipe, manifest: DatasetManifest, spec: BackboneSpec, evaluation: Evaluation | None, report: ExportReport
) -> str:
    """The card of the exported file of `report`, as Markdown. It names no path of this machine."""
    return "\n".join(
        [
            f"# {', '.join(map(_text, manifest.classes[:8]))}{' …' if len(manifest.classes) > 8 else ''}",
            "",
            *_model(recipe, spec, report),
            *_data(manifest),
            *_quality(evaluation, report),
            *_limits(manifest, evaluation, spec),
            "## Recipe",
            "",
            _repeated(recipe),
            "",
            *(f"    {line}" for line in printable(recipe.portable().to_toml()).splitlines()),
            "",
        ]
    )


def _repeated(recipe: Recipe) -> str:
    digest = f"(SHA-256 {recipe.digest()})"
    if not recipe.backbone.weights:
        return f"Repeat it with `recipe.toml` {digest}:"
    return (
        f"It started from weights of its maker's own, {_text(recipe.portable().backbone.weights)}, which are not in this bundle: "
        f"without them `recipe.toml` {digest} cannot be repeated:"
    )


def _model(recipe: Recipe, spec: BackboneSpec, report: ExportReport) -> Iterator[str]:
    yield from ("## Model", "")
    yield f"- Network: {spec.name} ({spec.family}), {spec.parameters / 1e6:.1f} million parameters with its published head"
    presets = ", then ".join(f"`{plan.preset}`" for plan in recipe.plans)
    yield f"- Fine-tuned with Desktop FT, freeze preset {presets}, {recipe.optimisation.epochs} epochs at most"
    yield f"- Licence of the pre-trained weights: {spec.weights.licence} {spec.weights.licence_url}".rstrip()
    if not spec.weights.commercial_use:
        yield "- **Those weights may not be used commercially.**"
    settings = report.settings
    yield f"- File: {settings.format}, input {settings.input}, {settings.precision}, {report.bytes / 1e6:.1f} MB"
    yield ""


def _data(manifest: DatasetManifest) -> Iterator[str]:
    yield from ("## Data", "", f"{count(len(manifest.samples), 'picture')}, {len(manifest.classes)} classes.")
    yield from ("", "| class | training | validation | test |", "|---|---:|---:|---:|")
    counts = [manifest.counts(subset) for subset in (Subset.TRAIN, Subset.VAL, Subset.TEST)]
    for title in manifest.classes:
        yield f"| {_text(title)} | {' | '.join(str(each[title]) for each in counts)} |"
    yield from ("", f"Fingerprint (SHA-256): {fingerprint(manifest)}", "")


def _quality(evaluation: Evaluation | None, report: ExportReport) -> Iterator[str]:
    settings = report.settings
    yield from ("## Quality", "")
    if evaluation is not None:
        judged = f"{count(len(evaluation.answers), 'picture')} it did not learn from ({evaluation.subset})"
        yield f"Accuracy of the trained model on {judged}: {_share(evaluation.accuracy)}. In brackets: 95 % intervals."
        yield from ("", "| class | precision | recall | pictures |", "|---|---:|---:|---:|")
        for score in evaluation.per_class:
            precision = "–" if score.precision is None else f"{score.precision:.1%}"
            yield f"| {_text(score.name)} | {precision} | {_share(_recall(score))} | {score.support} |"
        yield ""
    if report.unverified:
        yield f"This file was not compared with the trained model: {report.unverified}"
    else:
        changed = count(report.changed_answers, "answer") if report.changed_answers else "no answer"
        yield (
            f"This file was compared with the trained model on {count(report.compared, 'picture')}: {changed} changed. Given the "
            "same pixels, its outputs before the probabilities (logits) differ by at most "
            f"{report.largest_difference:.1e} of the largest."
        )
        if settings.input is FileInput.PICTURE:
            yield (
                "It makes whole pictures smaller itself. In training large photos were made smaller while they were decoded, "
                "which gives slightly other pixels: answers that this changes are among those counted."
            )
    if known := share_of(report.accuracy, report.judged):
        yield f"Its own accuracy on {count(report.judged, 'validation picture')}: {_share(known)}."
    if report.threshold:
        yield f"An answer less sure than {report.threshold:.1%} is meant to be taken as *do not know*."
    yield ""


def _limits(manifest: DatasetManifest, evaluation: Evaluation | None, spec: BackboneSpec) -> Iterator[str]:
    yield from ("## Limits", "")
    yield "- It knows these classes alone, and names one of them for any picture, unless a threshold makes it say *do not know*."
    yield "- The figures hold for pictures like those it was judged on; other cameras, places or seasons may give others."
    if evaluation is None or len(evaluation.answers) < FEW:
        yield f"- It was judged on fewer than {FEW} pictures: the accuracy is uncertain, as its interval says."
    scores = evaluation.per_class if evaluation else ()
    if evaluation is not None and manifest.held_out_subset is Subset.VAL:
        yield "- Which epoch was kept was chosen on the very pictures it was judged on: new ones it may tell a little worse."
    if weak := [
        f"{_text(score.name)} (at least {recall.low:.1%})" for score in scores if (recall := _recall(score)) and recall.low < WEAK
    ]:
        yield f"- By the low end of its interval it may tell less than half of: {', '.join(weak)}."
    if spec.trained_on:
        yield f"- The network was pre-trained on {spec.trained_on}, and has that data's blind spots."
    yield ""


def _recall(score: ClassScore) -> Interval | None:
    return share_of(score.recall, score.support)


def _share(value: Interval | None) -> str:
    return "–" if value is None else f"{value.value:.1%} ({value.low:.1%} to {value.high:.1%})"


def _text(title: str) -> str:
    """A class's name in a table: on one line, with nothing that Markdown would take for its own."""
    plain = "".join(letter if letter.isprintable() else " " for letter in printable(title))
    return "".join(f"\\{letter}" if letter in "\\|*_`<>[]#" else letter for letter in plain)
