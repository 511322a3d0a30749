"""Opening what lies in a dataset folder without ever waiting on it, and telling what it is by its first bytes."""

import hashlib
import os
import stat
from pathlib import Path
from typing import BinaryIO

AnyPath = Path | str | bytes

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOCTTY", 0)
_CHUNK = 1 << 20

# What a file that is no usable picture most often turns out to be: first bytes, where they start, what it is.
_OTHERS = (
    (b"%PDF", 0, "a PDF document"),
    (b"PK\x03\x04", 0, "a zip archive or office document"),
    (b"ftyphei", 4, "a HEIC photo"),
    (b"ftypmif1", 4, "a HEIC photo"),
    (b"ftyp", 4, "a video"),
    (b"\x1aE\xdf\xa3", 0, "a video"),
    (b"8BPS", 0, "a Photoshop document"),
    (b"<svg", 0, "a vector drawing (SVG)"),
    (b"<!doctype html", 0, "a web page"),
    (b"<html", 0, "a web page"),
)
_PICTURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG", "PNG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"RIFF", "WebP"),
)


class NotAFile(Exception):
    """A FIFO, socket, device or folder where a file should be."""


def open_regular(path: AnyPath) -> BinaryIO:
    """Open a regular file for reading; a FIFO or device is refused at once instead of being waited for.

    Raises:
        NotAFile: it is something else. OSError: it cannot be opened.
    """
    descriptor = os.open(path, _FLAGS)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotAFile(path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def sha256(file: BinaryIO) -> str:
    """Hex SHA-256 of all bytes from the start of `file`; leaves it at its start."""
    digest = hashlib.sha256()
    file.seek(0)
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()


def looks_like(file: BinaryIO) -> tuple[str, bool]:
    """What the first bytes say the file is, and whether that is a kind of picture; ("", False) where they say nothing."""
    file.seek(0)
    head = file.read(512)
    for start, name in _PICTURES:
        if head.startswith(start):
            return f"a {name} picture", True
    if head[4:].startswith(b"ftypavi"):
        return "an AVIF picture", True
    lower = head.lower()
    for start, at, name in _OTHERS:
        if lower.lstrip()[at:].startswith(start.lower()):
            return name, False
    if head and not any(byte < 9 or 13 < byte < 32 for byte in head):
        return "text", False
    return "", False
