"""The page Augment: how training pictures are changed, and what that looks like on the person's own."""

import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QListWidget,
    QListWidgetItem,
    QScrollArea,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from desktop_ft.api import Augmentation, AugmentationKind
from desktop_ft.core.augmentation import AugmentationSpec
from desktop_ft.core.backbone import resize_rule
from desktop_ft.core.dataset import DatasetManifest, Sample, Subset
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import marked, tr
from desktop_ft.gui import words
from desktop_ft.gui.actions import ActionSpec
from desktop_ft.gui.form import ModelForm
from desktop_ft.gui.help_card import HelpButton, explained
from desktop_ft.gui.local_actions import buttons, local_actions
from desktop_ft.gui.picture_dialog import PictureDialog
from desktop_ft.gui.preview_grid import PreviewGrid
from desktop_ft.gui.session import Session
from desktop_ft.gui.widgets import Empty, Notice, Page, button, caption_of, card, label, row, scrolled, splitter
from desktop_ft.gui.worker import Newest, Report
from desktop_ft.jobs import augmenting, help_texts
from desktop_ft.jobs.augmenting import Shown

PREVIEWED = 12
_WAIT_MS = 150
_RUN_MS = 1200
_WORTH = marked("Train with and without each transform, and see which to keep.")
_WORTHLESS = marked("There is no transform whose worth could be told: take a preset, or add one.")
_PLACE_ROLE = int(Qt.ItemDataRole.UserRole)
ACTIONS = (
    ActionSpec(
        id="transform.up",
        menu=marked("Transforms"),
        text=marked("Up"),
        tip=marked("Apply it earlier."),
        handler="move_up",
        shortcut="Alt+Up",
        enabled="can_move_up",
    ),
    ActionSpec(
        id="transform.down",
        menu=marked("Transforms"),
        text=marked("Down"),
        tip=marked("Apply it later."),
        handler="move_down",
        shortcut="Alt+Down",
        enabled="can_move_down",
    ),
    ActionSpec(
        id="transform.duplicate",
        menu=marked("Transforms"),
        text=marked("Duplicate"),
        tip=marked("Apply it once more, with the same values to begin with."),
        handler="duplicate",
        shortcut="Ctrl+D",
        enabled="any_chosen",
    ),
    ActionSpec(
        id="transform.remove",
        menu=marked("Transforms"),
        text=marked("Remove"),
        tip=marked("Take it out of the list."),
        handler="remove",
        shortcut="Del",
        enabled="any_chosen",
    ),
)
"""What can be done with a transform: by its keys, its context menu, and the buttons below the list."""


