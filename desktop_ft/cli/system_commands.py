"""`cache` and `doctor`."""

import argparse
import importlib.metadata
import platform
import shutil
import sys

from desktop_ft import __version__, places
from desktop_ft.cli.terminal import Terminal
from desktop_ft.core.words import size
from desktop_ft.jobs.kept import all_kept
from desktop_ft.plugin_manager import PluginState, load_plugins
from desktop_ft.runs import atomic


def add_system_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands that look at the application itself."""
    parser = commands.add_parser(
        "cache",
        help="show or drop what is kept for the next run",
        description="What can be made again is kept, so that the next run is quick. --clear alone drops "
        f"{', '.join(each.name for each in all_kept() if each.lightly)}; the others only when they are named.",
        epilog="Example: desktop-ft cache --clear answers",
    )
    names = [each.name for each in all_kept()]
    parser.add_argument("--clear", nargs="*", choices=names, metavar="WHAT", help=f"drop it: {', '.join(names)}")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.set_defaults(run=_cache)

    parser = commands.add_parser(
        "doctor",
        help="say what this machine has, and what is wrong",
        description="Versions, devices, folders and plugins, and a sentence for everything that needs attention.",
        epilog="Example: desktop-ft doctor --json",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.set_defaults(run=_doctor)


def _cache(arguments: argparse.Namespace, terminal: Terminal) -> int:
    kept, named = all_kept(), arguments.clear
    dropped = {
        each.name: each.drop() for each in kept if named is not None and (each.name in named or (each.lightly and not named))
    }
    sizes = {each.name: each.size() for each in kept}
    told = [{"name": each.name, "path": str(each.path), "bytes": sizes[each.name]} for each in kept]
    terminal.document({"kept": told, "bytes": sum(sizes.values()), "dropped": sum(dropped.values())})
    rows = [[each.name, size(sizes[each.name]), each.title, str(each.path)] for each in kept]
    terminal.table(["kept", "size", "what it is", "where"], rows, right=[1])
    if named is not None:
        terminal.say(f"\nDropped {size(sum(dropped.values()))}.")
    return 0


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _doctor(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from desktop_ft.jobs.devices import devices

    plugins = load_plugins()
    records = plugins.records
    home = places.data()
    atomic.make_folder(home)
    free = shutil.disk_usage(home).free
    packages = ("torch", "torchvision", "onnxruntime", "onnx", "pillow", "PySide6-Essentials", "numpy")
    facts = {
        "desktop-ft": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        **{package: _version(package) for package in packages},
        "devices": ", ".join(devices()),
        "data folder": f"{home} ({free / 1e9:.0f} GB free)",
        "cache folder": str(places.cache()),
        "plugins": ", ".join(f"{record.name} ({record.state})" for record in records),
    }
    problems = [
        f"The plugin {r.name} is {r.state}: {r.told}."
        for r in records
        if r.state in (PluginState.FAILED, PluginState.STOPPED, PluginState.INCOMPATIBLE, PluginState.MISNAMED)
    ]
    problems += plugins.troubles
    if free < 2e9:
        problems.append(f"Less than 2 GB are free at {home}: make room before training.")
    if sys.version_info < (3, 12) and facts["PySide6-Essentials"].startswith("6.12"):
        problems.append("PySide6 6.12 aborts on this Python: install PySide6-Essentials below 6.12.")
    terminal.document({"facts": facts, "problems": problems})
    terminal.table(["what", "here"], [[name, value] for name, value in facts.items()])
    terminal.say("\n".join(problems) if problems else "\nNothing is wrong.")
    return 1 if problems else 0
