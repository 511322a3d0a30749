"""All that decides a run, as data: saved as TOML, versioned, migrated."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import tomli_w
from pydantic import Field, SerializerFunctionWrapHandler, StringConstraints, ValidationError, field_validator, model_serializer

from desktop_ft.core.augmentation import AugmentationSpec
from desktop_ft.core.changes import Change, Course, PlannedChange, in_order
from desktop_ft.core.errors import UserError
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.language import tr
from desktop_ft.core.values import Described, explain, plain_toml

VERSION = 1
SMALLEST_SIZE = 32


class Optimizer(StrEnum):
    """How gradients become steps."""

    ADAMW = "adamw"
    SGD = "sgd"


class Schedule(StrEnum):
    """How the learning rate moves over the run."""

    COSINE = "cosine"
    ONE_CYCLE = "one_cycle"
    CONSTANT = "constant"


class Balance(StrEnum):
    """What is done about classes of unequal size."""

    NONE = "none"
    CLASS_WEIGHTS = "class_weights"
    SAMPLER = "sampler"


class Precision(StrEnum):
    """The arithmetic of the forward and backward pass."""

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"


class DeviceChoice(StrEnum):
    """Where the run computes."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"
    XPU = "xpu"


class Part(StrEnum):
    """Where a person put a picture: the subsets by their names, or out of the run."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"
    LEFT_OUT = "left_out"


LEFT_OUT = ""
"""The name in the run of a class that is left out."""
_Sha = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_EDITS = ("rename", "labels", "pictures", "images_per_class", "draw")


class DatasetChoice(Described):
    """Which pictures, what they are called, and how they are divided."""

    folder: str = Field(
        min_length=1, description="Folders of classes, perhaps below train and val; or labels.csv; or a .zip of these."
    )
    val: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="Share of each class that is held out for validation, where the folder does not say so itself. "
        "A picture's side is decided by its content, so it stays when others are added (save in classes of a few pictures).",
    )
    rename: Mapping[str, str] = Field(
        {},
        description="Other names for classes of the folder: the name found there, and the name in the run. Classes of one name "
        "are one class; an empty name leaves a class out. The folder stays as it is.",
    )
    labels: Mapping[_Sha, str] = Field(
        {},
        description="Pictures that lie in a wrong class, by the SHA-256 of their bytes, and the class they belong to, by name "
        "as in the folder. The folder stays as it is.",
    )
    pictures: Mapping[_Sha, Part] = Field(
        {},
        description="Pictures moved by hand to train, val or test, or left_out, by the SHA-256 of their bytes: so a picture "
        "stays where it was put when its file is renamed. All others are divided as ever.",
    )
    images_per_class: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Training pictures of each class that are used, to see how many are needed; 0: all. "
        "Validation and test pictures stay as they are, and what fewer would take is among what more take.",
    )
    draw: int = Field(
        0, ge=0, lt=2**32, description="Which training pictures these are, where not all are used: another number draws others."
    )

    @field_validator("labels")
    @classmethod
    def _writable(cls, labels: Mapping[str, str]) -> Mapping[str, str]:
        if not all(map(_is_text, labels.values())):
            raise ValueError(tr("holds a name that is not UTF-8, which no recipe can hold; rename that class's folder instead"))
        return labels

    @field_validator("rename")
    @classmethod
    def _speakable(cls, rename: Mapping[str, str]) -> Mapping[str, str]:
        for found, name in rename.items():
            if not (_is_text(found) and _is_text(name)):
                raise ValueError(
                    tr("holds a name that is not UTF-8, which no recipe can hold; rename that class's folder instead")
                )
            if name != name.strip() or not name.isprintable():
                raise ValueError(
                    tr("{name!r} is no name for a class: no blanks around it, and nothing that cannot be printed", name=name)
                )
        return rename

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What was not edited is not written: a recipe without edits reads, and counts, as before there were any."""
        return {name: value for name, value in write(self).items() if value or name not in _EDITS}


class BackboneChoice(Described):
    """Which network, and where its weights come from."""

    name: str = Field("efficientnet_lite0", description="A backbone's name; see `desktop-ft backbones`.")
    weights: str = Field("", description="A .safetensors or .pth file of your own to start from; empty: the published weights.")
    image_size: int = Field(
        0, ge=0, le=1024, description="Side of the network's input in pixels; 0: the size the backbone was trained at."
    )

    @field_validator("image_size")
    @classmethod
    def _large_enough(cls, size: int) -> int:
        if 0 < size < SMALLEST_SIZE:
            raise ValueError(
                tr("is too small: pictures of fewer than {size} pixels a side show a network nothing", size=SMALLEST_SIZE)
            )
        return size


