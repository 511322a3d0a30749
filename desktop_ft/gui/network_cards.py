"""Three networks for three aims, as cards: a click uses one."""

from collections.abc import Mapping

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QHBoxLayout, QLabel, QSizePolicy, QStyle, QStyleOption, QVBoxLayout, QWidget

from desktop_ft.core.language import marked, tr
from desktop_ft.core.offers import MOST_GFLOPS, Aim, Offer, Recommendation
from desktop_ft.gui import words
from desktop_ft.gui.widgets import GAP, label

TITLES = {Aim.SPEED: marked("Speed"), Aim.BALANCE: marked("Balance"), Aim.ACCURACY: marked("Accuracy")}


class NetworkCard(QAbstractButton):
    """One network with its facts on its face. It is down while its network is in use."""

    def __init__(self, aim: Aim) -> None:
        super().__init__()
        self.aim = aim
        self.offer: Offer | None = None
        self.setObjectName("network_card")
        self.setCheckable(True)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.title = label(role="heading")
        self.mark = label(role="muted")
        self.name = label()
        self.facts = label(role="muted")
        self.work = label(role="muted")
        self.terms = label(role="muted")
        top = QHBoxLayout()
        top.setSpacing(GAP)
        top.addWidget(self.title)
        top.addStretch(1)
        top.addWidget(self.mark)
        self._face = layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 8, 12, 8)
        layout.setSpacing(2)
        layout.addLayout(top)
        for each in (self.name, self.facts, self.work, self.terms):
            layout.addWidget(each)
        for each in self.findChildren(QLabel):
            each.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
            each.setMinimumWidth(1)  # may be cut where the window is narrow; the tip has it all

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """What its face needs."""
        return self._face.sizeHint()

    minimumSizeHint = sizeHint  # noqa: N815 - Qt's name

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """The frame, as the theme has it; the face lies on it."""
        option = QStyleOption()
        option.initFrom(self)
        if self.isChecked():
            option.state |= QStyle.StateFlag.State_On
        self.style().drawPrimitive(QStyle.PrimitiveElement.PE_Widget, option, QPainter(self), self)

    def show_offer(self, offer: Offer, availability: str, licence: str, *, used: bool, recommended: bool) -> None:
        """Show a network."""
        self.offer = offer
        spec = offer.spec
        measured = [tr("{rate:.3g} pictures/s", rate=offer.speed.pictures_per_second)] if offer.speed is not None else []
        facts = [f"{spec.top1:.1f} % top-1", words.millions(spec.parameters)]
        work = [f"{spec.gflops:.2g} GFLOPs", *measured]
        self.title.setText(tr(TITLES[self.aim]))
        self.name.setText(spec.name)
        self.facts.setText(" · ".join(facts))
        self.work.setText(" · ".join(work))
        self.terms.setText(f"{availability} · {licence}")
        marks = [tr("in use")] * used + [tr("recommended")] * recommended
        self.mark.setText(" · ".join(marks))
        self.mark.setProperty("level", "good" if recommended else "")
        self.mark.style().unpolish(self.mark)
        self.mark.style().polish(self.mark)
        self.setChecked(used)
        most = MOST_GFLOPS[self.aim]
        if most < float("inf"):
            rule = tr(
                "The most accurate with up to {most:g} GFLOPs a picture, of those that may be used commercially.", most=most
            )
        else:
            rule = tr("The most accurate with any work, of those that may be used commercially.")
        said = [f"{tr(TITLES[self.aim])}: {spec.name}", *marks, *facts, *work, self.terms.text()]
        self.setAccessibleName(", ".join(said))
        self.setToolTip("\n".join([*said, rule]))


class NetworkCards(QWidget):
    """The cards side by side, and below them which one suits the person's pictures. `used` tells which network was clicked."""

    used = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.cards = {aim: NetworkCard(aim) for aim in Aim}
        self.reason = label(role="muted", wrap=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        side_by_side = QHBoxLayout()
        side_by_side.setSpacing(GAP)
        for card in self.cards.values():
            card.clicked.connect(self._clicked)
            side_by_side.addWidget(card, 1)
        layout.addLayout(side_by_side)
        layout.addWidget(self.reason)

    def show_picks(
        self,
        picks: Mapping[Aim, tuple[Offer, str, str]],
        used: str,
        recommendation: Recommendation | None,
        otherwise: str,
    ) -> None:
        """Show a network for each aim, with its availability and licence in words.

        Args:
            used: the name of the network in use.
            recommendation: None: `otherwise` says why there is none.
        """
        for aim, card in self.cards.items():
            card.setVisible(aim in picks)
            if aim in picks:
                offer, availability, licence = picks[aim]
                suits = recommendation is not None and recommendation.aim is aim
                card.show_offer(offer, availability, licence, used=offer.spec.name == used, recommended=suits)
        recommended = tr("Recommended for your data: {reason}", reason=recommendation.reason) if recommendation else ""
        self.reason.setText(recommended or otherwise)

    def _clicked(self) -> None:
        card = self.sender()
        if isinstance(card, NetworkCard) and card.offer is not None:
            card.setChecked(True)  # a click on the one in use does not switch it off
            self.used.emit(card.offer)
