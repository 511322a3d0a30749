"""What the actions do: each handler that `menus.ACTIONS` names."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QMessageBox, QWidget

from desktop_ft import __version__, places
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import LANGUAGES, tr
from desktop_ft.core.recipe import Recipe
from desktop_ft.data.model_files import not_opened
from desktop_ft.gui.autosave import KeptProject
from desktop_ft.gui.conditions import Conditions
from desktop_ft.gui.drops import exported_at
from desktop_ft.gui.picker import choose_file, choose_folder, choose_new_file, choose_zip
from desktop_ft.gui.plan_clipboard import copy_plan, paste_plan
from desktop_ft.gui.readiness import refuse_beside
from desktop_ft.gui.session import Session
from desktop_ft.gui.state import pages_between
from desktop_ft.gui.theme import ThemeChoice
from desktop_ft.jobs import help_texts
from desktop_ft.runs import atomic
from desktop_ft.runs.recipe_file import read_recipe


class Commands(Conditions):
    """The verbs of menu and tool bar. What a person can mend is told through `told`, in place, what is good to know, `noted`,
    what was undone or redone and which pages show it, `stepped`; `recipe_failed`, what is wrong with a recipe that was opened.
    """

    told = Signal(object)
    recipe_failed = Signal(object)
    noted = Signal(str)
    stepped = Signal(str, object)
    palette_asked = Signal()
    recent_asked = Signal()
    sample_asked = Signal()
    card_asked = Signal()
    help_asked = Signal(str)
    log_asked = Signal()
    panel_asked = Signal()
    plugin_panel_asked = Signal()
    rate_asked = Signal()
    start_asked = Signal()
    wait_asked = Signal()
    queue_asked = Signal()

    def __init__(self, session: Session, window: QWidget) -> None:
        super().__init__(session, window)
        self._window = window
        self._last_run: Path | None = None

    def open_paths(self, paths: tuple[Path, ...]) -> None:
        """What was dropped: a folder or .zip of pictures, a recipe, a run's folder, an exported file, an unpacked bundle."""
        if not paths:
            return
        if (exported := exported_at(paths[0])) is not None:
            self.show_exported(exported)  # beside whatever is under way
        else:
            self._attempt(lambda: self._open(paths[0]))

    def use_recipe(self, recipe: Recipe) -> None:
        """Start from `recipe`, unless something is under way."""
        self._attempt(lambda: self._take(recipe))

    def show_exported(self, file: Path) -> None:
        """Show what an exported file is, and let it be tried."""
        from desktop_ft.gui.exported_model_dialog import ExportedModelDialog

        ExportedModelDialog(self._session, file, self._window).open()

    def open_folder(self) -> None:
        """Choose a folder of pictures."""
        if folder := choose_folder(self._window, self._session.settings, tr("Choose a folder of pictures")):
            self.open_paths((folder,))

    def open_zip(self) -> None:
        """Choose a .zip of pictures."""
        if file := choose_zip(self._window, self._session.settings):
            self.open_paths((file,))

    def open_sample(self) -> None:
        """Open the sample that ships, or let the person choose where plugins bring more."""
        samples = list(self._session.plugins.samples)
        if len(samples) > 1:
            self.sample_asked.emit()
        elif samples:
            self._session.open_sample(samples[0].name)
        else:
            self.told.emit(UserError(tr("No sample is on offer."), tr("Turn on the plugin that brings it.")))

    def open_recent(self) -> None:
        """Choose among the folders that were opened last."""
        self.recent_asked.emit()

    def open_first(self, given: Path | None) -> None:
        """What the window opens when it starts: `given`, or the project that was open last; with both the same, that project."""
        autosave = self._session.autosave
        try:
            last = autosave.last()
        except UserError as error:
            last = None
            if given is None:
                self.recipe_failed.emit(error)
        if autosave.refused is not None:
            self.noted.emit(_beside(autosave.refused))
        if last is not None and (given is None or str(given) == last.dataset.folder):
            autosave.go_on_with(last)
            self._open_project(last)
        elif given is not None:
            self.open_paths((given,))

    def open_kept(self, other: KeptProject) -> None:
        """Go over to a project that another window had.

        Raises:
            UserError: it cannot be had, the one that is open cannot be saved, or something is under way.
        """
        refuse_beside(self._session.obstacle)
        recipe = self._session.autosave.go_over_to(other)
        self._session.shown.leave()
        self._session.state.go("data")
        self._open_project(recipe)

    def open_recipe(self) -> None:
        """Choose a saved recipe."""
        if file := choose_file(self._window, self._session.settings, tr("Open a recipe"), tr("Recipes (*.toml)")):
            self.open_paths((file,))

    def open_run(self) -> None:
        """Choose the folder of an earlier run."""
        places.runs().mkdir(parents=True, exist_ok=True)
        if folder := choose_folder(self._window, self._session.settings, tr("Open a run"), places.runs()):
            self._attempt(lambda: self._show_run(folder))

    def open_exported(self) -> None:
        """Choose a file that was exported."""
        kinds = tr("Exported models (*.onnx)")
        if file := choose_file(self._window, self._session.settings, tr("Open an exported model"), kinds):
            self.show_exported(file)

    def save_recipe(self) -> None:
        """Save the recipe as it stands."""
        kinds = tr("Recipes (*.toml)")
        if file := choose_new_file(self._window, self._session.settings, tr("Save the recipe"), "recipe.toml", kinds):
            self._attempt(lambda: self.write_recipe(file))

    def write_recipe(self, path: Path) -> None:
        """Write the recipe to `path`.

        Raises:
            UserError: it cannot be written.
        """
        atomic.write(path, self._session.state.recipe.to_toml().encode())
        self._session.state.used()

    def undo(self) -> None:
        """Take back the last edit, and show where."""
        stack = self._session.state.undo_stack
        if stack.canUndo():
            self._step(tr("Undone: {edit}.", edit=stack.undoText()), stack.undo)

    def redo(self) -> None:
        """Make it again, and show where."""
        stack = self._session.state.undo_stack
        if stack.canRedo():
            self._step(tr("Redone: {edit}.", edit=stack.redoText()), stack.redo)

    def put_back_run(self) -> None:
        """Take the run that went to the trash last out of there, and show where it is."""
        if (last := self._session.runs.last_trashed) is not None:
            self._session.state.go("runs")
            self._attempt(lambda: self._session.runs.put_back(last))

    def copy_plan(self) -> None:
        """Put the freeze plan on the clipboard."""
        copy_plan(self._session.state)

    def copy_plan_options(self) -> None:
        """Put it there as options of the command line."""
        copy_plan(self._session.state, options=True)

    def paste_plan(self) -> None:
        """Take over the plan that is there."""
        self._attempt(lambda: paste_plan(self._session.state))

    def show_palette(self) -> None:
        """Find an action or a setting by its name."""
        self.palette_asked.emit()

    def start_training(self) -> None:
        """Train with the recipe as it stands, where the page Train says; shows that page."""
        if self.can_start:
            self._session.state.go("train")
            self.start_asked.emit()

    def pause_training(self) -> None:
        """Ask the run to wait, or to go on."""
        self._session.training.pause(not self.paused)

    def stop_training(self) -> None:
        """Ask the run to end and keep the best."""
        self._session.training.stop()

    def cancel_training(self) -> None:
        """Ask the run to end now."""
        self._session.training.cancel()

    def replan(self) -> None:
        """Let the run under way go on with the layers that are ticked now."""
        self._session.replanning.replan()

    def go_to_rate(self) -> None:
        """Show the page Train, and the rate of the run there."""
        self._session.state.go("train")
        self.rate_asked.emit()

    def add_to_queue(self) -> None:
        """Let the recipe as it stands wait for its turn; shows the page Train, which says so."""
        if self.can_queue:
            self._session.state.go("train")
            self.wait_asked.emit()

    def show_queue(self) -> None:
        """Show what waits."""
        self.queue_asked.emit()

    def toggle_isolate(self) -> None:
        """Train the next runs in a process of their own, or in this one."""
        self._session.settings.isolate = not self._session.settings.isolate
        self._session.remember()

    def toggle_notify(self) -> None:
        """Tell of the end of runs, or not."""
        self._session.settings.notify = not self._session.settings.notify
        self._session.remember()

    def forecast(self) -> None:
        """Say how long the run will take; shows the page Train."""
        self._session.state.go("train")
        self._session.forecast.ask()

    def find_rate(self) -> None:
        """Try learning rates, and let the person take one."""
        from desktop_ft.gui.rate_dialog import RateDialog  # pyqtgraph: not before it is needed

        if self.can_start:
            RateDialog(self._session, self._window).open()

    def compare(self) -> None:
        """Show what fine-tuning gains, and what it takes to find out."""
        from desktop_ft.gui.compare_dialog import show_comparison  # pyqtgraph: not before it is needed

        show_comparison(self._session, self._window)

    def show_kept(self) -> None:
        """Show what is kept for the next run, and let it be dropped."""
        from desktop_ft.gui.kept_dialog import KeptDialog

        KeptDialog(self._session, self._window).open()

    def close(self) -> None:
        """Close the window."""
        self._window.close()

    def theme_system(self) -> None:
        """Colours as the system says."""
        self._choose_theme(ThemeChoice.SYSTEM)

    def theme_light(self) -> None:
        """Light colours."""
        self._choose_theme(ThemeChoice.LIGHT)

    def theme_dark(self) -> None:
        """Dark colours."""
        self._choose_theme(ThemeChoice.DARK)

    def choose_language(self, code: str) -> None:
        """Speak the language `code`, "" for the system's, from the next start on."""
        self._session.settings.language = code
        self._session.remember()
        language = LANGUAGES.get(code) or tr("the system's language")
        self.noted.emit(tr("From its next start on the window speaks {language}.", language=language))

    def start_lesson(self) -> None:
        """Begin the lesson, or go on where it was left."""
        from desktop_ft.gui.lesson_dialog import show_lesson

        show_lesson(self._session, self._window)

    def explain_control(self) -> None:
        """Explain the control that has the focus."""
        self.card_asked.emit()

    def explain_page(self) -> None:
        """Explain the page that is shown."""
        self.help_asked.emit(f"page:{self._session.state.page}")

    def explain_words(self) -> None:
        """Explain the words of the field."""
        self.help_asked.emit(f"word:{next(iter(help_texts.glossary()))}")

    def toggle_panel(self) -> None:
        """Show a panel of the page in a window of its own, or bring it back."""
        self.panel_asked.emit()

    def open_panel(self) -> None:
        """Choose among the panels that plugins bring."""
        self.plugin_panel_asked.emit()

    def show_log(self) -> None:
        """Show everything that was told."""
        self.log_asked.emit()

    def about(self) -> None:
        """Say what this is."""
        QMessageBox.about(
            self._window,
            tr("About Desktop FT"),
            tr(
                "Desktop FT {version}\n\nFine-tunes pre-trained vision networks on your own photos.\nApache License 2.0.",
                version=__version__,
            ),
        )

    def go_data(self) -> None:
        """Show the page Data."""
        self._session.state.go("data")

    def go_model(self) -> None:
        """Show the page Model."""
        self._session.state.go("model")

    def go_layers(self) -> None:
        """Show the page Layers."""
        self._session.state.go("layers")

    def go_augment(self) -> None:
        """Show the page Augment."""
        self._session.state.go("augment")

    def go_train(self) -> None:
        """Show the page Train."""
        self._session.state.go("train")

    def go_results(self) -> None:
        """Show the page Results."""
        self._session.state.go("results")

    def go_export(self) -> None:
        """Show the page Export."""
        self._session.state.go("export")

    def go_runs(self) -> None:
        """Show the page Runs."""
        self._session.state.go("runs")

    def go_plugins(self) -> None:
        """Show the page Plugins."""
        self._session.state.go("plugins")

    def _step(self, told: str, step: Callable[[], None]) -> None:
        before = self._session.state.recipe
        step()
        self.stepped.emit(told, pages_between(before, self._session.state.recipe))

    def _choose_theme(self, choice: ThemeChoice) -> None:
        self._session.settings.theme = choice
        self._session.remember()
        self._session.theme.choose(choice)

    def _open(self, path: Path) -> None:
        refuse_beside(self._session.obstacle)
        if path.suffix.lower() == ".toml":
            self._load_recipe(path)
        elif (path / "recipe.toml").is_file() and (path / "events.jsonl").is_file():
            self._show_run(path)
        elif path.is_dir() or path.suffix.lower() == ".zip":
            self._session.state.go("data")
            self._session.opening.open(path)
        else:
            neither = tr("{name} is neither a folder nor a .zip.", name=path.name)
            raise not_opened(path) or UserError(neither, tr("Drop the folder that holds your class folders."))

    def _open_project(self, recipe: Recipe) -> None:
        """Open what is kept of a project, and then the run that was open with it."""
        self._last_run = self._session.autosave.last_run()
        self._session.opening.open_recipe(recipe)
        self._session.opening.ended.connect(self._show_last_run_soon)

    def _load_recipe(self, path: Path) -> None:
        try:
            recipe = read_recipe(path)
        except UserError as error:
            self.recipe_failed.emit(error)
            return
        self._take(recipe)

    def _take(self, recipe: Recipe) -> None:
        refuse_beside(self._session.obstacle)
        self._session.state.go("data")
        self._session.opening.take_recipe(recipe)

    def _show_run(self, path: Path) -> None:
        self._session.shown.open(path)
        self._session.state.go("results")

    def _show_last_run_soon(self) -> None:
        self._session.opening.ended.disconnect(self._show_last_run_soon)
        QTimer.singleShot(0, self._show_last_run)  # the pictures are the project's by then

    def _show_last_run(self) -> None:
        if self._last_run is not None and self._session.state.run is None and self.can_open:
            with suppress(UserError):  # it was deleted since: nothing to show
                self._session.shown.open(self._last_run)

    def _attempt(self, verb: Callable[[], object]) -> None:
        try:
            verb()
        except UserError as error:
            self.told.emit(error)


def _beside(refused: UserError) -> str:
    """Why this window does not go on with the project used last."""
    own = tr("This window keeps a project of its own.")
    if ".lock" in refused.cure:  # of another machine, or of this one under another name: nobody knows whether it still runs
        return f"{refused} {own}"
    return f"{tr('Another window has the project that was used last.')} {own}"
