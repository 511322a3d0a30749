"""What every page is given: the project, the catalogs, and the verbs that work in the background."""

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import SignalInstance

from desktop_ft import jobs
from desktop_ft.core.advice import Advice, Ranking
from desktop_ft.core.comparing import Comparison
from desktop_ft.core.dataset import DatasetManifest
from desktop_ft.core.forecast import Forecast
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.language import tr
from desktop_ft.core.recipe import BackboneChoice, Recipe
from desktop_ft.engine.control import RunControl
from desktop_ft.gui.autosave import Autosave
from desktop_ft.gui.broken_off_runs import BrokenOffRuns
from desktop_ft.gui.compare_work import CompareWork
from desktop_ft.gui.computing import Computing
from desktop_ft.gui.faults import Faults
from desktop_ft.gui.inquiry import Inquiry
from desktop_ft.gui.kept_findings import KeptFindings
from desktop_ft.gui.lesson_work import LessonWork
from desktop_ft.gui.log import Diary, Log
from desktop_ft.gui.networks import Networks
from desktop_ft.gui.opening import Opening
from desktop_ft.gui.own_weights import OwnWeights
from desktop_ft.gui.plugin_work import PluginWork
from desktop_ft.gui.queue_work import QueueWork
from desktop_ft.gui.readiness import UNDER_WAY, Blocker, blocker, blockers
from desktop_ft.gui.replanning import Replanning
from desktop_ft.gui.run_work import RunWork
from desktop_ft.gui.settings import Settings
from desktop_ft.gui.shown_run import ShownRun
from desktop_ft.gui.starting import Starting
from desktop_ft.gui.state import ProjectState
from desktop_ft.gui.theme import Theme
from desktop_ft.gui.thresholds import Thresholds
from desktop_ft.gui.training_job import Training
from desktop_ft.gui.worker import Worker
from desktop_ft.plugin_manager import Plugins


@dataclass(frozen=True, eq=False, kw_only=True)
class Session:
    """Everything there is one of while the window is open; made by `session`."""

    plugins: Plugins
    settings: Settings
    theme: Theme
    faults: Faults
    state: ProjectState
    worker: Worker
    opening: Opening
    networks: Networks
    own_weights: OwnWeights
    training: Training
    starting: Starting
    replanning: Replanning
    shown: ShownRun
    runs: RunWork
    thresholds: Thresholds
    broken_off: BrokenOffRuns
    queue: QueueWork
    comparing: CompareWork
    forecast: Inquiry[Recipe, Forecast]
    advice: Inquiry[Recipe, Advice]
    ranking: Inquiry[Recipe, Ranking]
    compare_forecast: Inquiry[Comparison, float]
    autosave: Autosave
    kept_findings: KeptFindings
    log: Log
    plugin_work: PluginWork
    lesson: LessonWork
    computing: Computing

    @property
    def can_open(self) -> bool:
        """Whether other pictures or runs may be opened now."""
        return not self.obstacle

    @property
    def obstacle(self) -> str:
        """Why no other pictures or runs may be opened now, in a sentence; "" where they may."""
        return tr(UNDER_WAY) if _under_way(self.opening, self.training, self.runs) else ""

    @property
    def can_open_changed(self) -> tuple[SignalInstance, ...]:
        """What is sent whenever `can_open` may be another."""
        return (
            self.opening.began,
            self.opening.ended,
            self.runs.began,
            self.runs.ended,
            self.training.started,
            self.training.ended,
        )

    def open_sample(self, name: str) -> None:
        """Lay out the sample dataset `name`, and make it the project's pictures."""
        self.state.go("data")
        self.opening.open_sample(name, jobs.scanning.sample_folder(name))

    def remember(self) -> None:
        """Write what the window remembers, without waiting for the disk; where that fails, closing the window tries again."""
        save = self.settings.saving()
        self.worker.run(lambda report, cancel: save(), finished=lambda _: None, failed=lambda _: None)

    def blocker(self) -> Blocker | None:
        """Why a run cannot start now; None when it can."""
        return _blocker(self.state, self.opening, self.plugins, self.own_weights, running=self.training.running)

    def to_put_right(self) -> dict[str, str]:
        """What of the recipe is to be put right before a run can start: page to reason. Empty while something is under way."""
        if self.training.running or self.opening.running or self.opening.dividing:
            return {}
        found = blockers(self.state.recipe, self.state.manifest, self.plugins, self.own_weights.is_there)
        return {each.page: each.reason for each in found}

    def queue_blocker(self) -> Blocker | None:
        """Why the recipe as it stands could not be trained even if no other run were under way; None when it could."""
        return _blocker(self.state, self.opening, self.plugins, self.own_weights, running=False)

    @property
    def can_queue(self) -> bool:
        """Whether the recipe as it stands could be trained, once no other run is under way."""
        return self.queue_blocker() is None


def _under_way(opening: Opening, training: Training, runs: RunWork) -> str:
    """What uses pictures, runs and plugins just now, as a sentence's beginning; "" where nothing does."""
    if training.running:
        return tr("A run")
    return tr(runs.busy) or (opening.what if opening.running else "")


def _blocker(
    state: ProjectState, opening: Opening, plugins: Plugins, own_weights: OwnWeights, *, running: bool
) -> Blocker | None:
    if opening.running or opening.dividing:
        return Blocker(tr("The pictures are still being looked at."), "data")
    return blocker(state.recipe, state.manifest, plugins, own_weights.is_there, running=running)


def _all_of_it(recipe: Recipe) -> Recipe:
    return recipe


def _whatever_learns(recipe: Recipe) -> Recipe:
    return recipe.model_copy(update={"freeze": FreezePlan(), "changes": ()})


