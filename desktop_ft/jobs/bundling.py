"""A run's best model as a .zip with all that a programmer needs: the proven file, its card, and programs that use it."""

from __future__ import annotations

import hashlib
import io
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from desktop_ft import places
from desktop_ft.core.errors import UserError
from desktop_ft.core.exporting import AS_IT_IS, BUNDLE_SUFFIX, ExportSettings, FileInput
from desktop_ft.core.language import tr
from desktop_ft.core.metrics import ExportReport
from desktop_ft.core.values import to_json
from desktop_ft.core.words import printable
from desktop_ft.data.model_files import bundle_mark
from desktop_ft.export.checking import Progress
from desktop_ft.export.verify import check_writable
from desktop_ft.jobs.exporting import export_run, nobody, what_is_replaced
from desktop_ft.jobs.model_card import model_card
from desktop_ft.jobs.predicting import as_float32
from desktop_ft.jobs.running import Warn, open_run, silent
from desktop_ft.plugin_manager import Plugins
from desktop_ft.runs import atomic
from desktop_ft.runs.run_folder import RunFolder

_MODEL = "model.onnx"
_DATE = (1980, 1, 1, 0, 0, 0)
"""The earliest that a .zip can hold: when it was packed is nobody's business, and equal content is packed alike."""


def bundle_run(
    run: Path,
    out: Path,
    plugins: Plugins,
    *,
    settings: ExportSettings = AS_IT_IS,
    warn: Warn = silent,
    progress: Progress = nobody,
    cancel: threading.Event | None = None,
) -> ExportReport:
    """Export the run as ONNX that takes whole pictures, prove it, and write it to `out` with its card and programs for it.

    Args:
        settings: its precision and largest drop count.

    Returns:
        The proof of the model in it; its file, size and digest are the bundle's.

    Raises:
        UserError: as `export_run`; what is at `out` is untouched then.
    """
    if out.suffix != BUNDLE_SUFFIX:
        raise UserError(
            tr("{name} does not end in {suffix}.", name=out.name, suffix=BUNDLE_SUFFIX),
            tr("Name the file {name}.", name=f"{out.stem}{BUNDLE_SUFFIX}"),
        )
    out = out.absolute()
    settings = settings.model_copy(update={"format": "onnx", "input": FileInput.PICTURE})
    replaced = what_is_replaced(out, RunFolder.open(run), settings)
    check_writable(out)
    with tempfile.TemporaryDirectory(prefix="desktop-ft-") as folder:
        model = Path(folder) / _MODEL
        report = export_run(
            run, model, plugins, settings=settings, keep_report=False, warn=warn, progress=progress, cancel=cancel
        )
        content = _zipped(_parts(run, plugins, model.read_bytes(), replace(report, file=_MODEL)))
    atomic.make_folder(out.parent)
    replaced.must_be_as_it_was()
    atomic.write(out, content)
    report = replace(report, file=str(out), bytes=len(content), sha256=hashlib.sha256(content).hexdigest(), modified_ns=0)
    with suppress(OSError):  # somebody has taken it away already
        report = replace(report, modified_ns=out.stat().st_mtime_ns)
    if replaced.told:
        warn(replaced.told)
    return report


def _parts(run: Path, plugins: Plugins, model: bytes, report: ExportReport) -> Iterator[tuple[str, bytes]]:
    opened = open_run(run, plugins)
    recipe, manifest = opened.recipe, opened.manifest
    card = model_card(recipe, manifest, opened.backbone.spec, opened.folder.evaluation, report)
    yield _MODEL, model
    yield "labels.txt", "".join(f"{_on_a_line(name)}\n" for name in manifest.classes).encode("utf-8", "replace")
    yield "threshold.txt", f"{as_float32(report.threshold or 0.0)!r}\n".encode()
    yield "MODEL_CARD.md", card.encode("utf-8", "replace")
    yield "recipe.toml", recipe.portable().to_toml().encode("utf-8", "surrogateescape")
    yield "export.json", to_json(replace(report, worst_path="", changed=()))
    programs = places.shipped("resources") / "bundle"
    for path in sorted(programs.rglob("*")):
        if path.is_file() and path.parent.name != "__pycache__":  # compiled at an install, it names a path of this machine
            yield path.relative_to(programs).as_posix(), path.read_bytes()


def _on_a_line(name: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in printable(name))


def _zipped(parts: Iterator[tuple[str, bytes]]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in parts:
            packed.writestr(zipfile.ZipInfo(name, _DATE), content, zipfile.ZIP_DEFLATED)
        packed.comment = bundle_mark(packed.infolist())
    return file.getvalue()
