"""The epochs of one run: steps, validation, what is kept, and what is asked meanwhile."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.events import (
    CheckpointSaved,
    EpochDone,
    LayersSeen,
    Paused,
    PlanChanged,
    RatesSet,
    RunStarted,
    RunStatus,
    StepDone,
    TrainEvent,
    Warned,
    WorkPlanned,
)
from desktop_ft.core.language import tr
from desktop_ft.core.layers import same_rate
from desktop_ft.core.recipe import Optimisation
from desktop_ft.engine.arithmetic import Arithmetic, Measurements, taken_up
from desktop_ft.engine.batches import Batches, ReleasingBatches, closed_after
from desktop_ft.engine.clock import WorkClock
from desktop_ft.engine.coming import Coming, stream_aside
from desktop_ft.engine.control import RunControl
from desktop_ft.engine.device import Compute
from desktop_ft.engine.feature_store import FeatureStore
from desktop_ft.engine.keeper import Keeper, Saved
from desktop_ft.engine.layer_watch import LayerWatch, Origin
from desktop_ft.engine.learner import Learner, Relearn, learning_in
from desktop_ft.engine.optim import build_optimizer, factor, group_by_rate, optimizer_tensors, restore_optimizer, set_rate
from desktop_ft.engine.passes import Diverged, Loss, Passes, Sums
from desktop_ft.engine.rest import resting
from desktop_ft.engine.stages import Stage, Stages
from desktop_ft.engine.statistics import Statistics
from desktop_ft.engine.team import Team
from desktop_ft.models.checkpoint import Checkpoint, CheckpointStore, Progress

Emit = Callable[[TrainEvent], None]
_STOP_OR_GO_ON_WITHIN_S = 0.05
_STALE = 0.1
"""Share of the validation pictures: where so many more are right with what was seen of these pictures alone, what was followed
is stale."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Setup:
    """What a run is made of; see `Trainer`."""

    network: nn.Module
    learner: Learner
    batches: Batches
    optimisation: Optimisation
    compute: Compute
    store: CheckpointStore
    seed: int
    loss: Loss
    save_every_s: float
    saving_share: float
    features: FeatureStore | None
    measurements: Measurements | None
    relearn: Relearn | None
    origin: Origin | None
    team: Team


class _StopAsked(Exception):
    """The person asked to stop and keep what there is."""


