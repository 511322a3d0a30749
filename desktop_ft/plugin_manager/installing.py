"""Copies a person's plugin into the plugin folder, and takes it out again. Nothing of it is imported, and it stays off."""

import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from desktop_ft import places
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.data import archive
from desktop_ft.plugin_manager import finding, trust
from desktop_ft.plugin_manager.finding import Origin
from desktop_ft.runs import atomic

_INSTALLING = "installing-"
_LEFTOVER = re.compile(rf"{_INSTALLING}\w{{8}}")
_left_out = shutil.ignore_patterns("__pycache__", ".*")


class AlreadyThere(UserError):
    """A plugin called `name` lies in the plugin folder already."""

    def __init__(self, name: str) -> None:
        what = tr("There is a plugin '{name}' already.", name=name)
        super().__init__(what, tr("Remove that one first: `desktop-ft plugins remove {name}`.", name=name))
        self.name = name


def install(source: Path) -> str:
    """Copy the plugin in `source`: a .py file, a package, a folder or .zip that holds one of these; gives its name. It is off.

    Raises:
        AlreadyThere: there is one of its name in the plugin folder.
        UserError: there is none in it or more than one, its name is taken otherwise or cannot be one, it holds links,
            is larger than `trust.MOST_BYTES`, or cannot be copied.
    """
    with _unpacked(source) as place:
        try:
            plugin = _plugin_in(place, source)
            name = plugin.stem if plugin.is_file() else plugin.name
            _check(name, plugin)
        except OSError as error:
            raise atomic.cannot_read(source, error) from error
        atomic.make_folder(finding.plugin_folder())
        places.forget_leftovers(places.data(), _LEFTOVER)
        trust.change(lambda kept: kept.without(name))  # what once had its name is trusted for itself alone
        try:
            # In a folder of its own first, beside the one where plugins are looked for: all of it comes, or nothing.
            with tempfile.TemporaryDirectory(dir=places.data(), prefix=_INSTALLING) as temporary:
                copy = Path(temporary) / plugin.name
                if plugin.is_file():
                    shutil.copyfile(plugin, copy)
                else:
                    shutil.copytree(plugin, copy, symlinks=True, ignore=_left_out)
                copy.rename(finding.plugin_folder() / plugin.name)
        except OSError as error:
            raise atomic.cannot_write(finding.plugin_folder() / plugin.name, 0, error) from error
    return name


def remove(name: str, discard: Callable[[Path], bool] | None = None) -> Path:
    """Turn the plugin `name` off for good, and let `discard` (None: delete it) take its files away; gives where they were.

    Raises:
        UserError: there is none of this name in the plugin folder, or its files cannot be taken away.
    """
    called_so = [each for each in finding.find_plugins() if each.name == name]
    found = next((each for each in called_so if each.origin is Origin.FOLDER), None)
    if not called_so:
        raise UserError(tr("There is no plugin '{name}'.", name=name), tr("`desktop-ft plugins` lists what was found."))
    if found is None or found.place is None:
        raise UserError(
            tr("'{name}' does not lie in the plugin folder.", name=name),
            tr("One that was installed with pip is uninstalled with pip; a built-in one stays."),
        )
    trust.change(lambda kept: kept.without(name))
    place = found.place
    try:
        gone = discard(place) if discard is not None else _delete(place)
    except OSError as error:
        raise atomic.cannot_write(place, 0, error) from error
    if not gone:
        raise UserError(tr("{place} cannot be taken away.", place=place), tr("The plugin is off. Delete it yourself."))
    return place


def _delete(place: Path) -> bool:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink()
    return True


@contextmanager
def _unpacked(source: Path) -> Iterator[Path]:
    """`source`, or what is in it where it is a .zip."""
    if not source.exists():
        raise UserError(tr("There is nothing at {path}.", path=source), tr("Name a plugin's folder, .zip or .py file."))
    if source.is_dir() or source.suffix == ".py":
        yield source
        return
    if source.suffix.lower() != ".zip" and not zipfile.is_zipfile(source):
        raise UserError(tr("{path} is no plugin.", path=source), tr("Name a plugin's folder, .zip or .py file."))
    atomic.make_folder(places.data())
    with tempfile.TemporaryDirectory(dir=places.data(), prefix=_INSTALLING) as temporary:
        unpacked = archive.unpack(source, Path(temporary))
        if (unpacked / "__init__.py").is_file():  # the package without the folder around it: it is called as the .zip is
            if what := finding.misnamed(source.stem):
                raise UserError(what, tr(finding.NAMING))
            unpacked = unpacked.rename(Path(temporary) / source.stem)
        yield unpacked


