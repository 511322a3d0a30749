"""The runs that lie elsewhere than in the person's folder of runs: a list of their folders, so that they are found again."""

import json
from dataclasses import dataclass
from pathlib import Path

from desktop_ft.core.values import plain_json
from desktop_ft.runs import atomic, lock


@dataclass(frozen=True, slots=True)
class KnownRuns:
    """A file with a folder a line, as JSON text. It only grows: several processes may add to it at once, and a folder that is not
    there now may be on a disk that comes back.
    """

    path: Path

    def folders(self) -> list[Path]:
        """The folders, in the order in which they were added. A line that cannot be read is left out.

        Raises:
            UserError: the file cannot be read.
        """
        return list(dict.fromkeys(Path(text) for line in atomic.whole_lines(self.path) if (text := _text(line))))

    def add(self, folder: Path) -> None:
        """Remember `folder`.

        Raises:
            UserError: the list cannot be written.
        """
        whole = folder.absolute()
        if whole in self.folders():
            return
        atomic.make_folder(self.path.parent)
        # Opening cuts off a line that is not whole: another process must not be writing it just then.
        alone = lock.held_soon(self.path.with_suffix(".lock"), "The list of runs is being added to by")
        with alone, atomic.LineFile(self.path) as lines:
            lines.append(json.dumps(str(whole)).encode())


def _text(line: bytes) -> str:
    try:
        found = plain_json(line)
    except ValueError:
        return ""
    return found if isinstance(found, str) else ""
