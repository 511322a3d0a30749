"""Tiny networks for the tests of exporting."""

import torch
from torch import Tensor, nn


class Tiny(nn.Module):
    """A few convolutions on 32 x 32 pictures, normalisation inside; `classes` logits."""

    def __init__(self, classes: int = 3, dropout: float = 0.0) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=2)
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(8, classes)

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits (N, classes) of `pictures` float (N, 3, 32, 32) in 0..1."""
        hidden = self.norm(self.first((pictures - 0.5) / 0.25)).relu()
        logits: Tensor = self.head(self.drop(self.second(hidden).relu().mean((2, 3))))
        return logits


def trained(classes: int = 3, dropout: float = 0.0) -> Tiny:
    """A network whose weights and BatchNorm statistics are not those of a fresh one, in eval mode."""
    torch.manual_seed(0)
    model = Tiny(classes, dropout)
    with torch.no_grad():
        model.head.weight.mul_(5)
        model.norm.running_mean.uniform_(-1, 1)
        model.norm.running_var.uniform_(0.5, 2)
    return model.eval()
