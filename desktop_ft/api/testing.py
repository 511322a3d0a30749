"""For the tests of a plugin: one line checks all that it brings, in Desktop FT's own machinery.

    import my_plugin
    from desktop_ft.api.testing import conformance_tests

    test_conforms = conformance_tests(my_plugin)

Only tests import this module: it needs pytest, and torch with it.
"""

import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from desktop_ft.conformance import Check, Nonconforming, checks

__all__ = ["Check", "Nonconforming", "checks", "conformance_tests"]


def conformance_tests(
    *plugins: ModuleType,
    asked: Callable[[Check], bool] = lambda check: True,
    slow: Callable[[Check], bool] = lambda check: False,
) -> Callable[..., None]:
    """A pytest test function with one case a check, to be held under a name that begins with `test_`.

    What does not conform fails with one sentence, and with the traceback where the plugin raised something. Nothing is
    downloaded; settings, caches and plugins of whoever runs it are left alone.

    Args:
        asked: which checks are made, for plugins that bring too much for all.
        slow: which of them are marked `slow`.
    """
    cases = [
        pytest.param(check, id=str(check), marks=[pytest.mark.slow] if slow(check) else [])
        for plugin in plugins
        for check in checks(plugin)
        if asked(check)
    ]

    @pytest.mark.parametrize("check", cases)
    def conforms(check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DESKTOP_FT_HOME", str(tmp_path / "home"))
        (folder := tmp_path / "work").mkdir()
        try:
            remark = check.run(folder)
        except Nonconforming as error:
            cause = "".join(traceback.format_exception(error.__cause__)) if error.__cause__ else ""
            pytest.fail(f"{error}\n{cause}".strip(), pytrace=False)
        if remark:
            pytest.skip(remark)

    return conforms