def _whatever_network(recipe: Recipe) -> Recipe:
    size = BackboneChoice(image_size=recipe.backbone.image_size)
    return _whatever_learns(recipe).model_copy(update={"backbone": size})


def _all_pictures(asked: Comparison, manifest: DatasetManifest | None) -> DatasetManifest | None:
    """`manifest`, where the recipe draws none from all its pictures: a comparison has all of them, and looks at them first."""
    return manifest if not asked.base.dataset.images_per_class else None


def _inquiries(
    state: ProjectState,
    worker: Worker,
    training: Training,
    plugins: Plugins,
    comparing: CompareWork,
    computing: Computing,
    startable: Callable[[], bool],
) -> tuple[Inquiry[Recipe, Forecast], Inquiry[Recipe, Advice], Inquiry[Recipe, Ranking], Inquiry[Comparison, float]]:
    """All that can be found out before anything is trained."""

    def alone() -> bool:
        # What is measured beside other work is no measure.
        return not computing.now and startable()

    def first() -> bool:
        return not computing.firmly and startable()

    forecast: Inquiry[Recipe, Forecast] = Inquiry(
        state,
        worker,
        training,
        lambda: state.recipe,
        lambda recipe, manifest, told, cancel: jobs.forecasting.forecast(recipe, plugins, manifest, cancel=cancel),
        _all_of_it,
        alone,
        lasting=False,
    )
    advice: Inquiry[Recipe, Advice] = Inquiry(
        state,
        worker,
        training,
        lambda: state.recipe,
        lambda recipe, manifest, told, cancel: jobs.advising.advise(recipe, plugins, manifest, told=told, cancel=cancel),
        _whatever_learns,
        first,
        when_free=computing.alone,
    )
    ranking: Inquiry[Recipe, Ranking] = Inquiry(
        state,
        worker,
        training,
        lambda: state.recipe,
        lambda recipe, manifest, told, cancel: jobs.advising.rank_backbones(recipe, plugins, manifest, told=told, cancel=cancel),
        _whatever_network,
        first,
        when_free=computing.alone,
    )
    compare_forecast: Inquiry[Comparison, float] = Inquiry(
        state,
        worker,
        training,
        lambda: comparing.chosen,
        lambda asked, manifest, told, cancel: jobs.comparing.expected_seconds(
            asked, plugins, _all_pictures(asked, manifest), progress=told, control=RunControl(stop=cancel)
        ),
        lambda asked: asked,
        alone,
        edited=(comparing.chose,),
    )
    return forecast, advice, ranking, compare_forecast


def session(plugins: Plugins, settings: Settings, theme: Theme, faults: Faults) -> Session:
    """A new session."""
    state = ProjectState()
    worker = Worker(state)
    worker.unforeseen.connect(faults.report)
    training = Training(state)

    def under_way() -> str:
        return _under_way(opening, training, runs)

    opening = Opening(state, worker, plugins, under_way)
    replanning = Replanning(state, worker, plugins, training)
    starting = Starting(plugins, training, replanning, lambda: settings.isolate)
    shown = ShownRun(state, worker, training, under_way)
    runs = RunWork(state, worker, plugins, shown)
    comparing = CompareWork(starting, training, worker, plugins)
    broken_off = BrokenOffRuns(worker, training, comparing, settings)
    runs.trashed.connect(broken_off.set_aside)
    runs.returned.connect(broken_off.take_back)
    opening.moved.connect(shown.leave_others)
    training.started.connect(state.used)

    own_weights = OwnWeights(worker)
    own_weights.changed.connect(state.recipe_changed)  # whether a run can start depends on it
    computing = Computing(state)

    def startable() -> bool:
        return _blocker(state, opening, plugins, own_weights, running=training.running) is None

    forecast, advice, ranking, compare_forecast = _inquiries(state, worker, training, plugins, comparing, computing, startable)
    networks = Networks(state, worker, plugins)
    lesson = LessonWork(worker, training, plugins, lambda: not (opening.running or computing.now))
    computing.watch(lambda: training.running, training.started, training.ended)
    computing.watch(lambda: runs.busy, runs.began, runs.ended)
    computing.watch(lambda: forecast.computing and not forecast.by_itself, forecast.changed)
    computing.watch(lambda: forecast.computing and forecast.by_itself, forecast.changed, give_way=forecast.cancel)
    computing.watch(lambda: advice.computing, advice.changed)
    computing.watch(lambda: ranking.computing, ranking.changed)
    computing.watch(lambda: compare_forecast.computing, compare_forecast.changed)
    computing.watch(lambda: networks.measuring, networks.measuring_began, networks.measuring_ended)
    computing.watch(lambda: comparing.busy, comparing.changed)
    computing.watch(lambda: lesson.running, lesson.changed)
    for told in (forecast.changed, advice.changed, ranking.changed, compare_forecast.changed, lesson.changed):
        computing.changed.connect(told)  # what can be begun may be another
    plugin_work = PluginWork(state, worker, plugins, under_way)
    plugin_work.changed.connect(networks.look_again)
    Diary(opening, networks, runs, training)
    return Session(
        plugins=plugins,
        settings=settings,
        theme=theme,
        faults=faults,
        state=state,
        worker=worker,
        opening=opening,
        networks=networks,
        own_weights=own_weights,
        training=training,
        starting=starting,
        replanning=replanning,
        shown=shown,
        runs=runs,
        thresholds=Thresholds(worker, plugins),
        broken_off=broken_off,
        queue=QueueWork(starting, training, plugins),
        comparing=comparing,
        forecast=forecast,
        advice=advice,
        ranking=ranking,
        compare_forecast=compare_forecast,
        autosave=Autosave(state, worker),
        kept_findings=KeptFindings(state),
        log=Log(state),
        plugin_work=plugin_work,
        lesson=lesson,
        computing=computing,
    )
