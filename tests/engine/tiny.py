"""A network, batches and a learner so small that a run takes milliseconds."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from desktop_ft.core.events import RunEnded, TrainEvent
from desktop_ft.core.recipe import DeviceChoice, Optimisation, Precision
from desktop_ft.engine.arithmetic import Measurements
from desktop_ft.engine.control import RunControl
from desktop_ft.engine.device import Compute, choose
from desktop_ft.engine.feature_store import FeatureStore
from desktop_ft.engine.layer_watch import Origin
from desktop_ft.engine.learner import Relearn
from desktop_ft.engine.team import ALONE, Team
from desktop_ft.engine.trainer import Trainer
from desktop_ft.models.checkpoint import Checkpoint, CheckpointStore
from desktop_ft.models.freezing import ParameterGroup
from desktop_ft.models.tensor_file import Write
from desktop_ft.runs import atomic

CLASSES = 3
STEPS = 4


class TinyNet(nn.Module):
    """Everything that makes resuming hard: BatchNorm, dropout, a convolution that likes channels last."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.stem = nn.Conv2d(3, 4, 3, padding=1)
            self.norm = nn.BatchNorm2d(4)
            self.drop = nn.Dropout(0.3)
            self.fc = nn.Linear(4, CLASSES)

    def forward(self, pictures: Tensor) -> Tensor:
        features: Tensor = self.norm(self.stem(pictures)).relu().mean((2, 3))
        logits: Tensor = self.fc(self.drop(features))
        return logits


