"""Asks model.onnx about pictures: python predict.py PICTURE... Needs numpy, onnxruntime and Pillow (requirements.txt)."""

import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

for stream in (sys.stdout, sys.stderr):  # systems write names otherwise, or not at all, where they are not told
    stream.reconfigure(encoding="utf-8", errors="surrogateescape")
if len(sys.argv) < 2:
    print("Usage: python predict.py PICTURE...", file=sys.stderr)
    sys.exit(2)

BUNDLE = Path(__file__).resolve().parents[1]
labels = (BUNDLE / "labels.txt").read_text(encoding="utf-8").splitlines()
threshold = float((BUNDLE / "threshold.txt").read_text())
session = onnxruntime.InferenceSession(str(BUNDLE / "model.onnx"), providers=["CPUExecutionProvider"])


def pixels(name):
    """The picture as rows of red, green and blue, upright and on white. Grey of 16 bits becomes 8; what is deeper is refused."""
    picture = Image.open(name)
    upright = ImageOps.exif_transpose(picture)
    if picture.mode not in ("I", "F") and not picture.mode.startswith("I;16"):
        if not upright.has_transparency_data:
            return np.asarray(upright.convert("RGB"))
        clear = upright.convert("RGBA")
        white = Image.new("RGB", clear.size, "white")
        white.paste(clear, mask=clear.getchannel("A"))
        return np.asarray(white)
    values, tiff = np.asarray(upright), getattr(picture, "tag_v2", None)
    deeper = picture.mode == "F" or values.max() > 65535
    if deeper or (tiff and (picture.mode == "I" or tiff.get(258) != (16,))):  # signed, or not of 16 bits
        raise ValueError("pixels of this depth are not known here")
    grey = np.rint(values / 257).astype(np.uint8)
    if tiff and tiff.get(262) == 0:  # white is 0
        grey = 255 - grey
    if isinstance(picture.info.get("transparency"), int):
        grey[values == picture.info["transparency"]] = 255
    return np.repeat(grey[:, :, np.newaxis], 3, axis=2)


failed = False
for name in sys.argv[1:]:
    try:
        picture = pixels(name)
    except Exception:  # decoders refuse in many ways
        print(f"{name}: there is no picture here that can be read.", file=sys.stderr)
        failed = True
        continue
    # One picture of any size, as rows of pixels: the model resizes, crops and normalises it.
    (probabilities,) = session.run(["probabilities"], {"picture": picture})
    best = int(probabilities[0].argmax())
    share = float(probabilities[0, best])
    print(f"{labels[best] if share >= threshold else 'do not know'}\t{share:.4f}\t{name}")
sys.exit(1 if failed else 0)
