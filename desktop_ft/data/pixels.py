"""Whatever a picture file holds becomes upright 8-bit RGB: depth scaled, colours converted, transparency laid on white."""

import functools
import io
import struct

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin

from desktop_ft.core.language import marked

BACKGROUND = (255, 255, 255)
"""What shows through where a picture is transparent."""

_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PHOTOMETRIC, _SAMPLE_FORMAT, _BITS = 262, 339, 258
_WHITE_IS_ZERO, _SIGNED = 0, 2
_GREY_STEPS = {"L;2": 85, "L;4": 17}  # what one level of a PNG of 2 or 4 bits becomes
_ROWS = 64


def to_rgb(image: Image.Image) -> tuple[Image.Image, tuple[tuple[str, str], ...]]:
    """The loaded `image` as upright 8-bit RGB, and what was changed on the way: (kind, sentence) pairs.

    Raises:
        ValueError: floating-point pixels that are not finite.
    """
    notes: list[tuple[str, str]] = []
    turned = _upright(image)
    if is_deep(image):
        notes.append(("deep", marked("Has more than 8 bits a pixel; scaled to 8 by its depth.")))
        return _deep_to_rgb(image, turned), tuple(notes)
    if image.mode == "CMYK":
        notes.append(("cmyk", marked("Has printing colours (CMYK); turned into RGB.")))
    icc = image.info.get("icc_profile")
    if image.has_transparency_data:
        rgba = turned if turned.mode == "RGBA" else turned.convert("RGBA")
        alpha = rgba.getchannel("A")
        opaque = _coloured(rgba.convert("RGB"), icc)
        if alpha.getextrema() != (255, 255):
            notes.append(("transparent", marked("Is partly transparent; laid on white.")))
            laid = Image.new("RGB", opaque.size, BACKGROUND)
            laid.paste(opaque, mask=alpha)
            opaque = laid
        return opaque, tuple(notes)
    return _coloured(turned, icc), tuple(notes)


def match_transparency(image: Image.Image) -> None:
    """Bring the colour that a PNG calls transparent to 8 bits, as Pillow brings its pixels: it leaves the colour as it stands.

    To be called before `image` is loaded; afterwards Pillow no longer tells the depth of the file.
    """
    clear = image.info.get("transparency")
    stored = image.tile[0].args if isinstance(image, PngImagePlugin.PngImageFile) and image.tile else None
    if isinstance(clear, int) and stored in _GREY_STEPS:
        image.info["transparency"] = clear * _GREY_STEPS[stored]
    elif isinstance(clear, tuple) and stored == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in clear)


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none or it makes no sense."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except (SyntaxError, ValueError, TypeError, KeyError, OSError, struct.error):
        return 1  # a broken EXIF block says nothing about the pixels
    return value if value in _TURNS else 1


def is_deep(image: Image.Image) -> bool:
    """Whether the pixels of `image` have 16 or 32 bits in one channel."""
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


def _upright(image: Image.Image) -> Image.Image:
    turn = _TURNS.get(orientation(image))
    return image if turn is None else image.transpose(turn)


def _coloured(image: Image.Image, icc: object) -> Image.Image:
    """RGB of an opaque image; through its colour profile where it carries a usable one that is not sRGB already."""
    if image.mode in ("P", "PA", "1"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    transform = _transform(icc, image.mode) if isinstance(icc, bytes) and icc else None
    if transform is not None:
        converted = ImageCms.applyTransform(image, transform)
        if converted is not None:
            return converted
    return image if image.mode == "RGB" else image.convert("RGB")


@functools.lru_cache(maxsize=16)
def _transform(icc: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From the profile `icc` to sRGB; None where that changes nothing or the profile does not fit the pixels."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        if mode == "RGB" and "sRGB" in ImageCms.getProfileDescription(profile):
            return None
        return ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None  # a damaged profile: every viewer falls back to the plain numbers, and so do we


def _deep_to_rgb(image: Image.Image, turned: Image.Image) -> Image.Image:
    values = np.asarray(turned)
    if image.mode == "I" and _tag(image, _BITS) == 32 and _tag(image, _SAMPLE_FORMAT) != _SIGNED:
        values = values.view(np.uint32)  # Pillow knows no unsigned numbers of 32 bits: it reads them as signed ones
    grey = _scaled(values, image)
    clear = image.info.get("transparency")
    if isinstance(clear, int) and image.mode.startswith("I;16"):
        grey = np.where(values == clear, np.uint8(255), grey)
    return Image.fromarray(grey).convert("RGB")


def _scaled(values: np.ndarray, image: Image.Image) -> np.ndarray:
    """`values` (H, W) of any depth as uint8, linearly over what the depth can hold: nothing is clipped."""
    low, high = _span(values, image)
    inverted = _tag(image, _PHOTOMETRIC) == _WHITE_IS_ZERO
    grey = np.empty(values.shape, np.uint8)
    for start in range(0, len(values), _ROWS):  # in double precision the whole of a large picture would fill the memory
        share = (values[start : start + _ROWS].astype(np.float64) - low) / (high - low)
        grey[start : start + _ROWS] = np.rint((1.0 - share if inverted else share) * 255.0)
    return grey


def _span(values: np.ndarray, image: Image.Image) -> tuple[float, float]:
    """The values that become black and white.

    Whole numbers: what the depth can hold, from zero; from the lowest where signed numbers really go below zero.
    Floating point has no depth: 0..1, 0..255 or 0..65535, the first that holds all values; else their own range.
    """
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError("it has pixels that are not finite numbers")
    if image.mode == "F":
        holds = (top for top in (1.0, 255.0, 65535.0) if low >= 0 and high <= top)
        return (0.0, top) if (top := next(holds, None)) else (low, high)
    bits = int(_tag(image, _BITS) or (16 if image.mode != "I" or high <= 65535 else 32))
    if _tag(image, _SAMPLE_FORMAT) == _SIGNED:
        return (-(2.0 ** (bits - 1)) if low < 0 else 0.0), 2.0 ** (bits - 1) - 1
    return 0.0, 2.0**bits - 1


def _tag(image: Image.Image, number: int) -> int | None:
    """A TIFF tag's (first) value; None where there is none or the file is no TIFF."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return None
    value = image.tag_v2.get(number)
    first = value[0] if isinstance(value, tuple) and value else value
    return int(first) if isinstance(first, int) else None
