"""A run's best model becomes a file that is proven to answer like it."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from desktop_ft.api import Exporter, ExportJob
from desktop_ft.core.dataset import Sample, Subset
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.exporting import AS_IT_IS, ExportSettings, FileInput
from desktop_ft.core.language import marked, tr
from desktop_ft.core.metrics import ExportReport
from desktop_ft.data.model_files import is_packed_bundle
from desktop_ft.data.picture_file import UnreadablePicture
from desktop_ft.export.checking import ONNX_CHILD, Child, Progress, answers_of_file
from desktop_ft.export.metadata import build_metadata
from desktop_ft.export.verify import WRITING, Trial, check_writable, export_and_verify
from desktop_ft.jobs.evaluating import write_report
from desktop_ft.jobs.exported_file import runs_telling_of
from desktop_ft.jobs.run_list import listed
from desktop_ft.jobs.running import OpenRun, Warn, logits_of, open_run, silent, still_there, trained
from desktop_ft.plugin_manager import Plugins
from desktop_ft.runs import atomic
from desktop_ft.runs.run_folder import RunFolder

if TYPE_CHECKING:
    import numpy as np

    from desktop_ft.models.network import Network

COMPARED = 256
"""Fewest pictures an export is compared on, where the run has as many."""

CALIBRATED = 128
"""Most training photos that show an int8 file what values its layers take."""

_ASKING = marked("Asking the trained model")
_CALIBRATING = marked("Looking at training photos")


def nobody(what: str, done: int, total: int | None) -> None:
    """Hears nothing."""


def export_run(
    run: Path,
    out: Path,
    plugins: Plugins,
    *,
    settings: ExportSettings = AS_IT_IS,
    keep_report: bool = True,
    warn: Warn = silent,
    progress: Progress = nobody,
    cancel: threading.Event | None = None,
) -> ExportReport:
    """Write the run's best model to `out`, load it again without torch, and compare it on the person's own pictures.

    The report is kept in the run folder, unless the file is on its way to somewhere else. Imports torch.

    Args:
        progress: told of each part of the work.

    Raises:
        UserError: the exporter does not write what is asked for, what is at `out` is a file of somebody else or has become one
            meanwhile, the file's answers differ, or it cannot be written. What is at `out` is untouched then.
    """
    exporter, out = exporter_for(settings, plugins), out.absolute()
    if not out.name.endswith(exporter.suffix):
        raise UserError(
            tr("{name} does not end in {suffix}.", name=out.name or out, suffix=exporter.suffix),
            tr("Name the file {name}.", name=f"{out.stem or 'model'}{exporter.suffix}"),
        )
    opened = open_run(run, plugins)
    replaced = what_is_replaced(out, opened.folder, settings)
    check_writable(out)
    learned = trained(opened, warn)
    root, kept = Path(opened.manifest.root), opened.folder.threshold
    threshold = kept.value if kept else 0.0
    job = ExportJob(
        model=learned.network,
        rule=opened.rule,
        metadata=build_metadata(
            opened.recipe,
            opened.manifest.classes,
            opened.rule,
            opened.backbone.spec,
            threshold,
            settings=settings,
            checkpoint=Path(learned.checkpoint).name,
        ),
        path=out,
        precision=settings.precision,
        input=settings.input,
        calibration=partial(_calibration, opened, root, progress, cancel),
    )
    trial = _trial(opened, learned.network, still_there(root, to_compare(opened), warn), settings, progress, cancel)
    report = export_and_verify(
        exporter,
        job,
        trial,
        plugin=plugins.exporters.author(exporter.name),
        largest_drop=settings.largest_drop,
        ask=partial(answers_of_file, child=_child(exporter, plugins), timed=True),
        before_placing=replaced.must_be_as_it_was,
        progress=progress,
        cancel=cancel,
    )
    report = replace(report, threshold=threshold)
    if replaced.told:
        warn(replaced.told)
    if threshold and not settings.exact:
        warn(
            tr(
                "The threshold was picked for the exact model; how sure this file is differs by a little, so look at it again "
                "with `desktop-ft evaluate {file} FOLDER`.",
                file=out.name,
            )
        )
    if keep_report:
        opened.folder.add_export_report(report)
        write_report(opened, warn)
    return report


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """What was at a place before long work, after which a file is to be written there.

    Attributes:
        told: what to say once it was replaced; "" where nothing was there, or just such a file.
        found: by what it is known from another: its inode, its size in bytes and when it was changed last, in ns; None: nothing.
    """

    out: Path
    told: str
    found: tuple[int, int, int] | None

    def must_be_as_it_was(self) -> None:
        """See just before the file is written that it replaces nothing else.

        Raises:
            UserError: something else is there now.
        """
        if _found(self.out) not in (None, self.found):
            raise UserError(
                tr("{file} was written by somebody else meanwhile, and was left as it is.", file=self.out),
                tr("Choose another name, or move that file away."),
            )


def what_is_replaced(out: Path, run: RunFolder, settings: ExportSettings) -> Replaced:
    """What is at `out`, where a file of these settings is to be written.

    Raises:
        UserError: what is there is not known to be of Desktop FT; or there can be no such file, as its name is too long.
    """
    found = _found(out)  # first: what comes after it is another
    try:
        if not out.is_file():
            return Replaced(out=out, told="", found=found)
        if not _is_ours(out, run, settings):
            raise UserError(
                tr("{file} is there already, and nothing says that Desktop FT wrote it.", file=out),
                tr("Choose another name, or move that file away."),
            )
    except OSError as error:
        raise atomic.cannot_write(out, 0, error) from error
    return Replaced(out=out, told=_told_of(out, run, settings), found=found)


def _found(out: Path) -> tuple[int, int, int] | None:
    try:
        found = out.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise atomic.cannot_write(out, 0, error) from error
    return found.st_ino, found.st_size, found.st_mtime_ns


def _told_of(out: Path, run: RunFolder, settings: ExportSettings) -> str:
    before = next((each.settings for each in run.export_reports if Path(each.file).absolute() == out.absolute()), None)
    if before is None:
        return tr("{name} was there: replaced.", name=out.name)
    kinds = ((before.precision, settings.precision), (before.input, settings.input))
    was = ", ".join(kind for kind, wanted in kinds if kind != wanted)
    return tr("{name} was there: replaced (it was {what}).", name=out.name, what=was) if was else ""


def _is_ours(file: Path, run: RunFolder, settings: ExportSettings) -> bool:
    """Whether Desktop FT wrote the `file`: by what is in it, or by what is known of the exports of `run` and of those listed."""
    from desktop_ft.export.onnx_model import is_exported  # onnxruntime: not before it is needed

    reports = run.export_reports
    if not file.stat().st_size:
        return True
    if file.parent == run.exports.absolute():
        # One that was killed before its report was kept has the name that it gets there.
        ours = {settings.file_name("".join(file.suffixes)), *(Path(report.file).name for report in reports)}
        if file.name in ours:
            return True
    if file.suffix == ".onnx":
        return is_exported(file)
    if is_packed_bundle(file) or run.wrote(file):
        return True
    return any(runs_telling_of(file, (RunFolder(Path(row.path)) for row in listed())))


def export_every(
    run: Path,
    plugins: Plugins,
    *,
    largest_drop: float = AS_IT_IS.largest_drop,
    warn: Warn = silent,
    progress: Progress = nobody,
    cancel: threading.Event | None = None,
) -> tuple[ExportReport, ...]:
    """Export the run in every precision of every format, into its own folder; what is refused or cannot be written is warned of.

    Raises:
        UserError: not one could be written.
    """
    done, refused = list[ExportReport](), list[UserError]()
    for settings in every_kind(plugins, largest_drop):
        exporter = plugins.exporters.get(settings.format)
        out = RunFolder.open(run).exports / settings.file_name(exporter.suffix)
        tell = partial(_tell_of, out.name, progress)
        try:
            done.append(export_run(run, out, plugins, settings=settings, warn=warn, progress=tell, cancel=cancel))
        except UserError as error:
            refused.append(error)
            warn(tr("{name}: {what}", name=out.name, what=error.what))
    if not done and refused:
        raise refused[0]
    return tuple(done)


def _tell_of(name: str, progress: Progress, what: str, done: int, total: int | None) -> None:
    progress(tr("{name}: {what}", name=name, what=what), done, total)


def every_kind(plugins: Plugins, largest_drop: float = AS_IT_IS.largest_drop) -> list[ExportSettings]:
    """Every precision of every format, of pictures that were prepared before."""
    return [
        ExportSettings(format=exporter.name, input=exporter.inputs[0], precision=precision, largest_drop=largest_drop)
        for exporter in plugins.exporters
        for precision in exporter.precisions
    ]


def exporter_for(settings: ExportSettings, plugins: Plugins) -> Exporter:
    """The exporter that writes what is asked for.

    Raises:
        UserError: there is none, or it does not write that; says what it does write.
    """
    exporter = plugins.exporters.get(settings.format)
    offers: tuple[tuple[StrEnum, tuple[StrEnum, ...]], ...] = (
        (settings.input, exporter.inputs),
        (settings.precision, exporter.precisions),
    )
    for wanted, offered in offers:
        if wanted not in offered:
            raise UserError(
                tr("The format {name} does not come as {wanted}.", name=exporter.name, wanted=wanted),
                tr("Take one of {names}.", names=", ".join(offered)),
            )
    return exporter


def to_compare(run: OpenRun) -> tuple[Sample, ...]:
    """All validation and test pictures; where they are fewer than `COMPARED`, training pictures besides."""
    ordered = sorted(run.manifest.samples, key=lambda sample: sample.subset is Subset.TRAIN)
    held_out = sum(sample.subset is not Subset.TRAIN for sample in ordered)
    return tuple(ordered[: max(COMPARED, held_out)])


def _trial(
    run: OpenRun,
    network: Network,
    samples: Sequence[Sample],
    settings: ExportSettings,
    progress: Progress,
    cancel: threading.Event | None,
) -> Trial:
    import numpy as np

    paths = [Path(run.manifest.root) / sample.path for sample in samples]
    tell = partial(progress, tr(_ASKING))
    tell(0, len(paths))

    def asked(draft: bool) -> np.ndarray:
        return logits_of(network, paths, run.rule, draft=draft, progress=tell, cancel=cancel)

    as_trained = asked(draft=True)
    return Trial(
        paths=paths,
        # A file that takes whole pictures resizes every pixel of them, without the decoder's shortcut.
        reference=asked(draft=False) if settings.input is FileInput.PICTURE else as_trained,
        as_trained=as_trained,
        labels=np.array([sample.label for sample in samples], dtype=np.int64),
        judged=np.array([sample.subset is Subset.VAL for sample in samples], dtype=bool),
    )


def _child(exporter: Exporter, plugins: Plugins) -> Child:
    if exporter.open is None:
        return ONNX_CHILD
    return Child(
        module="desktop_ft.jobs.check_child", told={"exporter": exporter.name, "plugin": plugins.exporters.author(exporter.name)}
    )


def _calibration(run: OpenRun, root: Path, progress: Progress, cancel: threading.Event | None) -> Iterator[np.ndarray]:
    """Training photos from all over the list, which is sorted by class; those that cannot be read are left out."""
    from desktop_ft.data.decode import network_input

    learned = [sample for sample in run.manifest.samples if sample.subset is Subset.TRAIN]
    shown = learned[:: max(1, math.ceil(len(learned) / CALIBRATED))]
    try:
        for number, sample in enumerate(shown):
            if cancel and cancel.is_set():
                raise Cancelled
            progress(tr(_CALIBRATING), number, len(shown))
            with suppress(UnreadablePicture, OSError):
                yield network_input(root / sample.path, run.rule)
    finally:
        progress(tr(WRITING), 0, None)  # whoever wants only some of them writes on as well
