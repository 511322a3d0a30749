"""A run's best model becomes a file that is proven to answer like it."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from desktop_ft.core.dataset import Sample, Subset
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.core.metrics import ExportReport
from desktop_ft.export.metadata import build_metadata
from desktop_ft.export.verify import export_and_verify
from desktop_ft.jobs.evaluating import write_report
from desktop_ft.jobs.running import OpenRun, Warn, logits_of, open_run, silent, still_there, trained_network
from desktop_ft.plugin_manager import Plugins

COMPARED = 256
"""Fewest pictures an export is compared on, where the run has as many."""


def export_run(
    run: Path,
    out: Path,
    plugins: Plugins,
    *,
    exporter: str = "onnx",
    warn: Warn = silent,
    progress: Callable[[int, int | None], None] | None = None,
    cancel: threading.Event | None = None,
) -> ExportReport:
    """Write the run's best model to `out`, load it again without torch, and compare it on the person's own pictures.

    The report is kept in the run folder. Imports torch.

    Raises:
        UserError: the file's answers differ (a file that was at `out` before is untouched), or it cannot be written.
    """
    chosen = plugins.exporters.get(exporter)
    if out.suffix != chosen.suffix:
        raise UserError(
            tr("{name} does not end in {suffix}.", name=out.name, suffix=chosen.suffix),
            tr("Name the file {name}.", name=f"{out.stem}{chosen.suffix}"),
        )
    opened = open_run(run, plugins)
    network = trained_network(opened, warn)
    root = Path(opened.manifest.root)
    paths = [root / sample.path for sample in still_there(root, to_compare(opened), warn)]
    recipe, spec, kept = opened.recipe, opened.backbone.spec, opened.folder.threshold
    threshold = kept.value if kept else 0.0
    report = export_and_verify(
        chosen,
        model=network,
        size=opened.rule.crop,
        metadata=build_metadata(recipe, opened.manifest.classes, opened.rule, spec, threshold),
        out=out,
        reference=logits_of(network, paths, opened.rule, cancel=cancel),
        paths=paths,
        progress=progress,
        cancel=cancel,
    )
    report = replace(report, threshold=threshold)
    opened.folder.add_export_report(report)
    write_report(opened, warn)
    return report


def to_compare(run: OpenRun) -> tuple[Sample, ...]:
    """All validation and test pictures; where they are fewer than `COMPARED`, training pictures besides."""
    ordered = sorted(run.manifest.samples, key=lambda sample: sample.subset is Subset.TRAIN)
    held_out = sum(sample.subset is not Subset.TRAIN for sample in ordered)
    return tuple(ordered[: max(COMPARED, held_out)])
