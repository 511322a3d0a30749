"""The page Layers: which layers learn, and how fast."""

from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtWidgets import QAbstractItemView, QComboBox, QHeaderView, QSpinBox, QTreeView, QVBoxLayout

from desktop_ft.core.changes import Change
from desktop_ft.core.errors import UserError
from desktop_ft.core.freezing import PRESETS, BatchNormPolicy, FreezePlan, learning_share, preset_of_depth
from desktop_ft.core.language import marked, tr, tr_n
from desktop_ft.core.layer_learning import Sign
from desktop_ft.core.layers import blocks
from desktop_ft.core.plan_comparison import compare
from desktop_ft.gui import words
from desktop_ft.gui.advice_panel import AdvicePanel
from desktop_ft.gui.detachable import Detachable
from desktop_ft.gui.form import FormGuard, RateSpinBox
from desktop_ft.gui.help_card import HelpButton, explained
from desktop_ft.gui.layer_learning import LayerLearning
from desktop_ft.gui.layer_model import (
    COMPARED,
    DRIFT,
    GRADIENT,
    LAYER,
    OUTPUT,
    PARAMETERS,
    PATH_ROLE,
    RATE,
    REMARK,
    SHARE,
    STEP,
    TYPE,
    LayerModel,
)
from desktop_ft.gui.layer_search import LayerSearch
from desktop_ft.gui.measured_line import MeasuredLine
from desktop_ft.gui.network_picture import NetworkPicture
from desktop_ft.gui.plan_edit import set_rate, tick
from desktop_ft.gui.plan_menu import PlanMenu
from desktop_ft.gui.rate_delegate import RateDelegate
from desktop_ft.gui.session import Session
from desktop_ft.gui.widgets import Notice, Page, Progress, button, caption_of, filling, label, letters_width, row

PRESET_TITLES = {
    "head": marked("Only the head"),
    "last:2": marked("The last blocks"),
    "all": marked("Everything"),
    "discriminative": marked("Everything, slower towards the input"),
    "gradual": marked("From the top, epoch by epoch"),
    "scratch": marked("From scratch"),
}
_LETTERS = {
    TYPE: 22,
    PARAMETERS: 12,
    OUTPUT: 16,
    SHARE: 13,
    RATE: 18,
    COMPARED: 12,
    GRADIENT: 12,
    STEP: 12,
    DRIFT: 12,
    REMARK: 22,
}
"""How wide the columns of the tree are at least."""
_WIDEST: dict[int, tuple[str, ...]] = {
    OUTPUT: ("2048 × 112 × 112",),
    RATE: ("9.4e-05 – 0.0003",),
    GRADIENT: ("0.00012", "1.2e-07"),
    STEP: ("0.0012 %", "< 0.0001 %"),
    DRIFT: ("0.0012 %", "< 0.0001 %"),
    REMARK: tuple(Sign),
}
"""What must find room in them in any language; digits and capitals take more than small letters."""
_BESIDE = 4
"""Letters that a cell leaves free beside its text."""
_PARAMETRIC = {"last", "gradual"}
_MOST_EPOCHS = 99


