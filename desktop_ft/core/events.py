"""What a run tells while it goes: one closed union of values, with exactly one ending."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from desktop_ft.core.changes import Change
from desktop_ft.core.language import marked


class RunStatus(StrEnum):
    """How a run ended."""

    COMPLETED = marked("completed")
    STOPPED = marked("stopped")
    CANCELLED = marked("cancelled")
    FAILED = marked("failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """Training begins, or goes on after a resumption; only warnings about the data may come before it.

    Attributes:
        first_epoch, first_step: where it starts; above 0 when resumed.
        device, precision: what it really computes on and in, in words, such as `CPU (2 threads)`, `fp32`; the precision until a
            PrecisionChosen tells another.
        learning_share: share of the parameters that learn in `first_epoch`.
        batch_size: samples a step; the last one of an epoch may have fewer.
    """

    epochs: int
    steps_per_epoch: int
    first_epoch: int
    first_step: int
    device: str
    precision: str
    learning_share: float
    time: float
    batch_size: int = 0
    type: Literal["run_started"] = "run_started"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixProgress:
    """The frozen layers answer, once, for what the epochs to come will ask again and again: `done` of `total` inputs.

    Attributes:
        seconds: since this pass began, pauses excluded.
    """

    done: int
    total: int
    seconds: float
    type: Literal["prefix_progress"] = "prefix_progress"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixReady:
    """From here on only what lies behind the frozen layers is computed.

    Attributes:
        after: path of the last layer in front of the cut.
        kept: inputs whose answers are kept; 0 where the frozen layers answer anew for every batch.
        reused: how many of these an earlier run had left.
        bytes: size of what is kept.
        seconds: working time that the pass took.
    """

    after: str
    kept: int
    reused: int
    bytes: int
    precision: str
    seconds: float
    type: Literal["prefix_ready"] = "prefix_ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionChosen:
    """Training steps compute in `precision` from here on, as that was measured to be the fastest for what learns now.

    Attributes:
        milliseconds: what a sample takes, forwards and backwards, by precision.
            Empty where it was not measured, and is the usual one again.
        remembered: whether an earlier run on this machine had measured it.
        seconds: working time that it took to find out.
    """

    precision: str
    milliseconds: tuple[tuple[str, float], ...]
    remembered: bool
    seconds: float
    type: Literal["precision_chosen"] = "precision_chosen"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanChanged:
    """The run does otherwise from the start of `epoch` (0-based) on, as its recipe plans or a person asked for meanwhile.

    Attributes:
        change: what was planned or asked for; what it names may have been followed already.
        learning_share: share of the network's parameters that learn in `epoch`.
    """

    epoch: int
    change: Change
    learning_share: float
    type: Literal["plan_changed"] = "plan_changed"

    @model_validator(mode="before")
    @classmethod
    def _as_once_written(cls, data: Any) -> Any:
        """At first there was no other change than one of what learns, and it was written as `plan`."""
        if isinstance(data, dict) and "plan" in data:
            return {**{key: held for key, held in data.items() if key != "plan"}, "change": {"freeze": data["plan"]}}
        return data


@dataclass(frozen=True, slots=True, kw_only=True)
class RatesSet:
    """From the start of `epoch` (0-based) on, layers learn at these shares of the head's rate.

    Attributes:
        groups: layers that learn at one rate, in words, and their share, from the input to the head; what is frozen is left out.
    """

    epoch: int
    groups: tuple[tuple[str, float], ...]
    type: Literal["rates_set"] = "rates_set"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkPlanned:
    """What is to be computed from `epoch` (0-based) on; told where that changes from epoch to epoch.

    Attributes:
        steps: floating-point operations that a sample takes in a step, of each epoch to the last.
    """

    epoch: int
    steps: tuple[float, ...]
    type: Literal["work_planned"] = "work_planned"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSeen:
    """What learning has done to one layer.

    Attributes:
        gradient: length of its gradient in the step that was looked at, after clipping.
        update: how far that step moved its weights, as a share of their length.
        drift: how far they are from what they were pre-trained to, as a share of their length then; None for what began by
            chance, and where the pre-trained weights cannot be had any more.
    """

    path: str
    gradient: float
    update: float
    drift: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LayersSeen:
    """What the last step of `epoch` (0-based) has done to each layer that learns, from the input to the head."""

    epoch: int
    layers: tuple[LayerSeen, ...]
    type: Literal["layers_seen"] = "layers_seen"


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineUse:
    """What a run takes of the machine that it trains on: means since the last such event, and the most memory meanwhile.

    Attributes:
        seconds: since the last RunStarted, pauses included.
        cpu: share of all cores that is busy, with whatever else runs there, 0 to 1.
        memory: bytes that the process holds.
        gpu: share of the time that the GPU is busy, 0 to 1; None where that cannot be told, as below.
        gpu_memory: bytes that torch holds of the device.
        gpu_celsius: the GPU's temperature.
    """

    seconds: float
    cpu: float
    memory: int
    gpu: float | None = None
    gpu_memory: int | None = None
    gpu_celsius: float | None = None
    type: Literal["machine_use"] = "machine_use"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDone:
    """One batch learned.

    Attributes:
        epoch, step: 0-based.
        lr: the head's learning rate; other layers learn at a share of it.
        seconds: working time since the last RunStarted, pauses excluded.
    """

    epoch: int
    step: int
    loss: float
    lr: float
    seconds: float
    type: Literal["step_done"] = "step_done"


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochDone:
    """All training pictures seen once, and the validation that followed.

    Attributes:
        seconds: working time since the last RunStarted, pauses excluded; the validation's included.
        best: no epoch before was as accurate (or as accurate with so small a loss).
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    seconds: float
    best: bool
    type: Literal["epoch_done"] = "epoch_done"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSaved:
    """A checkpoint is on the disk for good. `path` is relative to the run folder."""

    path: str
    epoch: int
    step: int
    best: bool
    type: Literal["checkpoint_saved"] = "checkpoint_saved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    """The run waits (`paused`), or goes on again."""

    paused: bool
    type: Literal["paused"] = "paused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """Something a person should know, in a sentence; the run goes on."""

    message: str
    type: Literal["warned"] = "warned"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded:
    """Last event of a run: exactly one, in every ending.

    Attributes:
        checkpoint: the best checkpoint there is, relative to the run folder; "" if none.
        error: for FAILED, what happened and what to do.
    """

    status: RunStatus
    checkpoint: str = ""
    error: str = ""
    type: Literal["run_ended"] = "run_ended"


TrainEvent = Annotated[
    RunStarted
    | PrefixProgress
    | PrefixReady
    | PrecisionChosen
    | PlanChanged
    | RatesSet
    | WorkPlanned
    | LayersSeen
    | MachineUse
    | StepDone
    | EpochDone
    | CheckpointSaved
    | Paused
    | Warned
    | RunEnded,
    Field(discriminator="type"),
]
