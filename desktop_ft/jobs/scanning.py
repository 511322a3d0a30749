"""A dropped folder becomes a manifest with subsets, under the names that a recipe gives."""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from desktop_ft import places
from desktop_ft.core.dataset import DatasetManifest
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.core.recipe import DatasetChoice
from desktop_ft.data.edits import prepared
from desktop_ft.data.scan import scan
from desktop_ft.plugin_manager import Plugins

Progress = Callable[[int, int | None], None]


def scan_dataset(
    dataset: DatasetChoice, *, progress: Progress | None = None, cancel: threading.Event | None = None
) -> DatasetManifest:
    """Look at every file of the dataset's folder or .zip; edit and divide what was found as `dataset` says.

    Args:
        progress: told the pictures looked at, and how many there are once that is known.

    Raises:
        UserError: nothing there to learn from. Cancelled: as asked.
    """
    return prepared(scan(Path(dataset.folder), progress=progress, cancel=cancel), dataset)


def sample_folder(name: str) -> Path:
    """Where the window and the lesson lay out the sample dataset `name`."""
    return places.cache() / "samples" / name


def write_sample(plugins: Plugins, name: str, folder: Path) -> Path:
    """Lay out the sample dataset `name` in the new folder `folder`; returns it. One that is there already is used again."""
    sample = plugins.samples.get(name)
    if folder.is_dir() and any(folder.iterdir()):
        return folder
    partial = folder.with_name(folder.name + ".partial")
    try:
        partial.mkdir(parents=True, exist_ok=False)
        try:
            sample.write(partial)
            partial.rename(folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    except FileExistsError as error:
        raise UserError(
            tr("{folder} is left from an interrupted start.", folder=partial), tr("Delete that folder and try again.")
        ) from error
    except OSError as error:
        raise UserError(
            tr("The sample cannot be written to {folder}: {error}.", folder=folder, error=error.strerror),
            tr("Choose another folder."),
        ) from error
    return folder
