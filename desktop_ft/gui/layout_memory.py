"""What a person arranged is found again: widths of panels and columns, order of rows, the tab that was shown."""

from collections.abc import Iterator
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHeaderView, QSplitter, QTableView, QTabWidget, QTreeView, QWidget

from desktop_ft.gui.settings import Settings

_GIVEN = "given"
"""The property of a header that keeps how wide its columns are by themselves: a later version may give others."""


def remember(settings: Settings, name: str, whole: QWidget) -> None:
    """Keep how what is in `whole`, a page or dialog called `name`, is arranged."""
    for splitter in whole.findChildren(QSplitter):
        if splitter.objectName() and not isinstance(splitter.parent(), QHeaderView):
            settings.remember_splitter(splitter.objectName(), splitter.sizes())
    for key, tabs in _tabs(name, whole):
        settings.remember_layout(key, tabs.currentIndex())
    for key, header in _headers(name, whole):
        now = _widths(header)
        given = header.property(_GIVEN) or []
        given = given if len(given) == len(now) else now
        # Of a column that was hidden, or is, nobody knows how wide it is by itself.
        widths = [width if width and was and width != was else None for width, was in zip(now, given, strict=True)]
        sort = [header.sortIndicatorSection(), int(header.sortIndicatorOrder() is Qt.SortOrder.DescendingOrder)]
        settings.remember_layout(key, {"titles": _titles(header), "own_widths": widths, "sort": sort})


def restore(settings: Settings, name: str, whole: QWidget) -> None:
    """Arrange `whole` as it was; what does not fit any more stays as it is. (Splitters take their sizes when they are made.)"""
    for key, tabs in _tabs(name, whole):
        index = settings.layout(key)
        if isinstance(index, int) and 0 <= index < tabs.count():
            tabs.setCurrentIndex(index)
    for key, header in _headers(name, whole):
        header.setProperty(_GIVEN, _widths(header))
        kept = settings.layout(key)
        if isinstance(kept, dict) and kept.get("titles") == _titles(header):
            _arrange(header, kept)


def _arrange(header: QHeaderView, kept: dict[str, Any]) -> None:
    widths, sort = kept.get("own_widths"), kept.get("sort")
    if isinstance(widths, list) and len(widths) == header.count():
        for column, width in enumerate(widths):
            own = header.sectionResizeMode(column) is QHeaderView.ResizeMode.Interactive
            if own and isinstance(width, int) and header.minimumSectionSize() <= width < 10_000:
                header.resizeSection(column, width)
    if isinstance(sort, list) and len(sort) == 2 and isinstance(sort[0], int) and 0 <= sort[0] < header.count():
        header.setSortIndicator(sort[0], Qt.SortOrder.DescendingOrder if sort[1] else Qt.SortOrder.AscendingOrder)


def _tabs(name: str, whole: QWidget) -> Iterator[tuple[str, QTabWidget]]:
    for number, tabs in enumerate(whole.findChildren(QTabWidget)):
        yield f"{name}/{tabs.objectName() or f'tabs {number}'}", tabs


def _headers(name: str, whole: QWidget) -> Iterator[tuple[str, QHeaderView]]:
    for view in whole.findChildren(QTableView):
        if view.isSortingEnabled():  # others are filled anew each time
            yield f"{name}/{view.objectName() or view.accessibleName()}", view.horizontalHeader()
    for tree in whole.findChildren(QTreeView):
        if not tree.isHeaderHidden():
            yield f"{name}/{tree.objectName() or tree.accessibleName()}", tree.header()


def _widths(header: QHeaderView) -> list[int]:
    """0: it is hidden."""
    return [header.sectionSize(column) for column in range(header.count())]


def _titles(header: QHeaderView) -> list[str]:
    model = header.model()
    return [str(model.headerData(column, header.orientation())) for column in range(header.count())]
