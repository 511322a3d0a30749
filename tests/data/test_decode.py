"""What every consumer of pixels sees, compared with reference pixels."""

import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from desktop_ft.core.backbone import Interpolation, ResizeRule
from desktop_ft.data import decode
from tests.pictures import HOSTILE, encoded, photo, png_chunks, png_header, write
from tests.reliability.known_pixels import tiff

RULE = ResizeRule(crop=32, resize=36, interpolation=Interpolation.BILINEAR)
UNTURN = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: p.transpose(1, 0, 2)[::-1],
    7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
    8: lambda p: p.transpose(1, 0, 2)[:, ::-1],
}


def off(got: np.ndarray, wanted: np.ndarray) -> int:
    """The largest difference in levels."""
    assert got.shape == wanted.shape
    return int(np.abs(got.astype(int) - wanted.astype(int)).max())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_out_upright(tmp_path: Path, kind: str, orientation: int) -> None:
    upright = photo(5)
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossless: dict[str, dict[str, Any]] = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}
    options = lossless.get(kind, {})
    stored = np.ascontiguousarray(UNTURN[orientation](upright))
    path = write(tmp_path / "x", encoded(stored, kind, exif=exif, **options))
    assert off(decode.load(path), upright) <= (4 if kind == "JPEG" else 0)
    assert decode.load(path, 15).shape == (15, 20, 3)
    with path.open("rb") as file:
        facts = decode.examine(file)
    assert (facts.width, facts.height) == (40, 30)


def modes() -> dict[str, tuple[bytes, np.ndarray]]:
    """Name to file and the RGB it must give."""
    rgb = photo(6)
    image = Image.fromarray(rgb)
    grey = image.convert("L")
    grey_rgb = np.asarray(grey.convert("RGB"))
    alpha = np.linspace(0, 255, 40 * 30).reshape(30, 40).astype(np.uint8)
    share = alpha[..., None] / 255

    def on_white(picture: np.ndarray) -> np.ndarray:
        return np.rint(picture * share + 255 * (1 - share))

    rgba = Image.fromarray(np.dstack([rgb, alpha]))
    la = Image.merge("LA", (grey, Image.fromarray(alpha)))
    palette = image.quantize(32)
    bits = grey.convert("1")
    clear = np.array([[[9, 9, 9], [200, 10, 30]]], np.uint8)
    white = np.array([[[255, 255, 255], [200, 10, 30]]])
    clear_grey = np.array([[9, 200]], np.uint8)
    cmyk = image.convert("CMYK")
    return {
        "L": (encoded(grey), grey_rgb),
        "LA": (encoded(la), on_white(grey_rgb)),
        "RGBA": (encoded(rgba), on_white(rgb)),
        "RGBA tiff": (encoded(rgba, "TIFF"), on_white(rgb)),
        "RGBA webp": (encoded(rgba, "WEBP", lossless=True, exact=True), on_white(rgb)),
        "P": (encoded(palette), np.asarray(palette.convert("RGB"))),
        "P gif": (encoded(palette, "GIF"), np.asarray(palette.convert("RGB"))),
        "P tRNS": (
            encoded(Image.fromarray(clear).quantize(2), transparency=Image.fromarray(clear).quantize(2).getpixel((0, 0))),
            white,
        ),
        "RGB tRNS": (encoded(clear, transparency=(9, 9, 9)), white),
        "L tRNS, 2 bits": (
            png_chunks(png_header(4, 1, 2, 0), (b"tRNS", b"\0\1"), (b"IDAT", zlib.compress(b"\0\x1b")), (b"IEND", b"")),
            np.repeat([[[0], [255], [170], [255]]], 3, axis=2),
        ),
        "L tRNS": (encoded(clear_grey, transparency=9), np.array([[[255] * 3, [200] * 3]])),
        "1": (encoded(bits), np.asarray(bits.convert("RGB"))),
        "1 tiff": (encoded(bits, "TIFF"), np.asarray(bits.convert("RGB"))),
        "CMYK": (encoded(cmyk, "TIFF"), np.asarray(cmyk.convert("RGB"))),
        "ppm": (encoded(image, "PPM"), rgb),
        "bmp": (encoded(image, "BMP"), rgb),
        "jpeg 2000": (encoded(image, "JPEG2000"), rgb),
    }


@pytest.mark.parametrize("name", list(modes()))
def test_every_mode_gives_its_reference_pixels(tmp_path: Path, name: str) -> None:
    content, wanted = modes()[name]
    assert off(decode.load(write(tmp_path / "x", content)), wanted) <= 1


