"""PyTorch's transfer-learning tutorial, with batches of 32, channels last and workers; bf16 for the head, else fp32."""

import tempfile
from pathlib import Path

import torch
from torch import nn, optim
from torch.utils.data import DataLoader

from benchmarks.peers.common import BATCH, WORKERS, Clock, job, network, photos

asked = job(__doc__)
train, val, classes = photos(asked)
loaders = {
    "train": DataLoader(train, BATCH, shuffle=True, num_workers=WORKERS),
    "val": DataLoader(val, BATCH, num_workers=WORKERS),
}
model = network(classes, full=asked.full).to(memory_format=torch.channels_last)
clock = Clock("PyTorch tutorial")
criterion = nn.CrossEntropyLoss()
optimizer = optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01, momentum=0.9)
scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=7, gamma=0.1)
with tempfile.TemporaryDirectory() as place:
    for _ in range(asked.epochs):
        for phase, loader in loaders.items():
            model.train(phase == "train")
            right = seen = 0
            for inputs, labels in loader:
                inputs = inputs.contiguous(memory_format=torch.channels_last)
                optimizer.zero_grad()
                with torch.set_grad_enabled(phase == "train"):
                    with torch.autocast("cpu", torch.bfloat16, enabled=not asked.full):
                        outputs = model(inputs)
                        loss = criterion(outputs, labels)
                    if phase == "train":
                        loss.backward()
                        optimizer.step()
                right += int((outputs.argmax(1) == labels).sum())
                seen += len(labels)
            if phase == "train":
                scheduler.step()
                continue
            if not clock.accuracy or right / seen > max(clock.accuracy):
                torch.save(model.state_dict(), Path(place) / "best.pt")
            clock.accuracy.append(right / seen)
clock.tell()