class Loop:
    """One run, from its start or from a checkpoint to its end."""

    def __init__(self, setup: Setup, emit: Emit, control: RunControl, resume: Checkpoint | None) -> None:
        self._setup = setup
        self._emit = emit
        self._control = control
        self._team = setup.team
        self._resume = resume
        plan = setup.optimisation
        compute = taken_up(setup.compute, resume.facts.get("precision", "")) if resume else setup.compute
        setup.network.to(compute.device)
        if compute.channels_last:
            setup.network.to(memory_format=torch.channels_last)
        self._groups = setup.learner.groups(plan.epochs, plan.weight_decay)
        self._optimizer = build_optimizer(plan, self._groups)
        self._statistics = Statistics(setup.network)
        self._passes = Passes(setup.network, setup.loss, compute, self._warn, team=setup.team)
        self._keeper = Keeper(
            setup.store,
            setup.network,
            self._optimizer,
            self._passes,
            save_every_s=setup.save_every_s,
            saving_share=setup.saving_share,
            statistics=self._statistics,
            team=setup.team,
        )
        self._progress = self._keeper.restore(resume) if resume else Progress()
        self._watch = LayerWatch(setup.network, setup.origin, resumed=resume is not None)
        self._watch.follow(self._groups)
        self._check_together()
        self._clock = WorkClock()
        self._aside = stream_aside(compute.device)
        self._stages = Stages(
            setup.network,
            setup.learner,
            setup.batches,
            compute,
            epochs=plan.epochs,
            store=setup.features,
            emit=emit,
            heed=self._heed,
            clock=self._clock,
            team=setup.team,
        )
        self._entered: range | None = None
        self._rates_told: tuple[tuple[str, float], ...] = ()
        self._arithmetic = Arithmetic(setup.network, self._passes, setup.compute, setup.measurements, emit, self._heed_an_end)

    def _check_together(self) -> None:
        """Raise where the processes of a team have not found the same checkpoint."""
        at = self._progress.epoch * self._setup.batches.steps + self._progress.step
        if self._team.sums(at, 0, 0)[0] != at * self._team.size:
            what = tr("The processes that train together have found different checkpoints.")
            raise UserError(what, tr("See to it that all of them see the same run folder."))

    def run(self) -> RunStatus:
        """Train to an end; returns which.

        Raises:
            UserError: it cannot go on; the checkpoints saved so far are usable.
        """
        self._tell_start()
        try:
            while self._progress.epoch < self._setup.optimisation.epochs and not self._stale:
                self._run_epoch()
            self._save()
        except _StopAsked:
            self._save()
            return RunStatus.STOPPED
        except Cancelled:
            return RunStatus.CANCELLED
        finally:
            self._tell_saved(self._keeper.settle())
        return RunStatus.COMPLETED

    def _tell_start(self) -> None:
        setup, at = self._setup, self._progress
        setup.learner.apply(at.epoch)
        self._emit(
            RunStarted(
                epochs=setup.optimisation.epochs,
                steps_per_epoch=setup.batches.steps,
                first_epoch=at.epoch,
                first_step=at.step,
                device=setup.team.words(setup.compute.words),
                precision=self._passes.compute.precision.value,
                learning_share=_learning_share(setup.network),
                time=time.time(),
                batch_size=setup.optimisation.batch_size,
            )
        )
        if self._resume and self._resume.note:
            self._warn(self._resume.note)
        if self._resume and (differences := self._keeper.differences(self._resume)):
            self._warn(tr("Continues, but not bit-identical: {differences}.", differences=differences))
        ahead = self._ahead
        if len({learning_in(ahead, epoch) for epoch in range(at.epoch, setup.optimisation.epochs)}) > 1:
            self._tell_work(ahead)

    @property
    def _stale(self) -> bool:
        patience = self._setup.optimisation.early_stopping
        return bool(patience) and self._progress.stale_epochs >= patience

    def _run_epoch(self) -> None:
        if self._progress.step == 0:
            self._take_a_turn()
        setup, epoch = self._setup, self._progress.epoch
        setup.learner.apply(epoch)
        rates = setup.learner.rates(epoch)
        group_by_rate(self._optimizer, self._groups, rates)
        self._tell_rates(rates)
        setup.network.train()
        setup.learner.train_mode(epoch)
        afresh = self._progress.afresh or not setup.learner.pretrained
        self._statistics.follow(begins=self._progress.step == 0)
        stage = self._enter(self._stages.of(epoch))
        if remark := self._team.remark():
            self._warn(remark)
        if self._progress.step < setup.batches.steps:
            self._learn(stage)
        setup.network.eval()
        self._finish_epoch(*self._judge(stage, afresh=afresh))

    def _tell_rates(self, rates: dict[str, float]) -> None:
        if (groups := same_rate(rates)) != self._rates_told:
            self._rates_told = groups
            self._emit(RatesSet(epoch=self._progress.epoch, groups=groups))

    @property
    def _ahead(self) -> Learner:
        relearn = self._setup.relearn
        return relearn.ahead(self._progress.epoch) if relearn is not None else self._setup.learner

    def _tell_work(self, ahead: Learner) -> None:
        if steps := self._stages.work(self._progress.epoch, ahead):
            self._emit(WorkPlanned(epoch=self._progress.epoch, steps=steps))

    def _take_a_turn(self) -> None:
        """Do otherwise from this epoch on, if that is planned or asked for. What learns on keeps its momentum.

        In this order: the run is saved, the turn is settled (which makes it last), taken and told. A run that breaks off in
        between is resumed from here, and takes it then.
        """
        setup, at = self._setup, self._progress
        if setup.relearn is None or (turn := setup.relearn.asked(at.epoch)) is None:
            return
        self._save()
        setup.relearn.settled(turn, at.epoch)
        if turn.change.lr is not None:
            self._setup = replace(setup, optimisation=setup.optimisation.model_copy(update={"lr": turn.change.lr}))
        if turn.learner is not None:
            self._let_learn(turn.learner)
        self._progress = replace(at, stale_epochs=0)  # early stopping waits anew
        self._emit(PlanChanged(epoch=at.epoch, change=turn.change, learning_share=_learning_share(setup.network)))
        if turn.learner is not None:
            self._tell_work(self._ahead)

    def _let_learn(self, learner: Learner) -> None:
        setup, plan = self._setup, self._setup.optimisation
        learner.apply(self._progress.epoch)
        self._groups = learner.groups(plan.epochs, plan.weight_decay)
        optimizer = build_optimizer(plan, self._groups)
        restore_optimizer(optimizer, setup.network, optimizer_tensors(self._optimizer, setup.network))
        self._optimizer = self._keeper.optimizer = optimizer
        self._watch.follow(self._groups)
        self._setup, self._stages.learner = replace(setup, learner=learner), learner

    def _enter(self, stage: Stage) -> Stage:
        """Compute from now on as `stage` says. A run that is resumed within a stage keeps the precision it had there."""
        if stage.epochs != self._entered:
            self._tell_saved(self._keeper.settle())  # others may learn from now on
            self._entered, self._passes.forward = stage.epochs, stage.forward
            if (self._progress.epoch, self._progress.step) == (stage.epochs.start, 0):
                samples = len(stage.epochs) * self._setup.batches.steps * self._setup.optimisation.batch_size
                self._passes.compute = self._arithmetic.of(stage, samples)
        self._passes.forward = self._team.way(self._setup.network, stage.forward)
        return stage

    def _learn(self, stage: Stage) -> None:
        setup = self._setup
        with closed_after(stage.train(self._progress.epoch, self._progress.step)) as batches:
            coming = Coming(batches, self._aside)
            while (batch := coming.take()) is not None:
                self._heed()
                with self._watched():
                    self._learn_batch(*batch, meanwhile=coming.make)
                if self._keeper.due:
                    self._save()
        if self._progress.step != setup.batches.steps:
            raise RuntimeError(f"the epoch gave {self._progress.step} batches instead of {setup.batches.steps}")

    def _learn_batch(self, inputs: Tensor, targets: Tensor, *, meanwhile: Callable[[], None]) -> None:
        setup, plan, at = self._setup, self._setup.optimisation, self._progress
        step = at.epoch * setup.batches.steps + at.step
        lr = plan.lr * factor(plan.schedule, step, plan.epochs * setup.batches.steps, plan.warmup)
        set_rate(self._optimizer, lr)
        seed = _seed(setup.seed, at, self._team.rank)
        with self._told_when_diverged():
            sums = self._passes.learn(inputs, targets, self._optimizer, plan.clip_norm, seed, meanwhile)
        self._progress = replace(
            at,
            step=at.step + 1,
            loss_sum=at.loss_sum + sums.loss,
            correct=at.correct + sums.correct,
            seen=at.seen + sums.seen,
            parts=self._passes.parts,
        )
        loss, seconds = sums.loss / sums.seen, self._clock.seconds
        self._emit(StepDone(epoch=at.epoch, step=at.step, loss=loss, lr=lr, seconds=seconds))

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Tell what the step in the block does to each layer, where it is the last one of an epoch."""
        epoch = self._progress.epoch
        if self._progress.step != self._setup.batches.steps - 1 or not self._team.is_first:
            yield
            return
        self._watch.before()
        yield
        if layers := self._watch.after():
            self._emit(LayersSeen(epoch=epoch, layers=layers))

    def _judge(self, stage: Stage, *, afresh: bool) -> tuple[Sums, bool]:
        """What validation says; and whether BatchNorm layers are judged with each epoch's own pictures from now on.

        They are from the epoch on that shows what they follow to be too far from these pictures. It is suspected only where what
        is being learned is known better than validation; asked in the first epoch and ever more rarely, since it takes another
        validation, and only where there are wrong answers enough that it could be believed: more pictures must say so than
        chance and the choice between two would.
        """
        followed, at = None if afresh else self._validate(stage), self._progress
        enough = followed.share + max(_STALE, followed.seen**-0.5) if followed else 0.0
        suspected = self._statistics.learn and not (at.epoch + 1) & at.epoch and enough < 1
        if followed and (not suspected or followed.share >= at.correct / at.seen):
            return followed, False
        with self._statistics.seen():
            seen = self._validate(stage)
        if followed and seen.share <= enough:
            return followed, False
        self._statistics.settle()
        if followed:
            self._warn(
                tr(
                    "From epoch {epoch} on BatchNorm layers answer with what they see of these pictures: {seen:.0%} of the "
                    "validation pictures are right that way, and {followed:.0%} with what they remember of others.",
                    epoch=at.epoch + 1,
                    seen=seen.share,
                    followed=followed.share,
                )
            )
        return seen, True

    def _validate(self, stage: Stage) -> Sums:
        sums = Sums()
        with closed_after(stage.validation()) as batches, self._passes.judging() as judge:
            for inputs, targets in batches:
                self._heed()
                with self._told_when_diverged():
                    sums += judge(inputs, targets)
        if not sums.seen:
            raise UserError(tr("There is nothing to validate on."), tr("Hold out a larger share of the samples."))
        return sums

    def _finish_epoch(self, validation: Sums, afresh: bool) -> None:
        at = self._progress
        accuracy, loss = validation.share, validation.loss / validation.seen
        best = _better(at, accuracy, loss)
        self._emit(
            EpochDone(
                epoch=at.epoch,
                train_loss=at.loss_sum / at.seen,
                train_accuracy=at.correct / at.seen,
                val_loss=loss,
                val_accuracy=accuracy,
                seconds=self._clock.seconds,
                best=best,
            )
        )
        parts = self._passes.parts
        following = replace(at, epoch=at.epoch + 1, step=0, loss_sum=0.0, correct=0, seen=0, parts=parts, afresh=afresh)
        if best:
            following = replace(following, best_epoch=at.epoch, best_accuracy=accuracy, best_loss=loss, stale_epochs=0)
        else:
            following = replace(following, stale_epochs=at.stale_epochs + 1)
        with self._told_when_diverged():
            saved = self._keeper.end_epoch(following, best)
        self._progress = following
        self._tell_saved(saved)

    def _save(self) -> None:
        with self._told_when_diverged(), self._statistics.followed():
            self._tell_saved(self._keeper.save(self._progress))

    def _tell_saved(self, checkpoints: Iterable[Saved]) -> None:
        for saved in checkpoints:
            at = saved.progress
            self._emit(CheckpointSaved(path=saved.path, epoch=at.epoch, step=at.step, best=saved.best))

    def _heed(self) -> None:
        """Do what was asked meanwhile."""
        cancel, stop, pause = self._asked()
        if cancel:
            raise Cancelled
        if stop:
            raise _StopAsked
        if pause:
            self._wait()
            self._heed()

    def _asked(self) -> tuple[bool, bool, bool]:
        """Whether any process of the team was asked to cancel, to stop, to pause."""
        control = self._control
        return self._team.any(control.cancel.is_set(), control.stop.is_set(), control.pause.is_set())

    def _heed_an_end(self) -> None:
        """As `_heed`, where the network is not as the run left it: a pause, which saves, must wait."""
        if self._control.cancel.is_set():
            raise Cancelled
        if self._control.stop.is_set():
            raise _StopAsked

    def _wait(self) -> None:
        self._save()
        if self._aside is not None:
            torch.cuda.synchronize(self._aside.device)  # what is given back may still be read
        self._passes.forget_recorded()
        self._stages.release()
        if isinstance(self._setup.batches, ReleasingBatches):
            self._setup.batches.release()
        alone, device = self._team.size == 1, self._passes.compute.device
        with self._clock.stopped(), resting(self._setup.network, self._optimizer, device, moves=alone):
            self._emit(Paused(paused=True))
            while self._asked() == (False, False, True):
                self._control.cancel.wait(_STOP_OR_GO_ON_WITHIN_S)
        self._emit(Paused(paused=False))

    def _warn(self, sentence: str) -> None:
        self._emit(Warned(message=sentence))

    @contextmanager
    def _told_when_diverged(self) -> Iterator[None]:
        """Turn `Diverged` into a sentence that says where, what is kept and what to try."""
        at, lr = self._progress, self._setup.optimisation.lr
        try:
            yield
        except Diverged as error:
            where = tr("epoch {epoch}, validation", epoch=at.epoch + 1)
            if at.step < self._setup.batches.steps:
                where = tr("epoch {epoch}, batch {batch}", epoch=at.epoch + 1, batch=at.step + 1)
            kept = tr("No epoch was finished yet.")
            if at.best_epoch is not None:
                kept = tr("The best so far (epoch {epoch}) is kept.", epoch=at.best_epoch + 1)
            what = tr("{problem} at {place} (learning rate {rate:g}). {kept}", problem=error, place=where, rate=lr, kept=kept)
            raise UserError(what, tr("Try a rate ten times smaller.")) from error


def _learning_share(network: nn.Module) -> float:
    parameters = list(network.parameters())
    return sum(p.numel() for p in parameters if p.requires_grad) / max(1, sum(p.numel() for p in parameters))


def _better(at: Progress, accuracy: float, loss: float) -> bool:
    if at.best_accuracy is None or at.best_loss is None:
        return True
    return (accuracy, -loss) > (at.best_accuracy, -at.best_loss)


def _seed(seed: int, at: Progress, rank: int) -> int:
    """The start of one step's random choices: depends on nothing but (seed, epoch, step), and which part of a batch it is for."""
    said = f"{seed}/{at.epoch}/{at.step}" + (f"/{rank}" if rank else "")
    return int.from_bytes(hashlib.sha256(said.encode()).digest()[:7], "big")
