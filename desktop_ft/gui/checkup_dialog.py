"""The check-up of the data: doubles, wrong labels and odd photos to be dealt with, what more would bring, and the map."""

import threading
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QDialog, QTabWidget, QVBoxLayout, QWidget

from desktop_ft.core.checkup import DOUBLES, LABELS, ODD, Checkup, NearDoubles, Weight, kept_told, labels_told
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr, tr_n
from desktop_ft.core.recipe import DatasetChoice
from desktop_ft.gui.data_edits import DataEdits
from desktop_ft.gui.findings import FindingsPanel, doubles, oddities, plain, suspects
from desktop_ft.gui.learning_curve_plot import LearningCurvePlot
from desktop_ft.gui.picture_map import PictureMap
from desktop_ft.gui.session import Session
from desktop_ft.gui.widgets import GAP, MARGIN, Empty, Notice, Progress, button, filling, label, row, splitter
from desktop_ft.gui.worker import Report, Task

_SIZE = (1160, 660)


def show_checkup(session: Session, edits: DataEdits, page: QWidget) -> None:
    """Show the check-up, once, and begin; the page stays usable beside it."""
    dialog = next((each for each in page.findChildren(CheckupDialog) if each.isVisible()), None)
    if dialog is None:
        dialog = CheckupDialog(session, edits, page)
        dialog.begin()
    dialog.show()
    dialog.raise_()
    dialog.activateWindow()


