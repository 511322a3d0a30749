"""What every test stands on: a home of its own, and silence."""

import os
import threading
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from desktop_ft.engine import process

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
process.prepare()  # as the application does, before torch is there

SHARED_PHOTOS = Path(__file__).parents[1].parent / "shared" / "data"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Names that are no text may be logged, but cannot be sent from one process of the tests to another."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(scope="session", autouse=True)
def no_home_of_a_person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is made once for many tests is made before any test has its home: then too the person's own is left alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DESKTOP_FT_HOME", str(tmp_path_factory.mktemp("home_of_all")))
        yield


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings, caches and runs of the test, away from the person's own; subprocesses inherit it."""
    place = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("DESKTOP_FT_HOME", str(place))
    return place


@pytest.fixture(autouse=True)
def no_thread_left_behind() -> Iterator[None]:
    """A test that leaves a thread running fails. (Daemons are the libraries' own, such as tqdm's monitor.)"""
    before = set(threading.enumerate())
    yield
    started = [thread for thread in threading.enumerate() if thread not in before and not thread.daemon]
    for thread in started:
        thread.join(timeout=5)
    left = [thread.name for thread in started if thread.is_alive()]
    assert not left, f"threads left running: {left}"


@pytest.fixture
def hymenoptera() -> Path:
    """Real photos of ants and bees, in train/ and val/."""
    return _photos("hymenoptera")


@pytest.fixture
def flowers() -> Path:
    """Real photos of five flowers, in train/ and val/."""
    return _photos("flowers")


def _photos(name: str) -> Path:
    folder = SHARED_PHOTOS / name
    if not folder.is_dir():
        pytest.skip(f"the real photos are not there: ../shared/data/{name}")
    return folder
