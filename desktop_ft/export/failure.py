"""What an exporter's own code raises, in words that name its plugin."""

from collections.abc import Iterator
from contextlib import contextmanager

from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.language import tr


@contextmanager
def named(format_name: str, plugin: str) -> Iterator[None]:
    """Whatever is raised in the block, by the exporter `format_name` of `plugin`, is told as a UserError that names both.

    Raises:
        UserError: as said; one that was raised in the block goes through as it is, and so does Cancelled.
    """
    try:
        yield
    except (UserError, Cancelled):
        raise
    except (Exception, SystemExit) as error:  # a plugin can raise anything
        raise failed(format_name, plugin, f"{type(error).__name__}: {error}".rstrip(".: ")) from error


def failed(format_name: str, plugin: str, why: str) -> UserError:
    """What is said of the exporter `format_name` of `plugin`, which fails as `why` says, without a full stop."""
    what = tr("The format {name} of the plugin {plugin} failed: {error}.", name=format_name, plugin=plugin, error=why)
    return UserError(what, tr("Export with another format, and tell the exporter's makers."))