class AugmentPage(Page):
    """The list of transforms on the left, the parameters of the current one below, the preview on the right."""

    def __init__(self, session: Session) -> None:
        super().__init__(
            tr("Augment"),
            tr("Small random changes to the training pictures, anew each time, so that the network learns what matters."),
        )
        self._session = session
        self._quiet = False
        self._form: ModelForm | None = None
        self._form_for = ""
        self.notice = Notice()
        self.explanation = label(role="muted", wrap=True)
        self.list = QListWidget()
        self.list.setObjectName("transforms")
        self.list.setAccessibleName(tr("Transforms in order"))
        self.list.currentRowChanged.connect(self._show_form)
        self.list.setToolTip(tr("Drag to reorder, or Alt with the arrow keys; Delete removes."))
        self.list.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        self.list.setDefaultDropAction(Qt.DropAction.MoveAction)
        # Not at once: the list is still busy with the drop, and is about to be filled anew.
        self.list.model().rowsMoved.connect(self._reorder_soon)
        self.actions_ = local_actions(ACTIONS, self, self.list, session.theme)
        panels = splitter("augment", session.settings, self._left(), self._right(), shares=(4, 6))
        self.body.addWidget(self.notice)
        self.body.addWidget(panels, 1)
        self._newest = Newest(session.worker, self._previewed, self._preview_failed, self)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_WAIT_MS)
        self._soon.timeout.connect(self._preview)
        self._run_on = QTimer(self)
        self._run_on.setSingleShot(True)
        self._run_on.setInterval(_RUN_MS)
        self._run_on.timeout.connect(self._draw_on)
        self._pictures: list[Shown] = []
        session.state.recipe_changed.connect(self.refresh)
        session.state.manifest_changed.connect(self._soon.start)
        session.plugin_work.changed.connect(self._other_transforms)
        self.refresh()
        self._preview()

    def refresh(self) -> None:
        """Show the list as the recipe has it."""
        if self.puts_off(self.refresh):
            return
        specs = self._specs
        self._quiet = True
        name = augmenting.preset_of(specs)
        self.preset.setCurrentIndex(max(0, self.preset.findData(name)))
        presets = augmenting.presets()
        self.explanation.setText(tr(presets[name].description) if name else tr("A list of your own."))
        current = max(0, self.list.currentRow())
        self.list.clear()
        for place, spec in enumerate(specs):
            item = self._item(spec)
            item.setData(_PLACE_ROLE, place)
            self.list.addItem(item)
        self.list.setCurrentRow(min(current, len(specs) - 1))
        self._quiet = False
        self._show_form(self.list.currentRow())
        self.nothing.setVisible(not specs)
        self.worth.setEnabled(bool(specs))
        self.worth.setToolTip(tr(_WORTH) if specs else f"{tr(_WORTH)}\n{tr(_WORTHLESS)}")
        self.list.setVisible(bool(specs))
        self._soon.start()

    def _ask_worth(self) -> None:
        from desktop_ft.gui.compare_dialog import About, show_comparison  # pyqtgraph: not before it is needed

        show_comparison(self._session, self.window(), About.AUGMENTATION)

    @property
    def _specs(self) -> tuple[AugmentationSpec, ...]:
        return self._session.state.recipe.augmentation

    def _left(self) -> QWidget:
        self.preset = QComboBox()
        self.preset.setAccessibleName(tr("Preset"))
        self.preset.addItem(tr("Own list"), "")
        for preset in augmenting.presets().values():
            self.preset.addItem(tr(preset.title), preset.name)
            self.preset.setItemData(self.preset.count() - 1, tr(preset.description), Qt.ItemDataRole.ToolTipRole)
        self.preset.activated.connect(self._take_preset)
        self.add = QComboBox()
        self.add.setAccessibleName(tr("Add a transform"))
        self._fill_add()
        self.add.activated.connect(self._add)
        self.nothing = label(tr("No transform: the pictures are shown as they are."), "muted", wrap=True)
        self.worth = button(tr("What is it worth?…"), self._ask_worth)
        frame, self.form_box = card()
        self.form_title = label(role="heading", wrap=True)
        self.form_help = label(role="muted", wrap=True)
        self.form_box.addWidget(self.form_title)
        self.form_box.addWidget(self.form_help)
        self.form_card = frame
        caption = caption_of(self.preset, tr("&Preset"))
        inside = QWidget()
        inside.setObjectName("form")
        layout = QVBoxLayout(inside)
        layout.setContentsMargins(0, 0, 6, 0)
        layout.addLayout(row(caption, explained(self.preset, "augment.preset"), HelpButton(self.preset), None))
        layout.addWidget(self.explanation)
        layout.addWidget(explained(self.list, "augmentation"))
        layout.addWidget(self.nothing)
        layout.addLayout(row(*buttons(self.actions_, ("transform.up", "transform.down", "transform.remove")), None))
        layout.addWidget(explained(self.add, "augmentation"))
        layout.addLayout(row(explained(self.worth, "augment.worth"), None))
        layout.addWidget(frame)
        layout.addStretch(1)
        return scrolled(inside)

    def _right(self) -> QWidget:
        self.seed = QSpinBox()
        self.seed.setRange(0, 999_999)
        before, _, behind = tr("seed {n}", n="{n}").partition("{n}")
        self.seed.setPrefix(before)
        self.seed.setSuffix(behind)
        self.seed.setAccessibleName(tr("Seed of the preview"))
        self.seed.setToolTip(tr("The same seed gives the same changes."))
        self.seed.valueChanged.connect(self._preview_soon)
        self.again = button(tr("Draw again"), self._next_seed, tip=tr("Draw the preview with another seed."))
        self.free = QCheckBox(tr("Keep &drawing"))
        self.free.setToolTip(tr("Draw another chance every second, as training does; switched off, the seed is fixed."))
        self.free.toggled.connect(self._free)
        self.state_words = label(role="muted")
        self.grid = PreviewGrid()
        self.grid.opened.connect(self._show_large)
        self.scroller = QScrollArea()
        self.scroller.setWidgetResizable(True)
        self.scroller.setWidget(self.grid)
        self.grid.setObjectName("form")
        self.empty = Empty(tr("No pictures yet"), tr("Choose a folder on the page Data to see its pictures changed here."))
        right = QWidget()
        layout = QVBoxLayout(right)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row(label(tr("What the network sees"), "heading"), None, self.state_words))
        layout.addLayout(row(self.free, self.seed, self.again, None))
        layout.addWidget(self.scroller, 1)
        layout.addWidget(self.empty, 1)
        return right

    def _fill_add(self) -> None:
        self.add.clear()
        self.add.addItem(tr("Add a transform…"), "")
        for augmentation in self._session.plugins.augmentations:
            self.add.addItem(tr(augmentation.title), augmentation.name)
            self.add.setItemData(self.add.count() - 1, tr(augmentation.description), Qt.ItemDataRole.ToolTipRole)

    def _other_transforms(self) -> None:
        """A plugin may have come or gone, and transforms with it."""
        if self.puts_off(self._other_transforms):
            return
        self._fill_add()
        self._form_for = ""  # its parameters may be others
        self.refresh()

    def _item(self, spec: AugmentationSpec) -> QListWidgetItem:
        catalog = self._session.plugins.augmentations
        known = catalog.get(spec.transform) if spec.transform in catalog else None
        item = QListWidgetItem(tr(known.title) if known else tr("{name} (not on offer here)", name=spec.transform))
        item.setToolTip(tr(known.description) if known else tr("No plugin here brings it. Remove it, or turn that plugin on."))
        return item

    def _show_form(self, index: int) -> None:
        if self._quiet:
            return
        specs = self._specs
        chosen = specs[index] if 0 <= index < len(specs) else None
        catalog = self._session.plugins.augmentations
        known = catalog.get(chosen.transform) if chosen and chosen.transform in catalog else None
        self.actions_.refresh()
        self.form_card.setVisible(known is not None)
        self._say_fault()
        if chosen is not None and known is not None:
            self._fill_form(known, chosen)

    def _say_fault(self) -> None:
        """What of the list is not right is said whichever transform is picked."""
        if (fault := self._fault()) is not None:
            self.notice.fail(fault)
        else:
            self.notice.clear()

    def _fault(self) -> UserError | None:
        try:
            augmenting.check(self._session.plugins, self._specs)
        except UserError as error:
            return error
        return None

    def _fill_form(self, known: Augmentation, chosen: AugmentationSpec) -> None:
        self.form_title.setText(tr(known.title))
        mixes = known.kind is AugmentationKind.BATCH
        limit = tr("Here the pictures of the preview are mixed with one another.") if mixes else ""
        self.form_help.setText(f"{tr(known.description)} {limit}".rstrip())
        if self._form is None or self._form_for != known.name:
            if self._form is not None:
                self._form.hide()
                self._form.deleteLater()
            self._form = ModelForm(known.parameters, card=partial(help_texts.transform_card, known))
            self._form_for = known.name
            self._form.edited.connect(self._edit_parameter)
            self.form_box.addWidget(self._form)
        try:
            self._form.show_value(known.parameters.model_validate(dict(chosen.parameters)))
        except ValueError as error:
            self.notice.fail(UserError(f"{tr(known.title)}: {error}", tr("Remove the transform and add it again.")))

    def _edit_parameter(self, name: str, value: Any) -> None:
        index = self.list.currentRow()
        spec = self._specs[index]
        changed = spec.model_copy(update={"parameters": dict(spec.parameters) | {name: _plain(value)}})
        specs = (*self._specs[:index], changed, *self._specs[index + 1 :])
        try:
            augmenting.check(self._session.plugins, specs)
        except UserError as error:
            self.notice.fail(error)
            return
        self.notice.clear()
        known = self._session.plugins.augmentations.get(spec.transform)
        self._edit(f"{tr(known.title)}: {words.title(name)}", specs, f"augment{index}{name}")

    def _take_preset(self) -> None:
        name = self.preset.currentData()
        if name:
            preset = augmenting.presets()[name]
            self._edit(tr("preset {name}", name=tr(preset.title)), preset.specs)
        else:
            self.refresh()

    def _add(self) -> None:
        name = self.add.currentData()
        self.add.setCurrentIndex(0)
        if name:
            title = tr(self._session.plugins.augmentations.get(name).title)
            self._edit(tr("add {name}", name=title), (*self._specs, AugmentationSpec(transform=name)))
            self.list.setCurrentRow(len(self._specs) - 1)

    @property
    def any_chosen(self) -> bool:
        """Whether a transform is picked."""
        return 0 <= self.list.currentRow() < len(self._specs)

    @property
    def can_move_up(self) -> bool:
        """Whether one is picked that is not the first."""
        return self.any_chosen and self.list.currentRow() > 0

    @property
    def can_move_down(self) -> bool:
        """Whether one is picked that is not the last."""
        return self.any_chosen and self.list.currentRow() < len(self._specs) - 1

    def move_up(self) -> None:
        """Apply the picked one earlier."""
        self._move(-1)

    def move_down(self) -> None:
        """Apply the picked one later."""
        self._move(1)

    def duplicate(self) -> None:
        """Apply the picked one once more, right behind itself."""
        index, specs = self.list.currentRow(), self._specs
        if self.any_chosen:
            self._edit(tr("duplicate a transform"), (*specs[: index + 1], *specs[index:]))
            self.list.setCurrentRow(index + 1)

    def _move(self, by: int) -> None:
        index, specs = self.list.currentRow(), list(self._specs)
        if not 0 <= index < len(specs) or not 0 <= index + by < len(specs):
            return
        specs.insert(index + by, specs.pop(index))
        self._edit(tr("order of the transforms"), specs)
        self.list.setCurrentRow(index + by)

    def _reorder_soon(self) -> None:
        QTimer.singleShot(0, self._reorder)

    def _reorder(self) -> None:
        """The recipe takes over the order in which the list was left by a drag."""
        order = [self.list.item(number).data(_PLACE_ROLE) for number in range(self.list.count())]
        specs, current = self._specs, self.list.currentRow()
        if sorted(order) == list(range(len(specs))):
            self._edit(tr("order of the transforms"), [specs[place] for place in order])
            self.list.setCurrentRow(current)

    def remove(self) -> None:
        """Take the picked one out of the list."""
        index = self.list.currentRow()
        if not self.any_chosen:
            return
        self._edit(tr("remove a transform"), (*self._specs[:index], *self._specs[index + 1 :]))

    def _edit(self, text: str, specs: Sequence[AugmentationSpec], merge_key: str = "") -> None:
        if not self._quiet:
            recipe = self._session.state.recipe
            self._session.state.edit(text, recipe.model_copy(update={"augmentation": tuple(specs)}), merge_key)

    def _next_seed(self) -> None:
        self.seed.setValue((self.seed.value() + PREVIEWED) % 1_000_000)

    def _free(self, free: bool) -> None:
        self.seed.setEnabled(not free)
        self._draw_on()

    def _draw_on(self) -> None:
        """Draw another chance, while the person wants and sees it; the next one follows when this one is shown."""
        if self.free.isChecked() and self.isVisible() and self.grid.shown:
            self._next_seed()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """Go on drawing where that was wanted."""
        super().showEvent(event)
        self._draw_on()

    def _show_large(self, number: int) -> None:
        recipe, backbones = self._session.state.recipe, self._session.plugins.backbones
        if number < len(self._pictures) and recipe.backbone.name in backbones:
            rule = resize_rule(backbones.get(recipe.backbone.name).spec, recipe.backbone.image_size)
            PictureDialog(
                self._session,
                self._pictures,
                recipe.augmentation,
                rule,
                at=number,
                seed=self.seed.value(),
                parent=self,
            ).open()

    def _preview_soon(self) -> None:
        self._soon.start()

    def _preview(self) -> None:
        if self.puts_off(self._preview):
            return
        recipe, manifest, plugins = self._session.state.recipe, self._session.state.manifest, self._session.plugins
        self.empty.setVisible(manifest is None)
        self.scroller.setVisible(manifest is not None)
        if manifest is None or recipe.backbone.name not in plugins.backbones or self._fault() is not None:
            self._newest.stop()
            self.state_words.setText("")
            return
        self._pictures = chosen_pictures(manifest)
        paths, seed, specs = [shown.path for shown in self._pictures], self.seed.value(), recipe.augmentation
        rule = resize_rule(plugins.backbones.get(recipe.backbone.name).spec, recipe.backbone.image_size)
        self.state_words.setText(tr("drawing…"))

        def work(report: Report, cancel: threading.Event) -> object:
            return augmenting.preview(plugins, specs, paths, rule, seed)

        self._newest.ask(work)

    def _previewed(self, pictures: Any) -> None:
        self.state_words.setText("")
        self.grid.show_pictures(pictures)
        if self.free.isChecked():
            self._run_on.start()

    def _preview_failed(self, error: BaseException) -> None:
        self.state_words.setText("")
        self.notice.fail(error)


def chosen_pictures(manifest: DatasetManifest) -> list[Shown]:
    """A dozen training pictures, as many of each class as goes, the same each time."""
    by_class: dict[int, list[Sample]] = {}
    for sample in manifest.of(Subset.TRAIN):
        by_class.setdefault(sample.label, []).append(sample)
    turns = [samples[turn] for turn in range(PREVIEWED) for samples in by_class.values() if turn < len(samples)]
    return [
        Shown(path=Path(manifest.root) / sample.path, width=sample.width, height=sample.height) for sample in turns[:PREVIEWED]
    ]


def _plain(value: Any) -> bool | int | float | str:
    return str(value) if isinstance(value, str) else value
