"""What is asked of a sample dataset: class folders that can be read without a word."""

from collections.abc import Callable
from pathlib import Path

from desktop_ft.api import SampleDataset
from desktop_ft.conformance.failure import Nonconforming, require, told
from desktop_ft.data.scan import scan
from desktop_ft.plugin_manager import Plugins


def _is_described(plugins: Plugins, sample: SampleDataset, folder: Path) -> None:
    require(
        sample.title and sample.description and sample.licence,
        f"The sample dataset {sample.name} lacks a title, a description or a licence: say what it shows and who may use it.",
    )


def _lays_out_class_folders(plugins: Plugins, sample: SampleDataset, folder: Path) -> None:
    with told(f"The sample dataset {sample.name} cannot be written", "let `write` lay it out in the empty folder it is given."):
        sample.write(folder)
    with told(
        f"The sample dataset {sample.name} cannot be learned from", "write pictures into two folders at least, one a class."
    ):
        manifest = scan(folder)
    if manifest.problems:
        problem = manifest.problems[0]
        raise Nonconforming(
            f"The scan finds fault with {problem.path} of the sample dataset {sample.name} ({problem.reason}): write each "
            "picture once, whole, and nothing else.",
        )


CHECKS: dict[str, Callable[[Plugins, SampleDataset, Path], None]] = {
    "is described": _is_described,
    "lays out class folders": _lays_out_class_folders,
}