class Optimisation(Described):
    """How the network learns."""

    epochs: int = Field(10, ge=1, le=10_000, description="How many times every training picture is shown.")
    batch_size: int = Field(32, ge=1, le=4096, description="Pictures per step. Larger is steadier and takes more memory.")
    optimizer: Optimizer = Field(Optimizer.ADAMW, description="adamw suits nearly everything; sgd with momentum is the classic.")
    lr: float = Field(0.003, gt=0, le=10, description="Learning rate of the head; the backbone learns at a share of it.")
    schedule: Schedule = Field(
        Schedule.COSINE, description="cosine: warm up, then fall to zero; one_cycle: rise, then fall; constant."
    )
    warmup: float = Field(0.1, ge=0, le=0.5, description="Share of the run over which the rate rises from near zero.")
    weight_decay: float = Field(0.01, ge=0, le=1, description="Pull of the weights towards zero; norms and biases are spared.")
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum of sgd; not used by adamw.")
    label_smoothing: float = Field(
        0.1, ge=0, le=0.5, description="Share of the target spread over all classes; against overconfidence."
    )
    clip_norm: float = Field(1.0, ge=0, le=1000, description="Longest gradient allowed; 0: no limit.")
    early_stopping: int = Field(0, ge=0, le=1000, description="End after this many epochs without a better validation; 0: never.")
    views: int = Field(
        0,
        ge=0,
        le=1000,
        description="Augmented looks at each picture, which take turns from epoch to epoch; 0: every epoch makes new ones. "
        "Frozen layers answer once a look, so 4 looks and 20 epochs cost a fifth of 0, at a little less variety.",
    )
    balance: Balance = Field(
        Balance.NONE,
        description="class_weights: rare classes weigh more in the loss; sampler: they are shown more often.",
    )


