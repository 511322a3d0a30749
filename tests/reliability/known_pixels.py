"""Picture files of which every pixel is known: written here byte by byte where a format allows, so that no decoder has a say."""

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from tests.pictures import encoded, png_chunks, png_header

WIDTH, HEIGHT = 16, 24
Array = np.ndarray
ORIENTATIONS = range(1, 9)
STORED: dict[int, Callable[[Array], Array]] = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: p.swapaxes(0, 1)[::-1],
    7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
    8: lambda p: p.swapaxes(0, 1)[:, ::-1],
}
"""How the rows and columns of an upright picture lie in a file that says it is turned, by EXIF orientation."""


@dataclass(frozen=True)
class Cell:
    """One file.

    Attributes:
        kind: format, mode and depth.
        shown: what a person sees, float (HEIGHT, WIDTH, 3) in 0..255.
        levels: how far from it the application may be. 1, but 2 where two numbers of 16 bits make a colour, as ink and black do:
            Pillow gives the upper half of each.
    """

    kind: str
    orientation: int
    content: bytes
    shown: Array
    levels: int


@dataclass(frozen=True)
class _Raw:
    """The numbers that a file holds, upright: (HEIGHT, WIDTH, channels), and what they look like."""

    samples: Array
    shown: Array
    palette: Array | None = None
    clear: tuple[int, ...] = ()


def cells(seed: int) -> list[Cell]:
    """Every kind in every orientation that its format knows."""
    made = []
    for number, (kind, (raw, write, orientations)) in enumerate(_kinds()):
        for orientation in orientations:
            each = raw(np.random.default_rng((seed, number, orientation)))
            stored = np.ascontiguousarray(STORED[orientation](each.samples))
            levels = 2 if "16" in kind and ("alpha" in kind or "ink" in kind) else 1
            made.append(Cell(kind, orientation, write(each, stored, orientation), each.shown, levels))
    return made


_Make = Callable[[np.random.Generator], _Raw]
_Write = Callable[[_Raw, Array, int], bytes]
_Kind = tuple[_Make, _Write, Iterable[int]]


def _kinds() -> Iterator[tuple[str, _Kind]]:
    yield from _png_kinds()
    yield from _tiff_kinds()
    yield from _lossy_kinds()
    yield from _other_kinds()


def _png_kinds() -> Iterator[tuple[str, _Kind]]:
    grey, grey_alpha, colour, colour_alpha, indexed = 0, 4, 2, 6, 3
    for depth in (1, 2, 4, 8, 16):
        yield f"png grey {depth}", (_plain(1, depth), _png(depth, grey), ORIENTATIONS)
        yield f"png grey {depth} and clear", (_plain(1, depth, clear=True), _png(depth, grey), ORIENTATIONS)
    for depth in (8, 16):
        yield f"png grey and alpha {depth}", (_transparent(1, depth), _png(depth, grey_alpha), ORIENTATIONS)
        yield f"png colour {depth}", (_plain(3, depth), _png(depth, colour), ORIENTATIONS)
        yield f"png colour {depth} and clear", (_plain(3, depth, clear=True), _png(depth, colour), ORIENTATIONS)
        yield f"png colour and alpha {depth}", (_transparent(3, depth), _png(depth, colour_alpha), ORIENTATIONS)
    for depth in (1, 2, 4, 8):
        yield f"png palette {depth}", (_indexed(depth), _png(depth, indexed), ORIENTATIONS)
        yield f"png palette {depth} and alpha", (_indexed(depth, alpha=True), _png(depth, indexed), ORIENTATIONS)


def _tiff_kinds() -> Iterator[tuple[str, _Kind]]:
    white, black, colour, indexed, ink = 0, 1, 2, 3, 5
    for depth in (1, 2, 4, 8, 16):
        yield f"tiff grey {depth}", (_plain(1, depth), _tiff(depth, black), ORIENTATIONS)
        yield f"tiff grey {depth}, white is 0", (_plain(1, depth, white_is_zero=True), _tiff(depth, white), ORIENTATIONS)
    yield "tiff grey 16, other order", (_plain(1, 16), _tiff(16, black, order=">"), ORIENTATIONS)
    yield "tiff grey 32", (_plain(1, 32), _tiff(32, black), ORIENTATIONS)
    yield "tiff grey 16, signed", (_signed(16), _tiff(16, black, extra={339: (2,)}), ORIENTATIONS)
    yield "tiff grey 32, signed", (_signed(32), _tiff(32, black, extra={339: (2,)}), ORIENTATIONS)
    yield "tiff real numbers", (_real, _tiff(32, black, extra={339: (3,)}), ORIENTATIONS)
    for depth in (4, 8):
        yield f"tiff palette {depth}", (_indexed(depth), _tiff(depth, indexed), ORIENTATIONS)
    yield "tiff grey and alpha", (_transparent(1, 8), _tiff(8, black, extra={338: (2,)}), ORIENTATIONS)
    for depth in (8, 16):
        yield f"tiff colour {depth}", (_plain(3, depth), _tiff(depth, colour), ORIENTATIONS)
        yield f"tiff colour and alpha {depth}", (_transparent(3, depth), _tiff(depth, colour, extra={338: (2,)}), ORIENTATIONS)
        yield f"tiff ink {depth}", (_ink(depth), _tiff(depth, ink), ORIENTATIONS)
    yield "tiff colour 16, other order", (_plain(3, 16), _tiff(16, colour, order=">"), ORIENTATIONS)
    yield "tiff colour, packed", (_plain(3, 8), _tiff(8, colour, extra={259: (8,)}), ORIENTATIONS)
    yield "tiff colour multiplied by alpha", (_multiplied, _tiff(8, colour, extra={338: (1,)}), ORIENTATIONS)