@dataclass
class TinyBatches:
    """Batches that depend on (seed, epoch, step) alone; `on_step` sees every one before it is given out."""

    steps: int = STEPS
    size: int = 6
    spoil: dict[tuple[int, int], float] = field(default_factory=dict)
    on_step: Callable[[int, int], None] = lambda epoch, step: None
    closed: int = 0
    given: list[tuple[int, int]] = field(default_factory=list)

    def _batch(self, *key: int) -> tuple[Tensor, Tensor]:
        digest = hashlib.sha256(repr(key).encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
        targets = torch.randint(CLASSES, (self.size,), generator=generator)
        noise = torch.randn(self.size, 3, 5, 5, generator=generator)
        return noise + nn.functional.one_hot(targets, 3)[:, :, None, None] * 0.7, targets

    def train(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        try:
            for step in range(first_step, self.steps):
                self.on_step(epoch, step)
                inputs, targets = self._batch(1, epoch, step)
                if (epoch, step) in self.spoil:
                    inputs = inputs * self.spoil[epoch, step]
                self.given.append((epoch, step))
                yield inputs, targets
        finally:
            self.closed += 1

    def validation(self) -> Iterator[tuple[Tensor, Tensor]]:
        for step in range(2):
            yield self._batch(2, 0, step)


class RecurringTiny(TinyBatches):
    """A fixed set of inputs, in another order each epoch, that can be asked for by key. `asked` counts each key's askings.

    Args:
        views: how many looks at each input take turns; 0: every epoch brings new ones.
    """

    def __init__(self, inputs: Tensor, targets: Tensor, size: int = 6, views: int | None = 1) -> None:
        super().__init__(steps=-(-len(inputs) // size), size=size)
        self.data, self.labels, self.views = inputs, targets, views
        self.asked: Counter[str] = Counter()

    def _one(self, key: str) -> Tensor:
        self.asked[key] += 1
        number, view = map(int, key.split("-"))
        look = self.data[number]
        return look if not view else look.flip(-1) if view % 2 else look.roll(view, -1)

    def _keys(self, epoch: int, step: int) -> tuple[str, ...]:
        view = epoch % self.views if self.views else epoch
        order = torch.randperm(len(self.data), generator=torch.Generator().manual_seed(epoch)).tolist()
        return tuple(f"{number}-{view}" for number in order[step * self.size : (step + 1) * self.size])

    def _named(self, keys: tuple[str, ...]) -> tuple[Tensor, Tensor]:
        return torch.stack([self._one(key) for key in keys]), self._labels(keys)

    def _labels(self, keys: tuple[str, ...]) -> Tensor:
        return self.labels[[int(key.split("-")[0]) for key in keys]]

    def train(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        for step in range(first_step, self.steps):
            self.given.append((epoch, step))
            yield self._named(self._keys(epoch, step))

    def validation(self) -> Iterator[tuple[Tensor, Tensor]]:
        yield self._named(tuple(f"{number}-0" for number in range(7)))

    @property
    def validation_keys(self) -> list[str]:
        return [f"{number}-0" for number in range(7)]

    @property
    def training_keys(self) -> list[str] | None:
        if not self.views:
            return None
        return [f"{number}-{view}" for view in range(self.views) for number in range(len(self.data))]

    def keyed_train(self, epoch: int, first_step: int = 0) -> Iterator[tuple[tuple[str, ...], Tensor]]:
        for step in range(first_step, self.steps):
            keys = self._keys(epoch, step)
            yield keys, self._labels(keys)

    def keyed_validation(self) -> Iterator[tuple[tuple[str, ...], Tensor]]:
        keys = tuple(f"{number}-0" for number in range(7))
        yield keys, self._labels(keys)

    def inputs(self, keys: Sequence[str]) -> Tensor:
        return torch.stack([self._one(key) for key in keys])


@dataclass
class TinyLearner:
    """Lets the layers in `learning` learn; the rest, its BatchNorm too, stays as it is.

    Attributes:
        later: by epoch, the layers that learn from then on instead.
    """

    network: nn.Module
    learning: tuple[str, ...] = ("stem", "norm", "fc")
    later: dict[int, tuple[str, ...]] = field(default_factory=dict)
    since: int = 0
    pretrained: bool = True

    def _in(self, epoch: int) -> tuple[str, ...]:
        return next((self.later[e] for e in sorted(self.later, reverse=True) if e <= epoch), self.learning)

    def rates(self, epoch: int) -> dict[str, float]:
        return {name: float(name in self._in(epoch)) for name in ("stem", "norm", "fc")}

    def apply(self, epoch: int) -> None:
        for name, rate in self.rates(epoch).items():
            self.network.get_submodule(name).requires_grad_(bool(rate))

    def train_mode(self, epoch: int) -> None:
        self.network.train()
        for name, rate in self.rates(epoch).items():
            self.network.get_submodule(name).train(bool(rate))

    def groups(self, epochs: int, weight_decay: float) -> list[ParameterGroup]:
        found = []
        for name in dict.fromkeys((*self.learning, *(name for names in self.later.values() for name in names))):
            layer = self.network.get_submodule(name)
            decays = tuple(p for p in layer.parameters() if p.ndim > 1)
            spared = tuple(p for p in layer.parameters() if p.ndim <= 1)
            found += [ParameterGroup(name, decays, weight_decay)] if decays else []
            found += [ParameterGroup(name, spared, 0.0)]
        return found


def loss(logits: Tensor, targets: Tensor) -> Tensor:
    return cross_entropy(logits, targets, label_smoothing=0.1)


PLAN = Optimisation(epochs=3, batch_size=6, lr=0.02)


@dataclass
class Run:
    """One run in `folder`, with what it told."""

    folder: Path
    plan: Optimisation = PLAN
    batches: TinyBatches = field(default_factory=TinyBatches)
    network: nn.Module = field(default_factory=TinyNet)
    learning: tuple[str, ...] = ("stem", "norm", "fc")
    later: dict[int, tuple[str, ...]] = field(default_factory=dict)
    since: int = 0
    pretrained: bool = True
    features: FeatureStore | None = None
    seed: int = 0
    save_every_s: float = 1e9
    saving_share: float = 1.0
    precision: Precision = Precision.FP32
    compute: Compute | None = None
    measurements: Measurements | None = None
    write: Write = atomic.write
    control: RunControl = field(default_factory=RunControl)
    events: list[TrainEvent] = field(default_factory=list)
    on_event: Callable[[TrainEvent], None] = lambda event: None
    relearn: Relearn | None = None
    origin: Origin | None = None
    team: Team = ALONE

    @property
    def store(self) -> CheckpointStore:
        return CheckpointStore(self.folder, self.write)

    def fit(self, resume: Checkpoint | None = None) -> RunEnded:
        self.folder.mkdir(exist_ok=True, parents=True)
        trainer = Trainer(
            network=self.network,
            learner=TinyLearner(self.network, self.learning, self.later, self.since, self.pretrained),
            batches=self.batches,
            optimisation=self.plan,
            compute=self.compute or choose(DeviceChoice.CPU, self.precision),
            store=self.store,
            seed=self.seed,
            loss=loss,
            save_every_s=self.save_every_s,
            saving_share=self.saving_share,
            features=self.features,
            measurements=self.measurements,
            relearn=self.relearn,
            origin=self.origin,
            team=self.team,
        )
        return trainer.fit(self._hear, self.control, resume)

    def _hear(self, event: TrainEvent) -> None:
        self.events.append(event)
        self.on_event(event)

    def of(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def weights(self) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in self.network.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
