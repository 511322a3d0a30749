"""Good and hostile pictures for tests, made on the spot: small, quick, and the same every time."""

import hashlib
import os
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def photo(seed: int = 0, width: int = 40, height: int = 30) -> np.ndarray:
    """A smooth coloured picture, uint8 (height, width, 3), different for every seed and in every corner."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))


def encoded(picture: np.ndarray | Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """`picture` as the bytes of a file."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def write(path: Path, content: bytes) -> Path:
    """Write `content` to `path`, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def class_folders(root: Path, counts: dict[str, int], *, start: int = 0, size: tuple[int, int] = (40, 30)) -> Path:
    """`root` with a folder a class and so many different pictures in each."""
    seed = start
    for name, count in counts.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            write(root / name / f"{number:03}.png", encoded(photo(seed, *size)))
            seed += 1
    return root


def fingerprint(folder: Path) -> str:
    """Of all names, dates and bytes below `folder`."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        digest.update(f"{path} {path.lstat().st_mtime_ns}".encode())
        if path.is_file() and not path.is_symlink():
            digest.update(path.read_bytes())
    return digest.hexdigest()


def png_chunks(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG file of these chunks (type, data), with right checksums."""
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def png_header(width: int, height: int, depth: int = 8, colour: int = 2) -> tuple[bytes, bytes]:
    """The IHDR chunk."""
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)


def bomb_png(width: int = 12_000, height: int = 12_000, *extra: tuple[bytes, bytes]) -> bytes:
    """A one-bit PNG of a few kilobytes with very many pixels, and `extra` chunks."""
    row = b"\0" + bytes((width + 7) // 8)
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return png_chunks(png_header(width, height, 1, 0), *extra, (b"IDAT", packed), (b"IEND", b""))


def _jpeg() -> bytes:
    return encoded(photo(1, 200, 150), "JPEG", quality=90)


def _cut(kind: str, share: float) -> Callable[[], bytes]:
    def make() -> bytes:
        rng = np.random.default_rng(0)
        noisy = encoded(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8), kind, **({"lossless": True} if kind == "WEBP" else {}))
        return noisy[: int(len(noisy) * share)]

    return make


def _flipped_crc() -> bytes:
    data = bytearray(encoded(photo(2)))
    data[data.index(b"IDAT") + 10] ^= 0xFF
    return bytes(data)


HOSTILE: dict[str, Callable[[], bytes]] = {
    "zero.jpg": lambda: b"",
    "text.jpg": lambda: b"This is a note, not a photo.\n" * 20,
    "page.png": lambda: b"<!DOCTYPE html><html><body>404</body></html>",
    "drawing.png": lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "script.gif": lambda: b"#!/bin/sh\necho hello\n",
    "random.jpg": lambda: bytes(np.random.default_rng(3).integers(0, 256, 5000, dtype=np.uint8)),
    "nulls.png": lambda: bytes(4096),
    "magic_only.jpg": lambda: b"\xff\xd8\xff",
    "magic_only.png": lambda: b"\x89PNG\r\n\x1a\n",
    "magic_then_random.jpg": lambda: b"\xff\xd8\xff\xe0" + bytes(np.random.default_rng(4).integers(0, 256, 900, dtype=np.uint8)),
    "truncated.jpg": lambda: _jpeg()[: len(_jpeg()) // 2],
    "truncated_header.jpg": lambda: _jpeg()[:30],
    "truncated.png": _cut("PNG", 0.5),
    "truncated.gif": _cut("GIF", 0.5),
    "truncated.bmp": _cut("BMP", 0.5),
    "truncated.tif": _cut("TIFF", 0.5),
    "truncated.webp": _cut("WEBP", 0.5),
    "bad_checksum.png": _flipped_crc,
    "no_pixels.png": lambda: png_chunks(png_header(10, 10), (b"IEND", b"")),
    "zero_wide.png": lambda: png_chunks(png_header(0, 10), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")),
    "garbage_pixels.png": lambda: png_chunks(png_header(10, 10), (b"IDAT", b"not deflate"), (b"IEND", b"")),
    "bad_depth.png": lambda: png_chunks(png_header(10, 10, 7), (b"IDAT", zlib.compress(bytes(400))), (b"IEND", b"")),
    "bomb.png": bomb_png,
    "huge_header.png": lambda: png_chunks(png_header(2**31 - 1, 2**31 - 1), (b"IDAT", b""), (b"IEND", b"")),
    "huge.bmp": lambda: b"BM" + struct.pack("<IHHIIiiHHIIiiII", 100, 0, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0),
    "document.pdf": lambda: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(100),
    "archive.jpg": lambda: b"PK\x03\x04" + bytes(200),
    "photo.heic": lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200),
    "film.jpg": lambda: b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(200),
    "drawing.psd": lambda: b"8BPS\0\x01" + bytes(200),
    "postscript.jpg": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n",
    "not_finite.tif": lambda: encoded(Image.fromarray(np.full((8, 8), np.nan, np.float32)), "TIFF"),
}
"""Files that hold no usable picture, by name."""


def hostile_folder(folder: Path) -> list[str]:
    """Write every hostile file and, where the system has them, what is no file at all; returns all names."""
    for name, make in HOSTILE.items():
        write(folder / name, make())
    special = ["broken_link.jpg", "self_link.jpg", "outside_link.jpg", "pipe.png"]
    (folder / "broken_link.jpg").symlink_to("nowhere.jpg")
    (folder / "self_link.jpg").symlink_to("self_link.jpg")
    (folder / "outside_link.jpg").symlink_to("/etc/hostname")
    os.mkfifo(folder / "pipe.png")
    return [*HOSTILE, *special]
