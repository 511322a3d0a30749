"""The plugins' listeners to a run: one that raises is left out, and never ends a training.

One that raises a `UserError` at an event says what it could not do, and goes on.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from desktop_ft.api import EventSink, TrainEvent
from desktop_ft.api.catalog import Catalog
from desktop_ft.core.errors import UserError
from desktop_ft.core.events import Warned
from desktop_ft.core.language import tr
from desktop_ft.plugin_manager import PluginRecord


class Sinks:
    """The event sinks of one run.

    Args:
        run: the run folder, which every sink is given.
        failed: plugins that a person has turned on to listen, and that could not be loaded.
    """

    def __init__(self, catalog: Catalog[EventSink], run: Path, failed: Iterable[PluginRecord] = ()) -> None:
        self._listening: dict[str, Callable[[TrainEvent], None]] = {}
        self._failed = [
            Warned(message=tr("The plugin {name} is on, and hears nothing of this run: {why}.", name=each.name, why=each.told))
            for each in failed
        ]
        self._said = set[tuple[str, UserError]]()
        for sink in catalog:
            # A plugin can raise anything, what ends a process too: whatever it is, the run goes on without it, and says so.
            try:
                self._listening[sink.name] = sink.open(run)
            except (Exception, SystemExit) as error:
                self._failed.append(_left_out(sink.name, error))

    def pass_on(self, event: TrainEvent) -> Iterator[Warned]:
        """Hand `event` to every sink; gives a warning for each that failed, to be told before the event itself."""
        for name, listen in list(self._listening.items()):
            try:
                listen(event)
            except UserError as error:  # told once, however often it comes
                if (name, error) not in self._said:
                    self._said.add((name, error))
                    self._failed.append(Warned(message=tr("The event sink {name}: {error}", name=name, error=error)))
            except (Exception, SystemExit) as error:
                del self._listening[name]
                self._failed.append(_left_out(name, error))
        while self._failed:
            yield self._failed.pop(0)


def _left_out(name: str, error: BaseException) -> Warned:
    return Warned(
        message=tr(
            "The event sink {name} failed and hears no more of this run: {error}",
            name=name,
            error=error if isinstance(error, UserError) else f"{type(error).__name__}: {error}",
        )
    )
