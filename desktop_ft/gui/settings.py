"""What the window remembers between starts: sizes, theme, language, last folders. Plain JSON in the person's data folder."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QByteArray

from desktop_ft import places
from desktop_ft.core.language import LANGUAGES
from desktop_ft.core.values import plain_json
from desktop_ft.gui.latest import Latest
from desktop_ft.gui.theme import ThemeChoice
from desktop_ft.runs import atomic

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


class Settings:
    """Read once, written when the window closes. What is damaged or unknown in the file is left out, not an error."""

    def __init__(self) -> None:
        self._file = places.data() / "window.json"
        self._values = _read(self._file)
        self._latest = Latest()

    def save(self) -> None:
        """Write what is remembered.

        Raises:
            UserError: it cannot be written.
        """
        self.saving()()

    def saving(self) -> Callable[[], None]:
        """Writes, as `save`, what is remembered now, when it is called, in whatever thread."""
        return self._latest.asked(partial(self._write, json.dumps(self._values, indent=1).encode()))

    def _write(self, content: bytes) -> None:
        atomic.make_folder(self._file.parent)
        atomic.write(self._file, content)

    @property
    def theme(self) -> ThemeChoice:
        """The colours the person chose."""
        value = self._values.get("theme", "")
        return ThemeChoice(value) if value in list(ThemeChoice) else ThemeChoice.SYSTEM

    @theme.setter
    def theme(self, choice: ThemeChoice) -> None:
        self._values["theme"] = choice.value

    @property
    def language(self) -> str:
        """The code of the language the person chose; "" for the system's."""
        value = str(self._values.get("language", ""))
        return value if value in LANGUAGES else ""

    @language.setter
    def language(self, code: str) -> None:
        self._values["language"] = code

    @property
    def last_folder(self) -> str:
        """Where the last file dialog ended, or the home folder."""
        return str(self._values.get("last_folder") or Path.home())

    @last_folder.setter
    def last_folder(self, folder: str) -> None:
        self._values["last_folder"] = folder

    @property
    def recent(self) -> list[str]:
        """The folders and .zip files that were opened, the last one first."""
        return [path for path in self._values.get("recent", []) if isinstance(path, str)]

    def remember_opened(self, path: str) -> None:
        """Put `path` first among the recent ones."""
        self._values["recent"] = [path, *(other for other in self.recent if other != path)][:_MOST_RECENT]

    @property
    def lesson(self) -> int:
        """The place of the lesson's step that was shown last."""
        return max(0, int(self._values.get("lesson", 0)))

    @lesson.setter
    def lesson(self, step: int) -> None:
        self._values["lesson"] = step

    @property
    def notify(self) -> bool:
        """Whether the end of a run is told where the window is not in front."""
        return bool(self._values.get("notify", True))

    @notify.setter
    def notify(self, wanted: bool) -> None:
        self._values["notify"] = wanted

    @property
    def isolate(self) -> bool:
        """Whether runs are trained in a process of their own."""
        return bool(self._values.get("isolate", False))

    @isolate.setter
    def isolate(self, wanted: bool) -> None:
        self._values["isolate"] = wanted

    @property
    def geometry(self) -> QByteArray:
        """Size and place of the window, as Qt writes it; empty at the first start."""
        return QByteArray.fromBase64(str(self._values.get("geometry", "")).encode())

    @geometry.setter
    def geometry(self, value: QByteArray) -> None:
        self._values["geometry"] = bytes(value.toBase64().data()).decode()

    def splitter(self, name: str) -> list[int] | None:
        """The widths of the panels of the splitter `name`, if they were ever saved."""
        sizes = self._values.get("splitters", {}).get(name)
        fits = isinstance(sizes, list) and all(isinstance(size, int) and 0 <= size < 100_000 for size in sizes)
        return sizes if fits else None

    def remember_splitter(self, name: str, sizes: list[int]) -> None:
        """Keep the widths of the panels of the splitter `name`."""
        self._values.setdefault("splitters", {})[name] = sizes

    def layout(self, key: str) -> Any:
        """What was kept under `key` about how something is arranged; None where nothing was."""
        return self._values.get("layout", {}).get(key)

    def remember_layout(self, key: str, value: object) -> None:
        """Keep `value`, made of what JSON knows, under `key`."""
        self._values.setdefault("layout", {})[key] = value

    def window(self, name: str) -> QByteArray:
        """Size and place of the window or dialog `name`; empty where it was never open."""
        return QByteArray.fromBase64(str(self._values.get("windows", {}).get(name, "")).encode())

    def remember_window(self, name: str, geometry: QByteArray) -> None:
        """Keep size and place of the window or dialog `name`."""
        self._values.setdefault("windows", {})[name] = bytes(geometry.toBase64().data()).decode()

    @property
    def left_interrupted(self) -> str:
        """The folder of the interrupted run about which nobody wants to be asked again; "": none."""
        return str(self._values.get("left_interrupted", ""))

    @left_interrupted.setter
    def left_interrupted(self, run: str) -> None:
        self._values["left_interrupted"] = run

    @property
    def left_projects(self) -> dict[str, str]:
        """Projects of other windows about which nobody wants to be asked again: the place of each, and when it was used last."""
        return {name: used for name, used in self._values.get("left_projects", {}).items() if isinstance(used, str)}

    def leave_project(self, name: str, used: str) -> None:
        """Mention the project at `name`, used last at `used`, no more."""
        self._values["left_projects"] = self.left_projects | {name: used}

    def detached(self, name: str) -> bool:
        """Whether the panel `name` was in a window of its own when the main window was closed."""
        return self._values.get("detached", {}).get(name) is True

    def remember_detached(self, name: str, detached: bool) -> None:
        """Keep whether the panel `name` is in a window of its own."""
        self._values.setdefault("detached", {})[name] = detached


def _read(file: Path) -> dict[str, Any]:
    try:
        values = plain_json(file.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(values, dict):
        return {}
    return {key: value for key, value in values.items() if key in _KNOWN and isinstance(value, _KNOWN[key])}