class LayersPage(Page):
    """A preset for the whole network, ticks for exceptions, and always in words what share learns."""

    def __init__(self, session: Session) -> None:
        super().__init__(
            tr("Layers"), tr("Tick what shall learn. What stays frozen keeps what it learned from millions of pictures.")
        )
        self._session = session
        self._quiet = False
        self._drawn: object = self  # neither a tree nor None, so that the first is drawn
        self._other: tuple[FreezePlan, str] | None = None
        self.notice = Notice()
        self.retry = button(tr("Try again"), self._retry)
        self.retry.hide()
        self.progress = Progress(tr("layers"))
        self.share = label(role="heading", wrap=True)
        self.explanation = label(role="muted", wrap=True)
        self.model = LayerModel(self)
        self.tree = QTreeView()
        self._build_tree()
        self.search = LayerSearch(self.tree, self.model)
        self.plan = PlanMenu(session)
        self.plan.compared.connect(self._compare)
        session.state.plan_told.connect(self._say)
        self.plan.failed.connect(self.notice.fail)
        self.comparison = label(wrap=True)
        self.picture = NetworkPicture(session.theme)
        self.picture.installEventFilter(FormGuard(self))
        self.picture.valueChanged.connect(self._edit_depth)
        self.picture.picked.connect(self._show_layer)
        self.tree.selectionModel().currentChanged.connect(self._chosen)
        self.measured = MeasuredLine(session)
        self.learning = LayerLearning(self.tree, self.model, session)
        self.advice = AdvicePanel(session)
        self.advice.taken.connect(self._take_depth)
        session.advice.changed.connect(self._show_advice)
        self.clear = button(tr("Remove exceptions"), self._clear_overrides, tip=tr("Back to what the preset says."))
        self.expand = button(tr("Expand all"), self.tree.expandAll)
        self.collapse = button(tr("Collapse"), self._collapse)
        self.body.addLayout(self._controls())
        for widget in (self.explanation, self.notice, self.retry, self.progress):
            self.body.addWidget(widget)
        self.body.addWidget(explained(self.picture, "layers.depth"))
        self.body.addWidget(self.advice)
        self.body.addLayout(row(self.search, self.plan))
        self.body.addWidget(self.comparison)
        self.body.addWidget(self.learning.line)
        self.panel = Detachable("layers", tr("Layers"), filling(explained(self.tree, "layers.tree")), session)
        self.body.addWidget(self.panel, 1)
        self.replan = button(
            tr("Use in the run"),
            session.replanning.replan,
            primary=True,
            tip=tr("Let the run under way go on with these layers, from its next epoch on."),
        )
        self.body.addLayout(
            row(self.share, None, self.replan, self.learning.switch, self.clear, self.expand, self.collapse, self.panel.way)
        )
        self.body.addWidget(self.measured)
        session.state.recipe_changed.connect(self.refresh)
        session.state.tree_changed.connect(self._new_tree)
        session.networks.tree_failed.connect(self._failed)
        session.replanning.replanned.connect(self._replanned)
        session.replanning.failed.connect(self._not_replanned)
        for signal in (session.training.started, session.training.updated, session.training.ended):
            signal.connect(self._show_replan)
        self._new_tree()
        session.networks.want_tree()

    @property
    def in_sight(self) -> bool:
        """The tree may have a window of its own."""
        return super().in_sight or self.panel.detached

    def shut_down(self) -> None:
        """Ask for no more advice."""
        self.advice.shut_down()

    def refresh(self) -> None:
        """Show the plan as it stands."""
        if self.puts_off(self.refresh):
            return
        if self._session.state.tree is not self._drawn:
            self._draw_tree()
        plan = self._session.state.recipe.freeze
        self._show_controls(plan)
        self._show_comparison(plan)
        self.model.set_plan(plan, self._session.state.recipe.optimisation.lr, self.epoch.value() - 1)
        self.picture.show_rates(self.model.rates)
        self.learning.show_run()
        self.advice.refresh()
        self._show_advice()
        self._show_share(plan)
        self._show_replan()

    def _show_advice(self) -> None:
        told = self._session.advice.told
        self.picture.show_advice(told)
        bars = tr("From input to head, a bar a block: grey is frozen, and the stronger the colour, the faster it learns.")
        curve = tr("How well a simple classifier tells your classes from what each block hands on; a click freezes up to there.")
        self.picture.setToolTip("\n".join((bars, curve) if told is not None else (bars,)))

    def _controls(self) -> QVBoxLayout:
        guard = FormGuard(self)
        self.preset = QComboBox()
        for name, text in PRESETS.items():
            self.preset.addItem(tr(PRESET_TITLES[name]), name)
            self.preset.setItemData(self.preset.count() - 1, tr(text), Qt.ItemDataRole.ToolTipRole)
        self.blocks = QSpinBox()
        self.blocks.setRange(1, _MOST_EPOCHS)
        self.blocks.setKeyboardTracking(False)
        self.factor = RateSpinBox()
        self.factor.setRange(0.05, 1)
        self.factor.setKeyboardTracking(False)
        self.batch_norm = QComboBox()
        self.batch_norm.addItem(tr("BatchNorm follows its layer"), BatchNormPolicy.FOLLOW)
        self.batch_norm.addItem(tr("BatchNorm stays frozen"), BatchNormPolicy.FROZEN)
        self.rate = RateSpinBox()
        self.rate.setRange(0.0001, 1)
        self.rate.setKeyboardTracking(False)
        self.epoch = QSpinBox()
        self.epoch.setRange(1, 10_000)
        before, _, behind = tr("as in epoch {n}", n="{n}").partition("{n}")
        self.epoch.setPrefix(before)
        self.epoch.setSuffix(behind)
        fields = FreezePlan.model_fields
        self.preset.setObjectName("preset")
        self.batch_norm.setObjectName("batch_norm")
        self.rate.setObjectName("backbone_rate")
        for control, card, name, tip in (
            (self.preset, "preset", tr("Preset"), tr(fields["preset"].description or "")),
            (
                self.blocks,
                "preset",
                tr("Number of blocks or epochs"),
                tr("How many blocks from the top learn; or every how many epochs one more does."),
            ),
            (self.factor, "preset", tr("Factor"), tr("Each block learns this much slower than the one above it.")),
            (self.batch_norm, "batch_norm", tr("BatchNorm"), tr(fields["batch_norm"].description or "")),
            (self.rate, "backbone_rate", tr("Backbone rate"), tr(fields["backbone_rate"].description or "")),
            (
                self.epoch,
                "preset",
                tr("Epoch shown"),
                tr("This plan changes as epochs pass: the tree shows it as in this epoch."),
            ),
        ):
            explained(control, f"freeze.{card}")
            control.setAccessibleName(name)
            control.setToolTip(tip)
            control.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            control.installEventFilter(guard)
        self.preset.currentIndexChanged.connect(self._edit_preset)
        self.blocks.valueChanged.connect(self._edit_preset)
        self.factor.valueChanged.connect(self._edit_preset)
        self.batch_norm.currentIndexChanged.connect(self._edit_batch_norm)
        self.rate.valueChanged.connect(self._edit_rate)
        self.epoch.valueChanged.connect(self.refresh)
        caption, rate = caption_of(self.preset, tr("&Preset")), caption_of(self.rate, tr("&Backbone rate ×"))
        layout = QVBoxLayout()
        left = (caption, HelpButton(self.preset), self.preset, self.blocks, self.factor, self.epoch)
        layout.addLayout(row(*left, None, rate, self.rate, self.batch_norm))
        return layout

    def _build_tree(self) -> None:
        self.tree.setModel(self.model)
        self.tree.setAccessibleName(tr("Layers"))
        self.tree.setUniformRowHeights(True)
        self.tree.setAlternatingRowColors(True)
        self.tree.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        header = self.tree.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(LAYER, QHeaderView.ResizeMode.Stretch)
        beside = letters_width(self.tree, _BESIDE)
        for column, characters in _LETTERS.items():
            texts = [self.tree.fontMetrics().horizontalAdvance(tr(text)) + beside for text in _WIDEST.get(column, ())]
            self.tree.setColumnWidth(column, max(letters_width(self.tree, characters), header.sectionSizeHint(column), *texts))
        self.rate_delegate = RateDelegate(self.tree)
        self.tree.setColumnHidden(COMPARED, True)
        for column in (SHARE, RATE):
            self.tree.setItemDelegateForColumn(column, self.rate_delegate)
        self.model.ticked.connect(self._tick)
        self.model.rated.connect(self._rate)

    def _new_tree(self) -> None:
        state = self._session.state
        self.retry.hide()
        self.notice.clear()
        if state.tree is None:
            self.progress.begin(tr("Building {network} to see its layers", network=state.recipe.backbone.name))
            self.progress.cancellable(False)
        else:
            self.progress.end()
        self.refresh()

    def _draw_tree(self) -> None:
        tree = self._drawn = self._session.state.tree
        self.model.set_tree(tree, self._head())
        self.picture.show_network(tree, self._head())
        for shown in (self.tree, self.picture, self.advice, self.measured, self.search, self.plan):
            shown.setVisible(tree is not None)
        self.panel.way.setEnabled(tree is not None)
        self._collapse()

    def _show_controls(self, plan: FreezePlan) -> None:
        name, _, argument = plan.preset.partition(":")
        self._quiet = True
        shown = next(number for number, preset in enumerate(PRESETS) if preset.partition(":")[0] == name)
        self.preset.setCurrentIndex(shown)
        number = int(argument or 1) if name in _PARAMETRIC else 1
        self.blocks.setVisible(name in _PARAMETRIC)
        every = tr_n("every {n} epoch", "every {n} epochs", n=number)
        said = tr_n("last {n} block", "last {n} blocks", n=number) if name == "last" else every
        before, _, behind = said.partition(f"{number}")
        self.blocks.setPrefix(before)
        self.blocks.setSuffix(behind)
        tree = self._session.state.tree
        found = len(blocks(tree, self._head())) if tree is not None and name == "last" else 0
        self.blocks.setMaximum(max(found or _MOST_EPOCHS, number))
        if name in _PARAMETRIC:
            self.blocks.setValue(number)
        self.factor.setVisible(name == "discriminative")
        self.factor.setPrefix("× ")
        self.factor.setValue(float(argument) if name == "discriminative" and argument else 0.8)
        self.epoch.setVisible(plan.changes_over_time)
        self.rate.setValue(plan.backbone_rate)
        self.rate.setEnabled(plan.pretrained)
        self.batch_norm.setCurrentIndex(self.batch_norm.findData(plan.batch_norm))
        self.clear.setEnabled(bool(plan.overrides))
        self.explanation.setText(tr(list(PRESETS.values())[shown]))
        self._quiet = False

    def _show_share(self, plan: FreezePlan) -> None:
        tree = self._session.state.tree
        if tree is None:
            self.share.setText("")
            return
        share = learning_share(tree, self.model.rates)
        parameters = words.millions(tree.parameters)
        parts = [tr("{share} of {parameters} parameters learn", share=words.percent(share), parameters=parameters)]
        if exceptions := len(plan.overrides):
            parts.append(
                tr_n(
                    "{n:,} layer or block set otherwise than by the preset",
                    "{n:,} layers or blocks set otherwise than by the preset",
                    n=exceptions,
                )
            )
        if share == 0:
            parts.append(tr("nothing would be learned: tick at least the head"))
        self.share.setText(" · ".join(parts))

    def _show_replan(self) -> None:
        self.replan.setVisible(self._session.replanning.can_replan)

    def _replanned(self, change: Change, training: bool) -> None:
        self._show_replan()
        if change.freeze is None:
            return
        later = tr("These layers learn in the run when it is resumed.")
        self.notice.say(tr("These layers learn in the run from its next epoch on.") if training else later, "good")

    def _not_replanned(self, change: Change, error: BaseException) -> None:
        self._show_replan()
        if change.freeze is not None:
            self.notice.fail(error)

    def _say(self, what: str) -> None:
        self.notice.say(what, "good")

    def _compare(self, other: FreezePlan | None, name: str) -> None:
        self.notice.clear()
        self._other = (other, name) if other is not None else None
        self.refresh()

    def _show_comparison(self, plan: FreezePlan) -> None:
        tree, told = self._session.state.tree, None
        if self._other is not None and tree is not None:
            told = compare(plan, *self._other, tree, self._head(), self.epoch.value() - 1)
        self.comparison.setText(told.words if told else "")
        self.comparison.setVisible(told is not None)
        self.tree.setColumnHidden(COMPARED, told is None)
        self.plan.set_comparing(told is not None)
        self.model.set_others(told.rates if told else None)

    def _with(self, path: str) -> list[str]:
        """The layers that an edit of the layer `path` means: all that are selected, where it is among them."""
        chosen = [str(index.data(PATH_ROLE)) for index in self.tree.selectionModel().selectedRows()]
        return chosen if path in chosen else [path]

    def _tick(self, path: str, learn: bool) -> None:
        state = self._session.state
        if state.tree is not None:
            paths = self._with(path)
            plan = tick(state.recipe.freeze, state.tree, self._head(), paths, learn)
            layers = _named(paths)
            self._edit(tr("let learn {layers}", layers=layers) if learn else tr("freeze {layers}", layers=layers), plan)

    def _rate(self, path: str, share: float) -> None:
        state = self._session.state
        if state.tree is not None:
            self.notice.clear()
            paths = self._with(path)
            try:
                plan = set_rate(state.recipe.freeze, state.tree, self._head(), paths, share)
            except UserError as error:
                self.notice.fail(error)
            else:
                self._edit(tr("rate of {layers}", layers=_named(paths)), plan)

    def _clear_overrides(self) -> None:
        self._edit(tr("remove exceptions"), self._session.state.recipe.freeze.model_copy(update={"overrides": {}}))

    def _edit_preset(self) -> None:
        if self._quiet:
            return
        name = str(self.preset.currentData()).partition(":")[0]
        current = self._session.state.recipe.freeze.preset.partition(":")[0]
        number = self.blocks.value() if name == current else {"last": 2, "gradual": 1}.get(name, 1)
        argument = f":{number}" if name in _PARAMETRIC else ""
        if name == "discriminative" and self.factor.value() != 0.8:
            argument = ":1" if self.factor.value() == 1 else f":{words.rate(self.factor.value())}"
        self._edit(tr("preset"), self._plan(preset=name + argument), "preset")

    def _edit_depth(self, frozen: int) -> None:
        """Freeze from the input up. What was excepted before is no exception any more."""
        preset = preset_of_depth(frozen, self.picture.maximum())
        self._edit(tr("depth"), self._session.state.recipe.freeze.with_preset(preset), "depth")

    def _take_depth(self, frozen: int) -> None:
        """Freeze so many blocks, as advised: a step of its own to undo."""
        preset = preset_of_depth(frozen, self.picture.maximum())
        self._edit(tr("advised depth"), self._session.state.recipe.freeze.with_preset(preset))

    def _show_layer(self, path: str) -> None:
        index = self.model.index_of(path)
        self.tree.setCurrentIndex(index)
        self.tree.scrollTo(index)

    def _chosen(self, index: QModelIndex) -> None:
        self.picture.set_current(str(index.data(PATH_ROLE) or ""))

    def _edit_batch_norm(self) -> None:
        self._edit(tr("BatchNorm"), self._plan(batch_norm=self.batch_norm.currentData()))

    def _edit_rate(self) -> None:
        self._edit(tr("backbone rate"), self._plan(backbone_rate=self.rate.number), "backbone_rate")

    def _plan(self, **changes: object) -> FreezePlan:
        return changed(self._session.state.recipe.freeze, **changes)

    def _edit(self, text: str, plan: FreezePlan, merge_key: str = "") -> None:
        if not self._quiet:
            recipe = self._session.state.recipe
            self._session.state.edit(text, recipe.model_copy(update={"freeze": plan}), merge_key)

    def _head(self) -> str:
        name = self._session.state.recipe.backbone.name
        catalog = self._session.plugins.backbones
        return catalog.get(name).spec.head if name in catalog else ""

    def _collapse(self) -> None:
        self.tree.collapseAll()
        self.tree.expandToDepth(1)
        current = self.model.index(0, 0, QModelIndex())
        if current.isValid() and not self.tree.currentIndex().isValid():
            self.tree.setCurrentIndex(current)

    def _failed(self, error: BaseException) -> None:
        self.progress.end()
        self.notice.fail(error)
        self.retry.show()

    def _retry(self) -> None:
        self.retry.hide()
        self.notice.clear()
        self._session.networks.retry_tree()


def _named(paths: list[str]) -> str:
    return tr_n("{n:,} layer", "{n:,} layers", n=len(paths)) if len(paths) > 1 else paths[0] or tr("all")


def changed(value: FreezePlan, **changes: object) -> FreezePlan:
    """`value` with some fields changed, checked."""
    return FreezePlan.model_validate(value.model_dump() | changes)
