"""Of several writes the last one asked for is what stays, whatever thread comes first."""

import threading
from concurrent.futures import ThreadPoolExecutor
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from desktop_ft.gui.latest import Latest


@given(st.integers(1, 20), st.randoms())
def test_the_last_one_asked_for_is_written_whatever_comes_first(count: int, chance: Random) -> None:
    latest, written = Latest(), list[int]()
    asked = [latest.asked(lambda number=number: written.append(number)) for number in range(count)]  # type: ignore[misc]
    chance.shuffle(asked)
    for write in asked:
        write()
    assert written == [count - 1]


def test_the_last_one_waits_for_what_is_under_way() -> None:
    latest, written, begun, go_on = Latest(), list[str](), threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        go_on.wait(10)
        written.append("slow")

    with ThreadPoolExecutor(2) as threads:
        threads.submit(latest.asked(slow))
        assert begun.wait(10)
        last = threads.submit(latest.asked(lambda: written.append("last")))
        go_on.set()
        last.result(10)
    assert written == ["slow", "last"]
