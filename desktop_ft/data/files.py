"""Opening what lies in a dataset folder without ever waiting on it, and telling what it is by its first bytes."""

import hashlib
import os
import stat
from pathlib import Path
from typing import BinaryIO

from desktop_ft.core.language import marked

AnyPath = Path | str | bytes
Source = AnyPath | BinaryIO
"""A file by its path, or one that is open already: on disk or in memory."""

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOCTTY", 0)
_CHUNK = 1 << 20
_HEAD = 512

_REMOVE, _SAVE = marked("Remove it."), marked("Save it as JPEG or PNG.")
_HEIC, _VIDEO = marked("Is a HEIC photo, not a picture."), marked("Is a video, not a picture.")
_WEB_PAGE = marked("Is a web page, not a picture.")
# What a file that is no usable picture most often turns out to be: first bytes, where they start, what it is, what to do.
_OTHERS = (
    (b"%PDF", 0, marked("Is a PDF document, not a picture."), _REMOVE),
    (b"PK\x03\x04", 0, marked("Is a zip archive or office document, not a picture."), _REMOVE),
    (b"ftyphei", 4, _HEIC, _SAVE),
    (b"ftypmif1", 4, _HEIC, _SAVE),
    (b"ftyp", 4, _VIDEO, _REMOVE),
    (b"\x1aE\xdf\xa3", 0, _VIDEO, _REMOVE),
    (b"8BPS", 0, marked("Is a Photoshop document, not a picture."), _SAVE),
    (b"<svg", 0, marked("Is a vector drawing (SVG), not a picture."), _SAVE),
    (b"<!doctype html", 0, _WEB_PAGE, _REMOVE),
    (b"<html", 0, _WEB_PAGE, _REMOVE),
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


def picture_format(file: BinaryIO) -> str:
    """The format of picture that the first bytes promise, such as `JPEG`; "" where they promise none."""
    file.seek(0)
    head = file.read(_HEAD)
    if head[4:].startswith(b"ftypavi"):
        return "AVIF"
    return next((name for start, name in _PICTURES if head.startswith(start)), "")


def what_else(file: BinaryIO) -> tuple[str, str]:
    """What the first bytes say the file is, if no picture, and what to do about it: two sentences, to be looked up."""
    file.seek(0)
    head = file.read(_HEAD)
    lower = head.lower()
    for start, at, reason, cure in _OTHERS:
        if lower.lstrip()[at:].startswith(start.lower()):
            return reason, cure
    if head and not any(byte < 9 or 13 < byte < 32 for byte in head):
        return marked("Is text, not a picture."), _REMOVE
    return marked("Is not a picture."), _REMOVE
