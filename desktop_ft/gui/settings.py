"""What the window remembers between starts: sizes, theme, language, last folders. Plain JSON in the person's data folder."""

import json
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QByteArray

from desktop_ft import places
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import LANGUAGES, marked
from desktop_ft.core.values import plain_json
from desktop_ft.gui.latest import Latest
from desktop_ft.gui.theme import ThemeChoice
from desktop_ft.runs import atomic, lock

_KNOWN = {
    "theme": str,
    "language": str,
    "geometry": str,
    "splitters": dict,
    "last_folder": str,
    "recent": list,
    "lesson": int,
    "layout": dict,
    "windows": dict,
    "detached": dict,
    "notify": bool,
    "isolate": bool,
    "left_interrupted": str,
    "left_projects": dict,
}
_MOST_RECENT = 12


_CHANGED = marked("What the windows remember is being written by process {pid} on {host}, since {since}.")

_Values = dict[str, Any]


class Settings:
    """Read once; what this window changed is written into what others have written since, when the window closes and before.

    What is damaged or unknown in the file is left out, not an error.
    """

    def __init__(self) -> None:
        self._file = places.data() / "window.json"
        self._values = _read(self._file)
        self._changes: list[Callable[[_Values], None]] = []
        self._latest = Latest()

    def save(self) -> None:
        """Write what is remembered.

        Raises:
            UserError: it cannot be written.
        """
        self.saving()()

    def saving(self) -> Callable[[], None]:
        """Writes, as `save`, when it is called, in whatever thread."""
        return self._latest.asked(self._write)

    def _write(self) -> None:
        atomic.make_folder(self._file.parent)
        with ExitStack() as alone:
            with suppress(UserError):  # as on some disks of a network: it goes on without
                alone.enter_context(lock.held_soon(self._file.with_suffix(".lock"), _CHANGED))
            changes = self._changes[:]
            values = _read(self._file) or dict(self._values)
            for change in changes:
                change(values)
            atomic.write(self._file, json.dumps(values, indent=1).encode())
            del self._changes[: len(changes)]

    def _change(self, change: Callable[[_Values], None]) -> None:
        """Change what this window knows, and what lies there when it is written next."""
        change(self._values)
        self._changes.append(change)

    def _put(self, key: str, value: object) -> None:
        if self._values.get(key) != value:
            self._change(partial(_put, key, value))

    def _put_in(self, key: str, name: str, value: object) -> None:
        if self._values.get(key, {}).get(name) != value:
            self._change(partial(_put_in, key, name, value))

    @property
    def theme(self) -> ThemeChoice:
        """The colours the person chose."""
        value = self._values.get("theme", "")
        return ThemeChoice(value) if value in list(ThemeChoice) else ThemeChoice.SYSTEM

    @theme.setter
    def theme(self, choice: ThemeChoice) -> None:
        self._put("theme", choice.value)

    @property
    def language(self) -> str:
        """The code of the language the person chose; "" for the system's."""
        value = str(self._values.get("language", ""))
        return value if value in LANGUAGES else ""

    @language.setter
    def language(self, code: str) -> None:
        self._put("language", code)

    @property
    def last_folder(self) -> str:
        """Where the last file dialog ended, or the home folder."""
        return str(self._values.get("last_folder") or Path.home())

    @last_folder.setter
    def last_folder(self, folder: str) -> None:
        self._put("last_folder", folder)

    @property
    def recent(self) -> list[str]:
        """The folders and .zip files that were opened, the last one first."""
        return _recent(self._values)

    def remember_opened(self, path: str) -> None:
        """Put `path` first among the recent ones."""
        self._change(partial(_put_first, path))

    @property
    def lesson(self) -> int:
        """The place of the lesson's step that was shown last."""
        return max(0, int(self._values.get("lesson", 0)))

    @lesson.setter
    def lesson(self, step: int) -> None:
        self._put("lesson", step)

    @property
    def notify(self) -> bool:
        """Whether the end of a run is told where the window is not in front."""
        return bool(self._values.get("notify", True))

    @notify.setter
    def notify(self, wanted: bool) -> None:
        self._put("notify", wanted)

    @property
    def isolate(self) -> bool:
        """Whether runs are trained in a process of their own."""
        return bool(self._values.get("isolate", False))

    @isolate.setter
    def isolate(self, wanted: bool) -> None:
        self._put("isolate", wanted)

    @property
    def geometry(self) -> QByteArray:
        """Size and place of the window, as Qt writes it; empty at the first start."""
        return QByteArray.fromBase64(str(self._values.get("geometry", "")).encode())

    @geometry.setter
    def geometry(self, value: QByteArray) -> None:
        self._put("geometry", bytes(value.toBase64().data()).decode())

    def splitter(self, name: str) -> list[int] | None:
        """The widths of the panels of the splitter `name`, if they were ever saved."""
        sizes = self._values.get("splitters", {}).get(name)
        fits = isinstance(sizes, list) and all(isinstance(size, int) and 0 <= size < 100_000 for size in sizes)
        return sizes if fits else None

    def remember_splitter(self, name: str, sizes: list[int]) -> None:
        """Keep the widths of the panels of the splitter `name`."""
        self._put_in("splitters", name, sizes)

    def layout(self, key: str) -> Any:
        """What was kept under `key` about how something is arranged; None where nothing was."""
        return self._values.get("layout", {}).get(key)

    def remember_layout(self, key: str, value: object) -> None:
        """Keep `value`, made of what JSON knows, under `key`."""
        self._put_in("layout", key, value)

    def window(self, name: str) -> QByteArray:
        """Size and place of the window or dialog `name`; empty where it was never open."""
        return QByteArray.fromBase64(str(self._values.get("windows", {}).get(name, "")).encode())

    def remember_window(self, name: str, geometry: QByteArray) -> None:
        """Keep size and place of the window or dialog `name`."""
        self._put_in("windows", name, bytes(geometry.toBase64().data()).decode())

    @property
    def left_interrupted(self) -> str:
        """The folder of the interrupted run about which nobody wants to be asked again; "": none."""
        return str(self._values.get("left_interrupted", ""))

    @left_interrupted.setter
    def left_interrupted(self, run: str) -> None:
        self._put("left_interrupted", run)

    @property
    def left_projects(self) -> dict[str, str]:
        """Projects of other windows about which nobody wants to be asked again: the place of each, and when it was used last."""
        return {name: used for name, used in self._values.get("left_projects", {}).items() if isinstance(used, str)}

    def leave_project(self, name: str, used: str) -> None:
        """Mention the project at `name`, used last at `used`, no more."""
        self._put_in("left_projects", name, used)

    def detached(self, name: str) -> bool:
        """Whether the panel `name` was in a window of its own when the main window was closed."""
        return self._values.get("detached", {}).get(name) is True

    def remember_detached(self, name: str, detached: bool) -> None:
        """Keep whether the panel `name` is in a window of its own."""
        self._put_in("detached", name, detached)


def _put(key: str, value: object, values: _Values) -> None:
    values[key] = value


def _put_in(key: str, name: str, value: object, values: _Values) -> None:
    values[key] = values.get(key, {}) | {name: value}


def _put_first(path: str, values: _Values) -> None:
    values["recent"] = [path, *(other for other in _recent(values) if other != path)][:_MOST_RECENT]


def _recent(values: _Values) -> list[str]:
    return [path for path in values.get("recent", []) if isinstance(path, str)]


def _read(file: Path) -> dict[str, Any]:
    try:
        values = plain_json(file.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(values, dict):
        return {}
    return {key: value for key, value in values.items() if key in _KNOWN and isinstance(value, _KNOWN[key])}
