"""Every plugin that ships keeps what the plugins' door promises."""

from desktop_ft.api.testing import Check, conformance_tests
from plugins import (
    augmentations,
    csv_sink,
    efficientnet_lite,
    handwritten_digits,
    onnx_export,
    tensorboard_sink,
    torchvision_backbones,
)
from tests.models.test_cutting import families

QUICK = ("plugin", "event sink csv", "augmentation", "backbone efficientnet_lite0", "backbone mobilenet_v3_small")
SMALLEST = {f"backbone {backbone.spec.name}" for backbone in families()}


def slow(check: Check) -> bool:
    return not f"{check.of} ".startswith(tuple(f"{quick} " for quick in QUICK))


def asked(check: Check) -> bool:
    """Of each backbone whether its facts are true; of the smallest of each family everything. (Of all, it takes five hours.)"""
    if check.name == "takes its weights" and "efficientnet_lite" not in check.of:
        return False  # they are to be downloaded
    return not check.of.startswith("backbone") or check.of in SMALLEST or check.name == "states true facts"


test_conforms = conformance_tests(
    augmentations,
    csv_sink,
    efficientnet_lite,
    handwritten_digits,
    onnx_export,
    tensorboard_sink,
    torchvision_backbones,
    asked=asked,
    slow=slow,
)