def _lossy_kinds() -> Iterator[tuple[str, _Kind]]:
    """JPEG keeps to a level what is flat in each of its blocks of 8 x 8; WebP can do without loss."""
    whole = {"quality": 100, "subsampling": 0}
    yield "jpeg grey", (_blocks("L"), _pillow("JPEG", "L", **whole), ORIENTATIONS)
    yield "jpeg colour", (_blocks("RGB"), _pillow("JPEG", "RGB", **whole), ORIENTATIONS)
    yield "jpeg colour, progressive", (_blocks("RGB"), _pillow("JPEG", "RGB", progressive=True, **whole), ORIENTATIONS)
    yield "jpeg ink", (_blocks("CMYK"), _pillow("JPEG", "CMYK", **whole), ORIENTATIONS)
    yield "webp colour", (_plain(3, 8), _pillow("WEBP", "RGB", lossless=True), ORIENTATIONS)
    yield "webp colour and alpha", (_transparent(3, 8), _pillow("WEBP", "RGBA", lossless=True, exact=True), ORIENTATIONS)


def _other_kinds() -> Iterator[tuple[str, _Kind]]:
    """Of formats that know no orientation."""
    upright = (1,)
    yield "gif", (_indexed(8), _pillow("GIF", "P"), upright)
    yield "gif and clear", (_indexed(8, clear=True), _pillow("GIF", "P"), upright)
    for depth in (1, 4, 8):
        yield f"bmp palette {depth}", (_indexed(depth), _bmp(depth), upright)
    yield "bmp colour 15", (_plain(3, 5), _bmp(16), upright)
    yield "bmp colour 24", (_plain(3, 8), _bmp(24), upright)
    yield "bmp colour 32", (_plain(3, 8), _bmp(32), upright)
    yield "pbm", (_plain(1, 1, white_is_zero=True), _pnm(4, 1), upright)
    for depth in (4, 8, 16):
        yield f"pgm {depth}", (_plain(1, depth), _pnm(5, depth), upright)
        yield f"ppm {depth}", (_plain(3, depth), _pnm(6, depth), upright)
    for mode, raw in {"L": _plain(1, 8), "RGB": _plain(3, 8), "LA": _transparent(1, 8), "RGBA": _transparent(3, 8)}.items():
        yield f"jpeg 2000 {mode}", (raw, _pillow("JPEG2000", mode), upright)
    yield "jpeg 2000 16", (_plain(1, 16), _pillow("JPEG2000", "I;16"), upright)


def _rgb(values: Array) -> Array:
    return np.broadcast_to(values.astype(float), (HEIGHT, WIDTH, 3))


def _on_white(colour: Array, alpha: Array) -> Array:
    return _rgb(colour * alpha + 255 * (1 - alpha))


def _plain(channels: int, depth: int, *, clear: bool = False, white_is_zero: bool = False) -> _Make:
    """Whole numbers; with `clear`, one colour is transparent, and is there."""

    def raw(chance: np.random.Generator) -> _Raw:
        top = 2**depth - 1
        samples = chance.integers(0, top + 1, (HEIGHT, WIDTH, channels))
        shown = _rgb(255 * (top - samples if white_is_zero else samples) / top)
        if not clear:
            return _Raw(samples, shown)
        colour = samples[3, 5]
        samples[chance.random((HEIGHT, WIDTH)) < 0.3] = colour
        hidden = (samples == colour).all(axis=2, keepdims=True)
        return _Raw(samples, np.where(hidden, 255.0, _rgb(255 * samples / top)), clear=tuple(map(int, colour)))

    return raw


