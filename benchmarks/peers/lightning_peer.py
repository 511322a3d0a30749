"""Lightning's transfer-learning page: frozen features in eval mode, Adam; lasting workers; bf16 for the head alone."""

import logging
import tempfile
import warnings
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from benchmarks.peers.common import BATCH, WORKERS, Clock, job, network, photos

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
asked = job(__doc__)
train, val, classes = photos(asked)


class Net(lightning.LightningModule):  # type: ignore[misc]  # its types are not followed
    """The module of the page."""

    def __init__(self) -> None:
        super().__init__()
        self.net: Any = network(classes, full=asked.full)
        self.right = self.seen = 0

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures (N, 3, S, S) to logits (N, classes)."""
        if asked.full:
            features = self.net.forward_features(pictures)
        else:
            self.net.eval()
            with torch.no_grad():
                features = self.net.forward_features(pictures)
        logits: Tensor = self.net.forward_head(features)
        return logits

    def training_step(self, batch: tuple[Tensor, Tensor], number: int) -> Tensor:
        """The loss of a batch."""
        return cross_entropy(self(batch[0]), batch[1])

    def on_validation_epoch_start(self) -> None:
        """Count anew."""
        self.right = self.seen = 0

    def validation_step(self, batch: tuple[Tensor, Tensor], number: int) -> None:
        """Count right answers."""
        self.right += int((self(batch[0]).argmax(1) == batch[1]).sum())
        self.seen += len(batch[1])

    def on_validation_epoch_end(self) -> None:
        """Tell the accuracy."""
        clock.accuracy.append(self.right / self.seen)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam over what learns."""
        return torch.optim.Adam([p for p in self.parameters() if p.requires_grad], lr=3e-4 if asked.full else 1e-3)


net = Net()
clock = Clock("Lightning")
with tempfile.TemporaryDirectory() as place:
    lightning.Trainer(
        max_epochs=asked.epochs,
        accelerator="cpu",
        precision="32-true" if asked.full else "bf16-mixed",
        logger=False,
        default_root_dir=place,
        enable_progress_bar=False,
        num_sanity_val_steps=0,
        enable_model_summary=False,
    ).fit(
        net,
        DataLoader(train, BATCH, shuffle=True, num_workers=WORKERS, persistent_workers=True),
        DataLoader(val, BATCH, num_workers=WORKERS, persistent_workers=True),
    )
clock.tell()
