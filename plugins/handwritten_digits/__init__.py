"""The sample that ships: 1,797 real handwritten digits, 8 x 8 grey pixels, from scikit-learn (UCI Optical Recognition set)."""

from collections.abc import Callable
from pathlib import Path

from desktop_ft.api import SampleDataset, hookimpl

DESKTOP_FT_API = ">=1,<2"


@hookimpl
def register_sample_datasets(register: Callable[[SampleDataset], None]) -> None:
    """Bring the digits."""
    register(
        SampleDataset(
            name="digits",
            title="Handwritten digits",
            description="1,797 small grey pictures of the digits 0 to 9, written by 43 people.",
            licence="CC-BY-4.0 (E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits, UCI repository)",
            write=write_digits,
        )
    )


def write_digits(folder: Path) -> None:
    """Write the digits as PNG files into one folder a class, `0` to `9`."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    grey = np.round(digits.images * (255 / 16)).astype(np.uint8)
    for label in range(10):
        (folder / str(label)).mkdir()
    for number, (pixels, label) in enumerate(zip(grey, digits.target, strict=True)):
        Image.fromarray(pixels).save(folder / str(label) / f"{number:04d}.png")