def _transparent(channels: int, depth: int) -> _Make:
    def raw(chance: np.random.Generator) -> _Raw:
        top = 2**depth - 1
        samples = chance.integers(0, top + 1, (HEIGHT, WIDTH, channels + 1))
        return _Raw(samples, _on_white(255 * samples[..., :-1] / top, samples[..., -1:] / top))

    return raw


def _multiplied(chance: np.random.Generator) -> _Raw:
    """Colours that were multiplied by an alpha of which nothing is lost."""
    alpha = 255 * chance.integers(0, 2, (HEIGHT, WIDTH, 1))
    colour = chance.integers(0, 256, (HEIGHT, WIDTH, 3))
    return _Raw(np.concatenate([colour * (alpha > 0), alpha], axis=2), _on_white(colour, alpha / 255))


def _indexed(depth: int, *, alpha: bool = False, clear: bool = False) -> _Make:
    def raw(chance: np.random.Generator) -> _Raw:
        palette = chance.integers(0, 256, (2**depth, 4))
        if clear:
            palette[:, 3] = 255
            palette[0, 3] = 0
        elif not alpha:
            palette[:, 3] = 255
        samples = chance.integers(0, 2**depth, (HEIGHT, WIDTH, 1))
        samples[0, 0], samples[0, 1] = 0, 2**depth - 1
        colour = palette[samples[..., 0]]
        return _Raw(samples, _on_white(colour[..., :3], colour[..., 3:] / 255), palette, clear=(0,) if clear else ())

    return raw


def _signed(depth: int) -> _Make:
    """From the lowest to the highest number that the depth holds."""

    def raw(chance: np.random.Generator) -> _Raw:
        half = 2 ** (depth - 1)
        samples = chance.integers(-half, half, (HEIGHT, WIDTH, 1))
        samples[0, 0] = -half
        return _Raw(samples, _rgb(255 * (samples + half) / (2 * half - 1)))

    return raw


def _real(chance: np.random.Generator) -> _Raw:
    samples = chance.random((HEIGHT, WIDTH, 1)).astype(np.float32)
    return _Raw(samples, _rgb(255 * samples))


def _ink(depth: int) -> _Make:
    def raw(chance: np.random.Generator) -> _Raw:
        samples = chance.integers(0, 2**depth, (HEIGHT, WIDTH, 4))
        paper = 1 - samples / (2**depth - 1)
        return _Raw(samples, _rgb(255 * paper[..., :3] * paper[..., 3:]))

    return raw


def _blocks(mode: str) -> _Make:
    """Flat blocks of 8 x 8, in colours that JPEG's own (YCbCr, whole numbers) come near to."""

    def raw(chance: np.random.Generator) -> _Raw:
        channels = len(mode)
        many = chance.integers(0, 256, (4000, channels))
        if mode == "RGB":
            many = many[np.abs(_jpeg_colours(many) - many).max(axis=1) < 0.5]
        samples = np.kron(many[:6].reshape(3, 2, channels), np.ones((8, 8, 1), int))
        paper = 1 - samples / 255
        shown = _rgb(255 * paper[..., :3] * paper[..., 3:]) if mode == "CMYK" else _rgb(samples)
        return _Raw(samples, shown)

    return raw


def _jpeg_colours(rgb: Array) -> Array:
    """There and back, by the formulas of JFIF."""
    there = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
    y, blue, red = np.clip(np.rint(rgb @ there.T + (0, 128, 128)), 0, 255).T - [[0], [128], [128]]
    return np.stack([y + 1.402 * red, y - 0.344136 * blue - 0.714136 * red, y + 1.772 * blue], axis=1)


def _rows(stored: Array, depth: int, order: str = ">") -> list[bytes]:
    """The bytes of each row; what is less than a byte deep lies close together."""
    flat = stored.reshape(len(stored), -1)
    if depth >= 8:
        kind = "f" if stored.dtype == np.float32 else "i" if flat.min() < 0 else "u"
        return [row.tobytes() for row in flat.astype(f"{order}{kind}{depth // 8}")]
    bits = flat[..., None] >> np.arange(depth - 1, -1, -1) & 1
    return [np.packbits(row).tobytes() for row in bits.reshape(len(flat), -1)]


def orientation_block(orientation: int) -> bytes:
    """EXIF that says no more than this."""
    return b"II*\0\x08\0\0\0" + struct.pack("<HHHIHHI", 1, 274, 3, 1, orientation, 0, 0)


