"""The EfficientNet-Lite architecture (Tan & Le, arXiv:1905.11946; the Lite variant: no squeeze-and-excite, ReLU6).

Layers carry the names that timm gives them. Padding is TensorFlow's "SAME", as the published weights were trained with.
"""

import math
from typing import cast

import torch.nn.functional as F  # noqa: N812 (the field's usual name)
from torch import Tensor, nn

# Width and depth factor of Lite0, Lite1, Lite2.
_SCALES = ((1.0, 1.0), (1.0, 1.1), (1.1, 1.2))
# Kernel, stride, expansion, channels, repeats of each stage, before scaling.
_STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
_STEM = 32
_FEATURES = 1280
# TensorFlow's momentum 0.99 is torch's 0.01.
_BN_EPS = 1e-3
_BN_MOMENTUM = 0.01
_DROPOUT = 0.2


class SameConv2d(nn.Conv2d):
    """A strided convolution with TensorFlow's "SAME" padding: the odd pixel goes to the right and the bottom."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', ceil(H / stride), ceil(W / stride))."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        # Plain arithmetic, so that tracers can follow it; never negative for kernels at least as large as the stride.
        down = ((x.shape[2] + stride - 1) // stride - 1) * stride + kernel - x.shape[2]
        across = ((x.shape[3] + stride - 1) // stride - 1) * stride + kernel - x.shape[3]
        padded = F.pad(x, (across // 2, across - across // 2, down // 2, down - down // 2))
        return F.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class DepthwiseSeparable(nn.Module):
    """The block without expansion of the first stage: depthwise, then pointwise convolution."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv_dw = _convolution(inputs, inputs, kernel, stride, groups=inputs)
        self.bn1 = _norm(inputs)
        self.conv_pw = _convolution(inputs, outputs, 1)
        self.bn2 = _norm(outputs)
        self.act = nn.ReLU6(inplace=True)
        self.skip = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H', W')."""
        y = self.act(self.bn1(self.conv_dw(x)))
        y = cast(Tensor, self.bn2(self.conv_pw(y)))
        return y + x if self.skip else y


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution, projection; with a shortcut where shapes allow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.conv_pw = _convolution(inputs, inner, 1)
        self.bn1 = _norm(inner)
        self.conv_dw = _convolution(inner, inner, kernel, stride, groups=inner)
        self.bn2 = _norm(inner)
        self.conv_pwl = _convolution(inner, outputs, 1)
        self.bn3 = _norm(outputs)
        self.act = nn.ReLU6(inplace=True)
        self.skip = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H', W')."""
        y = self.act(self.bn1(self.conv_pw(x)))
        y = self.act(self.bn2(self.conv_dw(y)))
        y = cast(Tensor, self.bn3(self.conv_pwl(y)))
        return y + x if self.skip else y


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite`number` (0, 1 or 2) with the ImageNet head; random weights.

    Takes (N, 3, H, W), normalised; gives logits (N, classes).
    """

    def __init__(self, number: int, classes: int = 1000) -> None:
        super().__init__()
        width, depth = _SCALES[number]
        self.conv_stem = _convolution(3, _STEM, 3, 2)
        self.bn1 = _norm(_STEM)
        stages, channels = [], _STEM
        for index, (kernel, stride, expansion, base, repeats) in enumerate(_STAGES):
            outputs = _round_channels(base * width)
            # The Lite variant leaves the first and the last stage at their depth.
            count = repeats if index in (0, len(_STAGES) - 1) else math.ceil(repeats * depth)
            stages.append(_stage(channels, outputs, kernel, stride, expansion, count))
            channels = outputs
        self.blocks = nn.Sequential(*stages)
        self.conv_head = _convolution(channels, _FEATURES, 1)
        self.bn2 = _norm(_FEATURES)
        self.act = nn.ReLU6(inplace=True)
        self.global_pool = nn.AdaptiveAvgPool2d(1)
        self.drop = nn.Dropout(_DROPOUT)
        self.classifier = nn.Linear(_FEATURES, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes) of pictures (N, 3, H, W)."""
        x = self.act(self.bn1(self.conv_stem(x)))
        x = self.blocks(x)
        x = self.act(self.bn2(self.conv_head(x)))
        x = self.drop(self.global_pool(x).flatten(1))
        return cast(Tensor, self.classifier(x))


def _stage(inputs: int, outputs: int, kernel: int, stride: int, expansion: int, count: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for index in range(count):
        step, channels = (stride, inputs) if index == 0 else (1, outputs)
        if expansion == 1:
            layers.append(DepthwiseSeparable(channels, outputs, kernel, step))
        else:
            layers.append(InvertedResidual(channels, outputs, kernel, step, expansion))
    return nn.Sequential(*layers)


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    if stride > 1:
        return SameConv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=_BN_EPS, momentum=_BN_MOMENTUM)


def _round_channels(channels: float, divisor: int = 8) -> int:
    """To the nearest multiple of `divisor`, never losing more than a tenth."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded
