"""The window: rail, pages, strip, menu and tool bar, and what happens when something is dropped or the window closes."""

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QEventLoop, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QPaintEvent
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QHBoxLayout,
    QMainWindow,
    QStackedWidget,
    QToolBar,
    QVBoxLayout,
    QWidget,
)

from desktop_ft.core.errors import UserError
from desktop_ft.core.events import RunStatus
from desktop_ft.core.language import tr
from desktop_ft.engine.control import RunControl
from desktop_ft.gui import closing, layout_memory, trash
from desktop_ft.gui.actions import Actions, take_over_what_is_typed
from desktop_ft.gui.commands import Commands
from desktop_ft.gui.compare_work import CompareWork
from desktop_ft.gui.detachable import Detachable
from desktop_ft.gui.drops import exported_at, local_paths
from desktop_ft.gui.garbage import Garbage
from desktop_ft.gui.help_card import explain
from desktop_ft.gui.interrupted import InterruptedRun
from desktop_ft.gui.menus import ACTIONS
from desktop_ft.gui.notifier import Notifier
from desktop_ft.gui.other_project import OtherProject
from desktop_ft.gui.pages import make_page
from desktop_ft.gui.queue_work import QueueWork
from desktop_ft.gui.rail import Rail
from desktop_ft.gui.rail_notes import notes
from desktop_ft.gui.session import Session
from desktop_ft.gui.strip import Strip
from desktop_ft.gui.widgets import MARGIN, Notice, Page
from desktop_ft.gui.words import PAGE_TITLES
from desktop_ft.jobs import help_texts
from desktop_ft.runs.queue import Waiting

if TYPE_CHECKING:
    from desktop_ft.gui.train_page import TrainPage

_GOES_ON_AFTER_MS = 60_000
"""A session that was about to end, and has not after so long, goes on."""
FIRST_SIZE = QSize(1200, 680)
SMALLEST = QSize(1000, 560)
_SAVE_WITHIN_MS, _GO_WITHIN_MS, _LOOK_EVERY_MS = 3000, 500, 20
"""Whoever ends a session waits five seconds for its windows, as a rule."""
_CLOSE_WITHIN_MS = 15_000
"""So long a window that is closed already waits for what does not heed that it shall end, such as a disk that hangs."""


