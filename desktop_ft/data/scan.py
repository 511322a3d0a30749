"""A folder, or a .zip, of pictures becomes a manifest. Every file is looked at; nothing is left out in silence.

The folder is only ever read.
"""

import errno
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from desktop_ft import places
from desktop_ft.core.dataset import DatasetManifest, Layout, Problem, Sample, Severity
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr, tr_n
from desktop_ft.data import archive, layouts
from desktop_ft.data.doubles import duplicates, similar
from desktop_ft.data.inspector import Inspection, Inspector
from desktop_ft.data.known_pictures import KnownPictures
from desktop_ft.data.model_files import not_opened
from desktop_ft.data.walk import Found, Walker, is_junk

__all__ = ["is_junk", "scan"]

_SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "MPO": (".jpg", ".jpeg", ".mpo"),
    "PNG": (".png", ".apng"),
    "GIF": (".gif",),
    "BMP": (".bmp", ".dib"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "AVIF": (".avif", ".avifs"),
    "JPEG2000": (".jp2", ".j2k", ".jpx", ".j2c", ".jpc"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
}
_KNOWN = frozenset(suffix for suffixes in _SUFFIXES.values() for suffix in suffixes)


def scan(
    source: Path,
    *,
    fewest_classes: int = 2,
    progress: Callable[[int, int | None], None] | None = None,
    cancel: threading.Event | None = None,
) -> DatasetManifest:
    """Look at every file of `source`: class folders, split/class folders, a folder with labels.csv, or a .zip of any of them.

    Every picture is decoded in full, in child processes with limits, unless an earlier scan did so and it has not changed
    since. Samples have a subset only where the folder names one.

    Args:
        fewest_classes: 2 to learn from the pictures, 1 to be judged on them.
        progress: told how many files have been looked at, and of how many, once that is known.

    Raises:
        UserError: no such folder, or nothing in it to learn from. Cancelled: `cancel` was set.
    """
    root = folder_of(source, cancel)
    counted = _Counted(progress)
    walker = Walker(root, cancel, counted.one_done)
    laid = layouts.judge(root, walker, str(source))
    findings = _Findings(walker)
    with Inspector() as inspector, KnownPictures(places.cache() / KnownPictures.FILE) as known:
        waiting = deque[Found]()

        def unknown() -> Iterator[str]:
            for found in laid.files:
                if (inspection := known.get(found.where, found.stat)) is not None:
                    findings.add(found, inspection)
                    counted.one_done()
                else:
                    waiting.append(found)
                    yield found.where
            counted.total = counted.done + len(waiting)

        for inspection in inspector.inspect(unknown(), cancel):
            found = waiting.popleft()
            known.put(found.where, found.stat, inspection)
            findings.add(found, inspection)
            counted.one_done()
    counted.tell()
    return _manifest(source, root, laid.layout, findings, fewest_classes)


def folder_of(source: Path, cancel: threading.Event | None = None) -> Path:
    """The absolute folder to walk: `source` itself, or where its .zip was unpacked.

    Raises:
        UserError: it is not there, cannot be read, or is no folder and no .zip that can be unpacked.
    """
    try:
        if source.is_dir():
            os.scandir(source).close()
            return Path(os.path.abspath(source))  # noqa: PTH100 (resolve() would follow links: the person's own name stays)
        source.stat()
    except PermissionError as error:
        raise UserError(
            tr("The folder {source} cannot be read: permission denied.", source=source), tr("Allow yourself to read it.")
        ) from error
    except OSError as error:
        what = (
            tr("There is no folder '{source}'.", source=source)
            if error.errno in (errno.ENOENT, errno.ENOTDIR)
            else tr("Cannot open ({error}) '{source}'.", error=error.strerror, source=source)
        )
        raise UserError(what, tr("Check the name, or choose another folder.")) from error
    if (known := not_opened(source)) is not None:
        raise known
    if source.suffix.lower() != ".zip":
        raise UserError(tr("{source} is neither a folder nor a .zip.", source=source), tr("Choose a folder of pictures."))
    return archive.unpack(source, places.cache() / "archives", cancel)


class _Counted:
    """How many files were dealt with, and how many there are, once that is known; tells of each."""

    def __init__(self, progress: Callable[[int, int | None], None] | None) -> None:
        self._progress = progress
        self.done = 0
        self.total: int | None = None

    def one_done(self) -> None:
        """One more was dealt with."""
        self.done += 1
        self.tell()

    def tell(self) -> None:
        """Tell how it stands."""
        if self._progress is not None:
            self._progress(self.done, self.total)


@dataclass(slots=True)
class _Findings:
    """What the inspection of every file comes to. Labels count classes as they are met, until all are known."""

    walker: Walker
    samples: list[Sample] = field(default_factory=list)
    classes: dict[str, int] = field(default_factory=dict)

    def add(self, found: Found, inspection: Inspection) -> None:
        """Take in what was found out about one file."""
        suffix = os.path.splitext(found.where)[1].lower()  # noqa: PTH122 (a path is dear where there are a million)
        if inspection.problem is not None:
            trouble = inspection.problem
            reason = trouble.reason
            if trouble.kind == "not-an-image" and suffix in _KNOWN:
                reason = tr("{reason}, though it is named {suffix}.", reason=reason.rstrip(".。"), suffix=suffix)
            self._note(found, trouble.kind, Severity.LEFT_OUT, reason, trouble.cure)
            return
        label = self.classes.setdefault(found.place.class_name, len(self.classes))
        self.samples.append(_sample(found, inspection, label))
        for kind, reason in inspection.notes:
            self._note(found, kind, Severity.NOTE, tr(reason, frames=inspection.frames), "")
        if suffix and suffix not in _SUFFIXES.get(inspection.format, (suffix,)):
            reason = tr("Is a {name} named {suffix}; judged by its content.", name=inspection.format, suffix=suffix)
            self._note(found, "wrong-extension", Severity.NOTE, reason, tr("Rename it."))

    def _note(self, found: Found, kind: str, severity: Severity, reason: str, cure: str) -> None:
        self.walker.problem(found.where, found.place.class_name, kind, severity, reason, cure)


def _manifest(source: Path, root: Path, layout: Layout, findings: _Findings, fewest_classes: int) -> DatasetManifest:
    classes = tuple(sorted(findings.classes))
    without = sorted({place.class_name for place in findings.walker.places}.difference(classes))
    # What is said of a link that is not followed says why there is nothing in it.
    said = {place.class_name for place in findings.walker.unfollowed}
    problems = [
        *findings.walker.problems,
        *_empty_classes(name for name in without if name not in said),
        *similar(classes),
    ]
    _check_any(source, classes, without, problems, fewest_classes)
    label = {met: number for number, met in enumerate(map(findings.classes.__getitem__, classes))}
    findings.samples.sort(key=lambda sample: sample.path)
    samples = tuple(
        sample if label[sample.label] == sample.label else replace(sample, label=label[sample.label])
        for sample in findings.samples
    )
    problems += duplicates(samples, classes)
    return DatasetManifest(
        root=str(root),
        source=os.path.abspath(source),  # noqa: PTH100 (as above; and "." would be no name)
        layout=layout,
        classes=classes,
        samples=samples,
        problems=tuple(sorted(problems, key=lambda problem: (problem.path, problem.kind))),
    )


def _sample(found: Found, inspection: Inspection, label: int) -> Sample:
    return Sample(
        path=found.path,
        label=label,
        subset=found.place.subset,
        sha256=inspection.sha256,
        width=inspection.width,
        height=inspection.height,
        bytes=inspection.bytes,
        mtime_ns=inspection.mtime_ns,
    )


def _empty_classes(names: Iterable[str]) -> Iterator[Problem]:
    for name in names:
        yield Problem(
            path=name,
            class_name=name,
            kind="empty-class",
            severity=Severity.LEFT_OUT,
            reason=tr("Has no readable picture, so the class is left out."),
            cure=tr("Add pictures to it, or remove its folder."),
        )


def _check_any(source: Path, classes: tuple[str, ...], without: Sequence[str], problems: list[Problem], fewest: int) -> None:
    """Raise UserError where nothing can be learned from what was found; `without` are the classes without a readable picture."""
    left_out = [problem for problem in problems if problem.severity is Severity.LEFT_OUT and problem.kind != "empty-class"]
    if not classes:
        said = tr("There is no readable picture in {source}.", source=source)
        if left_out:
            said = tr_n(
                "There is no readable picture in {source}; {n:,} file was left out ({path}: {reason}).",
                "There is no readable picture in {source}; {n:,} files were left out (the first, {path}: {reason}).",
                n=len(left_out),
                source=source,
                path=left_out[0].path,
                reason=left_out[0].reason.rstrip(".。"),
            )
        raise UserError(said, tr("Put the pictures of each class in a folder of its own."))
    if len(classes) < fewest:
        name = classes[0]
        if without:
            name = tr("{name} (without a readable picture: {others})", name=name, others=", ".join(without))
        raise UserError(
            tr(
                "There is only one class with readable pictures in {source}, {name}; telling apart takes two.",
                source=source,
                name=name,
            ),
            tr("Add a folder with pictures of something else."),
        )