def _png(depth: int, colour: int) -> _Write:
    def write(raw: _Raw, stored: Array, orientation: int) -> bytes:
        chunks = [png_header(stored.shape[1], stored.shape[0], depth, colour)]
        if raw.palette is not None:
            chunks.append((b"PLTE", raw.palette[:, :3].astype(np.uint8).tobytes()))
            chunks.append((b"tRNS", raw.palette[:, 3].astype(np.uint8).tobytes()))
        if raw.clear:
            chunks.append((b"tRNS", struct.pack(f">{len(raw.clear)}H", *raw.clear)))
        if orientation > 1:
            chunks.append((b"eXIf", orientation_block(orientation)))
        packed = zlib.compress(b"".join(b"\0" + row for row in _rows(stored, depth)))
        return png_chunks(*chunks, (b"IDAT", packed), (b"IEND", b""))

    return write


def tiff(tags: dict[int, tuple[int, ...]], pixels: bytes, order: str = "<") -> bytes:
    """A TIFF with its pixels in one piece, and these tags besides those that say where it is."""
    tags = {**tags, 273: (8,), 279: (len(pixels),)}
    pixels += b"\0" * (len(pixels) % 2)
    fields, after = b"", b""
    after_at = 8 + len(pixels) + 2 + 12 * len(tags) + 4
    for number, values in sorted(tags.items()):
        long = number in (273, 279) or max(values) > 65535
        packed = struct.pack(f"{order}{len(values)}{'I' if long else 'H'}", *values)
        if len(packed) > 4:
            packed, after = struct.pack(f"{order}I", after_at + len(after)), after + packed
        fields += struct.pack(f"{order}HHI", number, 4 if long else 3, len(values)) + packed.ljust(4, b"\0")
    mark = {"<": b"II*\0", ">": b"MM\0*"}[order]
    directory = struct.pack(f"{order}H", len(tags)) + fields + struct.pack(f"{order}I", 0)
    return mark + struct.pack(f"{order}I", 8 + len(pixels)) + pixels + directory + after


def _tiff(depth: int, photometric: int, order: str = "<", extra: dict[int, tuple[int, ...]] | None = None) -> _Write:
    def write(raw: _Raw, stored: Array, orientation: int) -> bytes:
        height, width, channels = stored.shape
        tags = {256: (width,), 257: (height,), 258: (depth,) * channels, 259: (1,), 262: (photometric,), 277: (channels,)}
        tags |= {278: (height,), 274: (orientation,), **(extra or {})}
        if raw.palette is not None:
            tags[320] = tuple(map(int, 257 * raw.palette[:, :3].T.reshape(-1)))
        pixels = b"".join(_rows(stored, depth, order))
        return tiff(tags, zlib.compress(pixels) if tags[259] == (8,) else pixels, order)

    return write


def _bmp(bits: int) -> _Write:
    def write(raw: _Raw, stored: Array, orientation: int) -> bytes:
        if bits == 16:
            rows = [row.tobytes() for row in (stored @ (1 << 10, 1 << 5, 1)).astype("<u2")]
        elif bits > 16:
            mixed = stored[..., ::-1].astype(np.uint8)
            rows = [row.tobytes() for row in np.pad(mixed, ((0, 0), (0, 0), (0, bits // 8 - 3)), constant_values=99)]
        else:
            rows = _rows(stored, bits)
        palette = b"" if raw.palette is None else (raw.palette[:, [2, 1, 0, 3]] & (255, 255, 255, 0)).astype(np.uint8).tobytes()
        pixels = b"".join(row + b"\0" * (-len(row) % 4) for row in reversed(rows))
        start = 54 + len(palette)
        sizes = struct.pack("<IiiHHIIiiII", 40, stored.shape[1], stored.shape[0], 1, bits, 0, len(pixels), 0, 0, 0, 0)
        return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + sizes + palette + pixels

    return write


def _pnm(number: int, depth: int) -> _Write:
    def write(raw: _Raw, stored: Array, orientation: int) -> bytes:
        top = "" if number == 4 else f"\n{2**depth - 1}"
        rows = _rows(stored, depth if number == 4 else max(8, depth))
        return f"P{number}\n{stored.shape[1]} {stored.shape[0]}{top}\n".encode() + b"".join(rows)

    return write


def _pillow(kind: str, mode: str, **options: Any) -> _Write:
    """By Pillow's encoder: for what cannot be written in a few lines."""

    def write(raw: _Raw, stored: Array, orientation: int) -> bytes:
        flat = stored[..., 0] if stored.shape[2] == 1 else stored
        pixels = flat.astype(np.uint16 if mode == "I;16" else np.uint8)
        image = Image.frombytes(mode, pixels.shape[1::-1], pixels.tobytes())
        if raw.palette is not None:
            image.putpalette(raw.palette[:, :3].astype(np.uint8).tobytes())
        turned = {"exif": b"Exif\0\0" + orientation_block(orientation)} if orientation > 1 else {}
        return encoded(image, kind, **options, **turned, **({"transparency": raw.clear[0]} if raw.clear else {}))

    return write
