"""One run of ours as one run of MLflow. Importing this imports MLflow, which takes seconds."""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from desktop_ft.api import EpochDone, PrecisionChosen, RunEnded, RunStarted, RunStatus, StepDone, TrainEvent

EXPERIMENT = "Desktop FT"
KNOWN = "mlflow_run.txt"
"""Holds, in the run's folder, the id of MLflow's run."""
_RECIPE = "recipe.toml"
_AT_ONCE = 1000  # metrics that a server takes in one request
_LONGEST = 500  # letters of a parameter that servers of any age take
_ENDINGS = {RunStatus.CANCELLED: "KILLED", RunStatus.FAILED: "FAILED"}


def client_of(uri: str) -> MlflowClient:
    """What writes to the store at `uri`; nothing is asked of it yet."""
    return MlflowClient(tracking_uri=uri)


class Tracked:
    """The run in the folder `run`, kept as it goes and told to `client`. A run that is resumed goes on where it was.

    What the store does not take is kept, and told again with what comes after it.

    Attributes:
        is_due: it is time to send what is kept: the run began, or an epoch or all of it is over; or a server's fill is there.
    """

    def __init__(self, client: MlflowClient, run: Path) -> None:
        self.is_due = False
        self._client, self._run, self._id = client, run, ""
        self._metrics: list[Metric] = []
        self._tags: dict[str, str] = {}
        self._params: list[Param] | None = None
        self._ending: RunEnded | None = None
        self._per_epoch = 0
        self._behind = False

    def keep(self, event: TrainEvent, time_ms: int) -> None:
        """Keep `event`, of `time_ms` since 1970."""
        if isinstance(event, RunStarted):
            self._per_epoch = event.steps_per_epoch
            self._tags |= {"device": event.device, "precision": event.precision}
        elif isinstance(event, PrecisionChosen):
            self._tags["precision"] = event.precision
        elif isinstance(event, StepDone):
            step = event.epoch * self._per_epoch + event.step + 1
            self._add(time_ms, step, {"step/loss": event.loss, "step/learning rate": event.lr})
        elif isinstance(event, EpochDone):
            self._add(time_ms, event.epoch + 1, dict(_judged(event)))
        elif isinstance(event, RunEnded):
            self._ending = event
            self._tags |= {"status": event.status, **({"error": event.error} if event.error else {})}
        full = len(self._metrics) >= _AT_ONCE and not self._behind
        self.is_due = full or isinstance(event, RunStarted | EpochDone | RunEnded)

    def send(self) -> None:
        """Send what is kept, in order. What has arrived is kept no more, whatever is raised."""
        self._behind = True
        if not self._id:
            self._id, is_new = _begun(self._client, self._run)
            self._params = list(_params(self._run / _RECIPE)) if is_new else None
        try:
            self._send_figures()
        finally:  # a store that takes no figures may take the end
            self._send_end()
        self._behind = False

    def _send_figures(self) -> None:
        if self._params:
            self._client.log_batch(self._id, params=self._params)
            self._params = None
        while self._metrics:
            self._client.log_batch(self._id, metrics=self._metrics[:_AT_ONCE])
            del self._metrics[:_AT_ONCE]

    def _send_end(self) -> None:
        if self._tags:
            self._client.log_batch(self._id, tags=[RunTag(f"desktop_ft.{name}", tag) for name, tag in self._tags.items()])
            self._tags.clear()
        if self._ending is not None:
            self._client.set_terminated(self._id, _ENDINGS.get(self._ending.status, "FINISHED"))
            if (self._run / _RECIPE).is_file():  # files come last: where the store cannot take them, all else is there
                self._client.log_artifact(self._id, str(self._run / _RECIPE))

    def _add(self, time_ms: int, step: int, values: dict[str, float]) -> None:
        self._metrics += [Metric(name, value, time_ms, step) for name, value in values.items()]


def _begun(client: MlflowClient, run: Path) -> tuple[str, bool]:
    """The id of MLflow's run for `run`, and whether it is a new one."""
    if (known := _known(client, run)) is not None:
        client.update_run(known, status="RUNNING")
        return known, False
    experiment = client.get_experiment_by_name(EXPERIMENT)
    number = experiment.experiment_id if experiment is not None else client.create_experiment(EXPERIMENT)
    begun: str = client.create_run(number, run_name=run.resolve().name, tags={"mlflow.source.name": "Desktop FT"}).info.run_id
    (run / KNOWN).write_text(begun, encoding="utf-8")
    return begun, True


def _known(client: MlflowClient, run: Path) -> str | None:
    if not (run / KNOWN).is_file():
        return None
    known = (run / KNOWN).read_text(encoding="utf-8").strip()
    try:
        info = client.get_run(known).info
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None  # it is in another store, or was deleted there for good
        raise
    return known if info.lifecycle_stage == "active" else None


def _params(recipe: Path) -> Iterator[Param]:
    """What a recipe says, a parameter for each field; long ones are cut, as all of it is in the artefact."""
    said = tomllib.loads(recipe.read_text(encoding="utf-8")) if recipe.is_file() else {}
    for name, value in said.items():
        fields = {f"{name}.{field}": inner for field, inner in value.items()} if isinstance(value, dict) else {name: value}
        for field, inner in fields.items():
            text = inner if isinstance(inner, str) else json.dumps(inner, ensure_ascii=False)
            yield Param(field, text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…")


def _judged(done: EpochDone) -> Iterator[tuple[str, float]]:
    for subset in ("train", "val"):
        for what in ("loss", "accuracy"):
            yield f"{what}/{subset}", getattr(done, f"{subset}_{what}")
    if done.best:  # the last of these is what the run leaves behind
        yield "best/loss", done.val_loss
        yield "best/accuracy", done.val_accuracy
