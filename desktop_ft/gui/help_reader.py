"""The help as a whole: every page, setting, transform and word, in one list that can be searched."""

import html
from collections.abc import Iterable
from dataclasses import dataclass

from PySide6.QtCore import Qt, QUrl
from PySide6.QtWidgets import QDialog, QLineEdit, QTextBrowser, QTreeWidget, QTreeWidgetItem, QVBoxLayout, QWidget

from desktop_ft.api import Augmentation
from desktop_ft.core.help import COST, STEPS, WHEN, WORDS, HelpCard
from desktop_ft.core.language import marked, tr
from desktop_ft.gui import layout_memory
from desktop_ft.gui.settings import Settings
from desktop_ft.gui.state import page_of
from desktop_ft.gui.widgets import GAP, splitter
from desktop_ft.gui.words import PAGE_TITLES
from desktop_ft.jobs import help_texts

PAGES, CONTROLS = marked("Pages"), marked("Settings and controls")
TRANSFORMS, GLOSSARY = marked("Transforms"), marked("Words")
_SIZE = (860, 560)
_KEY = int(Qt.ItemDataRole.UserRole)


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One text of the help; `key` names it in links."""

    key: str
    group: str
    title: str
    body: str


def topics(augmentations: Iterable[Augmentation]) -> list[Topic]:
    """Everything there is to read, in order."""
    pages = help_texts.pages()
    found = [Topic(key=f"page:{name}", group=PAGES, title=tr(PAGE_TITLES[name]), body=_page(name)) for name in pages]
    for name, card in help_texts.cards().items():
        found.append(Topic(key=f"card:{name}", group=CONTROLS, title=card.title, body=_card(card)))
    for each in augmentations:
        card = help_texts.transform_card(each)
        found.append(Topic(key=f"transform:{each.name}", group=TRANSFORMS, title=tr(each.title), body=_card(card)))
    for word, meaning in help_texts.glossary().items():
        said = tr(word)
        title = said[0].upper() + said[1:]
        found.append(Topic(key=f"word:{word}", group=GLOSSARY, title=title, body=_paragraph(meaning)))
    return found


class HelpReader(QDialog):
    """Topics on the left, the text of one on the right; links lead from text to text."""

    def __init__(self, augmentations: Iterable[Augmentation], settings: Settings, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setObjectName("help reader")
        self.setWindowTitle(tr("Help"))
        self.resize(*_SIZE)
        self._settings = settings
        self.restoreGeometry(settings.window("help"))
        self.finished.connect(self._remember)
        self._topics = {topic.key: topic for topic in topics(augmentations)}
        self.search = QLineEdit()
        self.search.setPlaceholderText(tr("Search the help"))
        self.search.setAccessibleName(tr("Search the help"))
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._filter)
        self.list = QTreeWidget()
        self.list.setAccessibleName(tr("Topics"))
        self.list.setHeaderHidden(True)
        self.list.currentItemChanged.connect(self._chosen)
        self.text = QTextBrowser()
        self.text.setAccessibleName(tr("Explanation"))
        self.text.setOpenLinks(False)
        self.text.anchorClicked.connect(self._follow)
        left = QWidget()
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GAP)
        column.addWidget(self.search)
        column.addWidget(self.list, 1)
        layout = QVBoxLayout(self)
        layout.addWidget(splitter("help", settings, left, self.text, shares=(1, 2)))
        self._filter("")

    def read(self, key: str) -> None:
        """Show the topic `key`, such as `page:train` or `word:freezing`."""
        if key not in self._found:
            self.search.clear()
        self.list.setCurrentItem(self._found[key])

    def _remember(self) -> None:
        self._settings.remember_window("help", self.saveGeometry())
        layout_memory.remember(self._settings, "help", self)

    def _filter(self, typed: str) -> None:
        wanted = typed.lower().split()
        self.list.clear()
        self._found: dict[str, QTreeWidgetItem] = {}
        groups: dict[str, QTreeWidgetItem] = {}
        for topic in sorted(self._topics.values(), key=lambda topic: _rank(topic, wanted)):
            if not all(word in f"{topic.title} {topic.body}".lower() for word in wanted):
                continue
            if topic.group not in groups:
                groups[topic.group] = QTreeWidgetItem(self.list, [tr(topic.group)])
                groups[topic.group].setFlags(Qt.ItemFlag.ItemIsEnabled)
            item = QTreeWidgetItem(groups[topic.group], [topic.title])
            item.setData(0, _KEY, topic.key)
            self._found[topic.key] = item
        self.list.expandAll()
        if self._found:
            self.list.setCurrentItem(next(iter(self._found.values())))
        else:
            self.text.setPlainText(tr("Nothing in the help says that. Try another word."))

    def _chosen(self, item: QTreeWidgetItem | None) -> None:
        if item is not None and (key := item.data(0, _KEY)):
            topic = self._topics[key]
            self.text.setHtml(f"<h2>{html.escape(topic.title)}</h2>{topic.body}")

    def _follow(self, link: QUrl) -> None:
        self.read(link.toString())


def _rank(topic: Topic, wanted: list[str]) -> bool:
    """Topics that are called what is looked for come first."""
    return not all(word in topic.title.lower() for word in wanted)


def _page(name: str) -> str:
    said = help_texts.pages()[name]
    steps = "".join(f"<li>{html.escape(step)}</li>" for step in said.steps)
    here = [f"<li>{_link(f'card:{key}', card.title)}</li>" for key, card in help_texts.cards().items() if _is_on(key, name)]
    controls = f"<h4>{tr('What can be set here')}</h4><ul>{''.join(here)}</ul>" if here else ""
    return f"{_paragraph(said.what)}<h4>{tr(STEPS)}</h4><ul>{steps}</ul>{controls}{_words(said.words)}"


def _is_on(key: str, page: str) -> bool:
    """Whether what the card `key` explains is set on the page `page`."""
    section = key.partition(".")[0]
    return (section if section in PAGE_TITLES else page_of(section)) == page


def _card(card: HelpCard) -> str:
    parts = [_paragraph(card.what)]
    parts += [f"<h4>{tr(heading)}</h4>{_paragraph(said)}" for heading, said in ((WHEN, card.when), (COST, card.cost)) if said]
    return "".join(parts) + _words(card.words)


def _words(names: Iterable[str]) -> str:
    listed = " · ".join(_link(f"word:{name}", tr(name)) for name in names)
    return f"<h4>{tr(WORDS)}</h4><p>{listed}</p>" if listed else ""


def _link(key: str, text: str) -> str:
    return f'<a href="{html.escape(key)}">{html.escape(text)}</a>'


def _paragraph(text: str) -> str:
    return f"<p>{html.escape(text)}</p>"
