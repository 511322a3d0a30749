"""Hugging Face's Trainer with the arguments of its image-classification guide; batches of 32; bf16 for the head alone."""

import tempfile
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import Trainer, TrainerCallback, TrainingArguments

from benchmarks.peers.common import BATCH, WORKERS, Clock, job, network, photos

asked = job(__doc__)
train, val, classes = photos(asked)


class Wrapped(nn.Module):
    """The network as the Trainer wants it: loss and logits by name."""

    def __init__(self) -> None:
        super().__init__()
        self.body = network(classes, full=asked.full)

    def forward(self, pixel_values: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Pictures (N, 3, S, S) and labels (N,) to loss and logits."""
        logits = self.body(pixel_values)
        return {"loss": cross_entropy(logits, labels), "logits": logits}


class Curve(TrainerCallback):  # type: ignore[misc]  # its types are not followed
    """Hears of every evaluation."""

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **more: Any) -> None:
        """Tell the accuracy."""
        clock.accuracy.append(float(metrics["eval_accuracy"]))


def collate(rows: list[tuple[Tensor, int]]) -> dict[str, Tensor]:
    """A batch by name."""
    return {"pixel_values": torch.stack([row for row, _ in rows]), "labels": torch.tensor([label for _, label in rows])}


wrapped = Wrapped()
clock = Clock("Hugging Face Trainer")
with tempfile.TemporaryDirectory() as place:
    Trainer(
        model=wrapped,
        args=TrainingArguments(
            place,
            remove_unused_columns=False,
            eval_strategy="epoch",
            save_strategy="epoch",
            report_to=[],
            learning_rate=1e-3,
            per_device_train_batch_size=BATCH,
            per_device_eval_batch_size=BATCH,
            num_train_epochs=asked.epochs,
            warmup_steps=0.1,
            dataloader_num_workers=WORKERS,
            dataloader_pin_memory=False,
            bf16=not asked.full,
            use_cpu=True,
            seed=asked.seed,
            disable_tqdm=True,
            load_best_model_at_end=True,
            metric_for_best_model="accuracy",
        ),
        train_dataset=train,
        eval_dataset=val,
        data_collator=collate,
        compute_metrics=lambda told: {"accuracy": (told.predictions.argmax(1) == told.label_ids).mean()},
        callbacks=[Curve()],
    ).train()
clock.tell()
