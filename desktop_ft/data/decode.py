"""Picture files become pixels: the one place where training, preview, evaluation and prediction decode.

numpy and Pillow only. Every function may be called from several threads at once.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import BinaryIO

import numpy as np
import PIL
from PIL import Image, UnidentifiedImageError, features

from desktop_ft.core.backbone import Interpolation, ResizeRule
from desktop_ft.core.language import marked
from desktop_ft.data import pixels
from desktop_ft.data.files import Source, picture_format, what_else
from desktop_ft.data.picture_file import UnreadablePicture, open_picture

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "JPEG2000", "PPM")
"""The only decoders that a dataset's files ever reach (JPEG takes in the MPO of phones)."""

VERSION = 2
"""Counts up when any picture comes out with other pixels than before: what was computed from them then counts no more."""

IDENTITY = f"{VERSION} pillow {PIL.__version__} jpeg {features.version('jpg')} zlib {features.version('zlib')}"
"""All that decides pixels besides the file and the rule."""

PIXEL_LIMIT = 100_000_000
BYTE_LIMIT = 1 << 30
_AGAIN = marked("Copy it again, or remove it.")
LONGEST = 8
"""A picture this many times as long as it is wide is resized whole; of a longer one the middle is taken."""

_DRAFT = 2.0  # a JPEG is at least decoded this much larger than asked: below, its own downscaling shows (see the tests)
_FILTERS = {Interpolation.BILINEAR: Image.Resampling.BILINEAR, Interpolation.BICUBIC: Image.Resampling.BICUBIC}

# Pillow's own guard stands behind ours: it also looks at frames and tiles that open later.
Image.MAX_IMAGE_PIXELS = PIXEL_LIMIT
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What decoding a whole picture tells: upright size in pixels, file format, frames, and notes as (kind, sentence) pairs.

    The sentences are in English, to be looked up, and have a place for the `frames`.
    """

    width: int
    height: int
    format: str
    frames: int
    notes: tuple[tuple[str, str], ...]


def load(
    path: Source,
    shorter_side: int | None = None,
    interpolation: Interpolation = Interpolation.BILINEAR,
    *,
    draft: bool = True,
) -> np.ndarray:
    """The picture at `path` as uint8 (H, W, 3): upright, sRGB, its first frame, transparency laid on white.

    16-bit, 32-bit and floating-point pixels are scaled by their depth.

    Args:
        shorter_side: resize (antialiased) so that the shorter side has this many pixels. Of a picture more than
            `LONGEST` times as long as wide only the middle is kept then, so that a strip cannot fill the memory.
        draft: let the JPEG decoder shrink a large picture first, which is much faster; without, every pixel is resized.

    Raises:
        UnreadablePicture: there is no picture in it, or it is larger than `PIXEL_LIMIT`.
    """
    with open_picture(path) as file, _decoding(file):
        image = _open(file)
        if shorter_side is None:
            image.load()
            return np.array(pixels.to_rgb(image)[0])
        longer_side = shorter_side * max(image.size) // min(image.size)  # asked before a draft rounds the size
        if draft:
            _draft(image, shorter_side)
        image.load()
        return np.array(_resized(pixels.to_rgb(image)[0], (shorter_side, longer_side), _FILTERS[interpolation]))


def network_input(path: Source, rule: ResizeRule, *, draft: bool = True) -> np.ndarray:
    """The picture at `path` as the network sees it: uint8 (crop, crop, 3). `draft`: as `load`.

    Raises:
        UnreadablePicture: as `load`.
    """
    return crop_middle(load(path, shorter_side(rule), rule.interpolation, draft=draft), rule.crop)


def shorter_side(rule: ResizeRule) -> int:
    """The shorter side that pictures are resized to: the rule's, but never less than its crop."""
    return max(rule.resize, rule.crop)


def crop_middle(picture: np.ndarray, size: int) -> np.ndarray:
    """The middle `size` x `size` of `picture` (H, W, 3), whose sides must be at least that; rounds as torchvision does."""
    height, width = picture.shape[:2]
    if min(height, width) < size:
        raise ValueError(f"a picture of {width} x {height} has no middle of {size} x {size}")
    top, left = round((height - size) / 2), round((width - size) / 2)
    return picture[top : top + size, left : left + size]


