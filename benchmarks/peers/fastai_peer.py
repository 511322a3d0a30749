"""fastai's vision_learner, frozen or fine-tuned as its guide does, with batches of 32, and bf16 for the head alone."""

import tempfile
from pathlib import Path
from typing import Any

from fastai.vision.all import Callback, ImageDataLoaders, Resize, accuracy, aug_transforms, torch, vision_learner

from benchmarks.peers.common import BATCH, SIZE, Clock, job, weights_file

asked = job(__doc__)


class Curve(Callback):  # type: ignore[misc]  # fastai brings no types
    """Hears of every epoch."""

    order = 60

    def after_epoch(self) -> None:
        """Tell the accuracy."""
        clock.accuracy.append(float(self.learn.recorder.values[-1][-1]))


class Bf16(Callback):  # type: ignore[misc]  # fastai brings no types
    """fastai's own bf16 wants a GPU; this is the same on the CPU."""

    def before_batch(self) -> None:
        """Enter."""
        self.context: Any = torch.autocast("cpu", torch.bfloat16)
        self.context.__enter__()

    def after_pred(self) -> None:
        """Leave."""
        self.context.__exit__(None, None, None)
        self.learn.pred = self.learn.pred.float()


with tempfile.TemporaryDirectory() as place:
    weights = weights_file(Path(place))
    loaders = ImageDataLoaders.from_folder(
        asked.data,
        train="train",
        valid="val",
        item_tfms=Resize(SIZE),
        batch_tfms=aug_transforms() if asked.augmented else None,
        bs=BATCH,
        device="cpu",
    )
    learner = vision_learner(
        loaders,
        "tf_efficientnet_lite0",
        metrics=accuracy,
        pretrained=True,
        pretrained_cfg_overlay={"file": str(weights)},
        cbs=[Curve()] if asked.full else [Curve(), Bf16()],
        path=place,
    )
    clock = Clock("fastai")
    with learner.no_bar(), learner.no_logging():
        if asked.full:
            learner.fine_tune(asked.epochs - 1, freeze_epochs=1)
        else:
            learner.freeze()
            learner.fit_one_cycle(asked.epochs, 3e-3)
    clock.tell()