class CheckupDialog(QDialog):
    """Looks at the photos of the project in the background, then lets a person deal with what was found."""

    def __init__(self, session: Session, edits: DataEdits, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Check-up of the photos"))
        self.resize(*_SIZE)
        self._session, self._edits = session, edits
        self._task: Task | None = None
        self._phase, self._told = [""], ""
        self._shut = False
        self._source = ""
        self._shown_as = (Path(), edits.dataset)
        self.found: Checkup | None = None
        theme, kept = session.theme, session.kept_findings
        self.notice = Notice()
        self.progress = Progress(tr("pictures"))
        self.progress.cancelled.connect(self._cancel)
        self.doubles = FindingsPanel(edits, kept, theme, tr("Near doubles"), tr("No two photos are nearly the same."), DOUBLES)
        self.suspects = FindingsPanel(
            edits, kept, theme, tr("Wrong labels and labels in doubt"), tr("No label looks wrong."), LABELS
        )
        self.odd = FindingsPanel(
            edits,
            kept,
            theme,
            tr("Odd photos"),
            tr("No photo is tiny, dark, blurred or unlike all others, or all were dealt with."),
            ODD,
        )
        self.among = FindingsPanel(
            edits,
            kept,
            theme,
            tr("Photos in the lasso"),
            tr("Drag around dots of the map to select their photos."),
            "map",
            narrow=True,
        )
        self.map = PictureMap(theme)
        self.curve = LearningCurvePlot(theme)
        self._panels = (self.doubles, self.suspects, self.odd, self.among)
        self.inflation = Notice(logged=False)
        self.labels = Notice(logged=False)
        self.repair = button(
            tr("Repair the split"),
            self._repair,
            primary=True,
            tip=tr("Bring the photos of each group into one subset: into training where one of them is. Undo takes it back."),
        )
        self.again = button(tr("Check again"), self.begin, tip=tr("Look at the photos as they are now."))
        self.undo = button(tr("Undo"), session.state.undo_stack.undo, tip=tr("Take back the last change that was made here."))
        self.empty = Empty(*_not_checked())
        self._arrange()
        self.map.chosen.connect(self._show_chosen)
        for panel in self._panels:
            panel.failed.connect(self.notice.fail)
            panel.left_changed.connect(self._count)
        kept.failed.connect(self._tell)
        kept.changed.connect(self._follow)
        session.state.recipe_changed.connect(self._follow)
        session.state.manifest_changed.connect(self._follow)
        self.undo.setShortcut(QKeySequence.StandardKey.Undo)
        self._since = session.state.undo_stack.index()
        session.state.undo_stack.indexChanged.connect(self._offer_undo)
        self._offer_undo()
        self.finished.connect(self._end)

    def begin(self) -> None:
        """Look at the photos as the recipe has them now."""
        state, plugins, phase = self._session.state, self._session.plugins, self._phase  # the thread holds no widget
        recipe, manifest = state.recipe, state.manifest
        if self._task is not None or manifest is None:
            return
        self._source = manifest.source

        def work(report: Report, cancel: threading.Event) -> tuple[Checkup, Path, DatasetChoice]:
            from desktop_ft.jobs.checkup import check_up  # numpy and more: not before it is asked for

            def told(what: str, done: int, total: int | None) -> None:
                phase[0] = what
                report(done, total)

            found = check_up(recipe, plugins, manifest, with_map=True, progress=told, cancel=cancel)
            return found, Path(manifest.root), recipe.dataset

        self.notice.clear()
        self.again.setEnabled(False)
        self._say_empty(tr("The photos are being checked"), tr("What is found is shown here; nothing is trained."))
        self.progress.begin(tr("Checking the photos"))
        self._task = self._session.worker.run(
            work, finished=self._show, failed=self._fail, progressed=self._advance, cancelled=self._cancelled
        )
        self._session.computing.follow(self._task)

    def _arrange(self) -> None:
        first = QWidget()
        column = QVBoxLayout(first)
        column.setContentsMargins(0, 8, 0, 0)
        column.addWidget(self.inflation)
        column.addLayout(row(self.repair, None))
        column.addWidget(self.doubles, 1)
        self.tabs = QTabWidget()
        self.tabs.addTab(first, "")
        second = QWidget()
        column = QVBoxLayout(second)
        column.setContentsMargins(0, 8, 0, 0)
        column.addWidget(self.labels)
        column.addWidget(self.suspects, 1)
        self.tabs.addTab(second, "")
        self.tabs.addTab(self.odd, "")
        self.tabs.addTab(self.curve, tr("More photos"))
        beside = QWidget()
        column = QVBoxLayout(beside)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.map.aside)
        column.addWidget(self.among, 1)
        self.tabs.addTab(splitter("map", self._session.settings, self.map, beside, shares=(5, 3)), tr("Map"))
        self.tabs.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        layout.setSpacing(GAP)
        layout.addWidget(
            label(
                tr("What is wrong with the photos themselves. What you change is kept in the recipe; the folder stays as it is."),
                "muted",
                wrap=True,
            )
        )
        layout.addWidget(self.notice)
        layout.addWidget(self.progress)
        layout.addWidget(filling(self.tabs, self.empty), 1)
        layout.addLayout(row(self.again, self.undo, None, button(tr("Close"), self.reject)))
        self._count()

    def _show(self, done: tuple[Checkup, Path, DatasetChoice]) -> None:
        if self._over():
            return
        found, root, before = done
        self.found = found
        self._session.kept_findings.recall(self._source)
        for panel, findings in (
            (self.doubles, doubles(found, found)),
            (self.suspects, suspects(found)),
            (self.odd, oddities(found)),
            (self.among, []),
        ):
            panel.show_findings(findings, found, root, before)
        self._shown_as = (root, before)
        self.map.show_checkup(found, root)
        self.curve.show_checkup(found)
        self.tabs.show()
        self.empty.hide()
        self._follow()

    def _tell(self, error: UserError) -> None:
        if not self._shut:
            self.notice.fail(error, told=True)  # by the window, which tells it when this is closed, too

    def _show_chosen(self, numbers: list[int]) -> None:
        if self.found is not None:
            self.among.show_findings(plain(self.found, numbers), self.found, *self._shown_as)
            self.among.wall.selectAll()  # what is done is done to all that are ringed

    def _offer_undo(self, *_: object) -> None:
        stack = self._session.state.undo_stack
        self._since = min(self._since, stack.index())  # what was made before was undone elsewhere
        self.undo.setEnabled(stack.index() > self._since)

    def _repair(self) -> None:
        self._edits.repair([group.samples for group in self._torn(kept=False)])

    def _torn(self, *, kept: bool) -> Sequence[NearDoubles]:
        """The groups that lie in several subsets now, and are `kept` as right, or are not."""
        manifest, marks = self._session.state.manifest, self._session.kept_findings.of(DOUBLES)
        if self.found is None or manifest is None:
            return ()
        groups = self.found.among({sample.path: sample for sample in manifest.samples})
        return [group for group in groups if group.torn and (group.mark in marks) is kept]

    def _follow(self) -> None:
        """The recipe, the photos, or what is kept of the findings, have changed."""
        manifest = self._session.state.manifest
        if self._shut or self.found is None:
            return
        if manifest is not None and manifest.source != self._source:
            self.reject()
            return
        for panel in (self.suspects, self.odd, self.among):
            panel.refresh()
        self.doubles.refresh(None if manifest is None else doubles(self.found, manifest))
        if manifest is None:  # it is looked at anew: until then all is said of what was found
            self.repair.setEnabled(False)
            return
        torn, kept = len(self._torn(kept=False)), kept_told(len(self._torn(kept=True)))
        self.repair.setEnabled(torn > 0)
        if torn:
            groups = tr_n("{n:,} group lies in several subsets.", "{n:,} groups lie in several subsets.", n=torn)
            self.inflation.say(" ".join(filter(None, (groups, self.found.inflation.words, kept))), "bad")
        elif kept:
            self.inflation.say(" ".join(filter(None, (self.found.inflation.words, kept))))
        elif self.found.torn:
            self.inflation.say(tr("The split is repaired: no near doubles lie in several subsets."), "good")
        else:
            self.inflation.say(tr("No near doubles lie in several subsets."))

    def _count(self) -> None:
        self.tabs.setTabText(0, tr("Near doubles ({n:,} photos)", n=len(self.doubles.shown)))
        clear = sum(finding.weight is Weight.LIKELY for finding in self.suspects.shown)
        doubtful = len(self.suspects.shown) - clear
        said = labels_told(clear, doubtful) if self.suspects.shown else ""
        self.labels.say(f"{said} {tr('A line stands between them.')}" if clear and doubtful else said)
        if doubtful:
            self.tabs.setTabText(1, tr("Wrong labels ({n:,}, and {more:,} in doubt)", n=clear, more=doubtful))
        else:
            self.tabs.setTabText(1, tr("Wrong labels ({n:,})", n=clear))
        self.tabs.setTabText(2, tr("Odd photos ({n:,})", n=len(self.odd.shown)))

    def _advance(self, done: int, total: int | None) -> None:
        if self._task is None or self._task.cancel.is_set():
            return
        if self._phase[0] != self._told:
            self._told = self._phase[0]
            self.progress.begin(self._told)
        self.progress.advance(done, total)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel.set()

    def _cancelled(self) -> None:
        if not self._over():
            self.notice.say(tr("The check-up was cancelled. What the network has seen so far is kept for the next one."))

    def _fail(self, error: BaseException) -> None:
        if not self._over():
            self.notice.fail(error)

    def _say_empty(self, title: str, text: str) -> None:
        self.empty.title.setText(title)
        self.empty.words.setText(text)

    def _over(self) -> bool:
        """The work has ended; returns whether the dialog is closed already."""
        self._task = None
        if not self._shut:
            self.progress.end()
            self.again.setEnabled(True)
            self._say_empty(*_not_checked())
        return self._shut

    def _end(self) -> None:
        self.finished.disconnect(self._end)  # Qt may tell of one end twice: as rejected, and as closed
        self._shut = True
        self._cancel()
        for panel in self._panels:
            panel.stop()
        self.map.stop()
        self.curve.stop()


def _not_checked() -> tuple[str, str]:
    return tr("Not checked"), tr("Check again looks at every photo as the network sees it; nothing is trained.")