class MainWindow(QMainWindow):
    """Draws the session; holds nothing of its own but widgets."""

    begun = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.setWindowTitle("Desktop FT")
        self.setMinimumSize(SMALLEST)
        self.setAcceptDrops(True)
        self.commands = Commands(session, self)
        self.actions_ = Actions(ACTIONS, self.commands, session.theme, self.commands.obstacle)
        self.rail = Rail(session.theme)
        self.stack = QStackedWidget()
        self.strip = Strip(session.training)
        self.notice = Notice()
        self.notice.setProperty("place", "window")
        self.interrupted = InterruptedRun(session)
        self.other_project = OtherProject(session, self.commands)
        self.garbage = Garbage(self)
        self.notifier = Notifier(session.training, session.settings, self)
        self._pages: dict[str, Page] = {}
        self._closing = self._has_begun = self.left = False
        self._held_up: list[Callable[[], None]] = []
        self._go_on_later = QTimer(self)
        self._go_on_later.setSingleShot(True)
        self._go_on_later.timeout.connect(self._go_on)
        self._refresh_soon = QTimer(self)
        self._refresh_soon.setSingleShot(True)
        self._refresh_soon.timeout.connect(self.refresh)
        session.log.open(session.plugins)
        self._build()
        self._connect()
        self.resize(FIRST_SIZE)
        self.restoreGeometry(session.settings.geometry)
        self.rail.show_page(session.state.page)
        self.refresh()

    def page(self, name: str) -> Page:
        """The page `name`, made when it is asked for the first time."""
        if name not in self._pages:
            self._pages[name] = make_page(name, self.session)
            self._pages[name].setWhatsThis(help_texts.pages()[name].text(tr(PAGE_TITLES[name])))
            layout_memory.restore(self.session.settings, name, self._pages[name])
            self.stack.addWidget(self._pages[name])
        return self._pages[name]

    def show_page(self, name: str) -> None:
        """Bring the page `name` to the front."""
        if not self.notice.lasts:
            self.notice.clear()
        self.stack.setCurrentWidget(self.page(name))
        self.rail.show_page(name)
        self._say_whose_results()

    def _show_step(self, told: str, pages: Sequence[str]) -> None:
        """Go where an edit that was undone or redone is seen, and say what it was: nothing is changed unseen."""
        state = self.session.state
        if pages and not any(name in self._pages and self._pages[name].in_sight for name in pages):
            state.go(pages[0])
        if not self.notice.lasts:
            self.notice.say_until(state.recipe_changed, told)

    def _run_returned(self, _run: Path) -> None:
        if self.notice.offers and self.session.runs.last_trashed is None:
            self.notice.clear()  # it offers to put back what has come back in another way

    def refresh(self) -> None:
        """Enable what can be done now, and say on the rail where each step is."""
        self.actions_.say_edit("edit.undo", self.session.state.undo_stack.undoText())
        self.actions_.say_edit("edit.redo", self.session.state.undo_stack.redoText())
        self.actions_.refresh()
        self._say_whose_results()
        told = self.session.forecast.told
        self.strip.say_forecast(told.seconds(self.session.state.recipe.optimisation.views) if told is not None else None)
        for name, note in notes(self.session).items():
            self.rail.set_note(name, note.text, note.tip, attention=note.attention)
        folder = self.session.state.recipe.dataset.folder
        self.setWindowTitle(f"{folder.rstrip('/').rpartition('/')[2]} – Desktop FT" if folder else "Desktop FT")

    def _say_whose_results(self) -> None:
        state, run = self.session.state, self.session.training.run
        self.strip.say_shown(state.page == "results" and run is not None and run == state.run)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802 - Qt's name
        """Take local files and folders; nothing else."""
        if local_paths(event.mimeData()):
            event.setDropAction(Qt.DropAction.CopyAction)
            event.accept()
        else:
            event.ignore()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802 - Qt's name
        """Open what was dropped; on the pages Results and Export, ask the model about it."""
        paths = local_paths(event.mimeData())
        if not paths:
            event.ignore()
            return
        event.setDropAction(Qt.DropAction.CopyAction)
        event.accept()
        self.notice.clear()
        shown = self.stack.currentWidget()
        if exported_at(paths[0]) is not None or not (isinstance(shown, Page) and shown.take_drop(paths)):
            self.commands.open_paths(paths)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """Ask about a run under way; end it, wait for it, and only then go."""
        if self.left:
            event.ignore()  # it goes already
            return
        take_over_what_is_typed()
        if self.session.training.running:
            event.ignore()
            if not self._closing:
                self._ask_to_close()
            return
        if (under_way := self._work_under_way()) and not self._closing and not closing.sure_to_drop(under_way, self):
            event.ignore()
            return
        if not self._has_kept_all():
            self._closing = False
            self.setEnabled(True)
            event.ignore()
            return
        if not self._go(_CLOSE_WITHIN_MS):
            self.left = True
        event.accept()

    def _has_kept_all(self) -> bool:
        """Whether all that a person made is kept, or shall be lost."""
        if not self.session.autosave.save() and not closing.sure_to_lose_edits(self.notice.text, self):
            return False
        for name, page in self._pages.items():
            error = page.keep()
            if error is not None and not closing.sure_to_lose_notes(str(error), self):
                self.session.state.go(name)
                return False
        return True

    def leave(self) -> None:
        """End within seconds and ask nothing, as the system wants it: the project and a run under way are saved.

        The next start has the one, and offers to go on with the other.
        """
        if self.left:
            return
        self.left = True
        self.setEnabled(False)  # nothing may begin any more
        self._save_and_hold()
        self._go(_GO_WITHIN_MS)
        QApplication.exit(0)

    def save_all(self) -> None:
        """Save the project, and a run under way, which then waits to go on: the session may be about to end.

        Where it does not, as somebody called it off, all that was held up goes on after a while, and that is told.
        """
        self._held_up += self._save_and_hold()
        if self._held_up and not self.left:
            self.notice.say(tr("The session may be about to end: what is under way is saved, and waits a minute for that."))
            self._go_on_later.start(_GOES_ON_AFTER_MS)

    def _save_and_hold(self) -> list[Callable[[], None]]:
        """Save all, and let nothing go on; returns what lets go on what is held up for that."""
        training, control = self.session.training, self.session.training.control
        working = [work for work in (self.session.queue, self.session.comparing) if work.working]
        held: list[Callable[[], None]] = [partial(self._work_on, work) for work in working]
        self.session.queue.pause()
        self.session.comparing.pause()
        if training.running:
            if not control.pause.is_set():  # else a person has, and it stays so
                held.append(partial(self._let_go_on, control))
            training.pause(True)
            # Before its first step there is nothing to save, and after its last it is saved.
            self._wait_for(lambda: training.history.paused or training.phase is not None or not training.running)
        self.session.autosave.save()
        return held

    def _go_on(self) -> None:
        held, self._held_up = self._held_up, []
        self.notice.say(tr("The session has not ended: what was held up for that goes on."))
        for go_on in held:
            go_on()

    def _let_go_on(self, control: RunControl) -> None:
        if self.session.training.running and self.session.training.control is control:
            self.session.training.pause(False)

    def _go(self, within_ms: int) -> bool:
        """Remember what is to be remembered, let go of everything, and wait for what is under way; whether all of it has ended.

        The project is let go of first: the next start must not find it open in a window that nobody sees.
        """
        self._go_on_later.stop()
        self.session.queue.pause()
        self.session.comparing.pause()
        self.session.computing.shut_down()
        self._remember()
        self.hide()
        for page in self._pages.values():
            page.shut_down()
        self.session.autosave.release()
        ended = self.session.worker.shut_down(within_ms)
        self.session.log.book.close()
        if ended:
            self.garbage.shut_down()
        return ended

    def _wait_for(self, done: Callable[[], bool]) -> None:
        """Let the event loop run until `done`, for a few seconds at most."""
        loop, look = QEventLoop(), QTimer()
        look.timeout.connect(lambda: loop.quit() if done() else None)
        look.start(_LOOK_EVERY_MS)
        QTimer.singleShot(_SAVE_WITHIN_MS, loop, loop.quit)
        loop.exec()
        look.stop()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Make the first page once the window is there, so that it need not wait for its largest part."""
        super().paintEvent(event)
        if not self._has_begun:
            QTimer.singleShot(0, self._begin)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        """Refresh when the window comes to the front: files may have come or gone meanwhile."""
        super().changeEvent(event)
        if event.type() is QEvent.Type.ActivationChange and self.isActiveWindow():
            self.notifier.clear()
            self._refresh_soon.start()

    def event(self, event: QEvent) -> bool:
        """Keep icons sharp when the window comes to another screen, or its screen to another scale."""
        if event.type() is QEvent.Type.DevicePixelRatioChange:
            self.session.theme.look_at_screens()
        return super().event(event)

    def begin_with(self, given: Path | None) -> None:
        """Open `given`, or what was open last, as soon as there is a page that can say what became of it."""
        self.begun.connect(lambda: self.commands.open_first(given))
        self.begun.connect(self.session.broken_off.look)
        if given is None:
            self.begun.connect(self.other_project.look)

    def _begin(self) -> None:
        if self._has_begun or not self.isVisible():  # it may have been closed meanwhile
            return
        self._has_begun = True
        if self.stack.currentWidget() is None:
            self.show_page(self.session.state.page)
        self.begun.emit()

    def _build(self) -> None:
        self.actions_.fill_menu_bar(self.menuBar())
        bar = QToolBar(tr("Tools"))
        bar.setObjectName("tools")
        bar.setMovable(False)
        bar.setIconSize(QSize(20, 20))
        bar.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        bar.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
        self.actions_.fill_tool_bar(bar)
        self.addToolBar(bar)
        right = QVBoxLayout()
        right.setSpacing(0)
        for line in (self.notice, self.interrupted, self.other_project):
            beside = QHBoxLayout()
            beside.setContentsMargins(MARGIN, 0, MARGIN, 0)
            beside.addWidget(line)
            right.addLayout(beside)
        right.addWidget(self.stack, 1)
        middle = QHBoxLayout()
        middle.setSpacing(0)
        middle.addWidget(self.rail)
        middle.addLayout(right, 1)
        centre = QWidget()
        whole = QVBoxLayout(centre)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addLayout(middle, 1)
        whole.addWidget(self.strip)
        self.setCentralWidget(centre)

    def _connect(self) -> None:
        session = self.session
        state = session.state
        self.rail.chosen.connect(state.go)
        state.page_changed.connect(self.show_page)
        self.strip.shown_results.connect(self._see_results)
        self.commands.told.connect(self.notice.fail)
        self.commands.recipe_failed.connect(self.notice.fail_lasting)
        session.opening.began.connect(self._recipe_is_right)
        self.commands.noted.connect(self.notice.say)
        self.commands.noted.connect(self.refresh)
        self.commands.stepped.connect(self._show_step)
        self.commands.palette_asked.connect(self._show_palette)
        self.commands.recent_asked.connect(self._show_recent)
        self.commands.sample_asked.connect(self._show_samples)
        self.commands.card_asked.connect(self._show_card)
        self.commands.help_asked.connect(self._show_help)
        self.commands.log_asked.connect(self._show_log)
        self.commands.panel_asked.connect(self._toggle_panel)
        self.commands.plugin_panel_asked.connect(self._show_plugin_panels)
        self.commands.rate_asked.connect(self._ask_rate)
        self.commands.start_asked.connect(self._start)
        self.commands.wait_asked.connect(self._add_to_queue)
        self.commands.queue_asked.connect(self._show_queue)
        session.queue.failed.connect(self.notice.fail)
        session.queue.follows.connect(self._say_what_follows)
        session.runs.done_elsewhere.connect(self.notice.say)
        self.interrupted.gone.connect(self.notice.fail)
        session.runs.returned.connect(self._run_returned)
        self.interrupted.discarded.connect(lambda trashed: trash.tell(self.notice, [trashed], [], session.runs.put_back))
        state.plan_told.connect(self._plan_told)
        # Queued: opening a run leads to another page, which takes away what was said on the one before.
        session.shown.unread.connect(self.notice.fail, Qt.ConnectionType.QueuedConnection)
        session.opening.moved.connect(self._remember_opened)
        session.autosave.failed.connect(self.notice.fail)
        session.kept_findings.failed.connect(self.notice.fail)
        for signal in (
            state.recipe_changed,
            state.manifest_changed,
            state.evaluation_changed,
            state.export_changed,
            state.undo_stack.indexChanged,
            session.opening.began,
            session.opening.ended,
            session.networks.download_ended,
            session.forecast.changed,
            session.plugin_work.changed,
            session.runs.began,
            session.queue.changed,
            session.runs.ended,
            session.runs.trashed,
            session.runs.returned,
            session.training.started,
            session.training.updated,
            session.training.ended,
            session.theme.changed,
        ):
            signal.connect(self._changed)
        session.training.ended.connect(self._trained)

    def _show_palette(self) -> None:
        from desktop_ft.gui.palette import Palette, entries

        self.actions_.refresh()
        Palette(entries(self.actions_, self.page, self.session.state.go), self).open()

    def _show_recent(self) -> None:
        from desktop_ft.gui.palette import Palette, recent

        commands, left = self.commands, self.session.autosave.left_project()
        found = recent(self.session.settings.recent, commands.open_paths, left, commands.use_recipe)
        Palette(found, self, tr("Open a folder again")).open()

    def _show_plugin_panels(self) -> None:
        from desktop_ft.gui.palette import Palette
        from desktop_ft.gui.plugin_panels import entries

        Palette(entries(self.session, self, self.notice.fail), self, tr("Open a panel")).open()

    def _show_samples(self) -> None:
        from desktop_ft.gui.palette import Palette, samples

        Palette(samples(self.session.plugins, self.session.open_sample), self, tr("Try a sample")).open()

    def _show_card(self) -> None:
        if explain(QApplication.focusWidget()) is None:
            explain(self.page(self.session.state.page))

    def _show_help(self, topic: str) -> None:
        from desktop_ft.gui.help_reader import HelpReader

        reader = self.findChild(HelpReader) or HelpReader(self.session.plugins.augmentations, self.session.settings, self)
        reader.read(topic)
        reader.show()
        reader.raise_()
        reader.activateWindow()

    def _show_log(self) -> None:
        from desktop_ft.gui.log_dialog import LogDialog

        shown = self.findChild(LogDialog) or LogDialog(self.session, self)
        shown.show()
        shown.raise_()
        shown.activateWindow()

    def _toggle_panel(self) -> None:
        panels = [panel for page in self._pages.values() for panel in page.findChildren(Detachable)]
        focused = [panel for panel in panels if panel.has(QApplication.focusWidget())]
        here = [panel for panel in panels if panel.isVisible() and (panel.detached or panel.way.isEnabled())]
        for panel in (focused or here)[:1]:
            panel.toggle()
            return
        self.notice.fail(
            UserError(
                tr("No panel of this page can have a window of its own now."),
                tr("The curves on the page Train can, for example."),
            )
        )

    def _show_queue(self) -> None:
        from desktop_ft.gui.queue_dialog import show_queue

        show_queue(self.session, self)

    def _say_what_follows(self, waiting: Waiting) -> None:
        self.notice.say_until(
            self.session.queue.unfollows,
            tr(
                "Where a run is ended, the queue goes on by itself, now with '{name}'. To have it begin no other, choose Queue… "
                "in the menu Run, and press Pause the queue.",
                name=waiting.name,
            ),
        )

    def _ask_rate(self) -> None:
        if (train := self._train()) is not None:
            train.run_rate.rate.setFocus()

    def _start(self) -> None:
        if (train := self._train()) is not None:
            self.setUpdatesEnabled(False)  # every button that comes or goes would have the curves painted at once
            try:
                train.start_run()
            finally:
                self.setUpdatesEnabled(True)

    def _add_to_queue(self) -> None:
        if (train := self._train()) is not None:
            train.add_to_queue()

    def _train(self) -> "TrainPage | None":
        from desktop_ft.gui.train_page import TrainPage  # pyqtgraph: not before it is needed

        page = self.page("train")
        return page if isinstance(page, TrainPage) else None

    def _plan_told(self, what: str) -> None:
        if self.session.state.page != "layers":  # that page says it itself
            self.notice.say(what, "good")

    def _recipe_is_right(self) -> None:
        if self.notice.lasts:
            self.notice.clear()

    def _changed(self) -> None:
        # One refresh for a burst of changes.
        if not self._refresh_soon.isActive():
            self._refresh_soon.start()

    def _trained(self, fault: BaseException | None) -> None:
        if fault is not None:
            self.session.faults.report(fault)
        if self._closing:
            # Not from within this signal: pages still have to hear it.
            QTimer.singleShot(0, self.close)

    def _ask_to_close(self) -> None:
        # Nothing else may begin while the question stands: the answer is about this run.
        waiting = [work for work in (self.session.queue, self.session.comparing) if work.working]
        for work in (self.session.queue, self.session.comparing):
            work.pause()
        chosen = closing.ask_about_run(self.session, self)
        if self.left:
            return  # the session ended while the question stood
        if chosen is None:
            for work in waiting:
                self._work_on(work)
            return
        self._closing = True
        self.setEnabled(False)
        if not self.session.training.running:
            QTimer.singleShot(0, self.close)  # it ended while the question stood; within closeEvent a close is not heard
        elif chosen is RunStatus.STOPPED:
            self.session.training.stop()
        else:
            self.session.training.cancel()

    def _see_results(self) -> None:
        run = self.session.training.run
        if run is not None and run != self.session.state.run:
            self.commands.open_paths((run,))  # it learned from other pictures than the project is about
        else:
            self.commands.go_results()

    def _work_on(self, work: QueueWork | CompareWork) -> None:
        try:
            work.go_on()
        except UserError as error:  # another process took it up meanwhile
            self.notice.fail(error)

    def _work_under_way(self) -> str:
        """What a person began that is not done, in words; "" where there is nothing."""
        session = self.session
        return tr(session.runs.busy) or (tr("A download") if session.networks.downloading else "") or session.plugin_work.asked

    def _remember_opened(self, path: str) -> None:
        self.session.settings.remember_opened(path)
        self.session.remember()

    def _remember(self) -> None:
        settings = self.session.settings
        settings.geometry = self.saveGeometry()
        for name, page in self._pages.items():
            for panel in page.findChildren(Detachable):
                panel.remember()
            layout_memory.remember(settings, name, page)
        for dialog in self.findChildren(QDialog):
            dialog.close()  # each remembers its own size
        with contextlib.suppress(UserError):  # sizes and choices: nothing that a person made
            settings.save()