def deep() -> dict[str, tuple[bytes, np.ndarray]]:
    """Ramps of more than 8 bits: name to file and the grey that they must give."""
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    wanted = ramp / 257
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in np.repeat(ramp[:, :, None], 3, axis=2))
    return {
        "png 16": (encoded(ramp), wanted),
        "tiff 16": (encoded(ramp, "TIFF"), wanted),
        "png 16 rgb": (png_chunks(png_header(256, 256, 16), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")), wanted),
        "pgm 16": (b"P5 256 256 65535\n" + ramp.astype(">u2").tobytes(), wanted),
        "tiff 32": (encoded((ramp.astype(np.int64) * 32768).astype(np.int32), "TIFF"), wanted),
        "tiff 32 unsigned": (_unsigned(ramp), wanted),
        "tiff float 0..1": (encoded((ramp / 65535).astype(np.float32), "TIFF"), wanted),
        "tiff float 0..65535": (encoded(ramp.astype(np.float32), "TIFF"), wanted),
        "tiff float, below zero": (encoded((ramp / 65535 * 4 - 2).astype(np.float32), "TIFF"), wanted),
    }


def _unsigned(ramp: np.ndarray) -> bytes:
    tags = {256: (256,), 257: (256,), 258: (32,), 259: (1,), 262: (1,), 277: (1,), 278: (256,)}
    return tiff(tags, (ramp.astype("<u4") * 65537).tobytes())


@pytest.mark.parametrize("name", list(deep()))
def test_deep_pixels_are_scaled_and_never_clipped(tmp_path: Path, name: str) -> None:
    content, wanted = deep()[name]
    got = decode.load(write(tmp_path / "x", content))
    assert np.abs(got - wanted[..., None]).max() <= 1
    assert len(np.unique(got)) == 256


def test_an_embedded_colour_profile_is_applied(tmp_path: Path) -> None:
    grey = Image.new("L", (4, 4), 128)
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    plain = decode.load(write(tmp_path / "plain", encoded(grey)))
    unfit = decode.load(write(tmp_path / "unfit", encoded(grey, icc_profile=lab.tobytes())))
    same = decode.load(write(tmp_path / "same", encoded(photo(), icc_profile=srgb.tobytes())))
    assert (plain == 128).all()
    assert (unfit == plain).all()
    assert (same == photo()).all()
    swapped = _swapped_primaries(srgb.tobytes())
    red = np.full((4, 4, 3), (255, 0, 0), np.uint8)
    turned = decode.load(write(tmp_path / "turned", encoded(red, icc_profile=swapped)))
    assert (turned[0, 0] > (-1, 200, -1)).all()
    assert turned[0, 0, 0] < 60


def _swapped_primaries(profile: bytes) -> bytes:
    """An sRGB profile whose red is green and green red, and that does not call itself sRGB."""
    data = bytearray(
        profile.replace(b"s\0R\0G\0B", b"o\0d\0d\0!")
        .replace(b"\0s\0R\0G\0B", b"\0o\0d\0d\0!")
        .replace(b"sRGB built-in", b"odd! built-in")
    )
    count = struct.unpack(">I", data[128:132])[0]
    where = {bytes(data[132 + 12 * i : 136 + 12 * i]): 136 + 12 * i for i in range(count)}
    red, green = where[b"rXYZ"], where[b"gXYZ"]
    data[red : red + 8], data[green : green + 8] = data[green : green + 8], data[red : red + 8]
    return bytes(data)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_an_animation_gives_its_first_frame_and_says_so(tmp_path: Path, kind: str) -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "lime", "blue")]
    options: dict[str, Any] = {"WEBP": {"lossless": True}}.get(kind, {})
    path = write(tmp_path / "x", encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options))
    assert off(decode.load(path), np.full((20, 20, 3), (255, 0, 0))) <= 1
    with path.open("rb") as file:
        facts = decode.examine(file)
    assert facts.frames == 3
    assert [note for note, _ in facts.notes] == ["animated"]
    assert "1 of 3 used" in facts.notes[0][1].format(frames=facts.frames)


@pytest.mark.parametrize("width, height", [(8, 8), (1, 1), (10_000, 1), (1, 10_000), (3, 500), (41, 29)])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_odd_sizes_become_the_network_input(tmp_path: Path, width: int, height: int, mode: str) -> None:
    path = write(tmp_path / "x.png", encoded(Image.new(mode, (width, height), 77 if mode == "L" else (77, 77, 77))))
    got = decode.network_input(path, RULE)
    assert got.shape == (32, 32, 3)
    assert (got == 77).all()
    assert max(decode.load(path, 256).shape) <= 256 * decode.LONGEST


def test_a_rule_that_resizes_to_less_than_its_crop_still_fills_the_crop(tmp_path: Path) -> None:
    path = write(tmp_path / "x.png", encoded(photo()))
    rule = ResizeRule(crop=32, resize=20, interpolation=Interpolation.BICUBIC)
    assert decode.network_input(path, rule).shape == (32, 32, 3)


def test_the_middle_is_the_middle() -> None:
    picture = np.arange(7 * 5 * 3, dtype=np.uint8).reshape(7, 5, 3)
    assert (decode.crop_middle(picture, 3) == picture[2:5, 1:4]).all()
    with pytest.raises(ValueError, match="no middle"):
        decode.crop_middle(picture, 6)


def test_a_jpeg_shrunk_by_its_decoder_is_near_the_full_decode(tmp_path: Path) -> None:
    large = np.asarray(Image.fromarray(photo(8)).resize((1203, 901), Image.Resampling.BICUBIC))
    path = write(tmp_path / "x.jpg", encoded(large, "JPEG", quality=92))
    full = Image.fromarray(decode.load(path)).resize((int(128 * 1203 / 901), 128), Image.Resampling.BILINEAR)
    assert off(decode.load(path, 128), np.asarray(full)) <= 3


@pytest.mark.parametrize("name", list(HOSTILE))
def test_what_is_no_picture_is_named_and_explained(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, HOSTILE[name]())
    with pytest.raises(decode.UnreadablePicture) as caught:
        decode.load(path)
    error = caught.value
    assert error.kind in {"empty", "not-an-image", "truncated", "broken", "too-large"}
    assert error.reason.endswith(".") and error.cure.endswith(".")


def test_a_pipe_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.png")
    with pytest.raises(decode.UnreadablePicture, match="pipe"):
        decode.load(tmp_path / "x.png")


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(decode.UnreadablePicture) as caught:
        decode.load(tmp_path / "x.png")
    assert caught.value.kind == "missing"
