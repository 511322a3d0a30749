"""Files that stand where a picture is expected and have something wrong, by class of fault, and what must become of each."""

import functools
import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np
from PIL import Image

from tests.pictures import HOSTILE, bomb_png, encoded, photo, png_chunks, png_header
from tests.reliability.known_pixels import tiff

FORMATS = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp", "GIF": "gif", "TIFF": "tif", "BMP": "bmp"}
"""Each format, and how its files are named."""


class Fate(Enum):
    """What must become of a file."""

    LEFT_OUT = auto()
    AS_SOUND = auto()  # used, and shows what the sound picture shows
    READABLE = auto()  # left out, or used if all of it can be decoded: formats differ


@dataclass(frozen=True)
class Broken:
    """One file.

    Attributes:
        fault: its class. sound: the whole picture it was made of, if any.
    """

    fault: str
    name: str
    make: Callable[[], bytes]
    fate: Fate
    sound: bytes = b""


@functools.cache
def sound(kind: str) -> bytes:
    """A picture that has nothing wrong, not flat: every byte of it counts."""
    noise = np.random.default_rng(5).integers(0, 64, (48, 64, 3), dtype=np.uint8)
    return encoded(Image.fromarray(photo(5, 64, 48) // 4 * 3 + noise), kind)


def broken() -> list[Broken]:
    """All of them. Names are told apart by the fault."""
    made = [*_damaged(), *_sizes(), *_parts_missing(), *_extras(), *_chunks(), *_no_pictures(), *_movies(), *_deep()]
    made += [Broken("as the tests have it", f"test {name}", make, Fate.LEFT_OUT) for name, make in HOSTILE.items()]
    return made


def _each(fault: str, change: Callable[[bytes], bytes], fate: Fate, but: dict[str, Fate] | None = None) -> Iterator[Broken]:
    """The fault in every format."""
    for kind, suffix in FORMATS.items():
        whole = sound(kind)
        kinds_fate = (but or {}).get(kind, fate)
        yield Broken(fault, f"{fault}.{suffix}", functools.partial(change, whole), kinds_fate, whole)


def _damaged() -> Iterator[Broken]:
    out, used, either = Fate.LEFT_OUT, Fate.AS_SOUND, Fate.READABLE
    yield from _each("empty", lambda _: b"", out)
    yield from _each("cut to its first bytes", lambda data: data[:10], out)
    yield from _each("cut in its head", lambda data: data[:24], out)
    yield from _each("cut in the middle", lambda data: data[: len(data) // 2], out)
    yield from _each("cut near its end", lambda data: data[: -len(data) // 20], out)
    yield from _each("zeros in the middle", lambda data: _over(data, len(data) // 2, bytes(200)), either, {"PNG": out})
    yield from _each("zeros all over", lambda data: bytes(len(data)), out)
    yield from _each("zeros after its first bytes", lambda data: data[:16] + bytes(len(data) - 16), out)
    yield from _each("noise after its first bytes", lambda data: data[:16] + _noise(len(data) - 16), out)
    yield from _each("something before it", lambda data: b"\n\n" + data, out)
    yield from _each("something after it", lambda data: data + b"PK\x03\x04 and a script <?php ?>" + _noise(100), used)
    yield from _each("twice in one file", lambda data: data + data, used)
    yield from _each("backwards", lambda data: data[::-1], out)
    yield from _each("bytes swapped in pairs", lambda data: b"".join(data[n : n + 2][::-1] for n in range(0, len(data), 2)), out)
    yield from _each("sent as text", lambda data: data.decode("latin-1").encode(), out, {"BMP": either})
    yield from _each("sent with other line ends", lambda data: data.replace(b"\n", b"\r\n"), either, {"PNG": out})
    yield from _each("sent in seven bits", lambda data: bytes(byte & 127 for byte in data), either, {"PNG": out, "JPEG": out})
    yield from _each("text instead", lambda _: b"A note, not a photo.\n" * 30, out)
    yield from _each("web page instead", lambda _: b"<!DOCTYPE html><html><body>404 Not Found</body></html>", out)
    suffixes = list(FORMATS.values())
    for kind, suffix in zip(FORMATS, suffixes[1:] + suffixes[:1], strict=True):
        yield Broken("named as another format", f"{kind} named.{suffix}", functools.partial(sound, kind), used, sound(kind))


def _over(data: bytes, at: int, what: bytes) -> bytes:
    return data[:at] + what + data[at + len(what) :]


def _noise(count: int) -> bytes:
    return np.random.default_rng(6).bytes(count)


def _sized(kind: str, width: int, height: int) -> bytes:
    """The sound picture with another size in its head."""
    data = sound(kind)
    if kind == "PNG":
        head = data[12:16] + struct.pack(">II", width, height) + data[24:29]
        return data[:12] + head + struct.pack(">I", zlib.crc32(head)) + data[33:]
    if kind == "JPEG":
        return _over(data, data.index(b"\xff\xc0") + 5, struct.pack(">HH", min(height, 65535), min(width, 65535)))
    if kind == "WEBP":
        return _over(data, 26, struct.pack("<HH", min(width, 16383), min(height, 16383)))
    if kind == "GIF":
        size = struct.pack("<HH", min(width, 65535), min(height, 65535))
        return _over(_over(data, 6, size), data.index(b",", 13 + 768) + 5, size)
    if kind == "BMP":
        return _over(data, 18, struct.pack("<II", width, height))
    return tiff(_tiff_tags(width, height), bytes(64 * 48 * 3))


def _tiff_tags(width: int = 64, height: int = 48) -> dict[int, tuple[int, ...]]:
    return {256: (width,), 257: (height,), 258: (8, 8, 8), 259: (1,), 262: (2,), 277: (3,), 278: (height,)}


def _sizes() -> Iterator[Broken]:
    for fault, width, height in (
        ("no width", 0, 48),
        ("no height", 64, 0),
        ("said to be huge", 2**31 - 1, 2**31 - 1),
        ("said to be very wide", 2**24, 48),
        ("said to be above the limit", 12_000, 12_000),
        ("said to be larger than it is", 640, 480),
    ):
        for kind, suffix in FORMATS.items():
            lenient = kind == "JPEG" and fault == "said to be larger than it is"  # the rest is grey
            fate = Fate.READABLE if lenient else Fate.LEFT_OUT
            yield Broken(fault, f"{fault}.{suffix}", functools.partial(_sized, kind, width, height), fate)
    yield Broken("a bomb", "bomb with clear.png", lambda: bomb_png(9_900, 9_900, (b"tRNS", b"\0\0")), Fate.LEFT_OUT)
    yield Broken("a bomb", "bomb.tif", _tiff_bomb, Fate.LEFT_OUT)
    yield Broken("a bomb", "bomb in the profile.png", lambda: _with_chunk(b"iCCP", b"p\0\0" + _zeros()), Fate.READABLE)
    yield Broken("a bomb", "bomb in the text.png", lambda: _with_chunk(b"zTXt", b"t\0\0" + _zeros()), Fate.READABLE)
    yield Broken("a bomb", "bomb in the words.png", lambda: _with_chunk(b"iTXt", b"t\0\1\0\0\0" + _zeros()), Fate.READABLE)


@functools.cache
def _zeros() -> bytes:
    return zlib.compress(bytes(100 << 20), 1)


def _tiff_bomb() -> bytes:
    tags = {256: (12_000,), 257: (12_000,), 258: (8,), 259: (8,), 262: (1,), 277: (1,), 278: (12_000,)}
    return tiff(tags, zlib.compress(bytes(144_000_000), 1))


def _parts_missing() -> Iterator[Broken]:
    row = (b"IDAT", zlib.compress((b"\0" + bytes(30)) * 10))
    head, end = png_header(10, 10), (b"IEND", b"")
    pngs = {
        "no head": (row, end),
        "no pixels": (head, end),
        "no palette": (png_header(10, 10, 8, 3), (b"IDAT", zlib.compress((b"\0" + bytes(10)) * 10)), end),
        "no deflate": (head, (b"IDAT", b"nothing packed"), end),
        "unknown depth": (png_header(10, 10, 7), row, end),
        "unknown colours": (png_header(10, 10, 8, 5), row, end),
        "unknown filter": (head, (b"IDAT", zlib.compress((b"\x09" + bytes(30)) * 10)), end),
    }
    for name, chunks in pngs.items():
        yield Broken("a part missing or unknown", f"{name}.png", functools.partial(png_chunks, *chunks), Fate.LEFT_OUT)
    for name, mark in {"frame": b"\xff\xc0", "scan": b"\xff\xda", "tables": b"\xff\xdb"}.items():
        yield Broken("a part missing or unknown", f"no {name}.jpg", functools.partial(_without, mark), Fate.LEFT_OUT)
    for name, number in {"width": 256, "place": 273, "lengths": 279}.items():
        fate = Fate.READABLE if number == 279 else Fate.LEFT_OUT
        yield Broken("a part missing or unknown", f"no {name}.tif", functools.partial(_tiff_without, number), fate)
    yield Broken("a part missing or unknown", "no frame.gif", lambda: sound("GIF")[: 13 + 768] + b";", Fate.LEFT_OUT)
    yield Broken("a part missing or unknown", "no frame.webp", lambda: b"RIFF\x04\0\0\0WEBP", Fate.LEFT_OUT)
    yield Broken("a part missing or unknown", "unknown packing.bmp", lambda: _over(sound("BMP"), 30, b"\x63"), Fate.LEFT_OUT)
    yield Broken("a part missing or unknown", "unknown depth.bmp", lambda: _over(sound("BMP"), 28, b"\x07"), Fate.LEFT_OUT)
    unknown = {**_tiff_tags(), 259: (9999,)}
    yield Broken("a part missing or unknown", "unknown packing.tif", lambda: tiff(unknown, bytes(9216)), Fate.LEFT_OUT)


def _without(mark: bytes) -> bytes:
    """The JPEG without its segments of this kind."""
    data = sound("JPEG")
    while (at := data.find(mark)) > 0 and mark != b"\xff\xda":
        data = data[:at] + data[at + 2 + struct.unpack(">H", data[at + 2 : at + 4])[0] :]
    return data[: data.index(mark)] + b"\xff\xd9" if mark in data else data


def _tiff_without(number: int) -> bytes:
    """A TIFF in which one tag is called by a number that nobody knows."""
    data = tiff(_tiff_tags(), bytes(64 * 48 * 3))
    start = struct.unpack("<I", data[4:8])[0]
    return data[:start] + data[start:].replace(struct.pack("<H", number), struct.pack("<H", 60_000), 1)


def _with_chunk(kind: bytes, data: bytes) -> bytes:
    """The PNG with one chunk more, before its pixels."""
    return _inserted("PNG", 33, struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))


def _inserted(kind: str, at: int, what: bytes) -> bytes:
    whole = sound(kind)
    return whole[:at] + what + whole[at:]


def _extras() -> Iterator[Broken]:
    """What is said of a picture besides its pixels is damaged: the pixels are as good as ever."""
    endless = b"II*\0\x08\0\0\0" + struct.pack("<HHHIII", 1, 0x8769, 4, 1, 8, 8)  # the directory is its own child, and next
    blocks = {
        "noise": _noise(300),
        "an endless loop": endless,
        "a cut": b"II*\0\x08\0\0\0\xff\xff",
        "a place outside": b"MM\0*\xff\xff\xff\xf0",
        "no turn that there is": b"II*\0\x08\0\0\0" + struct.pack("<HHHIHHI", 1, 274, 3, 1, 99, 0, 0),
        "words for a turn": b"II*\0\x08\0\0\0" + struct.pack("<HHHI4sI", 1, 274, 2, 4, b"top\0", 0),
    }
    for kind in ("PNG", "JPEG", "WEBP"):
        whole, suffix = sound(kind), FORMATS[kind]
        for name, block in blocks.items():
            make = functools.partial(_with_exif, kind, block)
            fate = Fate.READABLE if kind == "WEBP" else Fate.AS_SOUND  # a WebP is written anew to hold it
            yield Broken("EXIF damaged", f"EXIF has {name}.{suffix}", make, fate, whole)
    for kind in ("PNG", "JPEG", "WEBP", "TIFF"):
        for name, profile in {"noise": _noise(600), "a cut": b"\0\0\x0c\x48lcms\x04\x30\0\0mntrRGB XYZ "}.items():
            make = functools.partial(_with_profile, kind, profile)
            lossy = kind in ("JPEG", "WEBP")  # and so not the same when written anew to hold it
            fate = Fate.READABLE if lossy else Fate.AS_SOUND
            yield Broken("colour profile damaged", f"profile has {name}.{FORMATS[kind]}", make, fate, sound(kind))


def _with_exif(kind: str, block: bytes) -> bytes:
    if kind == "PNG":
        return _with_chunk(b"eXIf", block)
    if kind == "JPEG":
        whole = b"Exif\0\0" + block
        return _inserted("JPEG", 2, b"\xff\xe1" + struct.pack(">H", len(whole) + 2) + whole)
    return encoded(Image.open(io.BytesIO(sound("WEBP"))), "WEBP", exif=b"Exif\0\0" + block)


def _with_profile(kind: str, profile: bytes) -> bytes:
    return encoded(Image.open(io.BytesIO(sound(kind))), kind, icc_profile=profile)


def _chunks() -> Iterator[Broken]:
    """Lengths, places and checksums that lie."""
    png, gif, bmp, webp = sound("PNG"), sound("GIF"), sound("BMP"), sound("WEBP")
    idat = png.index(b"IDAT")
    out, either = Fate.LEFT_OUT, Fate.READABLE
    lies = {
        "checksum of the head.png": (_over(png, 29, b"\0\0\0\0"), out),
        "checksum of the pixels.png": (_over(png, idat + 9, b"\xff\0"), out),
        "length of the pixels.png": (_over(png, idat - 4, b"\x7f\xff\xff\xff"), out),
        "length below zero.png": (_over(png, idat - 4, b"\xff\xff\xff\xff"), out),
        "length of all.webp": (_over(webp, 4, b"\xff\xff\xff\x7f"), either),
        "length of the pixels.webp": (_over(webp, 16, b"\xff\xff\xff\x7f"), either),
        "length of a table.jpg": (_over(sound("JPEG"), sound("JPEG").index(b"\xff\xdb") + 2, b"\xff\xff"), out),
        "place of the pixels.bmp": (_over(bmp, 10, b"\xff\xff\xff\x7f"), out),
        "length of the head.bmp": (_over(bmp, 14, b"\xff\xff\xff\x7f"), out),
        "code of the pixels.gif": (_over(gif, gif.index(b",", 13 + 768) + 10, b"\x0f"), out),
        "place of the frame.gif": (_over(gif, gif.index(b",", 13 + 768) + 1, b"\xff\xff\xff\xff"), either),
        "place of the directory.tif": (_over(sound("TIFF"), 4, b"\xff\xff\xff\x7f"), out),
        "directory on the head.tif": (_over(sound("TIFF"), 4, b"\0\0\0\0"), out),
        "place of the pixels.tif": (_tiff_far(), out),
        "next is itself.tif": (_tiff_loop(), either),
    }
    for name, (content, fate) in lies.items():
        yield Broken("a length, place or checksum lies", f"lying {name}", functools.partial(bytes, content), fate)


def _tiff_far() -> bytes:
    data = tiff(_tiff_tags(), bytes(64 * 48 * 3))
    start = struct.unpack("<I", data[4:8])[0]
    return data[:start] + data[start:].replace(struct.pack("<HHII", 273, 4, 1, 8), struct.pack("<HHII", 273, 4, 1, 2**31))


def _tiff_loop() -> bytes:
    """A TIFF whose next page is the first again."""
    data = tiff(_tiff_tags(), bytes(64 * 48 * 3))
    start = struct.unpack("<I", data[4:8])[0]
    count = struct.unpack("<H", data[start : start + 2])[0]
    return _over(data, start + 2 + 12 * count, struct.pack("<I", start))


def _no_pictures() -> Iterator[Broken]:
    """What is something else altogether, by its name a picture; among it the formats of pictures that are not read."""
    others = {
        "zip": _zip(),
        "gzip": b"\x1f\x8b\x08\0" + _noise(90),
        "tar": b"x.png".ljust(257, b"\0") + b"ustar\0" + bytes(300),
        "program": b"\x7fELF\x02\x01\x01" + bytes(90),
        "windows program": b"MZ\x90\0" + bytes(90),
        "pickle": b"\x80\x04\x95\x1f\0\0\0\0\0\0\0\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.",
        "film": b"\x1aE\xdf\xa3" + _noise(90),
        "sound": b"ID3\x04\0\0" + _noise(90),
        "wave": b"RIFF\x24\0\0\0WAVEfmt " + bytes(30),
        "database": b"SQLite format 3\0" + bytes(90),
        "script": b"#!/bin/sh\nrm -rf /\n",
        "markup": b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'><script/></svg>",
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n",
        "windows metafile": b"\xd7\xcd\xc6\x9a" + bytes(90),
    }
    for name, content in others.items():
        yield Broken("no picture at all", f"{name}.jpg", functools.partial(bytes, content), Fate.LEFT_OUT)
    for kind in ("ICO", "TGA", "PCX", "SGI", "DDS", "IM", "SPIDER", "XBM", "EPS", "PDF", "ICNS", "MSP"):
        yield Broken("a format that is not read", f"{kind}.png", functools.partial(_other_format, kind), Fate.LEFT_OUT)


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("x.png", sound("PNG"))
    return buffer.getvalue()


def _other_format(kind: str) -> bytes:
    image = Image.fromarray(photo(7, 64, 64))
    modes = {"XBM": "1", "MSP": "1", "SPIDER": "F"}
    return encoded(image.convert(modes[kind]) if kind in modes else image, kind)


def _movies() -> Iterator[Broken]:
    """The first frame is whole, a later one is not: nothing but the first is used."""
    frames = [Image.fromarray(photo(number, 64, 48)) for number in range(4)]
    for kind in ("GIF", "PNG", "WEBP", "TIFF"):
        whole = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        name = f"movie cut.{FORMATS[kind]}"
        yield Broken("a later frame is cut", name, functools.partial(bytes, whole[: -len(whole) // 8]), Fate.READABLE)


def _deep() -> Iterator[Broken]:
    """Floating point that is no number."""
    for name, value in {"not a number": np.nan, "infinite": np.inf, "below all": -np.inf}.items():
        for share in (1, 64):
            pixels = np.ones((8, 8), np.float32)
            pixels.reshape(-1)[:: 65 - share] = value
            make = functools.partial(encoded, Image.fromarray(pixels), "TIFF")
            yield Broken("pixels that are no numbers", f"{name} {share}.tif", make, Fate.LEFT_OUT)
