"""Names that any file system takes, of names that were given without thinking of one."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)\s*(\..*)?", re.IGNORECASE | re.DOTALL)
"""What Windows takes for a device, whatever stands behind a dot."""

_MOST_BYTES = 200
"""Systems take 255 bytes, of which something is left for a number."""


def safe_name(name: str) -> str:
    """`name` as Linux, macOS and Windows take it for one file or folder: never a path, a device, hidden or empty."""
    text = _FORBIDDEN.sub("_", name)
    text = text.encode("utf-8", "surrogateescape")[:_MOST_BYTES].decode("utf-8", "ignore")
    text = text.strip().rstrip(". ")
    return f"_{text}" if not text or text.startswith(".") or _DEVICES.fullmatch(text) else text


def safe_names(names: Sequence[str], taken: Iterable[str] = ()) -> tuple[str, ...]:
    """A safe name for each of `names`, in order; no two are one where letter case does not count, and none is in `taken`."""
    used, found = {_folded(name) for name in taken}, list[str]()
    for name in map(safe_name, names):
        number, unused = 1, name
        while _folded(unused) in used:
            number += 1
            unused = f"{name} ({number})"
        used.add(_folded(unused))
        found.append(unused)
    return tuple(found)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())
