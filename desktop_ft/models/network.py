"""A backbone together with the normalisation of its input: pictures in, logits out."""

from typing import cast

import torch
from torch import Tensor, fx, nn


class Network(nn.Module):
    """Normalises pictures and hands them to the backbone.

    Attributes:
        backbone: the network with its new head; layer paths are relative to it.
        head_path: path of the head inside `backbone`.
        mean, std: of the channels, (1, 3, 1, 1), on pixels scaled to 0..1.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, backbone: nn.Module, head_path: str, mean: tuple[float, float, float], std: tuple[float, float, float]
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head_path = head_path
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits (N, classes) of `pictures` (N, 3, S, S): RGB, uint8 0..255 or float 0..1."""
        return cast(Tensor, self.backbone(_normalised(pictures, self.mean, self.std)))


@fx.wrap
def _normalised(pictures: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """One step to whoever traces the network: what it does depends on the pictures' type."""
    if not pictures.is_floating_point():
        pictures = pictures.to(mean.dtype) / 255
    return (pictures - mean) / std
