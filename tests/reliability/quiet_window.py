"""The window as a person uses it: opens a folder, trains, exports, closes. Run as a process of its own, by whoever watches it."""

import sys
from pathlib import Path

from desktop_ft.core.recipe import Recipe
from tests.reliability.the_window import opened, until, window

_PATIENCE_S = 240.0


def main(recipe: Path) -> int:
    """Do all that with `recipe`."""
    with window() as made:
        session = made.session
        opened(made, Recipe.from_toml(recipe.read_text(), recipe.name))
        for name in ("model", "layers", "augment", "train"):
            session.state.go(name)
            until(lambda: not session.worker.busy)
        made.page("train").start.click()
        assert session.training.running
        until(lambda: not session.training.running and not session.worker.busy, _PATIENCE_S)
        session.state.go("results")
        session.state.go("export")
        made.page("export").export.click()
        until(lambda: not session.runs.busy, _PATIENCE_S)
        assert session.state.export is not None and session.state.export.accepted, made.page("export").notice.text
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
