"""The network: two convolutions and a classifier, with random weights."""

from torch import Tensor, nn

WIDTH = 32
CLASSES = 10


class SmallNet(nn.Module):
    """A few thousand parameters. `head` is the layer that Desktop FT replaces for a person's classes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, WIDTH // 2, kernel_size=3, stride=2, padding=1, bias=False), nn.BatchNorm2d(WIDTH // 2), nn.ReLU()
        )
        self.body = nn.Sequential(
            nn.Conv2d(WIDTH // 2, WIDTH, kernel_size=3, stride=2, padding=1, bias=False), nn.BatchNorm2d(WIDTH), nn.ReLU()
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits (N, classes) of `pictures`, float (N, 3, H, W), normalised by the spec's mean and std."""
        features = self.pool(self.body(self.stem(pictures))).flatten(1)
        logits: Tensor = self.head(features)
        return logits