class Recipe(Described):
    """All that decides a run. Two runs of one recipe on one machine (CPU) end with the same weights, bit by bit."""

    version: int = Field(VERSION, description="Version of this format.")
    dataset: DatasetChoice
    backbone: BackboneChoice = BackboneChoice()
    freeze: FreezePlan = FreezePlan()
    augmentation: tuple[AugmentationSpec, ...] = Field((), description="Changes made to the training pictures, in order.")
    optimisation: Optimisation = Optimisation()
    seed: int = Field(0, ge=0, lt=2**32, description="Start of every random choice of the run.")
    device: DeviceChoice = Field(DeviceChoice.AUTO, description="Where to compute; auto takes the fastest there is.")
    precision: Precision = Field(
        Precision.AUTO, description="auto: bf16 or fp16 on GPUs; on a CPU that computes in bf16, what is measured to be faster."
    )
    processes: int = Field(
        0, ge=0, le=64, description="Processes that share the work on each batch; 0: one for each GPU there is, else one."
    )
    changes: tuple[PlannedChange, ...] = Field(
        (), description="What is otherwise from some epoch on. What is changed while a run trains is added to its recipe here."
    )

    @field_validator("changes")
    @classmethod
    def _in_order(cls, changes: tuple[PlannedChange, ...]) -> tuple[PlannedChange, ...]:
        if not in_order(changes):
            raise ValueError(tr("each must be for a later epoch than the one before"))
        return changes

    def with_optimisation(self, **changes: object) -> "Recipe":
        """The recipe with some fields of its optimisation changed."""
        return self.model_copy(update={"optimisation": self.optimisation.model_copy(update=changes)})

    @property
    def plans(self) -> tuple[FreezePlan, ...]:
        """The freeze plans that a run of it follows, one after another."""
        return (self.freeze, *(change.freeze for change in self.changes if change.freeze is not None))

    def followed(self, epoch: int, step: int = 1) -> Course:
        """What is followed once `step` steps of `epoch` (0-based) are done: an epoch's change comes with its first step."""
        course = Course(self.freeze, 0, self.optimisation.lr)
        for change in self.changes:
            if (change.epoch - 1, 0) < (epoch, step):
                course = course.altered(change, change.epoch - 1)
        return course

    def change_in(self, epoch: int) -> Change | None:
        """What is planned for the start of `epoch` (0-based)."""
        return next((change for change in self.changes if change.epoch - 1 == epoch), None)

    def with_change(self, epoch: int, change: Change) -> "Recipe":
        """The recipe with `change` at the start of `epoch` (0-based), beside what is planned for it already."""
        both = change.after(self.change_in(epoch))
        others = [other for other in self.changes if other.epoch - 1 != epoch]
        changes = sorted((*others, PlannedChange(epoch=epoch + 1, lr=both.lr, freeze=both.freeze)), key=lambda each: each.epoch)
        return self.model_copy(update={"changes": tuple(changes)})

    def to_toml(self) -> str:
        """The recipe as TOML text; `from_toml` gives back an equal recipe."""
        data = self.model_dump(mode="json", exclude_none=True)
        # Last, so that a person finds all else before it; and written here, as the writer looks at every letter of thousands.
        pictures = data["dataset"].pop("pictures", {})
        lines = [f'{sha} = "{part}"\n' for sha, part in pictures.items()]
        return "".join([tomli_w.dumps(data), *(["\n[dataset.pictures]\n"] if lines else []), *lines])

    @classmethod
    def from_toml(cls, text: str, where: str) -> "Recipe":
        """The recipe that `text` holds, migrated from an older version if need be; `where` names it in errors.

        Raises:
            UserError: not TOML, written by a newer version, or a field that is unknown or out of bounds.
        """
        try:
            data = plain_toml(text)
        except ValueError as error:
            raise UserError(
                tr("{where} is not a recipe: {error}.", where=where, error=error),
                tr("Save one to start from: File, Save recipe in the window, or `--save-recipe`."),
            ) from error
        return cls.from_data(data, where)

    @classmethod
    def from_data(cls, data: dict[str, Any], where: str) -> "Recipe":
        """As `from_toml`, from parsed data."""
        version = data.get("version", VERSION)
        if isinstance(version, int) and version > VERSION:
            raise UserError(
                tr("{where} was written by a newer Desktop FT (recipe version {version}).", where=where, version=version),
                tr("Update Desktop FT to open it."),
            )
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise UserError(
                tr("{where} is not valid: {error}.", where=where, error=explain(error)), tr("Correct that line and try again.")
            ) from error

    def digest(self) -> str:
        """SHA-256, in hex, of the recipe without the place of its files: equal where the same work is described."""
        return hashlib.sha256(self.portable().model_dump_json().encode()).hexdigest()

    def portable(self) -> "Recipe":
        """The recipe with local paths cut down to their last part, to travel inside an exported file."""
        return self.model_copy(
            update={
                "dataset": self.dataset.model_copy(update={"folder": _last_part(self.dataset.folder)}),
                "backbone": self.backbone.model_copy(update={"weights": _last_part(self.backbone.weights)}),
            }
        )


def differences(recipes: Sequence[Recipe]) -> dict[str, tuple[object, ...]]:
    """The fields that differ among `recipes`, by dotted name, with the value of each recipe."""
    flat = [dict(_fields(recipe.model_dump(mode="json", exclude_none=True))) for recipe in recipes]
    names = dict.fromkeys(name for fields in flat for name in fields)
    told = {name: tuple(fields.get(name, "") for fields in flat) for name in names}
    return {name: values for name, values in told.items() if any(value != values[0] for value in values)}


def _fields(value: dict[str, Any], above: str = "") -> Iterator[tuple[str, object]]:
    for name, own in value.items():
        if name in ("labels", "pictures"):
            yield f"{above}{name}", _moves(own)
        elif isinstance(own, dict):
            yield from _fields(own, f"{above}{name}.")
        elif name == "augmentation":
            for place, spec in enumerate(own, start=1):
                yield f"{name}.{place}", spec["transform"]
                yield from _fields(spec["parameters"], f"{name}.{place}.")
        elif name == "changes":
            for change in own:
                yield from _fields({key: held for key, held in change.items() if key != "epoch"}, f"{name}.{change['epoch']}.")
        else:
            yield f"{above}{name}", own


def _moves(pictures: Mapping[str, str]) -> str:
    """Thousands of moved pictures in a few words, and a mark that differs where the pictures do."""
    tally = ", ".join(f"{count:,} {part}" for part, count in sorted(Counter(pictures.values()).items()))
    mark = hashlib.sha256("".join(f"{sha}{part}" for sha, part in sorted(pictures.items())).encode()).hexdigest()[:6]
    return f"{tally} ({mark})"


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _last_part(path: str) -> str:
    return path.replace("\\", "/").rstrip("/").rpartition("/")[2]
