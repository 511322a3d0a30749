"""The lesson's steps, each made as the window makes it: how long it takes, and what its runs come to. A line of JSON.

bench_lesson.py
"""

import json
import os
import sys
import tempfile
import time

from desktop_ft.engine import process

process.prepare()

from desktop_ft.jobs import help_texts  # noqa: E402
from desktop_ft.jobs.lesson import take_step  # noqa: E402
from desktop_ft.plugin_manager import load_plugins  # noqa: E402


def main() -> None:
    """Take every step, in a place of its own."""
    whole, plugins, steps = help_texts.lesson(), load_plugins(), []
    with tempfile.TemporaryDirectory() as home:
        os.environ["DESKTOP_FT_HOME"] = home
        for number, step in enumerate(whole.step, start=1):
            print(f"{number}. {step.title}", file=sys.stderr)
            began = time.perf_counter()
            result = take_step(step, plugins)
            took = round(time.perf_counter() - began, 1)
            runs = [
                {"title": run.title, "accuracy": run.accuracy.value if run.accuracy else None, "seconds": round(run.seconds, 1)}
                for run in result.runs
            ]
            steps.append({"step": f"{number}. {step.title}", "seconds": took, "runs": runs})
    optimisation = whole.settings["optimisation"]
    print(json.dumps({"benchmark": "lesson", "sample": whole.sample, "epochs": optimisation["epochs"], "steps": steps}))


if __name__ == "__main__":
    main()
