"""How an epoch is computed: by the whole network, or only by what lies behind its frozen layers.

What is frozen gives the same answer in every epoch. So the network is cut, the part in front answers once for every input
that comes again, and the epochs compute the part behind. Where inputs never come again, the part in front still needs no
gradients. What is learned stays the same: the same inputs, in the same order, through the same layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import chain, compress
from typing import TypeVar

import torch
from torch import Tensor, nn

from desktop_ft.core.events import PrefixProgress, PrefixReady, TrainEvent, Warned
from desktop_ft.core.language import tr
from desktop_ft.engine.ahead import Ahead
from desktop_ft.engine.batches import Batches, KeyedBatch, RecurringBatches, closed_after
from desktop_ft.engine.clock import WorkClock
from desktop_ft.engine.device import Compute, free_memory, pass_size
from desktop_ft.engine.feature_store import Features, FeatureStore, NoRoom, RowKind
from desktop_ft.engine.learner import Learner, learning_in
from desktop_ft.engine.prefix import Prefix
from desktop_ft.engine.team import ALONE, Team
from desktop_ft.engine.work import Uncountable, Work
from desktop_ft.models.cutting import Uncuttable, cut

_SEEN_BY_THE_CUT = 2
_AHEAD_BYTES = 40 << 20
"""What may be made while the cut is being found."""
_SHARE_OF_DEVICE = 4
"""Answers are held on a GPU too, where they take no more than one part in so many of what is free there."""

Batch = tuple[Tensor, Tensor]
Inputs = Callable[[Sequence[str]], Tensor]
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """How some epochs are computed: what comes, and what it goes through.

    Attributes:
        train: as `Batches.train`. validation: as `Batches.validation`. Their inputs go through `forward`, to logits.
        epochs: those that are computed so.
        after: path of the last layer that is not computed any more; "" if all are.
    """

    forward: Callable[[Tensor], Tensor]
    train: Callable[[int, int], Iterator[Batch]]
    validation: Callable[[], Iterator[Batch]]
    epochs: range
    after: str


@dataclass(frozen=True, slots=True, eq=False)
class _Recurring:
    """Inputs that come again: all validation's, and where `training`, all that training will ask for too."""

    batches: RecurringBatches
    keys: list[str]
    training: bool


