"""Folded, a network answers as before, and what it shares with others is left alone."""

import torch
from torch import fx, nn

from desktop_ft.models.folding import folded


def network() -> nn.Module:
    torch.manual_seed(0)
    made = nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3),
        nn.BatchNorm2d(4, affine=False),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 5),
        nn.BatchNorm1d(5),
    )
    for part in made:
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean)
            nn.init.uniform_(part.running_var, 0.5, 2)
    return made.eval()


def norms(module: nn.Module) -> int:
    return sum(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in module.modules())


def test_it_answers_as_before_with_fewer_layers() -> None:
    whole = network()
    before = {name: tensor.clone() for name, tensor in whole.state_dict().items()}
    inputs = torch.randn(2, 3, 12, 12)
    traced = fx.symbolic_trace(whole)
    made = folded(traced)
    assert norms(traced) == 3 and norms(made) == 1  # the one behind the linear layer stays
    torch.testing.assert_close(made(inputs), whole(inputs))
    assert all(torch.equal(tensor, before[name]) for name, tensor in whole.state_dict().items())
    torch.testing.assert_close(traced(inputs), whole(inputs), rtol=0, atol=0)


def test_what_learns_or_is_used_twice_stays() -> None:
    whole = network()
    whole[1].train()
    assert norms(folded(fx.symbolic_trace(whole))) == 2

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4).eval()

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            found = self.conv(inputs)
            return found + self.norm(found)

    assert norms(folded(fx.symbolic_trace(Twice()))) == 1


def test_one_layer_called_from_two_places_is_folded_where_it_is_followed_by_a_norm_alone() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3).eval()
            nn.init.uniform_(self.norm.running_var, 0.5, 2)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.conv(self.norm(self.conv(inputs)))

    whole, inputs = Shared().train(), torch.randn(2, 3, 4, 4)
    whole.norm.eval()
    torch.testing.assert_close(folded(fx.symbolic_trace(whole))(inputs), whole(inputs))


def test_a_norm_that_does_more_than_normalise_stays() -> None:
    class BatchNormRelu(nn.BatchNorm2d):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return super().forward(inputs).relu()

    whole = nn.Sequential(nn.Conv2d(3, 4, 1), BatchNormRelu(4)).eval()
    traced = fx.Tracer()
    traced.is_leaf_module = lambda module, name: True  # type: ignore[method-assign]
    made = folded(fx.GraphModule(whole, traced.trace(whole)))
    inputs = torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(made(inputs), whole(inputs))
