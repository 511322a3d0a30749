"""The script that exports every network: what it tries, with which weights, and what it makes of one that does not fit."""

import argparse
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks import bench_parity, parity_page
from benchmarks.bench_parity import everything, in_a_process, is_settled, networks, stirred
from desktop_ft.api import Backbone
from desktop_ft.api.catalog import Catalog
from desktop_ft.export.verify import TOLERANCE


@pytest.fixture(scope="module")
def backbones() -> Catalog[Backbone]:
    return everything().backbones


class Silent(nn.Module):
    """A network of which hardly anything reaches the logits: its branch, its token and its shifts begin at nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, 8))
        self.inner = nn.Linear(8, 8)
        self.norm = nn.LayerNorm(8)
        self.scale = nn.Parameter(1e-6 * torch.ones(8))
        self.gain = nn.Parameter(torch.zeros(()))
        nn.init.trunc_normal_(self.inner.weight, std=1e-4)
        nn.init.zeros_(self.inner.bias)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        branch = self.inner(self.norm(inputs + self.token))
        return inputs + self.scale * branch + self.gain * branch.tanh()


def test_drawn_weights_let_every_part_have_its_say() -> None:
    torch.manual_seed(0)
    inputs, network = torch.randn(1, 4, 8), Silent()
    assert torch.allclose(network(inputs), inputs, atol=1e-5)
    stirred(network)
    whole = network(inputs)
    for name, held in network.named_parameters():
        kept = held.detach().clone()
        with torch.no_grad():
            held.copy_(torch.ones_like(held) if name == "norm.weight" else torch.zeros_like(held))
        assert (network(inputs) - whole).abs().max() > 100 * TOLERANCE * whole.abs().max(), name
        with torch.no_grad():
            held.copy_(kept)


def test_every_network_is_tried_once_and_none_is_forgotten(backbones: Catalog[Backbone]) -> None:
    tried = networks(backbones)
    alike = [name for others in tried.values() for name in others]
    ours = {backbone.spec.name for backbone in backbones if not backbone.spec.name.startswith("timm/")}
    assert sorted([*alike, *(name for name in tried if not name.startswith("timm/"))]) == sorted(ours)
    families = [backbones.get(name).spec.family for name in tried if name.startswith("timm/")]
    assert len(families) == len({*families})
    assert {*families} == {backbone.spec.family for backbone in backbones if backbone.spec.name.startswith("timm/")}
    costs = [backbones.get(name).spec.gflops or 0 for name in tried]
    assert costs == sorted(costs)


def test_what_is_called_alike_computes_the_same(backbones: Catalog[Backbone]) -> None:
    for name, others in networks(backbones).items():
        first = backbones.get(name).spec
        for other in (backbones.get(each).spec for each in others):
            assert (other.family, other.parameters, other.resize.crop) == (first.family, first.parameters, first.resize.crop)
            assert other.gflops == first.gflops


def test_the_page_tells_of_every_network_that_can_be_chosen(backbones: Catalog[Backbone]) -> None:
    assert {line["backbone"]: line["also"] for line in parity_page.read()} == networks(backbones)


def test_what_did_not_fit_is_tried_again_within_more() -> None:
    def settled(keep: bool = False, **line: object) -> bool:
        asked = argparse.Namespace(memory=6.0, limit=100, keep=keep)
        return is_settled({"code": "abc", "memory_limit_gb": 6.0, "limit_s": 100} | line, asked, "abc")

    assert settled() and settled(problem="It loses too much.") and settled(problem="does not fit: 100 s")
    assert settled(limit_s=50) and settled(problem="It loses too much.", limit_s=50)
    assert not settled(problem="does not fit: 50 s", limit_s=50)
    assert not settled(problem="does not fit: 3 GB of memory", memory_limit_gb=3.0)
    assert not settled(code="another") and settled(code="another", keep=True)
    assert not settled(code="another", keep=True, problem="It loses too much.")


def test_one_that_takes_too_long_is_told_and_nothing_of_it_is_left(tmp_path: Path) -> None:
    asked = argparse.Namespace(memory=6.0, limit=0.5, at_once=1)
    assert in_a_process("timm/test_vit.r160_in1k", asked, tmp_path) == {"problem": "does not fit: 0.5 s"}


@pytest.mark.slow
def test_one_that_takes_too_much_memory_is_told(flowers: Path) -> None:
    asked = argparse.Namespace(memory=0.4, limit=300, at_once=1)
    told = in_a_process("timm/test_vit.r160_in1k", asked, flowers)
    assert told["problem"] == "does not fit: 0.4 GB of memory"


@pytest.mark.slow
def test_a_network_with_drawn_weights_is_trained_exported_and_compared(flowers: Path) -> None:
    told = in_a_process("timm/test_vit.r160_in1k", argparse.Namespace(memory=6.0, limit=300, at_once=1), flowers)
    assert told["weights"] == "random" and told["pictures"] == 256 and told["changed"] == 0
    assert told["difference"] < TOLERANCE < told["spread"] / 100
    assert told["classes_answered"] > 1 and told["accuracy"] > 0.2


def test_what_is_told_to_answer_alike_told_photos_apart() -> None:
    told = [line for line in parity_page.read() if "problem" not in line]
    assert told
    for line in told:
        assert line["difference"] <= TOLERANCE and not line["changed"], line["backbone"]
        assert line["spread"] >= 100 * TOLERANCE, f"{line['backbone']} says the same of every photo, so nothing was compared"


@pytest.mark.slow
def test_what_is_too_large_for_one_onnx_file_is_compared_as_a_program(
    flowers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_parity, "_ONE_ONNX_FILE", 1 << 20)
    told = bench_parity.measured("efficientnet_lite0", flowers, tmp_path)
    assert told["format"] == ".pt2" and told["changed"] == 0 and told["difference"] < TOLERANCE < told["spread"] / 100
