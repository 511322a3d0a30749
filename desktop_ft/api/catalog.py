"""What plugins have registered, by name, each with its author."""

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What is known of something that no plugin brings just now, in sentences.

    Attributes:
        source: which plugin it comes from, and why that does not bring it; "" where that is not known.
        cure: what to do about it; "" where nothing can be said.
    """

    source: str = ""
    cure: str = ""


def _nowhere(kind: str, name: str) -> Elsewhere:
    return Elsewhere()


class Catalog(Generic[T]):
    """Things of one kind by name, in the order they came.

    Args:
        kind: what they are called in messages, such as `backbone`.
        listing: how a person sees the names, such as "`desktop-ft backbones` lists them."; "": the error names them all.
        elsewhere: what is known of the one of this kind and a name that is not here.
    """

    def __init__(
        self,
        kind: str,
        listing: str,
        name_of: Callable[[T], str],
        elsewhere: Callable[[str, str], Elsewhere] = _nowhere,
    ) -> None:
        self.kind = kind
        self._listing = listing
        self._name_of = name_of
        self._elsewhere = elsewhere
        self._items: dict[str, tuple[T, str]] = {}  # with its author; replaced whole, as other threads read it meanwhile

    def add(self, item: T, plugin: str) -> None:
        """Take in `item`.

        Raises:
            ValueError: it has no name; or the name is taken, and both plugins are named.
        """
        name = self._name_of(item)
        if not name:
            raise ValueError(f"a {self.kind} of plugin {plugin} has no name")
        if name in self._items:
            raise ValueError(f"the {self.kind} '{name}' of plugin {plugin} is already brought by plugin {self.author(name)}")
        self._items = {**self._items, name: (item, plugin)}

    def drop(self, plugin: str) -> None:
        """Forget everything that `plugin` brought."""
        self._items = {name: (item, author) for name, (item, author) in self._items.items() if author != plugin}

    def get(self, name: str) -> T:
        """The item called `name`.

        Raises:
            UserError: there is none; names the plugin it comes from, or else the nearest.
        """
        items = self._items
        if name in items:
            return items[name][0]
        what, elsewhere = tr("There is no {kind} '{name}'.", kind=tr(self.kind), name=name), self._elsewhere(self.kind, name)
        if elsewhere.source:
            raise UserError(f"{what} {elsewhere.source}", elsewhere.cure)
        near = [item for item, (_, author) in items.items() if author == name] or difflib.get_close_matches(name, items, n=1)
        hint = tr("Did you mean {name}?", name=near[0]) if near else ""
        listing = tr(self._listing) if self._listing else tr("Take one of {names}.", names=", ".join(items))
        raise UserError(what, " ".join(filter(None, (hint, listing, elsewhere.cure))))

    def author(self, name: str) -> str:
        """The plugin that brought the item called `name`; "" where there is none any more."""
        _, author = self._items.get(name, (None, ""))
        return author

    def brought_by(self, plugin: str) -> dict[str, T]:
        """What `plugin` brought, by name."""
        return {name: item for name, (item, author) in self._items.items() if author == plugin}

    def __iter__(self) -> Iterator[T]:
        return iter([item for item, _ in self._items.values()])

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, name: object) -> bool:
        return name in self._items
