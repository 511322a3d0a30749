"""The page Data: choose pictures; see and edit classes, counts and subsets, thumbnails and problems."""

from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QMenu, QSpinBox, QTabWidget, QVBoxLayout, QWidget

from desktop_ft.core.dataset import DatasetManifest, Subset
from desktop_ft.core.language import tr, tr_n
from desktop_ft.core.values import WIDEST
from desktop_ft.data.health import verdict
from desktop_ft.gui import words
from desktop_ft.gui.class_list import ClassList
from desktop_ft.gui.data_edits import DataEdits
from desktop_ft.gui.help_card import HelpButton, explained
from desktop_ft.gui.photo_panel import PhotoPanel
from desktop_ft.gui.photos import Photos
from desktop_ft.gui.photos_gone import PhotosGone
from desktop_ft.gui.picker import choose_folder, choose_zip
from desktop_ft.gui.problem_list import ProblemList
from desktop_ft.gui.session import Session
from desktop_ft.gui.widgets import Empty, Notice, Page, Progress, button, caption_of, enable_or_say, filling, label, row, splitter
from desktop_ft.gui.words import SUBSET_WORDS


class DataPage(Page):
    """Shows one of three things: where to drop a folder, how far the scan is, or what the folder holds."""

    def __init__(self, session: Session) -> None:
        super().__init__(
            tr("Data"),
            tr("The pictures to learn from: one folder a class. It is only read: what you change here is kept in the recipe."),
        )
        self._session = session
        self.notice = Notice()
        self.progress = Progress(tr("pictures"))
        self.progress.cancelled.connect(session.opening.cancel)
        self.samples = button("", self._try_sample)
        self._samples_menu = QMenu(self.samples)
        self._samples_menu.setToolTipsVisible(True)
        self.choose = button(tr("Choose a folder…"), self._choose_folder, primary=True)
        self.choose_zip = button(tr("Choose a .zip…"), self._choose_zip)
        self.change = button(tr("Other folder…"), self._choose_folder)
        self._offer_samples()
        self.empty = Empty(
            tr("Drop a folder or .zip here"),
            tr(
                "One folder a class, or train/ and val/ with the classes inside, or pictures with a labels.csv.\n"
                "No pictures at hand? The sample is small and trains in minutes."
            ),
            self.choose,
            self.choose_zip,
            self.samples,
            button(tr("Take the lesson"), self._take_lesson, tip=tr("Fine-tuning explained in five steps, live on the sample.")),
        )
        self.check = button(
            tr("Check up…"),
            self._check_up,
            tip=tr("Look for near doubles, wrong labels and odd photos, and say what more photos would bring."),
        )
        explained(self.check, "data.checkup")
        for each in (self.check, self.change):
            self.header.addWidget(each, 0, Qt.AlignmentFlag.AlignTop)
        self.contents = self._contents()
        self.health = Notice()
        self.gone = PhotosGone(session.worker, (self.wall,))
        for widget in (self.notice, self.progress, self.gone, self.health):
            self.body.addWidget(widget)
        self.body.addWidget(filling(self.empty, self.contents), 1)
        opening = session.opening
        opening.began.connect(self._began)
        opening.progressed.connect(self.progress.advance)
        opening.failed.connect(self._failed)
        opening.given_up.connect(self.notice.say)
        opening.left.connect(self.notice.say)
        opening.ended.connect(self.refresh)
        session.state.manifest_changed.connect(self._new_pictures)
        session.state.recipe_changed.connect(self._show_health)
        session.state.recipe_changed.connect(self.photos.notice.clear)  # it was about the edit before
        session.plugin_work.changed.connect(self._offer_samples)
        session.training.started.connect(self.refresh)
        session.training.ended.connect(self.refresh)
        session.runs.began.connect(self.refresh)
        session.runs.ended.connect(self.refresh)
        self._draw()

    def _take_lesson(self) -> None:
        from desktop_ft.gui.lesson_dialog import show_lesson

        show_lesson(self._session, self.window())

    def refresh(self) -> None:
        """Show what fits the moment."""
        if self.puts_off(self.refresh):
            return
        manifest, running = self._session.state.manifest, self._session.opening.running
        self._show_health()
        self.empty.setVisible(manifest is None and not running)
        self.contents.setVisible(manifest is not None)
        self.change.setVisible(manifest is not None)
        self.check.setVisible(manifest is not None)
        self._enable()
        self.progress.follow(self._session.opening.what if running else "")

    def _show_health(self) -> None:
        if self.puts_off(self._show_health):
            return
        manifest = self._session.state.manifest
        batch_size = self._session.state.recipe.optimisation.batch_size
        trainable, said = verdict(manifest, batch_size) if manifest is not None else (True, ())
        self.health.say("\n".join(said), "warn" if trainable else "bad")

    def shut_down(self) -> None:
        """Decode no more thumbnails."""
        self.gone.stop()
        self.wall.stop()
        self.problem_list.stop()

    def _contents(self) -> QWidget:
        theme, edits = self._session.theme, DataEdits(self._session.state, self._session.opening)
        self._edits = edits
        self.summary = label(role="heading", wrap=True)
        self.class_list, self.photos, self.problem_list = ClassList(edits, theme), PhotoPanel(edits, theme), ProblemList(theme)
        self.classes, self.wall, self.problems = self.class_list.table, self.photos.wall, self.problem_list.table
        self.problem = self.problem_list.notice
        self.class_list.picked.connect(self._pick_classes)
        self.class_list.photos_asked.connect(self._show_left_out)
        self.class_list.failed.connect(self.notice.fail)
        self.problem_list.photo_asked.connect(self._show_photo)
        self.photos.looked.connect(self._look_at)
        self.tabs = QTabWidget()
        self.tabs.addTab(self.photos, tr("Photos"))
        self.tabs.addTab(self.problem_list, tr("Problems"))
        left = QWidget()
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.class_list, 1)
        column.addLayout(self._share())
        column.addWidget(self.val_note)
        column.addLayout(self._drawing())
        contents = QWidget()
        layout = QVBoxLayout(contents)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.summary)
        layout.addWidget(splitter("data", self._session.settings, left, self.tabs, shares=(2, 5)), 1)
        return contents

    def _share(self) -> QHBoxLayout:
        self.val = QSpinBox()
        self.val.setObjectName("val")
        self.val.setRange(5, 50)
        self.val.setSuffix(" %")
        self.val.setKeyboardTracking(False)
        self.val.setAccessibleName(tr("Validation share"))
        self.val.setToolTip(tr("Share of each class that is held out to judge the model on pictures it never learned from."))
        self.val.valueChanged.connect(self._divide)
        self.val_note = label(role="muted", wrap=True)
        caption = caption_of(self.val, tr("Validation &share"))
        return row(caption, HelpButton(self.val), None, explained(self.val, "dataset.val"))

    def _drawing(self) -> QHBoxLayout:
        self.images_per_class, self.draw = QSpinBox(), QSpinBox()
        self.images_per_class.setObjectName("images_per_class")
        self.images_per_class.setRange(0, 1_000_000)
        self.images_per_class.setSpecialValueText(tr("all"))
        self.images_per_class.setAccessibleName(tr("Training pictures of each class"))
        self.draw.setObjectName("draw")
        self.draw.setRange(0, WIDEST)
        self.draw.setAccessibleName(tr("Draw"))
        for spin, name in ((self.images_per_class, "images_per_class"), (self.draw, "draw")):
            spin.setKeyboardTracking(False)
            spin.valueChanged.connect(self._draw_pictures)
            explained(spin, f"dataset.{name}")
        caption = caption_of(self.images_per_class, tr("&Pictures of each class"))
        number = caption_of(self.draw, tr("Dra&w"))
        return row(caption, HelpButton(self.images_per_class), None, self.images_per_class, number, self.draw)

    def _new_pictures(self) -> None:
        self.notice.clear()
        self._draw()

    def _draw(self) -> None:
        if self.puts_off(self._draw):
            return
        self.refresh()
        manifest = self._session.state.manifest
        self.photos.show_manifest(manifest)
        self._look_for_photos()
        if manifest is None:
            return
        self._draw_counts(manifest)
        self.problem_list.show_manifest(manifest)
        self.tabs.setTabText(1, tr("Problems ({n:,})", n=len(manifest.problems)))

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """They may have gone meanwhile."""
        super().showEvent(event)
        self.gone.look()

    def _look_for_photos(self) -> None:
        manifest = self._session.state.manifest
        if manifest is None:
            self.gone.watch(None, ())
        else:
            self.gone.watch(Path(manifest.root), [sample.path for sample in manifest.samples])

    def _draw_counts(self, manifest: DatasetManifest) -> None:
        self.class_list.show_manifest(manifest)
        totals = {subset: sum(manifest.counts(subset).values()) for subset in Subset}
        parts = [tr_n("{n:,} class", "{n:,} classes", n=len(manifest.classes))]
        parts += [tr("{n:,} for {subset}", n=total, subset=tr(SUBSET_WORDS[subset])) for subset, total in totals.items() if total]
        if unusable := manifest.left_out():
            parts.append(tr_n("{n:,} file or folder left out", "{n:,} files or folders left out", n=len(unusable)))
        self.summary.setText(f"{words.printable(manifest.source)}\n{' · '.join(parts)}")
        fixed = self._session.opening.fixed
        self.val.blockSignals(True)
        self.val.setValue(round(100 * self._session.state.recipe.dataset.val))
        self.val.blockSignals(False)
        self.val.setEnabled(not fixed)
        chosen = self._session.state.recipe.dataset
        for spin, value in ((self.images_per_class, chosen.images_per_class), (self.draw, chosen.draw)):
            spin.blockSignals(True)
            spin.setValue(value)
            spin.blockSignals(False)
        self.draw.setEnabled(chosen.images_per_class > 0)
        self.val_note.setText(
            tr("The dataset itself says what is held out.")
            if fixed
            else tr("What is held out depends on the photos' content: in all but tiny classes it stays so when others are added.")
        )

    def _pick_classes(self, names: list[str]) -> None:
        self.photos.pick_classes(names)
        self.tabs.setCurrentIndex(0)

    def _show_left_out(self) -> None:
        self.photos.show_left_out()
        self.tabs.setCurrentIndex(0)

    def _show_photo(self, path: str) -> None:
        if self.photos.show_photo(path):
            self.tabs.setCurrentIndex(0)
            self.wall.setFocus()

    def _look_at(self, photos: Photos, number: int) -> None:
        from desktop_ft.gui.large_photo import LargePhoto

        LargePhoto(self._session.worker, photos, number, self).open()

    def _divide(self, percent: int) -> None:
        self._session.opening.divide(percent / 100)

    def _draw_pictures(self) -> None:
        self._session.opening.draw(self.images_per_class.value(), self.draw.value())

    def _check_up(self) -> None:
        from desktop_ft.gui.checkup_dialog import show_checkup  # pyqtgraph: the first page does not wait for it

        show_checkup(self._session, self._edits, self)

    def _choose_folder(self) -> None:
        if folder := choose_folder(self, self._session.settings, tr("Choose a folder of pictures")):
            self._session.opening.open(folder)

    def _choose_zip(self) -> None:
        if file := choose_zip(self, self._session.settings):
            self._session.opening.open(file)

    def _offer_samples(self) -> None:
        """The button opens the sample that ships; where plugins bring more, a menu of them."""
        samples = list(self._session.plugins.samples)
        one = samples[0] if len(samples) == 1 else None
        self.samples.setText(tr("Try the sample") if one else tr("Try a sample"))
        self._samples_menu.clear()
        for sample in samples:
            way = self._samples_menu.addAction(tr(sample.title), partial(self._session.open_sample, sample.name))
            way.setToolTip(f"{tr(sample.description)}\n{sample.licence}")
        self.samples.setMenu(None if one else self._samples_menu)  # type: ignore[arg-type] # Qt takes a null
        self._enable()

    def _enable(self) -> None:
        for way in (self.choose, self.choose_zip, self.change):
            enable_or_say(way, self._session.obstacle)
        samples = list(self._session.plugins.samples)
        obstacle = self._session.obstacle or ("" if samples else tr("No sample is on offer."))
        enable_or_say(self.samples, obstacle, tr(samples[0].description) if len(samples) == 1 else "")

    def _try_sample(self) -> None:
        """Pressed where there is no menu: there is one sample."""
        for sample in self._session.plugins.samples:
            self._session.open_sample(sample.name)
            return

    def _began(self, what: str) -> None:
        self.notice.clear()
        self.progress.begin(what)
        self.refresh()

    def _failed(self, error: BaseException) -> None:
        self.refresh()
        self.notice.fail(error)
