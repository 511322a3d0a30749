"""The door of the engine: one run from its start, or from a checkpoint, to exactly one ending."""

from torch import nn

from desktop_ft.core.errors import UserError
from desktop_ft.core.events import RunEnded, RunStatus, TrainEvent
from desktop_ft.core.recipe import Optimisation
from desktop_ft.engine.arithmetic import Measurements
from desktop_ft.engine.batches import Batches
from desktop_ft.engine.control import RunControl
from desktop_ft.engine.device import Compute, reproducible
from desktop_ft.engine.feature_store import FeatureStore
from desktop_ft.engine.layer_watch import Origin
from desktop_ft.engine.learner import Learner, Relearn
from desktop_ft.engine.loop import Emit, Loop, Setup
from desktop_ft.engine.passes import Loss
from desktop_ft.engine.process import memory_kept
from desktop_ft.engine.team import ALONE, Team
from desktop_ft.models.checkpoint import Checkpoint, CheckpointStore


class Trainer:
    """Trains a network; knows batches, a loss and events, and nothing of pictures, plans or windows.

    On the CPU the same arguments give the same weights, bit by bit, whether or not the run was stopped and resumed between.

    Args:
        network: inputs of `batches` to logits (N, classes); it is moved to the device and changed in place.
        learner: which of the network's parameters learn, and how fast.
        loss: float32 logits (N, classes) and targets to the mean loss; label smoothing and class weights are its own.
        save_every_s: how many seconds of work a crash may cost at most.
        saving_share: share of the time that saving at the ends of epochs may take, 0 to 1; 1: every epoch is saved.
        measurements: what was measured on this machine, to choose the precision by; None: it stays as `compute` says.
        features: where the answers of frozen layers are kept; None: every step goes through the whole network.
        relearn: asked at the start of every epoch whether the run is to do otherwise from then on; None: it never is.
        origin: what the network had learned before this run; None: nothing, it began by chance.
        team: the processes that train together. Each is given the same arguments, but for `batches`, which hold its own part of
            every batch. The first saves and tells for all; what the others are given for that is not used.
    """

    def __init__(
        self,
        *,
        network: nn.Module,
        learner: Learner,
        batches: Batches,
        optimisation: Optimisation,
        compute: Compute,
        store: CheckpointStore,
        seed: int,
        loss: Loss,
        save_every_s: float = 60.0,
        saving_share: float = 0.05,
        features: FeatureStore | None = None,
        measurements: Measurements | None = None,
        relearn: Relearn | None = None,
        origin: Origin | None = None,
        team: Team = ALONE,
    ) -> None:
        self._setup = Setup(
            network=network,
            learner=learner,
            batches=batches,
            optimisation=optimisation,
            compute=compute,
            store=store,
            seed=seed,
            loss=loss,
            save_every_s=save_every_s,
            saving_share=saving_share,
            features=features,
            measurements=measurements,
            relearn=relearn,
            origin=origin,
            team=team,
        )

    def fit(self, emit: Emit, control: RunControl, resume: Checkpoint | None = None) -> RunEnded:
        """Train until the last epoch, or until `control` or an early stop ends it.

        Every ending emits exactly one `RunEnded`, last of all. What a person can mend (a `UserError`: divergence, a full
        disk, too little memory) ends the run as FAILED with that sentence and is not raised. Any other exception ends it as
        FAILED too (an interruption from the keyboard as CANCELLED) and is raised again. What `emit` raises counts as raised here.
        In a team of several, an exception that ends one process alone is raised and not told: the others break off too, and who
        started the team may start it anew from the last checkpoint.

        Args:
            emit: called with every event, from this thread.
            resume: where to go on from; it must come from a run of the same arguments.

        Raises:
            TeamBroken: another process of the team has ended.
        """
        team = self._setup.team
        if not team.is_first:
            emit = _nowhere
        try:
            with memory_kept(), reproducible(self._setup.compute), team.together():
                ended = self._ended(Loop(self._setup, emit, control, resume).run())
        except UserError as error:
            ended = self._ended(RunStatus.FAILED, str(error))
        except BaseException as error:
            if team.size == 1:
                emit(self._broken_off(error))
            raise
        emit(ended)
        return ended

    def _broken_off(self, error: BaseException) -> RunEnded:
        if isinstance(error, KeyboardInterrupt):
            return self._ended(RunStatus.CANCELLED)
        return self._ended(RunStatus.FAILED, f"{type(error).__name__}: {error}")

    def _ended(self, status: RunStatus, error: str = "") -> RunEnded:
        return RunEnded(status=status, checkpoint=self._setup.store.best, error=error)


def _nowhere(event: TrainEvent) -> None:
    return
