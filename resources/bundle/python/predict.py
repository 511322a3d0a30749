"""Asks model.onnx about pictures: python predict.py PICTURE... Needs numpy, onnxruntime and Pillow (requirements.txt)."""

import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

if len(sys.argv) < 2:
    print("Usage: python predict.py PICTURE...", file=sys.stderr)
    sys.exit(2)

BUNDLE = Path(__file__).resolve().parents[1]
labels = (BUNDLE / "labels.txt").read_text(encoding="utf-8").splitlines()
threshold = float((BUNDLE / "threshold.txt").read_text())
session = onnxruntime.InferenceSession(str(BUNDLE / "model.onnx"), providers=["CPUExecutionProvider"])

failed = False
for name in sys.argv[1:]:
    try:
        picture = ImageOps.exif_transpose(Image.open(name)).convert("RGB")
    except Exception:  # decoders refuse in many ways
        print(f"{name}: there is no picture here that can be read.", file=sys.stderr)
        failed = True
        continue
    # One picture of any size, as rows of pixels: the model resizes, crops and normalises it.
    (probabilities,) = session.run(["probabilities"], {"picture": np.asarray(picture)})
    best = int(probabilities[0].argmax())
    share = float(probabilities[0, best])
    print(f"{labels[best] if share >= threshold else 'do not know'}\t{share:.4f}\t{name}")
sys.exit(1 if failed else 0)
