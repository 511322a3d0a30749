"""The report of a run: one HTML file that needs nothing else, no script and no network."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import desktop_ft
from desktop_ft.core import language
from desktop_ft.core.dataset import DatasetManifest, Subset
from desktop_ft.core.language import tr
from desktop_ft.core.metrics import Evaluation, ExportReport, MetricHistory, Threshold
from desktop_ft.core.recipe import Recipe
from desktop_ft.core.run_note import RunNote
from desktop_ft.evaluation.account import asked, course, exported, noted, pictures
from desktop_ft.evaluation.markup import name, text
from desktop_ft.evaluation.results import results
from desktop_ft.evaluation.style import CSS

# The page holds strangers' names: whatever slipped through could still load and run nothing.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def render(
    recipe: Recipe,
    manifest: DatasetManifest,
    history: MetricHistory,
    evaluation: Evaluation | None,
    exports: Sequence[ExportReport],
    root: Path | None,
    note: RunNote = RunNote(),  # noqa: B008 - a frozen value
    threshold: Threshold | None = None,
) -> str:
    """The report as HTML.

    Args:
        evaluation: None where the model has not been evaluated yet.
        exports: the files written from the run, each with its proof.
        root: the folder that the evaluation's paths start from, for thumbnails of the mistakes; None: no thumbnails. Nothing
            in the page names it.
        note: what the person wrote about the run.
        threshold: how sure an answer must be, where the run has one.
    """
    dataset = Path(manifest.source).name or manifest.source
    manifest, history = _placeless(manifest, history)
    title = tr("{dataset} with {network}", dataset=dataset, network=recipe.backbone.name)
    parts = [
        noted(note),
        asked(recipe, history),
        results(evaluation, root, threshold) if evaluation else "",
        course(history, len(manifest.of(Subset.VAL))),
        pictures(manifest),
        exported(exports),
    ]
    heading = tr("{dataset} with {network}", dataset=name(dataset), network=name(recipe.backbone.name))
    about = tr("What a fine-tuning run was asked, what it learned, and what it gets wrong.")
    return (
        f'<!DOCTYPE html>\n<html lang="{language.code()}"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{CSS}</style></head>\n<body>\n"
        f'<header><h1>{heading}</h1><p class="soft">{text(about)}</p></header>\n'
        f"<main>{''.join(parts)}</main>\n"
        f"<footer>{text(tr('Written by Desktop FT {version}.', version=desktop_ft.__version__))}</footer>\n</body></html>\n"
    )


def _placeless(manifest: DatasetManifest, history: MetricHistory) -> tuple[DatasetManifest, MetricHistory]:
    """Both with messages that do not tell where on this machine the pictures and the person's own folder lie."""
    root, home = Path(manifest.root), Path.home()

    def shown(message: str) -> str:
        return message.replace(f"{root}/", f"{root.name}/").replace(f"{home}/", "~/")

    problems = tuple(replace(problem, reason=shown(problem.reason)) for problem in manifest.problems)
    ended = history.ended and replace(history.ended, error=shown(history.ended.error))
    warnings = [shown(message) for message in history.warnings]
    return replace(manifest, problems=problems), replace(history, warnings=warnings, ended=ended)
