"""Hostile archives for tests, made on the spot."""

import io
import stat
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable


def packed(*entries: tuple[str | zipfile.ZipInfo, bytes], kind: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as file:
        for name, content in entries:
            file.writestr(name, content)
    return buffer.getvalue()


def special(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (mode | 0o777) << 16
    return info


def encrypted() -> bytes:
    data = bytearray(packed(("a.txt", b"secret")))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def lying() -> bytes:
    """Says 10 bytes in both headers, holds more."""
    data = packed(("a.bin", b"x" * 5000), kind=zipfile.ZIP_DEFLATED)
    return data.replace(struct.pack("<I", 5000), struct.pack("<I", 10))


def flipped() -> bytes:
    data = bytearray(packed(("a.bin", b"hello world" * 10)))
    data[50] ^= 0xFF
    return bytes(data)


def twice() -> bytes:
    with warnings.catch_warnings(action="ignore"):
        return packed(("a.txt", b"1"), ("a.txt", b"2"))


def overlapping(names: int = 100) -> bytes:
    """So many files that share one packed content: each begins with the header of the next, as a block that is not packed."""
    content, blocks = bytes(50_000), zlib.compress(bytes(50_000), 9, -15)
    listed = b""
    for number in reversed(range(names)):
        name = b"%02d.png" % number
        facts = struct.pack(
            "<5H3I2H", 20, 0, zipfile.ZIP_DEFLATED, 0, 33, zlib.crc32(content), len(blocks), len(content), len(name), 0
        )
        header = b"PK\x03\x04" + facts + name
        place = struct.pack("<3H2I", 0, 0, 0, 0, number * (len(header) + 5))
        listed = b"PK\x01\x02" + struct.pack("<H", 20) + facts + place + name + listed
        file = header + blocks
        content = header + content
        blocks = struct.pack("<BHH", 0, len(header), 0xFFFF ^ len(header)) + file
    return file + listed + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, names, names, len(listed), len(file), 0)


def damaged(kind: int) -> bytes:
    """Packed content with its middle overwritten."""
    whole = packed(("a.png", bytes(range(256)) * 40), kind=kind)
    middle = 35 + (whole.index(b"PK\x01\x02") - 35) // 2
    return whole[: middle - 8] + b"\xff" * 16 + whole[middle + 8 :]


def unknown() -> bytes:
    """Packed in a way that no program here knows."""
    data = bytearray(packed(("a.png", b"x")))
    data[8] = data[data.index(b"PK\x01\x02") + 10] = 77
    return bytes(data)


def no_text() -> bytes:
    """A name that says it is UTF-8 and is not."""
    data = bytearray(packed(("\u00fc.png", b"x")))
    return bytes(data).replace("\u00fc".encode(), b"\xff\xfe")


HOSTILE: dict[str, Callable[[], bytes]] = {
    "up": lambda: packed(("../evil.txt", b"x")),
    "deep up": lambda: packed(("a/../../evil.txt", b"x")),
    "absolute": lambda: packed(("/tmp/evil.txt", b"x")),
    "backslash": lambda: packed(("..\\evil.txt", b"x")),
    "drive": lambda: packed(("C:\\evil.txt", b"x")),
    "drive, relative": lambda: packed(("C:evil.txt", b"x")),
    "stream": lambda: packed(("a.txt:hidden", b"x")),
    "share": lambda: packed(("\\\\host\\share\\evil.txt", b"x")),
    "good, then up": lambda: packed(("a.txt", b"x"), ("../evil.txt", b"x")),
    "symlink": lambda: packed((special("link", stat.S_IFLNK), b"/etc")),
    "symlink, then through it": lambda: packed((special("link", stat.S_IFLNK), b".."), ("link/evil.txt", b"x")),
    "fifo": lambda: packed((special("pipe", stat.S_IFIFO), b"")),
    "device": lambda: packed((special("dev", stat.S_IFCHR), b"")),
    "bomb": lambda: packed(("zeros", bytes(40 << 20)), kind=zipfile.ZIP_DEFLATED),
    "bomb in parts": lambda: packed(*((f"{n}", bytes(4 << 20)) for n in range(10)), kind=zipfile.ZIP_DEFLATED),
    "encrypted": encrypted,
    "size that lies": lying,
    "flipped byte": flipped,
    "twice": twice,
    "same but for case": lambda: packed(("a.txt", b"1"), ("A.TXT", b"2")),
    "file as folder": lambda: packed(("a", b"1"), ("a/b.txt", b"2")),
    "cut": lambda: packed(("a.txt", b"x" * 1000))[:500],
    "no archive": lambda: b"just text",
    "nothing": lambda: b"",
    "no name": lambda: packed((".", b"x")),
    "entries that overlap": overlapping,
    "damaged, packed by LZMA": lambda: damaged(zipfile.ZIP_LZMA),
    "damaged, packed by bzip2": lambda: damaged(zipfile.ZIP_BZIP2),
    "damaged, packed by deflate": lambda: damaged(zipfile.ZIP_DEFLATED),
    "packed in an unknown way": unknown,
    "name longer than any disk allows": lambda: packed((f"{'n' * 300}.png", b"x")),
    "path longer than any disk allows": lambda: packed((f"{'folder/' * 800}x.png", b"x")),
    "name that is no text": no_text,
    "end that lies outside": lambda: packed(("a.png", b"x"))[:-6] + b"\xff\xff\xff\xff\0\0",
    "bomb, and a size that lies": lambda: packed(("zeros", bytes(40 << 20)), kind=zipfile.ZIP_DEFLATED).replace(
        struct.pack("<I", 40 << 20), struct.pack("<I", 9)
    ),
}
