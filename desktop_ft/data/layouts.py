"""How a folder tells classes and subsets: the layout is judged, then its files are walked."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from desktop_ft.core.dataset import Layout, Severity
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import marked, tr
from desktop_ft.data import labels
from desktop_ft.data.walk import SUBSETS, Found, Place, Walker, is_junk

_PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".avif", ".jp2", ".ppm", ".pgm")
_DEEPEST_WRAPPER = 8
_HOW = marked("Make one folder for each class with its pictures inside, or add a labels.csv with the columns file and label.")


@dataclass(frozen=True, slots=True)
class Laid:
    """A judged layout: its kind, its root, and its files, still to be walked."""

    layout: Layout
    walker: Walker
    files: Iterator[Found]


def judge(folder: Path, walker: Walker, source: str) -> Laid:
    """Which layout `folder` has. `walker` stands at `folder`; a wrapper (a single folder around everything) is entered.

    Args:
        source: what the person named, for messages: `folder` itself, or the .zip that was unpacked there.

    Raises:
        UserError: nothing there, or no way to tell classes.
    """
    inside = walker.entries(str(folder))
    for _ in range(_DEEPEST_WRAPPER):
        if (table := labels.find(inside)) is not None:
            return Laid(Layout.LABELS_CSV, walker, labels.files(Path(table), walker, source))
        wrapped = _wrapped(inside)
        if wrapped is None:
            break
        inside = walker.entries(wrapped)
    if not inside:
        raise UserError(tr("There is nothing in {source}: it is empty.", source=source), tr(_HOW))
    folders = [entry for entry in inside if entry.is_dir() or entry.is_symlink()]
    loose = [entry for entry in inside if entry not in folders]
    if not folders:
        raise UserError(tr("The files in {source} are in no class folder.", source=source), tr(_HOW))
    _list_loose(loose, walker)
    if _names_subsets(folders):
        return Laid(Layout.SPLIT_FOLDERS, walker, walker.walk(_split_places(folders, walker)))
    places = [(entry.path, Place(class_name=entry.name, subset=None)) for entry in folders]
    return Laid(Layout.CLASS_FOLDERS, walker, walker.walk(places))


def _wrapped(inside: list[os.DirEntry[str]]) -> str | None:
    """The one folder that only wraps what is meant: it holds folders or a labels.csv, and no other folder lies beside it."""
    folders = [entry for entry in inside if entry.is_dir(follow_symlinks=False)]
    if len(folders) != 1 or folders[0].name.casefold() in SUBSETS or any(_is_picture(entry) for entry in inside):
        return None
    inner = [entry for entry in _listed(folders[0].path) if not is_junk(entry.name)]
    holds = any(entry.is_dir(follow_symlinks=False) for entry in inner) or labels.find(inner) is not None
    return folders[0].path if holds else None


def _names_subsets(folders: list[os.DirEntry[str]]) -> bool:
    """Whether the folders are subsets: one of them holds class folders, and all, or two of different meaning, are called so.

    A class may be called train, too (beside car and plane): one such name among others is a class. A test folder often
    has no class folders. A link is not looked into: it may leave the folder.
    """
    named = [entry for entry in folders if entry.name.casefold() in SUBSETS]
    kinds = {SUBSETS[entry.name.casefold()] for entry in named}
    divided = any(entry.is_symlink() or _holds_folders(entry.path) for entry in named)
    return divided and (len(kinds) > 1 or len(named) == len(folders))


def _split_places(folders: list[os.DirEntry[str]], walker: Walker) -> list[tuple[str, Place]]:
    places: list[tuple[str, Place]] = []
    for entry in folders:
        subset = SUBSETS.get(entry.name.casefold())
        if subset is None:
            reason = tr("Lies beside the train and val folders, so it belongs to no subset.")
            walker.problem(entry.path, None, "outside-split", Severity.LEFT_OUT, reason, tr("Move it into one of them."))
            continue
        if entry.is_symlink():
            reason = tr("Is a link where the folder of a subset is expected; not followed.")
            walker.problem(entry.path, None, "link-outside", Severity.LEFT_OUT, reason, tr("Put the folder itself here."))
            continue
        inner = walker.entries(entry.path)
        classes = [item for item in inner if item.is_dir() or item.is_symlink()]
        _list_loose([item for item in inner if item not in classes], walker)
        places += [(item.path, Place(class_name=item.name, subset=subset)) for item in classes]
    return places


def _list_loose(files: list[os.DirEntry[str]], walker: Walker) -> None:
    for entry in files:
        if _is_picture(entry):
            reason = tr("Lies in no class folder, so its class is not known.")
            walker.problem(entry.path, None, "no-class", Severity.LEFT_OUT, reason, tr("Move it into the folder of its class."))
        else:
            walker.problem(entry.path, None, "not-an-image", Severity.LEFT_OUT, tr("Lies beside the class folders."), "")


def _is_picture(entry: os.DirEntry[str]) -> bool:
    return entry.name.lower().endswith(_PICTURE_SUFFIXES)


def _holds_folders(folder: str) -> bool:
    return any(entry.is_dir() and not is_junk(entry.name) for entry in _listed(folder))


def _listed(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        return []  # the walk lists a folder that cannot be read
