"""The documents keep up with the code."""

import inspect
from pathlib import Path

from benchmarks import page, parity_page
from desktop_ft.api import hookspecs

ROOT = Path(__file__).parents[1]


def test_the_page_of_benchmarks_is_what_the_results_say() -> None:
    assert page.PAGE.read_text(encoding="utf-8") == page.rendered(page.read())


def test_the_page_of_exports_is_what_the_results_say() -> None:
    assert parity_page.PAGE.read_text(encoding="utf-8") == parity_page.rendered(parity_page.read())


def test_every_hook_and_argument_is_documented() -> None:
    page = (ROOT / "docs" / "plugin_hooks.md").read_text(encoding="utf-8")
    hooks = [member for member in vars(hookspecs).values() if hasattr(member, f"{hookspecs.PROJECT}_spec")]
    assert len(hooks) == 6
    for hook in hooks:
        row = next((line for line in page.splitlines() if line.startswith(f"| `{hook.__name__}`")), "")
        assert row, f"{hook.__name__} is missing from docs/plugin_hooks.md"
        for argument in inspect.signature(hook).parameters:
            assert argument in row, f"{hook.__name__}: {argument} is missing from docs/plugin_hooks.md"
        assert hook.__doc__
