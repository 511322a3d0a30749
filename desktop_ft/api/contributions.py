"""What a plugin can bring: descriptions with factories. Torch is imported by the factories, never here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from desktop_ft.core.backbone import BackboneSpec, ResizeRule
from desktop_ft.core.events import EpochDone, StepDone, TrainEvent
from desktop_ft.core.exporting import FileInput, FilePrecision
from desktop_ft.core.values import Described

if TYPE_CHECKING:
    import random

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn
    from torch.export import ExportedProgram


class Nothing(Described):
    """Parameters of a thing that has none."""


def _as_published(published: Mapping[str, Tensor], model: nn.Module) -> Mapping[str, Tensor]:
    return published


def _nowhere() -> Path | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backbone:
    """A pre-trained network.

    Attributes:
        spec: the facts, known without building anything.
        build: makes the network with its published head and random weights. Its input is a float tensor (N, 3, H, W),
            normalised by the spec's mean and std; its output is logits (N, published classes). In eval mode several threads
            may ask it at once. Where it has a method
            `set_input_size(img_size=(H, W))`, that is called before it is given pictures of another size than the spec's.
        packaged_weights: where the weights file lies when a package on this machine carries it, else None.
        adapt: maps the published file's tensors to the names of `build()`'s state dict, where they differ.
    """

    spec: BackboneSpec
    build: Callable[[], nn.Module]
    packaged_weights: Callable[[], Path | None] = _nowhere
    adapt: Callable[[Mapping[str, Tensor], nn.Module], Mapping[str, Tensor]] = _as_published


class AugmentationKind(StrEnum):
    """What a transform works on."""

    PICTURE = "picture"
    BATCH = "batch"


class PictureTransform(Protocol):
    """Changes one picture. Draws all its chance from `rng`, so the same seed gives the same picture in any thread."""

    def __call__(self, picture: Tensor, rng: random.Random, size: int) -> Tensor:
        """`picture` is uint8 (3, H, W), upright, shorter side at least `size`; so is the result.

        It lies where training computes: on a GPU, tensors that are combined with it must be made there (`picture.device`).
        The network's input will be the middle `size` x `size` of the last transform's result.
        """


class BatchTransform(Protocol):
    """Mixes the pictures of a batch, and their targets with them."""

    def __call__(self, pictures: Tensor, targets: Tensor, rng: random.Random) -> tuple[Tensor, Tensor]:
        """`pictures` is float (N, 3, S, S) in 0..1, `targets` float (N, classes) with rows that sum to 1; so are the results."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """A transform of training pictures.

    Attributes:
        name: what recipes call it, such as `horizontal_flip`.
        title, description: for people, in plain words.
        when, cost: for its help card: when to use it, and what that costs, in whole sentences.
        parameters: the described, bounded parameters; the form in the window is drawn from it.
        make: builds the transform from an instance of `parameters`.
    """

    name: str
    title: str
    description: str
    make: Callable[[Any], PictureTransform | BatchTransform]
    kind: AugmentationKind = AugmentationKind.PICTURE
    parameters: type[Described] = Nothing
    when: str = ""
    cost: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportJob:
    """What an exporter is given.

    Attributes:
        model: on the CPU, float32, in eval mode. Takes float (N, 3, S, S), RGB in 0..1, and gives logits (N, classes):
            normalisation is inside.
        rule: how a picture becomes the model's input; S is its `crop`.
        precision, input: what was asked for, of those that the exporter offers.
        calibration: gives some of the training photos as the model sees them, uint8 (S, S, 3) each, in a fixed order; raises
            `Cancelled`, which is to be let through, where the person gives up.
        metadata: what the file must carry along, as text by key; `desktop_ft.classes` is a JSON list of the classes' names, in
            the order of the columns. It names no path of this machine.
        path: where to write one file, with none besides; a temporary place: the application verifies the file before it moves it
            to its own.
    """

    model: nn.Module
    rule: ResizeRule
    metadata: Mapping[str, str]
    path: Path
    precision: FilePrecision = FilePrecision.FLOAT32
    input: FileInput = FileInput.TENSOR
    calibration: Callable[[], Iterable[NDArray[np.uint8]]] = tuple

    @property
    def size(self) -> int:
        """S, the side of the input in pixels."""
        return self.rule.crop

    def answering(self) -> nn.Module:
        """What the file computes: takes `pictures` as the model does, and gives probabilities and logits, both (N, classes)."""
        from desktop_ft.api.tracing import Answering

        return Answering(self.model)

    def program(self) -> ExportedProgram:
        """The same as a traced program, the batch axis open. It names no place in anybody's code.

        Raises:
            UserError: the network has a part that cannot be traced.
        """
        from desktop_ft.api.tracing import program

        return program(self.model, self.size)


class ExportedFile(Protocol):
    """A written file that was opened again, to be asked as its later users will."""

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the job's metadata were, read from the file."""

    def run(self, pictures: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Probabilities and logits, both (N, classes), of N `pictures` uint8 (S, S, 3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exporter:
    """A file format for trained models.

    What `write` makes is opened before it is kept, in a process of its own, and must answer as the model does. Where nothing else
    is said it is opened with ONNX Runtime. So it is one ONNX file without external data, functions, loops or branches: float
    input `pictures` (batch, 3, S, S), or for `FileInput.PICTURE` uint8 input `picture` (height, width, 3); outputs
    `probabilities` and `logits` (batch, classes) and any others, the number of pictures left open, and the job's metadata as its
    `metadata_props`.

    Attributes:
        precisions, inputs: what it can write.
        suffix: how the files' names end, such as `.onnx`; what it adds before a last `.zip` tells the formats apart.
        open: opens a file that is not ONNX, one that was just written. It takes tensors only.
        with_torch: whether `open` needs torch; a file that does not is checked where there is none.
        unverified: why files cannot be run on this machine, as a whole sentence; they are then kept without proof, and marked so.
    """

    name: str
    title: str
    suffix: str
    write: Callable[[ExportJob], None]
    precisions: tuple[FilePrecision, ...] = (FilePrecision.FLOAT32,)
    inputs: tuple[FileInput, ...] = (FileInput.TENSOR,)
    open: Callable[[Path], ExportedFile] | None = None
    with_torch: bool = False
    unverified: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleDataset:
    """A small dataset to try the application with; `write` lays it out as class folders in an empty folder."""

    name: str
    title: str
    description: str
    licence: str
    write: Callable[[Path], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSink:
    """A listener to runs; `open` is given the run folder and returns what is called with every event.

    `RunEnded` is the last: what was opened is closed there. A run that is resumed opens its sinks anew, on the same folder.
    A `UserError` that is raised at an event is told in the run, once, and the sink hears on; after any other it hears no more.
    """

    name: str
    title: str
    open: Callable[[Path], Callable[[TrainEvent], None]]


class PanelHost(Protocol):
    """What a window panel sees of the run whose curves the window shows. Everything here belongs to the window's thread."""

    @property
    def run(self) -> Path | None:
        """Its folder; None where no run is shown."""

    @property
    def steps(self) -> Sequence[StepDone]:
        """Every batch learned so far."""

    @property
    def epochs(self) -> Sequence[EpochDone]:
        """Every epoch done so far, with its validation."""

    def follow(self, told: Callable[[], None]) -> None:
        """Have `told` called whenever another run is shown, or more is known of it: up to 20 times a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowPanel:
    """A panel in a window of its own, beside the application's.

    Attributes:
        description: what it shows, in a sentence.
        make: gives a new QWidget; Qt (PySide6) is imported by it, never at the head of the module.
    """

    name: str
    title: str
    description: str
    make: Callable[[PanelHost], Any]