class Stages:
    """Gives each epoch its stage, and moves the cut when what learns changes.

    Attributes:
        learner: another one may take its place between two epochs; what was found for the one before is let go of then.

    Args:
        epochs: of the whole run.
        store: where answers are kept; None: every epoch goes through the whole network.
        emit: told of the pass, and of what stands in its way.
        heed: called between the batches of the pass; what it raises ends it.
        team: shares the pass; each of its processes then has all answers. They go one way, or none does.
    """

    def __init__(
        self,
        network: nn.Module,
        learner: Learner,
        batches: Batches,
        compute: Compute,
        *,
        epochs: int,
        store: FeatureStore | None,
        emit: Callable[[TrainEvent], None],
        heed: Callable[[], None],
        clock: WorkClock,
        team: Team = ALONE,
    ) -> None:
        self._network = network
        self.learner = learner
        self._batches = batches
        self._compute = compute
        self._epochs = epochs
        self._store = store
        self._emit = emit
        self._heed = heed
        self._clock = clock
        self._team = team
        self._stage: Stage | None = None
        self._kept_now: Features | None = None
        self._learning: frozenset[str] | None = None

    def of(self, epoch: int) -> Stage:
        """The stage of `epoch` (0-based). The network is in training mode, with what learns in that epoch set on it."""
        learning = learning_in(self.learner, epoch)
        if self._stage is None or learning != self._learning or epoch not in self._stage.epochs:
            self._stage = self._kept_now = None  # lets go of the answers that it kept, before others take their room
            self._stage = self._whole(epoch) if self._store is None else self._cut(self._store, epoch)
            self._learning = learning
        return self._stage

    def work(self, since: int, ahead: Learner) -> tuple[float, ...]:
        """What a step of each epoch from `since` on computes, in floating-point operations a sample; () if that is not known.

        Args:
            ahead: says what learns in them. The network has what learns in `since` set on it in the end.
        """
        learning = {epoch: learning_in(ahead, epoch) for epoch in range(since, self._epochs)}
        try:
            work = self._team.agreed(lambda: Work(self._network, self._few().to(self._compute.device)), Uncountable)
        except Uncountable:
            return ()
        of_a_step = dict[frozenset[str], float]()
        for epoch, layers in learning.items():
            if layers not in of_a_step:
                ahead.apply(epoch)
                recurring = self._recurring(epoch, ahead) if self._store is not None else None
                of_a_step[layers] = work.of_a_step(behind_the_cut=recurring is not None and recurring.training)
        ahead.apply(since)
        steps = tuple(of_a_step[layers] for layers in learning.values())
        return steps if all(steps) else ()

    def release(self) -> None:
        """Give back what is held on the device to be quick, and can be had again."""
        if self._kept_now is not None:
            self._kept_now.release()

    def _whole(self, epoch: int) -> Stage:
        return Stage(self._network, self._batches.train, self._batches.validation, self._like(epoch, self.learner), after="")

    def _like(self, epoch: int, learner: Learner) -> range:
        """The epochs around `epoch` in which the same layers learn.

        From where they begin to, so that a run that is resumed among them goes the same way.
        """
        first, end, learning = epoch, epoch + 1, learning_in(learner, epoch)
        while first > learner.since and learning_in(learner, first - 1) == learning:
            first -= 1
        while end < self._epochs and learning_in(learner, end) == learning:
            end += 1
        return range(first, end)

    def _cut(self, store: FeatureStore, epoch: int) -> Stage:
        began = self._clock.seconds
        inputs, recurring = self._few(), self._recurring(epoch, self.learner)
        size = pass_size(self._compute.device, inputs[0].numel())
        ahead = self._ahead(recurring, inputs, size, epoch) if recurring else None
        try:
            with ahead.making() if ahead else nullcontext():
                found = self._team.agreed(lambda: self._in_front(inputs), Uncuttable)
                namespace = found[0].namespace if found and recurring else ""  # all frozen weights are read for it
        except Uncuttable as error:
            self._warn(tr("The frozen layers are computed anew in every step: {why}", why=error))
            return self._whole(epoch)
        if found is None:
            return self._whole(epoch)
        prefix, kind = found
        kept = None
        if recurring and ahead:
            opened = partial(store.open, namespace, recurring.keys, kind, self._warn)
            kept = self._kept(opened, prefix, ahead.inputs, size)
        self._kept_now = kept
        self._emit(
            PrefixReady(
                after=prefix.after,
                kept=len(kept) if kept else 0,
                reused=kept.reused if kept else 0,
                bytes=kept.bytes if kept else 0,
                precision=prefix.precision,
                seconds=self._clock.seconds - began,
            )
        )
        return self._behind(prefix, kept, recurring, self._like(epoch, self.learner))

    def _in_front(self, inputs: Tensor) -> tuple[Prefix, RowKind] | None:
        """The frozen layers, proven on `inputs`, and what they answer; None where the first layers learn. Raises Uncuttable."""
        made = cut(self._network, inputs.to(self._compute.device))
        if made is None:
            return None
        prefix = Prefix(self._network, made, self._compute)
        return prefix, prefix.prove(inputs)

    def _few(self) -> Tensor:
        """A few inputs, the same one several times if there are no more."""
        batches = self._batches
        if isinstance(batches, RecurringBatches):
            found = batches.inputs(batches.validation_keys[:_SEEN_BY_THE_CUT])
        else:
            with closed_after(batches.validation()) as coming:
                found = next(coming)[0]
        return torch.cat([found] * _SEEN_BY_THE_CUT)[:_SEEN_BY_THE_CUT]

    def _ahead(self, recurring: _Recurring, few: Tensor, size: int, epoch: int) -> Ahead:
        """What makes the inputs that this process answers for first; none where the first layer learns."""
        first_rate = next(iter(self.learner.rates(epoch).values()), 0.0)
        pieces = _pieces(recurring.keys, size)[self._team.rank :: self._team.size]
        most = _AHEAD_BYTES // max(1, few.nbytes // len(few))
        return Ahead(recurring.batches, [] if first_rate else list(chain.from_iterable(pieces))[:most])

    def _recurring(self, epoch: int, learner: Learner) -> _Recurring | None:
        """What comes more than once in the epochs from `epoch` on in which the same layers learn."""
        batches, epochs = self._batches, len(self._like(epoch, learner))
        if not isinstance(batches, RecurringBatches) or epochs < 2:
            return None
        keys = list(batches.training_keys or ())
        own = sum(len(batch) for batch, _ in batches.keyed_train(epoch)) if keys else 0
        shown = epochs * int(self._team.sums(own, 0, 0)[0])
        validation = list(batches.validation_keys)
        if shown > len(keys):
            return _Recurring(batches, [*keys, *validation], training=True)
        return _Recurring(batches, validation, training=False)

    def _kept(self, opened: Callable[[], Features], prefix: Prefix, inputs: Inputs, size: int) -> Features | None:
        """The frozen layers' answers to all that recurs, asked by `size`; None where there is no room for them."""
        try:
            features = self._team.agreed(opened, NoRoom)
            self._complete(features, prefix, inputs, size)
            if self._compute.device.type == "cuda" and _SHARE_OF_DEVICE * features.bytes <= free_memory(self._compute.device):
                features.give_on(self._compute.device)
        except NoRoom as error:
            self._warn(tr("{problem} They are computed anew in every step.", problem=error))
            return None
        return features

    def _complete(self, features: Features, prefix: Prefix, inputs: Inputs, size: int) -> None:
        """Let the frozen layers answer for all that is missing, in rounds: in each, every process answers for one part."""
        team, began, done = self._team, self._clock.seconds, 0
        lacking = set(features.missing)
        missing = list(compress(features.keys, team.union([key in lacking for key in features.keys])))
        parts = _pieces(missing, size)
        with prefix.answering(parts[team.rank :: team.size], inputs, size) as answered:
            for together in _pieces(parts, team.size):
                own = next(answered) if team.rank < len(together) else features.no_rows
                self._heed()
                keys = list(chain.from_iterable(together))
                features.add(keys, team.rows(own, [len(part) for part in together]))
                if features.full:
                    self._settle(features)
                done += len(keys)
                self._emit(PrefixProgress(done=done, total=len(missing), seconds=self._clock.seconds - began))
        self._settle(features)

    def _settle(self, features: Features) -> None:
        """Let the first process of every machine write, and the others find it there. Raises NoRoom."""
        for its_turn in (self._team.leads_machine, not self._team.leads_machine):
            self._team.agreed(features.settle if its_turn else _nothing, NoRoom)

    def _behind(self, prefix: Prefix, kept: Features | None, recurring: _Recurring | None, epochs: range) -> Stage:
        """Only what lies behind the cut, fed with what is kept, and else with what the frozen layers say now."""

        def fed(batches: Iterator[Batch]) -> Iterator[Batch]:
            with closed_after(batches) as coming:
                for inputs, targets in coming:
                    yield prefix.answer(inputs), targets

        def gathered(features: Features, batches: Iterator[KeyedBatch]) -> Iterator[Batch]:
            for keys, targets in batches:
                yield prefix.features(features.rows(keys)), targets

        def train(epoch: int, first_step: int) -> Iterator[Batch]:
            if kept and recurring and recurring.training:
                return gathered(kept, recurring.batches.keyed_train(epoch, first_step))
            return fed(self._batches.train(epoch, first_step))

        def validation() -> Iterator[Batch]:
            return gathered(kept, recurring.batches.keyed_validation()) if kept and recurring else fed(self._batches.validation())

        return Stage(prefix.onward, train, validation, epochs, prefix.after)

    def _warn(self, sentence: str) -> None:
        self._emit(Warned(message=sentence))


def _pieces(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _nothing() -> None:
    return