def examine(file: BinaryIO) -> Facts:
    """Decode the open `file` in full, at full size, and say what it is.

    Raises:
        UnreadablePicture: as `load`.
    """
    with _decoding(file):
        image = _open(file)
        image.load()
        rgb, notes = pixels.to_rgb(image)
        frames = _frames(image)
        if frames > 1:
            pages = marked("Has {frames} pages; 1 of {frames} used, the first.")
            notes += (
                ("animated", pages if image.format == "TIFF" else marked("Has {frames} frames; 1 of {frames} used, the first.")),
            )
        return Facts(width=rgb.width, height=rgb.height, format=image.format or "", frames=frames, notes=notes)


@contextmanager
def _decoding(file: BinaryIO) -> Iterator[None]:
    """Whatever a decoder raises, in words. Decoders raise nearly anything on bad bytes, so nearly anything is caught."""
    try:
        yield
    except UnreadablePicture:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(marked("Would have more pixels than the limit of 100 million.")) from error
    except MemoryError as error:
        raise _too_large(marked("Needs more memory than a picture may take.")) from error
    except UnidentifiedImageError as error:
        raise _unidentified(file) from error
    except Exception as error:
        raise _broken(error) from error


def _open(file: BinaryIO) -> Image.Image:
    """The header of the picture in `file`, checked; pixels are not decoded yet."""
    size = file.seek(0, 2)
    file.seek(0)
    if size == 0:
        raise UnreadablePicture("empty", marked("Is empty (0 bytes)."), _AGAIN)
    if size > BYTE_LIMIT:
        raise _too_large(
            marked("The file has {size:.1f} GB; the limit is {limit:.1f}."), {"size": size / 1e9, "limit": BYTE_LIMIT / 1e9}
        )
    image = Image.open(file, formats=FORMATS)
    if min(image.size) < 1:
        raise UnreadablePicture("broken", marked("Has no pixels."), marked("Remove it."))
    if image.width * image.height > PIXEL_LIMIT:
        raise _too_large(
            marked("Has {width} x {height} pixels, more than the limit of 100 million."),
            {"width": image.width, "height": image.height},
        )
    pixels.match_transparency(image)
    return image


def _draft(image: Image.Image, side: int) -> None:
    """Let the JPEG decoder itself shrink by 2, 4 or 8, down to no less than `_DRAFT` times what is wanted."""
    scale = side * _DRAFT / min(image.size)
    if scale < 1:
        image.draft(None, (round(image.width * scale), round(image.height * scale)))


def _resized(image: Image.Image, sides: tuple[int, int], how: Image.Resampling) -> Image.Image:
    """Resized to these shorter and longer sides, a strip only after its middle was taken."""
    side, longer = sides
    if longer > LONGEST * side:
        longer = LONGEST * side
        width, height = (min(edge, LONGEST * min(image.size)) for edge in image.size)
        left, top = (image.width - width) // 2, (image.height - height) // 2
        image = image.crop((left, top, left + width, top + height))
    aim = (longer, side) if image.width >= image.height else (side, longer)
    return image if aim == image.size else image.resize(aim, how)


def _frames(image: Image.Image) -> int:
    """How many frames or pages there are; 1 where the later ones cannot be counted: only the first is used anyway."""
    if image.format in ("JPEG", "MPO"):
        return 1  # a phone's second picture (depth, preview) is no animation
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:
        return 1


def _too_large(said: str, values: Mapping[str, float] = MappingProxyType({})) -> UnreadablePicture:
    return UnreadablePicture("too-large", said, marked("Save it smaller, or remove it."), values)


def _unidentified(file: BinaryIO) -> UnreadablePicture:
    name = picture_format(file)
    if name == "AVIF":
        return UnreadablePicture("broken", marked("Starts like an AVIF picture, but cannot be read."), _AGAIN)
    if name:
        return UnreadablePicture("broken", marked("Starts like a {name} picture, but cannot be read."), _AGAIN, {"name": name})
    return UnreadablePicture("not-an-image", *what_else(file))


def _broken(error: Exception) -> UnreadablePicture:
    words = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
    cure = marked("Copy it again from where it came from, or remove it.")
    if isinstance(error, EOFError) or "truncated" in words.lower():
        return UnreadablePicture("truncated", marked("Is cut off: part of the picture is missing."), cure)
    return UnreadablePicture("broken", marked("Cannot be decoded: {error}."), cure, {"error": words})
