"""How a plugin's author is told what does not conform."""

from collections.abc import Iterator
from contextlib import contextmanager


class Nonconforming(AssertionError):
    """A sentence that says what does not conform, and what to do. Where the plugin raised something, that is its cause."""


def require(truth: object, sentence: str) -> None:
    """Raise `Nonconforming` with `sentence` unless `truth`."""
    if not truth:
        raise Nonconforming(sentence)


@contextmanager
def told(what: str, cure: str) -> Iterator[None]:
    """Whatever the block raises is told as "`what` (…): `cure`"."""
    try:
        yield
    except Nonconforming:
        raise
    except Exception as error:  # a plugin's own code may raise anything
        why = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise Nonconforming(f"{what} ({why}): {cure}") from error
