"""Models as exporters hand them to the libraries that write files. Torch is imported here: see `exporting` for the door."""

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from desktop_ft.api.exporting import quiet
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr

_CHATTY = ("torch.export", "torch._export", "torch.fx", "torch.utils._sympy")


class Answering(nn.Module):
    """What a file computes: probabilities and logits of pictures in 0..1."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        # A module starts in training mode; this one is in whatever mode the model is in.
        self.training = model.training

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """`pictures` float (N, 3, S, S) to probabilities and logits, both (N, classes)."""
        logits = self.model(pictures)
        return logits.softmax(dim=1), logits


def program(model: nn.Module, size: int) -> ExportedProgram:
    """As `ExportJob.program`."""
    # Two pictures: with one, tracing would take the batch axis for a constant.
    example = torch.zeros(2, 3, size, size)
    try:
        with quiet(*_CHATTY), torch.no_grad():
            found = torch.export.export(
                Answering(model), (example,), dynamic_shapes=({0: torch.export.Dim("batch")},), strict=False
            )
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # what torch raises of a model that it cannot trace shares no base but Exception
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise UserError(
            tr("The network has a part that could not be traced: {why}", why=(lines or [type(error).__name__])[0]),
            tr("Train another backbone to export it; the run itself is kept."),
        ) from error
    for node in found.graph.nodes:
        node.meta.pop("stack_trace", None)
    found.example_inputs = None  # a batch of zeros that nobody needs, and the one thing that would be pickled
    return found
