"""Every plugin that ships keeps what the plugins' door promises."""

from desktop_ft.api.testing import Check, conformance_tests
from plugins import augmentations, efficientnet_lite, handwritten_digits, onnx_export, torchvision_backbones

QUICK = ("plugin", "augmentation", "backbone efficientnet_lite0", "backbone mobilenet_v3_small")


def slow(check: Check) -> bool:
    return not f"{check.of} ".startswith(tuple(f"{quick} " for quick in QUICK))


test_conforms = conformance_tests(
    augmentations, efficientnet_lite, handwritten_digits, onnx_export, torchvision_backbones, slow=slow
)
