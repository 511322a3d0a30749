"""The page Model: browse the networks on offer, fetch weights on request, choose one."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QModelIndex
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QHeaderView, QLineEdit, QSpinBox, QTabWidget, QVBoxLayout, QWidget

from desktop_ft.core.advice import Ranking
from desktop_ft.core.backbone import WeightsOrigin, is_found_by
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr, tr_n
from desktop_ft.core.offers import Offer, PictureFacts, picks, recommend
from desktop_ft.core.recipe import BackboneChoice
from desktop_ft.gui import words
from desktop_ft.gui.facts import Facts
from desktop_ft.gui.form import ModelForm
from desktop_ft.gui.help_card import explained
from desktop_ft.gui.network_cards import NetworkCards
from desktop_ft.gui.network_chart import NetworkChart
from desktop_ft.gui.network_facts import COLUMNS, LICENCE, PROBE, SPEED, availability, facts, licence, weights
from desktop_ft.gui.picker import choose_file
from desktop_ft.gui.ranking_row import RankingRow
from desktop_ft.gui.readiness import backbone_blocker
from desktop_ft.gui.session import Session
from desktop_ft.gui.table import ROW_ROLE, table
from desktop_ft.gui.widgets import Notice, Page, Progress, button, card, label, letters_width, row, scrolled, splitter
from desktop_ft.gui.worker import Newest
from desktop_ft.jobs import backbones
from desktop_ft.jobs.devices import accelerated


class ModelPage(Page):
    """Cards for three aims; below them all networks as a searchable table and as a chart, and the facts of the current one."""

    def __init__(self, session: Session) -> None:
        super().__init__(
            tr("Model"),
            tr("The pre-trained network to start from. Small ones learn quickly; large ones are often more accurate."),
        )
        self._session = session
        self.notice = Notice()
        self.progress = Progress(tr("bytes"), in_bytes=True)
        self.progress.cancelled.connect(session.networks.cancel_download)
        self.measuring = Progress(tr("networks"))
        self.measuring.cancelled.connect(session.networks.cancel_measuring)
        self._accelerated: bool | None = None
        self._asked = False
        self._pictures: PictureFacts | None = None
        self._drawn = ""
        self._ranking: Ranking | None = None
        self._device = Newest(session.worker, self._know_device, self._device_unknown, self)
        self.cards = NetworkCards()
        self.cards.used.connect(self.use)
        self.ranking = RankingRow(session)
        self.header.addWidget(self.ranking.ask)
        self.reason = label(role="muted", wrap=True)
        self.reason.setProperty("level", "warn")
        self.to_plugins = button(tr("Plugins…"), lambda: session.state.go("plugins"), tip=tr("Turn them on there."))
        panels = splitter("model", session.settings, self._networks_panel(), self._facts_panel(), shares=(74, 26))
        for widget in (self.cards, self.ranking, self.notice, self.progress, self.measuring):
            self.body.addWidget(widget)
        self.body.addLayout(row(self.reason, self.to_plugins))
        self.body.addWidget(panels, 1)
        networks = session.networks
        networks.measuring_began.connect(self._measuring_began)
        networks.measuring_progressed.connect(self._measuring_progressed)
        networks.measuring_failed.connect(self.notice.fail)
        networks.measuring_ended.connect(self._measuring_ended)
        session.training.started.connect(networks.cancel_measuring)  # beside a run it would be no measure
        session.computing.changed.connect(self._enable_measuring)
        networks.download_began.connect(self._download_began)
        networks.download_progressed.connect(self.progress.advance)
        networks.download_failed.connect(self.notice.fail)
        networks.download_ended.connect(self._download_ended)
        networks.given_up.connect(self.notice.say)
        session.ranking.changed.connect(self._ranked)
        session.state.recipe_changed.connect(self.refresh)
        session.state.manifest_changed.connect(self._new_pictures)
        session.plugin_work.changed.connect(self._other_networks)
        self._list()
        self._new_pictures()
        self._filter()
        self._show_current()  # nothing is picked where nobody brings the recipe's network

    def refresh(self) -> None:
        """Show which network is chosen, and what can be done with the current one."""
        if self.puts_off(self.refresh):
            return
        self.table.rows.redraw()
        self._show_current()
        self._show_cards()
        if self._drawn != self._session.state.recipe.backbone.name:
            self._show_chart()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """What a recommendation rests on may be known by now."""
        super().showEvent(event)
        self._show_cards()

    def shut_down(self) -> None:
        """Free the plot."""
        self.chart.shut_down()

    def use_current(self) -> None:
        """Choose the network of the current row."""
        offer = self.table.current()
        if isinstance(offer, Offer):
            self.use(offer)

    def use(self, offer: Offer) -> None:
        """Choose a network; its row becomes the current one."""
        if offer not in self._shown_offers():
            self.search.clear()
        self._pick(offer)
        recipe = self._session.state.recipe
        if offer.spec.name != recipe.backbone.name:
            backbone = recipe.backbone.model_copy(update={"name": offer.spec.name, "weights": "", "image_size": 0})
            # Exceptions name layers of the network they were made for.
            plan = recipe.freeze.with_preset(recipe.freeze.preset)
            if lost := len(recipe.freeze.overrides):
                self.notice.say(
                    tr_n(
                        "{n:,} exception to the freeze preset named layers of {network}. Undo brings them back.",
                        "{n:,} exceptions to the freeze preset named layers of {network}. Undo brings them back.",
                        n=lost,
                        network=recipe.backbone.name,
                    )
                )
            else:
                self.notice.clear()
            self._session.state.edit(
                tr("use {network}", network=offer.spec.name), recipe.model_copy(update={"backbone": backbone, "freeze": plan})
            )

    def download_current(self) -> None:
        """Fetch the weights of the current row's network."""
        offer = self.table.current()
        if isinstance(offer, Offer):
            self.notice.clear()
            self._session.networks.download(offer.spec.name)

    def choose_weights(self, path: Path | None) -> None:
        """Start from a weights file of the person's own; None: from the published ones."""
        self.notice.clear()
        try:
            if path is not None:
                backbones.check_weights(path)
        except UserError as error:
            self.notice.fail(error)
            return
        recipe = self._session.state.recipe
        backbone = recipe.backbone.model_copy(update={"weights": str(path) if path else ""})
        self._session.state.edit(tr("own weights"), recipe.model_copy(update={"backbone": backbone}))

    def take_drop(self, paths: tuple[Path, ...]) -> bool:
        """A weights file that is dropped here is the person's own weights."""
        if len(paths) == 1 and paths[0].suffix.lower() in (".safetensors", ".pth", ".pt"):
            self.choose_weights(paths[0])
            return True
        return False

    def _networks_panel(self) -> QWidget:
        self.search = QLineEdit()
        self.search.setPlaceholderText(tr("Search name, family, data, licence…"))
        self.search.setAccessibleName(tr("Search networks"))
        self.search.setClearButtonEnabled(True)
        self.shown = label(role="muted")
        self.table = table(COLUMNS, self._session.theme, tr("Networks"))
        # Told with the other facts; in the table the name says it already.
        self.table.setColumnHidden(len(COLUMNS) - 1, True)
        self.table.horizontalHeader().setSectionResizeMode(LICENCE, QHeaderView.ResizeMode.Stretch)
        self.table.setColumnHidden(PROBE, True)
        self.table.rows.bold = self._is_chosen
        self.search.textChanged.connect(self._filter)
        self.table.selectionModel().currentRowChanged.connect(self._show_current)
        self.table.doubleClicked.connect(self.use_current)
        self.table.activated.connect(self.use_current)
        self.chart = NetworkChart(self._session.theme)
        self.chart.picked.connect(self._pick)
        self.chart.used.connect(self.use_current)
        self.tabs = QTabWidget()
        self.tabs.addTab(self.table, tr("Table"))
        self.tabs.addTab(self.chart, tr("Chart"))
        self.measure = button(
            tr("Measure speed"),
            self._measure_current,
            tip=tr("Measure how many pictures a second the current network answers here."),
        )
        self.measure_all = button(
            tr("Measure all"), self._measure_all, tip=tr("Measure how fast each network that is listed answers here.")
        )
        left = QWidget()
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(row(self.search, self.shown, self.measure, self.measure_all))
        column.addWidget(explained(self.tabs, "backbone.name"), 1)
        return left

    def _facts_panel(self) -> QWidget:
        frame, layout = card()
        self.name = label(role="figure", wrap=True)
        self.chosen = label(role="muted", wrap=True)
        self.facts = Facts()
        self.use_it = button(tr("Use this network"), self.use_current, primary=True)
        self.download = button(tr("Download weights"), self.download_current)
        self.input = ModelForm(BackboneChoice, skip=("name", "weights"))
        side = self.input.control("image_size")
        if isinstance(side, QSpinBox):
            side.setSpecialValueText(tr("as trained"))
            side.setSuffix(" px")
        self.input.edited.connect(self._edit_size)
        self.own = label(role="muted", wrap=True)
        self.own_choose = button(
            tr("Own weights…"), self._choose_weights, tip=tr("Start from a .safetensors or .pth file of your own.")
        )
        self.own_clear = button(tr("Published weights"), self._clear_weights, tip=tr("Start from the published weights again."))
        layout.addWidget(self.name)
        layout.addWidget(self.chosen)
        layout.addWidget(self.use_it)
        layout.addWidget(self.download)
        layout.addWidget(self.facts)
        layout.addStretch(1)
        layout.addWidget(self.input)
        layout.addWidget(self.own)
        layout.addLayout(row(explained(self.own_choose, "backbone.weights"), None))
        layout.addLayout(row(self.own_clear, None))  # beside the other it would take room from the table
        frame.setMinimumWidth(letters_width(frame, 34))
        return scrolled(frame)

    def _offers(self) -> list[Offer]:
        ranking, found = self._session.ranking.told, backbones.offers(self._session.plugins)
        probes = {score.name: score.accuracy for score in ranking.scores} if ranking is not None else {}
        return [replace(offer, probe=probes.get(offer.spec.name)) for offer in found]

    def _ranked(self) -> None:
        """The networks were compared on these pictures, or these are others now."""
        if self.puts_off(self._ranked):
            return
        if self._ranking is not (told := self._session.ranking.told):
            self._ranking = told
            self.table.setColumnHidden(PROBE, told is None)
            self._look_again()

    def _list(self) -> None:
        self.table.rows.set_rows(self._offers())
        self._show_speeds()
        self.table.select(self._is_chosen)

    def _show_speeds(self) -> None:
        """The column takes room from the licence: before one was measured it has nothing to say."""
        self.table.setColumnHidden(SPEED, not any(offer.speed for offer in self.table.rows.rows))

    def _other_networks(self) -> None:
        """A plugin may have come or gone, and networks with it."""
        if self.puts_off(self._other_networks):
            return
        self._list()
        self._filter()
        self._look_again()

    def _look_again(self) -> None:
        """Weights, or a speed, are there that were not; which networks there are has not changed."""
        self.table.rows.rows[:] = self._offers()
        self.table.rows.redraw()
        self._show_speeds()
        self._show_cards()
        self._show_chart()
        self._show_current()

    def _new_pictures(self) -> None:
        if self.puts_off(self._new_pictures):
            return
        manifest = self._session.state.manifest
        self._pictures = PictureFacts.of(manifest) if manifest is not None else None
        self._show_cards()

    def _pick(self, offer: Offer) -> None:
        self.table.select(lambda other: other.spec.name == offer.spec.name)

    def _shown_offers(self) -> list[Offer]:
        proxy = self.table.proxy
        return [proxy.index(number, 0).data(ROW_ROLE) for number in range(proxy.rowCount())]

    def _show_chart(self) -> None:
        self._drawn = self._session.state.recipe.backbone.name
        self.chart.show_offers(self._shown_offers(), self._drawn)

    def _show_cards(self) -> None:
        found, pictures = picks(self.table.rows.rows), self._pictures
        suits, otherwise = None, tr("Choose a folder on the page Data to see which of them suits your pictures.")
        if pictures is not None and self._accelerated is not None:
            suits = recommend(found, pictures, accelerated=self._accelerated)
        elif pictures is not None:
            otherwise = tr("Finding out what this machine computes on, to recommend one of them…")
            if self.isVisible() and not self._asked:
                self._asked = True
                self._device.ask(lambda report, cancel: accelerated())
        told = {aim: (offer, availability(offer), licence(offer.spec)) for aim, offer in found.items()}
        self.cards.show_picks(told, self._session.state.recipe.backbone.name, suits, otherwise)

    def _know_device(self, known: bool) -> None:
        self._accelerated = known
        self._show_cards()

    def _device_unknown(self, error: BaseException) -> None:
        self.notice.fail(error)
        self._know_device(False)

    def _is_chosen(self, offer: Offer) -> bool:
        return offer.spec.name == self._session.state.recipe.backbone.name

    def _filter(self) -> None:
        search = self.search.text()
        self.table.keep(lambda offer: is_found_by(offer.spec, search, weights(offer), licence(offer.spec)))
        shown = self.table.proxy.rowCount()
        found = tr_n("{n:,} network", "{n:,} networks", n=shown)
        self.shown.setText(found if shown else tr("Nothing matches. Try another word."))
        self._show_chart()
        self._enable_measuring()

    def _show_current(self, current: QModelIndex | None = None, previous: QModelIndex | None = None) -> None:
        offer = self.table.current()
        recipe, networks = self._session.state.recipe, self._session.networks
        for widget in (self.use_it, self.download, self.facts):
            widget.setVisible(isinstance(offer, Offer))
        self._enable_measuring()
        self.chart.set_current(offer.spec.name if isinstance(offer, Offer) else "")
        self.input.show_value(recipe.backbone)
        self._show_own(recipe.backbone.name, recipe.backbone.weights)
        self._show_reason()
        if not isinstance(offer, Offer):
            self.name.setText(tr("No network picked"))
            self.name.setAccessibleName("")
            self.chosen.setText(tr("Pick a row to see its facts."))
            self.chosen.show()
            return
        used = self._is_chosen(offer)
        self.name.setText(words.breakable(offer.spec.name))
        self.name.setAccessibleName(offer.spec.name)
        fetchable = not offer.local and offer.spec.weights.origin is WeightsOrigin.DOWNLOAD
        needed = fetchable and recipe.freeze.pretrained and not recipe.backbone.weights
        later = tr("In use: the next run starts from it, once its weights are here.")
        by_hand = offer.spec.weights.origin is WeightsOrigin.BY_HAND
        hint = tr("Fetch the weights file from the address below yourself, then choose it with Own weights…")
        told = [later if needed else tr("In use: the next run starts from it.")] * used + [hint] * by_hand
        self.chosen.setText(" ".join(told))
        self.chosen.setVisible(bool(told))
        self.facts.show_facts(facts(offer))
        self.use_it.setVisible(not used)
        self.download.setVisible(fetchable)
        self.download.setEnabled(not networks.downloading)
        amount = words.size(offer.spec.weights.bytes) if offer.spec.weights.bytes else ""
        fetch = tr("Download weights ({size})", size=amount) if amount else tr("Download weights")
        self.download.setText(tr("A download is under way") if networks.downloading else fetch)

    def _show_reason(self) -> None:
        """Of a network that nobody brings just now, what the page Train says. (What any other lacks stands by its facts.)"""
        recipe, plugins = self._session.state.recipe, self._session.plugins
        unknown = recipe.backbone.name not in plugins.backbones
        blocker = backbone_blocker(recipe, plugins, self._session.own_weights.is_there) if unknown else None
        self.reason.setText(blocker.reason if blocker else "")
        for widget in (self.reason, self.to_plugins):
            widget.setVisible(unknown)

    def _show_own(self, network: str, path: str) -> None:
        self.own.setText(
            tr("{network} starts from your own weights:\n{path}", network=network, path=words.printable(path))
            if path
            else tr("Starts from its published weights.")
        )
        self.own_clear.setVisible(bool(path))

    def _edit_size(self, name: str, value: object) -> None:
        recipe = self._session.state.recipe
        backbone = recipe.backbone.model_copy(update={name: value})
        self._session.state.edit(tr("image size"), recipe.model_copy(update={"backbone": backbone}), name)

    def _choose_weights(self) -> None:
        kinds = tr("Weights (*.safetensors *.pth *.pt)")
        if file := choose_file(self, self._session.settings, tr("Choose weights of your own"), kinds):
            self.choose_weights(file)

    def _clear_weights(self) -> None:
        self.choose_weights(None)

    def _download_began(self, name: str) -> None:
        self.progress.begin(tr("Downloading the weights of {network}", network=name))
        self._show_current()

    def _download_ended(self) -> None:
        self.progress.end()
        self._look_again()

    def _measure_current(self) -> None:
        offer = self.table.current()
        if isinstance(offer, Offer):
            self._begin_measuring([offer])

    def _measure_all(self) -> None:
        self._begin_measuring(self._shown_offers())

    def _begin_measuring(self, offers: Sequence[Offer]) -> None:
        self.notice.clear()
        self._session.networks.measure([offer.spec.name for offer in offers])

    def _measuring_began(self) -> None:
        self.measuring.begin(tr("Measuring how fast networks answer here"))
        self._enable_measuring()

    def _measuring_progressed(self, done: int, total: int | None) -> None:
        self.measuring.advance(done, total)
        if done:
            self._look_again()

    def _measuring_ended(self) -> None:
        self.measuring.end()
        self._enable_measuring()
        self._look_again()

    def _enable_measuring(self) -> None:
        can = not self._session.computing.now
        self.measure.setEnabled(can and self.table.current() is not None)
        self.measure_all.setEnabled(can and self.table.proxy.rowCount() > 0)
