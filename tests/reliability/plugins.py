"""Faults of plugins: whatever one does while it is loaded, the application starts without it, and names it."""

import json
import subprocess
import sys
import time
from pathlib import Path

from desktop_ft import places
from desktop_ft.plugin_manager import BUILT_INS, PluginState, set_enabled
from tests.reliability.trial import Faults, Trial
from tests.test_plugin_manager import GOOD, WRONG

FAULTS = Faults()
_STARTS_WITHIN_S = 5.0
_HANGS_AFTER_S = 120.0
_API = "DESKTOP_FT_API = '>=1,<2'\n"
_KINDS = WRONG | {
    "ends_quietly": f"{_API}import os\nos._exit(0)",
    "ends_with_a_code": f"{_API}import os\nos._exit(3)",
    "aborts": f"{_API}import os\nos.abort()",
    "kills_itself": f"{_API}import os\nos.kill(os.getpid(), 9)",
    "terminates_itself": f"{_API}import os, signal\nsignal.signal(15, signal.SIG_DFL)\nos.kill(os.getpid(), 15)",
    "crashes": f"{_API}import ctypes\nctypes.string_at(0)",
    "becomes_another_program": f"{_API}import os\nos.execv('/bin/true', ['true'])",
    "never_ends": f"{_API}while True:\n    pass",
    "waits_for_itself": f"{_API}import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()",
    "waits_for_nothing": f"{_API}import threading\nthreading.Event().wait()",
    "asks_the_person": f"{_API}input('Name? ')",
    "interrupts": f"{_API}raise KeyboardInterrupt",
    "raises_what_is_no_exception": f"{_API}raise BaseException('no luck')",
    "recurses": f"{_API}def deeper():\n    deeper()\ndeeper()",
    "wants_all_memory": f"{_API}room = bytearray(10**15)",
    "registers_nothing": GOOD.format(name="none").replace("SampleDataset(", "print("),
    "registers_a_number": GOOD.format(name="number").replace("register(SampleDataset", "register(7) or dict"),
    "has_no_name": GOOD.format(name=""),
    "is_of_another_api": GOOD.format(name="late").replace(">=1,<2", ">=2,<3"),
    "says_no_api": GOOD.format(name="mute").replace("DESKTOP_FT_API", "OTHER"),
    "ends_in_a_hook": GOOD.format(name="hook").replace("    register(", "    import os\n    os._exit(1)\n    register("),
    "never_ends_in_a_hook": GOOD.format(name="loop").replace("    register(", "    while True:\n        pass\n    register("),
    "replaces_json": f"{GOOD.format(name='meddler')}\nimport json\nread = json.loads\njson.loads = lambda *a: read(*a)\n",
    "replaces_hooks": f"{GOOD.format(name='catcher')}\nimport sys\nsys.excepthook = lambda *a: None\n",
    "is_no_text": "\x00\x01\x02",
}


@FAULTS.fault(
    "A plugin is wrong",
    seen="The application starts; *plugins* says what is wrong with that one, and all others are there. What ended the process, "
    "or never came to an end, did so in a process of its own and is not tried again until it is enabled anew.",
    tried="each of these kinds, enabled beside a good one: raising, ending, crashing or never ending at import or in a hook, "
    "replacing what belongs to others, registering nonsense; the application starts twice with it, within 5 s each time",
)
def a_plugin_is_wrong(trial: Trial) -> None:
    folder = places.data() / "plugins"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "good.py").write_text(GOOD.format(name="good"))
    set_enabled("good", on=True)
    kinds = list(_KINDS) if trial.whole else ["crashes", "replaces_json"]
    for kind in kinds:
        wrong = folder / f"{kind}.py"
        wrong.write_text(_KINDS[kind])
        set_enabled(kind, on=True)
        with trial.attempt(kind):
            for _ in range(2):
                began = time.monotonic()
                states = _started()
                assert time.monotonic() - began < _STARTS_WITHIN_S * trial.patience, time.monotonic() - began
                assert (states["good"]["state"], states["good"]["reason"]) == (PluginState.LOADED, ""), states["good"]
                assert all(states[name]["state"] == PluginState.LOADED for name in BUILT_INS), states
                assert states[kind]["reason"], states[kind]
                assert states[kind]["state"] != PluginState.LOADED or "has replaced" in states[kind]["reason"]
        set_enabled(kind, on=False)
        wrong.unlink()


def _started() -> dict[str, dict[str, str]]:
    """What a new process says of its plugins."""
    command = [sys.executable, "-m", "desktop_ft", "plugins", "--json"]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, stdin=subprocess.DEVNULL, check=True, timeout=_HANGS_AFTER_S
    )
    return {told["name"]: told for told in json.loads(done.stdout)}


@FAULTS.fault(
    "A plugin is there that nobody enabled, or is not as it was when it was enabled",
    seen="It stays off, and *plugins* says why.",
    tried="not enabled; enabled, then each of its files changed in turn, one added, or one taken away: none is imported",
)
def a_plugin_is_not_trusted(trial: Trial) -> None:
    marker = trial.folder / "imported"
    touch = f"from pathlib import Path\nPath({str(marker)!r}).touch()\n"
    folder = places.data() / "plugins"
    package = folder / "mine"
    (package / "inner").mkdir(parents=True, exist_ok=True)
    parts = [package / "__init__.py", package / "part.py", package / "inner" / "data.txt"]
    changes = {
        "never enabled": lambda: None,
        **{f"{part.name} changed": lambda part=part: part.write_text(f"{part.read_text()}\n{touch}") for part in parts},
        "one added": lambda: (package / "more.py").write_text(touch),
        "one taken away": parts[1].unlink,
    }
    for name, change in trial.some(list(changes.items()), 2):
        for part in parts:
            part.write_text("")
        (package / "more.py").unlink(missing_ok=True)
        parts[0].write_text(GOOD.format(name="mine") + "from . import part\n")
        set_enabled("mine", on=True)
        if name == "never enabled":
            set_enabled("mine", on=False)
        parts[0].write_text(parts[0].read_text() + (touch if name == "never enabled" else ""))
        change()
        with trial.attempt(name):
            told = _started()["mine"]
            assert told["state"] in (PluginState.DISABLED, PluginState.STOPPED), told
            assert not marker.exists()
    set_enabled("mine", on=False)
