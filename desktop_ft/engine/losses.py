"""What training makes small."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy


def classification_loss(label_smoothing: float, class_weights: np.ndarray | None = None) -> Callable[[Tensor, Tensor], Tensor]:
    """Mean cross-entropy of logits float32 (N, C) and targets, int64 (N,) or shares float32 (N, C).

    Args:
        label_smoothing: share of each target that is spread over all classes (Szegedy et al. 2016).
        class_weights: float32 (C,), 1 on average over the training samples. A sample weighs as much as its class does. (torch
            would weigh the smoothed share by the classes that it is spread over, and so teach the heaviest class for all.) The
            mean is over samples, not over weights: what a sample counts does not depend on its batch.
    """
    weights = None if class_weights is None else torch.from_numpy(class_weights)

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        nonlocal weights
        each = cross_entropy(logits, targets, label_smoothing=label_smoothing, reduction="none")
        if weights is None:
            return each.mean()
        weights = weights.to(logits.device)  # once: a step that copies from the processor's memory cannot be recorded
        return (each * (targets @ weights if targets.is_floating_point() else weights[targets])).mean()

    return loss