def _plugin_in(place: Path, source: Path) -> Path:
    """The plugin's file or package: `place` itself, or the one that lies in it, or in the one folder that it holds."""
    whole = place if place.is_file() else place / "__init__.py"
    if whole.is_file():
        declared = finding.said_by(whole).api is not None or place.name == "__init__.py"  # the last is told of by its name
        found, inside = [place] if declared else [], []
    else:
        found = _declared_in(place)
        inside = [each for each in place.iterdir() if not each.name.startswith((".", "__"))]
    if not found and len(inside) == 1 and inside[0].is_dir():  # a .zip of a folder holds that folder
        return _plugin_in(inside[0], source)
    if not found:
        _must_be_python([whole] if whole.is_file() else _sources(place).values())
        raise UserError(
            tr("There is no plugin in {path}.", path=source),
            tr("A plugin is a .py file or a package that says DESKTOP_FT_API, as `desktop-ft plugins new` writes one."),
        )
    if len(found) > 1:
        names = ", ".join(each.name for each in found)
        raise UserError(
            tr("There is more than one plugin in {path}: {names}.", path=source, names=names), tr("Take one of them.")
        )
    return found[0]


def _declared_in(place: Path) -> list[Path]:
    """What in `place` says which plugin API it is written for."""
    return [each for each, file in _sources(place).items() if finding.said_by(file).api is not None]


def _sources(place: Path) -> dict[Path, Path]:
    """By each thing in `place` that may be a plugin, the file of it that would say so."""
    sources = {each: each / "__init__.py" if each.is_dir() else each for each in sorted(place.iterdir())}
    return {each: file for each, file in sources.items() if file.suffix == ".py"}


def _must_be_python(sources: Iterable[Path]) -> None:
    """Refuse what means to be a plugin, and of which nothing can be read for a slip in it, or its size."""
    for file in sources:
        if (fault := finding.fault_in(file)) is not None:
            what = tr("{file} is no Python in line {line}: {error}.", file=file.name, line=fault.lineno, error=fault.msg)
            raise UserError(what, tr("Correct that line, then install it again."))


def _check(name: str, plugin: Path) -> None:
    if what := finding.misnamed(name):
        around = tr("Install the folder around it: {folder}.", folder=plugin.absolute().parent)
        raise UserError(what, around if finding.is_part(name) else tr(finding.NAMING))
    taken = {each.name: each.origin for each in finding.find_plugins()}
    if taken.get(name) in (Origin.BUILT_IN, Origin.INSTALLED):
        raise UserError(tr("There is a plugin '{name}' already.", name=name), tr("Give yours another name."))
    if name in taken:
        raise AlreadyThere(name)
    for place in (finding.plugin_folder() / each for each in (name, f"{name}.py")):
        if os.path.lexists(place):  # no plugin, or it would have been found
            what = tr("There is something at {path} already.", path=place)
            raise UserError(what, tr("Take that away first, or give the plugin another name."))
    size = 0
    for path in [plugin] if plugin.is_file() else _copied(plugin):
        if not (path.is_file() or path.is_dir()) or path.is_symlink():
            what = tr("The plugin holds a link or something else that is no file: {path}.", path=path)
            raise UserError(what, tr("Put what it leads to in its place, or take it out."))
        size += path.stat().st_size
    if size > trust.MOST_BYTES:
        raise UserError(
            tr("The plugin '{name}' is larger than {limit:.0f} GB.", name=name, limit=trust.MOST_BYTES / (1 << 30)),
            tr("Let it fetch or look for what is so large when it is used."),
        )


def _copied(folder: Path) -> Iterator[Path]:
    """Everything in `folder` but what Python and other tools keep there for themselves."""
    for place, folders, names in os.walk(folder):
        left_out = _left_out(place, [*folders, *names])
        folders[:] = [name for name in folders if name not in left_out]
        yield from (Path(place, name) for name in (*folders, *names) if name not in left_out)
