"""The loss teaches what the targets say, whatever the classes' sizes."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from desktop_ft.engine.losses import classification_loss

LOGITS = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
TARGETS = torch.tensor([0, 1, 2, 0, 0, 1, 2, 2])
WEIGHTS = np.array([0.5, 1.0, 6.0], np.float32)


def test_without_weights_it_is_torch_s_cross_entropy() -> None:
    expected = cross_entropy(LOGITS, TARGETS, label_smoothing=0.1)
    torch.testing.assert_close(classification_loss(0.1)(LOGITS, TARGETS), expected)


def test_weights_multiply_each_sample_s_loss() -> None:
    each = cross_entropy(LOGITS, TARGETS, label_smoothing=0.1, reduction="none")
    expected = (each * torch.tensor([0.5, 1, 6, 0.5, 0.5, 1, 6, 6])).mean()
    torch.testing.assert_close(classification_loss(0.1, WEIGHTS)(LOGITS, TARGETS), expected)
    shares = torch.nn.functional.one_hot(TARGETS, 3).float()
    torch.testing.assert_close(classification_loss(0.1, WEIGHTS)(LOGITS, shares), expected)


@pytest.mark.parametrize("parts", [1, 2, 4, 8])
def test_what_a_sample_counts_does_not_depend_on_its_batch(parts: int) -> None:
    loss = classification_loss(0.1, WEIGHTS)
    split = zip(LOGITS.tensor_split(parts), TARGETS.tensor_split(parts), strict=True)
    torch.testing.assert_close(sum(loss(a, b) for a, b in split) / parts, loss(LOGITS, TARGETS))


@pytest.mark.parametrize(("common", "rare"), [(200, 10), (1000, 10)])
def test_a_rare_class_that_weighs_more_does_not_take_over(common: int, rare: int) -> None:
    targets = torch.tensor([0] * common + [1] * rare)
    weights = np.array([(common + rare) / (2 * common), (common + rare) / (2 * rare)], np.float32)
    given = torch.nn.functional.one_hot(targets, 2).float()
    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=100)
    loss = classification_loss(0.1, weights)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = loss(layer(given), targets)
        value.backward()
        return value

    optimizer.step(closure)
    assert torch.equal(layer(given).argmax(1), targets)
