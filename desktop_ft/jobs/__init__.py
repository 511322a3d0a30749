"""The verbs that the window and the command line both call.

`jobs.training` and its like are imported when they are first asked for: a window that opens needs few of them.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

    from desktop_ft.jobs import advising as advising
    from desktop_ft.jobs import bundling as bundling
    from desktop_ft.jobs import evaluating as evaluating
    from desktop_ft.jobs import exported_file as exported_file
    from desktop_ft.jobs import exporting as exporting
    from desktop_ft.jobs import forecasting as forecasting
    from desktop_ft.jobs import isolated as isolated
    from desktop_ft.jobs import lesson as lesson
    from desktop_ft.jobs import predicting as predicting
    from desktop_ft.jobs import queueing as queueing
    from desktop_ft.jobs import replanning as replanning
    from desktop_ft.jobs import run_list as run_list
    from desktop_ft.jobs import scanning as scanning
    from desktop_ft.jobs import training as training


def __getattr__(name: str) -> "ModuleType":
    try:
        return importlib.import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{name}":
            raise
        raise AttributeError(f"There is no {name} among the jobs.") from None
