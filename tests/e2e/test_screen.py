"""The window on a real X screen with a window manager: a folder dragged from another process."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

TOOLS = ("Xvfb", "openbox", "xdotool")
WAIT_S = 60


@contextmanager
def running(*command: object, **options: object) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen([str(part) for part in command], text=True, **options)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(timeout=WAIT_S)


@pytest.fixture
def screen() -> Iterator[dict[str, str]]:
    """The environment of a virtual screen of 1280x720 with a window manager."""
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}; installer/debian.sh installs them")
    with ExitStack() as stack:
        read, write = os.pipe()
        options = ("-displayfd", write, "-screen", "0", "1280x720x24", "-nolisten", "tcp")
        stack.enter_context(running("Xvfb", *options, pass_fds=(write,), stderr=subprocess.DEVNULL))
        os.close(write)
        with os.fdopen(read) as number:
            display = f":{number.readline().strip()}"
        env = os.environ | {"DISPLAY": display, "QT_QPA_PLATFORM": "xcb"}
        stack.enter_context(running("openbox", env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        yield env


def xdotool(env: dict[str, str], *command: object) -> str:
    done = subprocess.run(["xdotool", *map(str, command)], env=env, capture_output=True, text=True, check=True, timeout=WAIT_S)
    return done.stdout.strip()


def window_named(env: dict[str, str], title: str) -> str:
    """The window of that title, once it is there."""
    return xdotool(env, "search", "--sync", "--onlyvisible", "--name", title).splitlines()[0]


@pytest.mark.slow
@pytest.mark.screen
def test_a_folder_dragged_from_another_program_is_opened(screen: dict[str, str], photos: Path) -> None:
    with running(sys.executable, "-m", "desktop_ft", env=screen, stderr=subprocess.PIPE) as window:
        window_named(screen, "^Desktop FT$")
        with running(sys.executable, Path(__file__).with_name("drag_source.py"), photos, env=screen):
            source = window_named(screen, "^another program$")
            xdotool(screen, "windowraise", source, "mousemove", "--window", source, 40, 40, "sleep", 0.3, "mousedown", 1)
            steps = [word for _ in range(12) for word in ("mousemove_relative", "--", 40, -12, "sleep", 0.05)]
            xdotool(screen, *steps, "sleep", 0.3, "mouseup", 1)
            opened = window_named(screen, "^photos.*Desktop FT$")
        xdotool(screen, "windowactivate", "--sync", opened, "key", "ctrl+q")
        _, said = window.communicate(timeout=WAIT_S)
        assert window.returncode == 0
        assert said == ""
