"""A step's kernels, launched at once: on CUDA a step is recorded as a graph the second time it comes, and replayed after that.

Small networks and batches keep a GPU waiting for the processor, which launches some thousand kernels a step. On an H100 a step of
EfficientNet-Lite0 with 32 pictures took 17.4 ms launched one by one, and 7.8 ms replayed; of ResNet-50 with 128, 33.9 and 32.8.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from desktop_ft.engine.device import free_memory

Step = Callable[[Tensor, Tensor], Tensor]
"""Leaves gradients in the parameters, and gives figures (K,) on the device: of inputs and targets."""

_KNOWN = ("torch", "torchvision", "desktop_ft", "plugins")
_CLOSE = 0.05
"""How far each replayed figure may be from the one before, relative to it: 16-bit arithmetic adds up in no fixed order."""


class Recorder:
    """Runs steps, and records them where that is possible. The rest of a step (chance, the optimiser) stays outside.

    Args:
        wanted: False: nothing is ever recorded.
    """

    def __init__(self, network: nn.Module, device: torch.device, *, wanted: bool) -> None:
        self._network = network
        self._wanted = wanted and device.type == "cuda" and _is_known(network)
        self._tensors = [*network.parameters(), *network.buffers()]
        self._parts = list(network.modules())
        self._last: object = None
        self._recording: _Recording | None = None

    def run(self, step: Step, inputs: Tensor, targets: Tensor, key: tuple[object, ...]) -> Tensor:
        """What `step` gives, and leaves.

        Args:
            key: what else than its inputs, targets and the network decides what it does.
        """
        if not self._wanted:
            return step(inputs, targets)
        behind = (*key, *self._state())
        kinds = _kind(inputs), _kind(targets)
        if self._recording is not None and self._recording.behind != behind:
            self.forget()
        if self._recording is not None:
            # One batch an epoch is shorter: it is not worth a recording of its own.
            return self._recording.replay(inputs, targets) if self._recording.kinds == kinds else step(inputs, targets)
        if self._last != (behind, kinds):  # what a library sets up when it is first used cannot be recorded
            self._last = behind, kinds
            return step(inputs, targets)
        return self._record(step, inputs, targets, behind, kinds)

    def forget(self) -> bool:
        """Let go of what is recorded, to record it anew when it comes again; False where there is nothing."""
        had, self._recording, self._last = self._recording is not None, None, None
        return had

    def give_up(self) -> bool:
        """Let go of what is recorded, for good; False where there is nothing."""
        had = self.forget()
        self._wanted = self._wanted and not had
        return had

    def _record(
        self, step: Step, inputs: Tensor, targets: Tensor, behind: tuple[object, ...], kinds: tuple[object, ...]
    ) -> Tensor:
        """Do `step` as ever, record it, and let the recording do it once more: it must come to the same."""
        device, buffers = inputs.device, list(self._network.buffers())
        before, chance = [buffer.clone() for buffer in buffers], torch.cuda.get_rng_state(device)
        torch.cuda.reset_peak_memory_stats(device)
        held = torch.cuda.memory_allocated(device)
        figures = step(inputs, targets)
        after, gradients = [buffer.clone() for buffer in buffers], self._gradients()
        # It holds for good what a step takes in passing; the short batch and the validation take as much beside it.
        if free_memory(device) < 2 * (torch.cuda.max_memory_allocated(device) - held):
            self._wanted = False
            return figures
        try:
            self._put_back(buffers, before)
            recording = _Recording(step, inputs, targets, self._network, behind, kinds)
            torch.cuda.set_rng_state(chance, device)
            replayed = recording.replay(inputs, targets)
            same = bool(((replayed - figures).abs() <= _CLOSE * figures.abs().clamp_min(1.0)).all())
        except Exception:  # a network's own code may do what cannot be recorded, and CUDA says so in many ways
            same = False
        if not same:
            self._wanted = False
            self._put_back(buffers, after)
            for parameter, gradient in gradients:
                parameter.grad = gradient
            return figures
        self._recording = recording
        return replayed

    def _gradients(self) -> list[tuple[nn.Parameter, Tensor | None]]:
        return [(parameter, parameter.grad) for parameter in self._network.parameters()]

    @staticmethod
    @torch.no_grad()
    def _put_back(buffers: list[Tensor], values: list[Tensor]) -> None:
        for buffer, value in zip(buffers, values, strict=True):
            buffer.copy_(value)

    def _state(self) -> tuple[object, ...]:
        """Where the network's tensors lie, which of them learn, and the mode of its parts: a recording holds for these alone."""
        tensors = tuple((tensor.data_ptr(), tensor.requires_grad) for tensor in self._tensors)
        return tensors, tuple(part.training for part in self._parts)


class _Recording:
    """One step on inputs and targets of one kind; its figures and gradients lie where they lay when it was recorded."""

    def __init__(
        self,
        step: Step,
        inputs: Tensor,
        targets: Tensor,
        network: nn.Module,
        behind: tuple[object, ...],
        kinds: tuple[object, ...],
    ) -> None:
        self.behind = behind
        self.kinds = kinds
        self._inputs, self._targets = inputs.clone(), targets.clone()
        self._graph = torch.cuda.CUDAGraph()
        # Other threads may use the device meanwhile, and other streams: this one comes from where they do not.
        stream = torch.cuda.Stream(inputs.device, priority=-1)  # type: ignore[no-untyped-call]
        with torch.cuda.graph(self._graph, stream=stream, capture_error_mode="thread_local"):
            self._figures = step(self._inputs, self._targets)
        self._gradients = [(parameter, parameter.grad) for parameter in network.parameters() if parameter.grad is not None]

    def replay(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """What the step gives for `inputs` and `targets`, and leaves in the parameters."""
        self._inputs.copy_(inputs)
        self._targets.copy_(targets)
        for parameter, gradient in self._gradients:
            parameter.grad = gradient
        self._graph.replay()
        return self._figures


def _is_known(network: nn.Module) -> bool:
    """Whether all of it is torch's, torchvision's or ours. Other code may draw chance without torch, or look at a figure.

    The first would be the same in every replay. The second cannot be recorded, and torch does not get over it in every version.
    """
    return all(type(part).__module__.partition(".")[0] in _KNOWN for part in network.modules())


def _kind(tensor: Tensor) -> tuple[object, ...]:
    return tensor.shape, tensor.dtype, tensor.stride()
