"""What a run computes on, and how exactly."""

import threading

import numpy as np
import pytest
import torch
from torch import nn

from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.recipe import DeviceChoice, Precision
from desktop_ft.engine.device import choose, single_threads
from desktop_ft.engine.inference import logits
from tests.engine.tiny import TinyNet


def test_the_processor_trains_in_fp32_unless_told_otherwise():
    compute = choose(DeviceChoice.CPU, Precision.AUTO)
    assert (compute.device.type, compute.precision, compute.autocast, compute.scaler) == ("cpu", Precision.FP32, None, False)
    threads = torch.get_num_threads()
    assert compute.words == ("CPU (1 thread)" if threads == 1 else f"CPU ({threads} threads)")
    assert choose(DeviceChoice.CPU, Precision.BF16).autocast is torch.bfloat16


def test_fp16_on_the_processor_is_refused():
    with pytest.raises(UserError, match="does not train in fp16"):
        choose(DeviceChoice.CPU, Precision.FP16)


@pytest.mark.parametrize("device", [DeviceChoice.CUDA, DeviceChoice.MPS, DeviceChoice.XPU])
def test_a_device_that_is_not_there_is_told_in_a_sentence(device, monkeypatch):
    for module in (torch.cuda, torch.backends.mps, torch.xpu):
        monkeypatch.setattr(module, "is_available", lambda: False)
    with pytest.raises(UserError, match=f"^There is no {device.value.upper()} device here"):
        choose(device, Precision.AUTO)
    assert choose(DeviceChoice.AUTO, Precision.AUTO).device.type == "cpu"


@pytest.mark.parametrize(
    ("native_bf16", "wanted", "precision", "scaler"),
    [
        (True, Precision.AUTO, Precision.BF16, False),
        (False, Precision.AUTO, Precision.FP16, True),
        (True, Precision.FP16, Precision.FP16, True),
        (True, Precision.FP32, Precision.FP32, False),
    ],
)
def test_a_cuda_device_takes_the_fastest_arithmetic_it_has(monkeypatch, native_bf16, wanted, precision, scaler):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: native_bf16)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H200")
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    compute = choose(DeviceChoice.AUTO, wanted)
    assert (compute.device.type, compute.precision, compute.scaler, compute.words) == ("cuda", precision, scaler, "NVIDIA H200")


def test_answers_come_in_order_and_leave_the_network_as_it_was():
    network = TinyNet()
    network.train()
    network.norm.eval()
    batches = [torch.randn(size, 3, 5, 5) for size in (4, 4, 1)]
    told = []
    answers = logits(network, batches, progress=lambda done, total: told.append((done, total)), total=9)
    assert answers.dtype == np.float32 and answers.shape == (9, 3)
    assert told == [(4, 9), (8, 9), (9, 9)]
    assert (network.training, network.norm.training, network.drop.training) == (True, False, True)
    with torch.no_grad():
        np.testing.assert_allclose(answers[8:], network.eval()(batches[2]).numpy(), rtol=1e-6)


def test_answering_can_be_cancelled_between_batches():
    cancel = threading.Event()
    with pytest.raises(Cancelled):
        logits(nn.Flatten(), [torch.zeros(1, 2)] * 3, progress=lambda done, total: cancel.set(), cancel=cancel)


def test_threads_of_their_own_leave_others_theirs() -> None:
    before, seen = torch.get_num_threads(), []
    with single_threads(3, "alone") as pool:
        newcomer = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        newcomer.start()
        newcomer.join()
        within = list(
            pool.map(lambda number: (torch.ones(500, 500) @ torch.ones(500, 500), torch.get_num_threads())[1], range(9))
        )
    assert within == [1] * 9
    assert (seen, torch.get_num_threads()) == ([before], before)
