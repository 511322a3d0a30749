"""The window on a real X screen with a window manager: what is dragged from another process."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.data.test_model_files import BUNDLE
from tests.reliability import hostile_onnx

TOOLS = ("Xvfb", "openbox", "xdotool")
WAIT_S = 60
_TRIES = 3


@contextmanager
def running(*command: object, **options: object) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen([str(part) for part in command], text=True, **options) as process:  # type: ignore[call-overload]
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


def drag(env: dict[str, str], path: Path, to: Callable[[], str]) -> str:
    """Drag `path` out of another program and drop it on the window; returns what `to` tells of it then.

    On a busy machine a hand may be too quick for the two programs to agree on the drop: a person tries again, and so does this.
    """
    with running(sys.executable, Path(__file__).with_name("drag_source.py"), path, env=env):
        source = window_named(env, "^another program$")
        for _ in range(_TRIES - 1):
            _drag_once(env, source)
            with suppress(subprocess.TimeoutExpired):
                return to()
        _drag_once(env, source)
        return to()


def _drag_once(env: dict[str, str], source: str) -> None:
    xdotool(env, "windowraise", source, "mousemove", "--window", source, 40, 40, "sleep", 0.3, "mousedown", 1)
    steps = [word for _ in range(12) for word in ("mousemove_relative", "--", 40, -12, "sleep", 0.05)]
    xdotool(env, *steps, "sleep", 0.3, "mouseup", 1)


def close(env: dict[str, str], window: str, process: "subprocess.Popen[str]") -> None:
    """Close the window with a key, and see that it goes in silence."""
    xdotool(env, "windowactivate", "--sync", window, "key", "ctrl+q")
    _, said = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0
    assert said == ""


@pytest.mark.slow
@pytest.mark.screen
def test_a_folder_dragged_from_another_program_is_opened(screen: dict[str, str], photos: Path) -> None:
    with running(sys.executable, "-m", "desktop_ft", env=screen, stderr=subprocess.PIPE) as window:
        window_named(screen, "^Desktop FT$")
        opened = drag(screen, photos, lambda: window_named(screen, "^photos.*Desktop FT$"))
        close(screen, opened, window)


@pytest.mark.slow
@pytest.mark.screen
def test_an_exported_file_dragged_from_another_program_shows_its_card(screen: dict[str, str], tmp_path: Path) -> None:
    (file := tmp_path / "small.onnx").write_bytes(hostile_onnx.sound().SerializeToString())
    with running(sys.executable, "-m", "desktop_ft", env=screen, stderr=subprocess.PIPE) as process:
        window = window_named(screen, "^Desktop FT$")
        card = drag(screen, file, lambda: window_named(screen, "^small.onnx"))
        xdotool(screen, "windowactivate", "--sync", card, "key", "Escape")
        close(screen, window, process)


@pytest.mark.slow
@pytest.mark.screen
def test_a_bundle_dragged_from_another_program_is_told_of(screen: dict[str, str], tmp_path: Path) -> None:
    (file := tmp_path / "mine.zip").write_bytes(BUNDLE)
    telling = Path(__file__).with_name("telling_window.py")
    with running(sys.executable, telling, env=screen, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        window = window_named(screen, "^Desktop FT$")
        assert process.stdout is not None
        assert drag(screen, file, process.stdout.readline).startswith("mine.zip is a bundle of Desktop FT.")
        close(screen, window, process)
